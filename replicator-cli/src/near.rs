//! Words that may have been meant.

/// Likeness from which on a word may be a slip of another one.
const NEAR: f64 = 0.86;

/// Returns the known words that are nearest to one that is not known, the nearest first.
pub(crate) fn near<'a>(
    word: &str,
    known: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Vec<&'a str> {
    let word = word.to_lowercase();
    let rated = known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&word, &known.to_lowercase()), known));
    let mut rated: Vec<(f64, &str)> = rated.filter(|(likeness, _)| *likeness >= NEAR).collect();
    rated.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    rated
        .into_iter()
        .take(most)
        .map(|(_, known)| known)
        .collect()
}

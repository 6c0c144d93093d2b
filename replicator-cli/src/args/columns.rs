//! Text in columns, for pages of help.

use std::fmt::Write as _;

/// The width of all help, in columns.
const WIDTH: usize = 100;
/// The widest column of names; after a longer name, the text begins on a line of its own.
const WIDEST: usize = 44;

/// Writes rows of a name and its meaning below a heading, if there are any.
pub(super) fn table(
    text: &mut String,
    heading: &str,
    rows: impl Iterator<Item = (String, String)>,
) {
    let rows: Vec<(String, String)> = rows.collect();
    if rows.is_empty() {
        return;
    }
    let lengths = rows.iter().map(|(name, _)| name.chars().count());
    let width = lengths.filter(|len| *len <= WIDEST).max().unwrap_or(0);
    let _ = write!(text, "\n{heading}:\n");
    for (name, about) in rows {
        if name.chars().count() > WIDEST {
            let _ = writeln!(text, "  {name}");
            *text += &hanging(&" ".repeat(width + 2), &about, 2);
        } else {
            *text += &hanging(&format!("{name:width$}  "), &about, 2);
        }
    }
}

/// Wraps a text whose first line begins with a word, below whose end the others begin.
pub(super) fn hanging(begin: &str, text: &str, indent: usize) -> String {
    let inner = indent + begin.chars().count();
    let body = wrapped(text, inner);
    let body = body.get(inner..).unwrap_or("\n");
    format!("{:indent$}{begin}{body}", "")
}

/// Wraps paragraphs, each line behind an indent.
pub(super) fn wrapped(text: &str, indent: usize) -> String {
    let mut out = String::new();
    for paragraph in text.split("\n\n") {
        if !out.is_empty() {
            out.push('\n');
        }
        let mut line = String::new();
        for word in paragraph.split_whitespace() {
            let len = indent + line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && len > WIDTH {
                let _ = writeln!(out, "{:indent$}{line}", "");
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        let _ = writeln!(out, "{:indent$}{line}", "");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_wrapped_behind_its_indent() {
        let words = "word ".repeat(40);
        for line in wrapped(&words, 10).lines() {
            assert!(
                line.len() <= WIDTH && line.starts_with("          word"),
                "{line}"
            );
        }
        assert_eq!(hanging("a: ", "b", 2), "  a: b\n");
        assert_eq!(hanging("a: ", "", 2), "  a: \n");
    }
}

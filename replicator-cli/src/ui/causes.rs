//! The causes of failures, each of which is told once, however many images it concerns.

use std::collections::BTreeMap;

use replicator_core::ImageRef;

use super::words::counted;

/// The images of one cause that are named as they fail. Of those after them, the log has each, and
/// their number is told at the end.
const MOST_NAMED: u64 = 3;

/// How much of a failure is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// All of it.
    InFull,
    /// The image, since the cause has been told.
    Image,
    /// Nothing until the end.
    Counted,
}

/// The failures that were told, by their causes.
#[derive(Debug, Default)]
pub(super) struct Causes(BTreeMap<(Option<String>, String), Cause>);

#[derive(Debug, Default)]
struct Cause {
    images: u64,
    head: &'static str,
    what: String,
}

impl Causes {
    /// Counts a failure of an image, which `lines` are about, at one of several targets. Its line begins
    /// with `head`.
    pub(super) fn count(
        &mut self,
        head: &'static str,
        target: Option<&str>,
        image: &ImageRef,
        what: &str,
        lines: &[String],
    ) -> Telling {
        let key = (target.map(str::to_owned), without_ids(image, lines));
        let cause = self.0.entry(key).or_default();
        cause.head = head;
        what.clone_into(&mut cause.what);
        cause.images += 1;
        match cause.images {
            1 => Telling::InFull,
            2..=MOST_NAMED => Telling::Image,
            _ => Telling::Counted,
        }
    }

    /// Returns a line for each cause of more images than were named, and their target.
    pub(super) fn take_counts(&mut self) -> Vec<(Option<String>, String)> {
        let causes = std::mem::take(&mut self.0).into_iter();
        let counts = causes.filter_map(|((target, _), cause)| {
            let more = cause
                .images
                .checked_sub(MOST_NAMED)
                .filter(|more| *more > 0)?;
            let more = counted(more, "more image");
            Some((
                target,
                format!("{}: {more} for the same cause: {}", cause.head, cause.what),
            ))
        });
        counts.collect()
    }
}

/// Leaves out what differs from image to image.
fn without_ids(image: &ImageRef, lines: &[String]) -> String {
    let text = lines.join("\n");
    let text = match image.id.is_empty() {
        true => text,
        false => text.replace(&image.id, ""),
    };
    let mut parts = text.split("(request ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once(')').map_or("", |(_, rest)| rest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str) -> ImageRef {
        ImageRef {
            id: id.to_owned(),
            name: None,
            size: None,
        }
    }

    #[test]
    fn cause_of_many_images_is_told_once_and_they_are_counted() {
        let mut causes = Causes::default();
        let mut fail = |number: u64, target: Option<&str>, status: &str| {
            let id = format!("id-{number}");
            let why = format!("PUT /images/{id}/file: {status} (request req-{number}) indeed");
            causes.count("error", target, &image(&id), "it failed", &[why])
        };
        assert_eq!(fail(1, None, "403"), Telling::InFull);
        assert_eq!(fail(2, None, "413"), Telling::InFull);
        assert_eq!(fail(3, Some("two"), "403"), Telling::InFull);
        assert_eq!(
            [4, 5].map(|number| fail(number, None, "403")),
            [Telling::Image; 2]
        );
        assert_eq!(
            [6, 7].map(|number| fail(number, None, "403")),
            [Telling::Counted; 2]
        );
        let told = "error: 2 more images for the same cause: it failed";
        assert_eq!(causes.take_counts(), [(None, told.to_owned())]);
        assert!(causes.take_counts().is_empty());
    }
}

//! The order in which records are made, and the time between them.

use std::collections::HashMap;
use std::time::Duration;

use glance_model::ImageMetadata;
use tokio::time::Instant;

use crate::list::newest::Group;

/// The time between the records of two images of one name or tag: servers tell when a record was
/// made in whole seconds, and sort those of one second by their ids.
const APART: Duration = Duration::from_secs(1);

/// The fewest records that are kept in mind: fewer are not worth a look at which are too old.
const KEPT: usize = 1000;

/// The last record that was made of each name and tag, with the time of its original.
#[derive(Debug, Default)]
pub(crate) struct Order {
    last: HashMap<Group<'static>, (String, Instant)>,
    /// The number of records from which on those are forgotten that nobody has to wait for.
    full: usize,
}

impl Order {
    /// Returns the time before which no record is to be made of an image that was created then at
    /// its source.
    pub(crate) fn not_before(&self, image: &ImageMetadata, created_at: &str) -> Option<Instant> {
        let last = Group::of(image).filter_map(|group| self.last.get(&group));
        let earlier = last.filter(|(of_last, _)| of_last != created_at);
        earlier.map(|(_, made)| *made + APART).max()
    }

    /// Keeps in mind that the record of an image was made.
    pub(crate) fn made(&mut self, image: &ImageMetadata, created_at: &str, now: Instant) {
        for group in Group::of(image) {
            let last = (created_at.to_owned(), now);
            self.last.insert(group.owned(), last);
        }
        if self.last.len() > self.full {
            self.last.retain(|_, (_, made)| now < *made + APART);
            self.full = KEPT.max(2 * self.last.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use glance_model::{ImageId, ImageStatus};

    use super::*;

    fn image(number: u32) -> ImageMetadata {
        let id = format!("00000000-0000-4000-8000-{number:012}");
        ImageMetadata::new(ImageId::parse(&id).unwrap(), ImageStatus::Active)
    }

    #[test]
    fn records_of_one_name_or_tag_are_a_second_apart_unless_their_originals_tie() {
        let (mut order, now) = (Order::default(), Instant::now());
        let mut first = image(1);
        first.name = Some("debian".into());
        first.tags.insert("amphora".into());
        order.made(&first, "2026-01-01T00:00:01Z", now);
        let (mut named, mut tagged, mut other) = (image(2), image(3), image(4));
        named.name = Some("debian".into());
        tagged.tags.insert("amphora".into());
        // A name is no tag.
        other.name = Some("amphora".into());
        for (image, created_at, expected) in [
            (&named, "2026-01-01T00:00:02Z", Some(now + APART)),
            (&tagged, "2026-01-01T00:00:02Z", Some(now + APART)),
            (&tagged, "2026-01-01T00:00:01Z", None),
            (&other, "2026-01-01T00:00:02Z", None),
            (&image(5), "2026-01-01T00:00:02Z", None),
        ] {
            assert_eq!(order.not_before(image, created_at), expected, "{image:?}");
        }
    }
}

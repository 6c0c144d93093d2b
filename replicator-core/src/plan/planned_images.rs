//! The images of a plan, packed: as values, the records of 100,000 images are half a gigabyte.

use std::fmt;

use glance_model::{ImageId, ImageMetadata};
use jiff::Timestamp;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Action, PlannedImage};
use crate::run::packed::{InJson, Pack, Packed};

/// Images that need work, in the order in which they were planned. Each takes some 200 bytes of memory,
/// or 6 KiB in a plan of fewer than 1,024.
#[derive(Clone, Default)]
pub struct PlannedImages {
    keys: Vec<Key>,
    images: Packed<PlannedImage>,
}

impl Pack for PlannedImage {
    // One is unpacked in 50 µs.
    const BLOCK: usize = 16;
    // They take up to 6 MiB, and packing one is a part of the processor time of a small image that can
    // be told (about 0.1 ms of 0.7).
    const MANY: usize = 1024;

    fn in_json(&self) -> InJson {
        // Only properties with values other than text are as deep as their source likes.
        let is_deep = |metadata: &ImageMetadata| !metadata.other.is_empty();
        match is_deep(&self.wanted) || self.found.as_ref().is_some_and(is_deep) {
            true => InJson::SameIfRead,
            false => InJson::Same,
        }
    }
}

/// The part of an image that is looked at before its turn comes.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) id: ImageId,
    /// The second of its creation at the source; one that is not known comes last.
    pub(crate) created: i64,
    /// The bytes of data that are to be copied.
    pub(crate) bytes: u64,
    pub(crate) is_copy: bool,
    pub(crate) removes: bool,
    /// Whether it names other images: a kernel, a ramdisk, the one that it was made of.
    pub(crate) names_others: bool,
}

impl Key {
    fn of(planned: &PlannedImage) -> Self {
        let created = planned.created_at.as_ref();
        let created = created.and_then(|time| time.parse().ok());
        let created = created.map(|time: Timestamp| time.as_second());
        Self {
            id: planned.wanted.id,
            created: created.unwrap_or(i64::MAX),
            bytes: planned.bytes_to_copy(),
            is_copy: planned.action == Action::Copy,
            removes: planned.action.removes(),
            names_others: planned.wanted.references().next().is_some(),
        }
    }
}

impl PlannedImages {
    /// Adds an image.
    pub fn push(&mut self, planned: PlannedImage) {
        self.keys.push(Key::of(&planned));
        self.images.push(planned);
    }

    /// The number of the images.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns whether nothing needs work.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Goes through the images.
    pub fn iter(&self) -> impl Iterator<Item = PlannedImage> {
        self.images.iter()
    }

    /// The number of bytes of image data that are to be copied, as far as sizes are known.
    #[must_use]
    pub fn bytes_to_copy(&self) -> u64 {
        self.keys.iter().map(|key| key.bytes).sum()
    }

    /// Returns whether images are to leave the target.
    pub(crate) fn has_removals(&self) -> bool {
        self.keys.iter().any(|key| key.removes)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ImageId> {
        self.keys.iter().map(|key| key.id)
    }

    pub(crate) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// Returns the image of that number.
    pub(crate) fn get(&self, number: usize) -> Option<PlannedImage> {
        self.images.get(number)
    }
}

impl fmt::Debug for PlannedImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl FromIterator<PlannedImage> for PlannedImages {
    fn from_iter<T: IntoIterator<Item = PlannedImage>>(images: T) -> Self {
        let mut packed = Self::default();
        images.into_iter().for_each(|image| packed.push(image));
        packed
    }
}

impl Serialize for PlannedImages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for PlannedImages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Images;

        impl<'de> Visitor<'de> for Images {
            type Value = PlannedImages;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("planned images")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<PlannedImages, A::Error> {
                let mut images = PlannedImages::default();
                while let Some(image) = seq.next_element()? {
                    images.push(image);
                }
                Ok(images)
            }
        }

        deserializer.deserialize_seq(Images)
    }
}

#[cfg(test)]
mod tests {
    use glance_model::ImageStatus;
    use serde_json::Value;

    use super::super::{Reason, TargetId};
    use super::*;

    const BLOCK: usize = PlannedImage::BLOCK;
    const MANY: usize = PlannedImage::MANY;

    fn planned(number: usize) -> PlannedImage {
        let id = ImageId::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap();
        let mut wanted = ImageMetadata::new(id, ImageStatus::Active);
        wanted.size = Some(number as u64);
        wanted.other.insert("odd".into(), 0.1.into());
        PlannedImage {
            wanted,
            created_at: Some("2026-01-01T00:00:01Z".into()),
            target_id: TargetId::Same,
            found: None,
            action: Action::Copy,
            reason: Reason::Missing,
        }
    }

    #[test]
    fn what_is_packed_is_what_was_planned() {
        for count in [0, 1, MANY - 1, MANY, MANY + 3 * BLOCK + 5] {
            let images: PlannedImages = (0..count).map(planned).collect();
            assert_eq!((images.len(), images.is_empty()), (count, count == 0));
            let wanted: Vec<_> = (0..count).map(|number| planned(number).wanted).collect();
            let all: Vec<_> = images.iter().map(|image| image.wanted).collect();
            assert_eq!(all, wanted);
            assert!(images.ids().eq(wanted.iter().map(|image| image.id)));
            for (number, wanted) in wanted.iter().enumerate() {
                assert_eq!(images.get(number).unwrap().wanted, *wanted);
            }
            assert!(images.get(count).is_none());
            assert_eq!(images.bytes_to_copy(), (0..count as u64).sum::<u64>());
        }
    }

    #[test]
    fn properties_that_are_nested_as_deeply_as_any_are_no_trouble() {
        // 127 is the depth to which JSON is read.
        for depth in [1, 100, 120, 121, 122, 123, 124, 125, 126, 127, 128] {
            let deep = (0..depth).fold(Value::Null, |value, _| vec![value].into());
            let deep = |number| {
                let mut image = planned(number);
                image.wanted.other.insert("deep".into(), deep.clone());
                image
            };
            // So many that they are packed.
            let first = (0..MANY).map(planned);
            let images: PlannedImages = first.chain((0..BLOCK).map(deep)).collect();
            let wanted: Vec<_> = (0..BLOCK).map(|number| deep(number).wanted).collect();
            let all = images.iter().skip(MANY).map(|image| image.wanted);
            let all: Vec<_> = all.collect();
            assert_eq!(all, wanted, "{depth}");
            assert_eq!(images.get(MANY + 3).unwrap().wanted, wanted[3], "{depth}");
        }
    }
}

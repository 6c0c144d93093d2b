//! The images of a plan, packed: as values, the records of 100,000 images are half a gigabyte.

use std::fmt;

use glance_model::ImageId;
use jiff::Timestamp;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use super::{Action, PlannedImage};

/// The images that are packed together: the more, the less memory they take, and the longer it takes to
/// get one of them back (50 µs).
const BLOCK: usize = 16;
/// The quickest one: records have few repetitions that are far apart.
const LEVEL: u8 = 1;

/// Images that need work, in the order in which they were planned. Each takes some 200 bytes of memory.
#[derive(Clone, Default)]
pub struct PlannedImages {
    keys: Vec<Key>,
    /// Compressed JSON, of as many images each as a block has.
    blocks: Vec<Box<[u8]>>,
    /// Those behind the last block.
    last: Vec<PlannedImage>,
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
        self.last.push(planned);
        // What cannot be written down, which nobody has seen, stays as it is.
        if self.last.len() == BLOCK
            && let Ok(text) = serde_json::to_vec(&self.last)
        {
            self.blocks.push(compress_to_vec(&text, LEVEL).into());
            self.last.clear();
        }
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
        let packed = self.blocks.iter();
        let packed = packed.flat_map(|block| read::<Vec<_>>(&inflated(block)));
        packed.chain(self.last.iter().cloned())
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
        let Some(block) = self.blocks.get(number / BLOCK) else {
            let number = number - self.blocks.len() * BLOCK;
            return self.last.get(number).cloned();
        };
        let text = inflated(block);
        let images: Vec<&RawValue> = read(&text);
        let image = images.get(number % BLOCK)?;
        Some(read(image.get().as_bytes()))
    }
}

#[expect(clippy::expect_used, reason = "it was packed by this process")]
fn inflated(block: &[u8]) -> Vec<u8> {
    decompress_to_vec(block).expect("a block that was packed here")
}

#[expect(clippy::expect_used, reason = "it was written by this process")]
fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> T {
    serde_json::from_slice(text).expect("an image that was written here")
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
    use glance_model::{ImageMetadata, ImageStatus};

    use super::super::{Reason, TargetId};
    use super::*;

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
        for count in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 5] {
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
}

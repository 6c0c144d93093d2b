//! The images of a plan, packed: as values, the records of 100,000 images are half a gigabyte.

use std::fmt;

use glance_model::ImageId;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::PlannedImage;

/// The images that are packed together: the more, the less memory they take.
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
struct Key {
    id: ImageId,
    /// The bytes of data that are to be copied.
    bytes: u64,
    removes: bool,
}

impl PlannedImages {
    /// Adds an image.
    pub fn push(&mut self, planned: PlannedImage) {
        self.keys.push(Key {
            id: planned.wanted.id,
            bytes: planned.bytes_to_copy(),
            removes: planned.action.removes(),
        });
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

    use super::super::{Action, Reason, TargetId};
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
            assert_eq!(images.bytes_to_copy(), (0..count as u64).sum::<u64>());
        }
    }
}

//! The images of a plan, packed: as values, the records of 100,000 images are half a gigabyte.

use std::{fmt, mem};

use glance_model::{ImageId, ImageMetadata};
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

/// A plan of no more images is not packed: they take up to 6 MiB, and packing one is a part of the
/// processor time of a small image that can be told (about 0.1 ms of 0.7).
const PLAIN: usize = 64 * BLOCK;

/// Images that need work, in the order in which they were planned. Each takes some 200 bytes of memory,
/// or 6 KiB in a plan of up to 1,024.
#[derive(Clone, Default)]
pub struct PlannedImages {
    keys: Vec<Key>,
    blocks: Vec<Block>,
    /// Those behind the last block.
    last: Vec<PlannedImage>,
}

/// As many images as are packed together.
#[derive(Clone)]
enum Block {
    /// Compressed JSON.
    Packed(Box<[u8]>),
    /// Images of a small plan, and those that JSON would not give back: nested, as properties may be,
    /// to the depth that is read.
    Plain(Box<[PlannedImage]>),
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
        if self.last.len() == BLOCK {
            let block = Block::Plain(mem::take(&mut self.last).into());
            self.blocks.push(block);
            let packed_before = match self.keys.len() {
                ..=PLAIN => return,
                len if len == PLAIN + BLOCK => 0,
                _ => self.blocks.len() - 1,
            };
            let blocks = self.blocks.iter_mut().skip(packed_before);
            blocks.for_each(Block::pack);
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
        let blocks = self.blocks.iter().flat_map(Block::images);
        blocks.chain(self.last.iter().cloned())
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
        match self.blocks.get(number / BLOCK) {
            Some(block) => block.get(number % BLOCK),
            None => self.last.get(number % BLOCK).cloned(),
        }
    }
}

impl Block {
    /// Packs images, if they can be read again.
    fn pack(&mut self) {
        if let Self::Plain(images) = self
            && let Some(packed) = packed(images)
        {
            *self = Self::Packed(packed);
        }
    }

    fn images(&self) -> Vec<PlannedImage> {
        match self {
            Self::Packed(packed) => read(&inflated(packed)),
            Self::Plain(images) => images.to_vec(),
        }
    }

    fn get(&self, number: usize) -> Option<PlannedImage> {
        match self {
            Self::Packed(packed) => {
                let text = inflated(packed);
                let images: Vec<&RawValue> = read(&text);
                let image = images.get(number)?;
                Some(read(image.get().as_bytes()))
            }
            Self::Plain(images) => images.get(number).cloned(),
        }
    }
}

/// Packs images, if they can be read again.
fn packed(images: &[PlannedImage]) -> Option<Box<[u8]>> {
    let text = serde_json::to_vec(images).ok()?;
    // Only properties with values other than text are as deep as their source likes.
    let odd = |metadata: &ImageMetadata| !metadata.other.is_empty();
    let is_odd = |image: &PlannedImage| odd(&image.wanted) || image.found.as_ref().is_some_and(odd);
    if images.iter().any(is_odd) {
        serde_json::from_slice::<Vec<PlannedImage>>(&text).ok()?;
    }
    Some(compress_to_vec(&text, LEVEL).into())
}

#[expect(clippy::expect_used, reason = "it was packed by this process")]
fn inflated(block: &[u8]) -> Vec<u8> {
    decompress_to_vec(block).expect("a block that was packed here")
}

#[expect(clippy::expect_used, reason = "it was written by this process")]
fn read<'a, T: Deserialize<'a>>(text: &'a [u8]) -> T {
    serde_json::from_slice(text).expect("images that were written here")
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
        for count in [
            0,
            1,
            BLOCK - 1,
            BLOCK,
            BLOCK + 1,
            PLAIN,
            PLAIN + 3 * BLOCK + 5,
        ] {
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
            let first = (0..PLAIN).map(planned);
            let images: PlannedImages = first.chain((0..BLOCK).map(deep)).collect();
            let wanted: Vec<_> = (0..BLOCK).map(|number| deep(number).wanted).collect();
            let all = images.iter().skip(PLAIN).map(|image| image.wanted);
            let all: Vec<_> = all.collect();
            assert_eq!(all, wanted, "{depth}");
            assert_eq!(images.get(PLAIN + 3).unwrap().wanted, wanted[3], "{depth}");
        }
    }
}

//! Many values in little memory: as compressed JSON, a few at a time.

use std::mem;

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The quickest one: the values have few repetitions that are far apart.
const LEVEL: u8 = 1;

/// A value of which there may be many.
pub(crate) trait Pack: Clone + Serialize + DeserializeOwned {
    /// The number of values that are packed together: the more, the less memory they take, and the
    /// longer it takes to get one of them back.
    const BLOCK: usize;
    /// The number of values from which on they are packed.
    const MANY: usize;

    /// Returns what JSON makes of the value.
    fn in_json(&self) -> InJson;
}

/// What becomes of a value that is written as JSON and read again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum InJson {
    /// It is the same.
    Same,
    /// It is the same, if it is not nested more deeply than is read.
    SameIfRead,
    /// It is another one.
    Other,
}

/// Values in the order in which they came.
#[derive(Clone)]
pub(crate) struct Packed<T> {
    blocks: Vec<Block<T>>,
    /// Those behind the last block.
    last: Vec<T>,
}

/// As many values as are packed together.
#[derive(Clone)]
enum Block<T> {
    /// Compressed JSON.
    Packed(Box<[u8]>),
    /// Values that JSON would not give back.
    Plain(Box<[T]>),
}

impl<T: Pack> Packed<T> {
    pub(crate) fn push(&mut self, value: T) {
        self.last.push(value);
        let full = match self.blocks.is_empty() {
            true => T::MANY,
            false => T::BLOCK,
        };
        if self.last.len() < full {
            return;
        }
        let mut values = mem::take(&mut self.last).into_iter();
        while values.len() > 0 {
            let block = values.by_ref().take(T::BLOCK).collect();
            self.blocks.push(Block::of(block));
        }
    }

    /// Goes through the values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
        let blocks = self.blocks.iter().flat_map(Block::values);
        blocks.chain(self.last.iter().cloned())
    }

    /// Goes through the values that are not packed, among which are all that JSON does not give back.
    pub(crate) fn plain(&self) -> impl Iterator<Item = &T> {
        let plain = self.blocks.iter().flat_map(|block| match block {
            Block::Packed(_) => &[],
            Block::Plain(values) => &**values,
        });
        plain.chain(&self.last)
    }

    /// Returns the value of that number.
    pub(crate) fn get(&self, number: usize) -> Option<T> {
        match self.blocks.get(number / T::BLOCK) {
            Some(block) => block.get(number % T::BLOCK),
            None => {
                let before = self.blocks.len() * T::BLOCK;
                self.last.get(number - before).cloned()
            }
        }
    }
}

#[cfg(test)]
impl<T> Packed<T> {
    /// The number of bytes that the packed values take; all have to be packed.
    pub(crate) fn packed_bytes(&self) -> usize {
        assert!(self.last.is_empty(), "values are not packed");
        let bytes = self.blocks.iter().map(|block| match block {
            Block::Packed(packed) => packed.len(),
            Block::Plain(_) => panic!("values are not packed"),
        });
        bytes.sum()
    }
}

impl<T> Default for Packed<T> {
    fn default() -> Self {
        Self {
            blocks: Vec::new(),
            last: Vec::new(),
        }
    }
}

impl<T: Pack> Block<T> {
    fn of(values: Vec<T>) -> Self {
        match packed(&values) {
            Some(packed) => Self::Packed(packed),
            None => Self::Plain(values.into()),
        }
    }

    fn values(&self) -> Vec<T> {
        match self {
            Self::Packed(packed) => read(&inflated(packed)),
            Self::Plain(values) => values.to_vec(),
        }
    }

    fn get(&self, number: usize) -> Option<T> {
        match self {
            Self::Packed(packed) => {
                let text = inflated(packed);
                let values: Vec<&RawValue> = read(&text);
                let value = values.get(number)?;
                Some(read(value.get().as_bytes()))
            }
            Self::Plain(values) => values.get(number).cloned(),
        }
    }
}

/// Packs values, if they can be read again.
fn packed<T: Pack>(values: &[T]) -> Option<Box<[u8]>> {
    let any = |what| values.iter().any(|value| value.in_json() == what);
    if any(InJson::Other) {
        return None;
    }
    let text = serde_json::to_vec(values).ok()?;
    if any(InJson::SameIfRead) {
        serde_json::from_slice::<Vec<T>>(&text).ok()?;
    }
    Some(compress_to_vec(&text, LEVEL).into())
}

#[expect(clippy::expect_used, reason = "it was packed by this process")]
fn inflated(block: &[u8]) -> Vec<u8> {
    decompress_to_vec(block).expect("a block that was packed here")
}

#[expect(clippy::expect_used, reason = "it was written by this process")]
fn read<'a, V: Deserialize<'a>>(text: &'a [u8]) -> V {
    serde_json::from_slice(text).expect("values that were written here")
}

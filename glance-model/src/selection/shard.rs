//! A share of the images, for machines that divide the work.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ImageId;

/// One of several shares of the images, written `K/N`: the K-th of N. `0/N` and `N/N` are the same
/// one, so that it does not matter whether a machine counts from 0 or from 1.
///
/// An image is in the share whose number is the hash of its id modulo N. The hash is the first 8
/// bytes, the first one the highest, of the SHA-256 of the id in small letters. It never changes:
/// runs of different versions of a program divide the images alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: u64,
    of: NonZeroU64,
}

/// A text is no share.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no share: write K/N, with K from 0 to N, such as 2/8")]
pub struct ShardError {
    /// The text.
    pub text: String,
}

impl Shard {
    /// Returns the number of the share, from 0.
    #[must_use]
    pub fn index(self) -> u64 {
        self.index
    }

    /// Returns the number of shares.
    #[must_use]
    pub fn of(self) -> NonZeroU64 {
        self.of
    }

    /// Returns whether the share is the first one, to which falls what no other share may do.
    #[must_use]
    pub fn is_first(self) -> bool {
        self.index == 0
    }

    /// Returns whether an image is in the share.
    #[must_use]
    pub fn has(self, id: &ImageId) -> bool {
        hash(id, 0) % self.of == self.index
    }
}

/// Returns 8 bytes of the SHA-256 of an id in small letters, from one of them on, as a number.
pub(super) fn hash(id: &ImageId, from: usize) -> u64 {
    let digest = Sha256::digest(id.as_str().to_ascii_lowercase());
    let bytes = digest.iter().skip(from).take(8);
    bytes.fold(0, |hash: u64, byte| hash << 8 | u64::from(*byte))
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let read = |text: &str| {
            let (index, of) = text.split_once('/')?;
            let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            let (index, of): (u64, NonZeroU64) = match is_number(index) && is_number(of) {
                true => (index.parse().ok()?, of.parse().ok()?),
                false => return None,
            };
            (index <= of.get()).then_some(Self {
                index: index % of,
                of,
            })
        };
        read(text).ok_or_else(|| ShardError {
            text: text.to_owned(),
        })
    }
}

impl TryFrom<String> for Shard {
    type Error = ShardError;

    fn try_from(text: String) -> Result<Self, ShardError> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ImageId {
        ImageId::parse(&format!("6d55dd55-053a-4765-b7bc-{number:012x}")).unwrap()
    }

    #[test]
    fn each_image_is_in_one_share_and_the_shares_are_about_equal() {
        for of in [1, 2, 3, 8] {
            let shards: Vec<Shard> = (0..of)
                .map(|index| format!("{index}/{of}").parse().unwrap())
                .collect();
            let mut counts = vec![0; shards.len()];
            for number in 0..4000 {
                let has: Vec<bool> = shards.iter().map(|shard| shard.has(&id(number))).collect();
                assert_eq!(has.iter().filter(|has| **has).count(), 1);
                counts[has.iter().position(|has| *has).unwrap()] += 1;
            }
            let fair = 4000 / of;
            assert!(
                counts
                    .iter()
                    .all(|count| (fair * 8 / 10..=fair * 12 / 10).contains(count)),
                "{counts:?}"
            );
        }
    }

    /// Worked out with `printf ID | sha256sum`: a change would deal images out anew.
    #[test]
    fn the_share_of_an_id_never_changes() {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        let capitals = ImageId::parse("6D55DD55-053A-4765-B7BC-B30DF0EA3861").unwrap();
        let shard: Shard = "767833/1000003".parse().unwrap();
        assert!(shard.has(&id) && shard.has(&capitals));
    }

    #[test]
    fn shares_are_written_from_0_or_from_1() {
        assert_eq!("3/3".parse::<Shard>(), "0/3".parse());
        assert_eq!("3/3".parse::<Shard>().unwrap().to_string(), "0/3");
        assert!("3/3".parse::<Shard>().unwrap().is_first());
        assert!(!"1/3".parse::<Shard>().unwrap().is_first());
        for text in [
            "", "1", "1/", "/2", "4/3", "0/0", "-1/3", "+1/3", "1/2/3", "a/b", " 1/3",
        ] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}

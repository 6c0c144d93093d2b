//! Image ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Identifies an image: a UUID in its dashed form, which makes it safe as a
/// file name and as a part of a URL.
///
/// The letters keep their case, since Glance keeps it, and ids are ordered by
/// byte, as Glance lists them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageId([u8; 36]);

/// The text is no UUID of the form `8-4-4-4-12`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image id (a UUID such as 6d55dd55-053a-4765-b7bc-b30df0ea3861)")]
pub struct ParseImageIdError {
    /// The text that was read, cut to 100 characters.
    pub text: String,
}

impl ImageId {
    /// Reads an id.
    ///
    /// # Errors
    ///
    /// [`ParseImageIdError`] if `text` is anything but 32 hexadecimal digits
    /// with dashes after the 8th, 12th, 16th and 20th.
    pub fn parse(text: &str) -> Result<Self, ParseImageIdError> {
        let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
        let is_id = text.bytes().enumerate().all(|(at, byte)| {
            if is_dash(at) {
                byte == b'-'
            } else {
                byte.is_ascii_hexdigit()
            }
        });
        match <[u8; 36]>::try_from(text.as_bytes()) {
            Ok(bytes) if is_id => Ok(Self(bytes)),
            _ => Err(ParseImageIdError {
                text: text.chars().take(100).collect(),
            }),
        }
    }

    /// Returns whether the id has capital letters, of which servers differ in where
    /// they list them: by byte before all small letters, or, as MySQL has it, as if
    /// they were small. Ids without any are in the same order everywhere.
    #[must_use]
    pub fn has_capitals(&self) -> bool {
        self.0.iter().any(u8::is_ascii_uppercase)
    }

    /// Stands where an id has yet to be read.
    pub(crate) fn nil() -> Self {
        Self(*b"00000000-0000-0000-0000-000000000000")
    }

    /// The id as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Always right, since all bytes are ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for ImageId {
    type Err = ParseImageIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl TryFrom<String> for ImageId {
    type Error = ParseImageIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<ImageId> for String {
    fn from(id: ImageId) -> Self {
        id.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_dashed_uuid_is_an_id() {
        let good = "6D55dd55-053a-4765-b7bc-b30df0ea3861";
        assert_eq!(ImageId::parse(good).unwrap().as_str(), good);
        for bad in [
            "",
            "aaa",
            "../../etc/passwd",
            "6d55dd55053a4765b7bcb30df0ea3861",
            "6d55dd55-053a-4765-b7bc-b30df0ea386",
            "6d55dd55-053a-4765-b7bc-b30df0ea3861.img",
            "6d55dd55-053a-4765-b7bc-b30df0ea38g1",
            "6d55dd55-053a-4765-b7bc-b30df0ea\u{e9}61",
            "6d55dd55-053a-4765-b7bc/b30df0ea3861",
        ] {
            assert!(ImageId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_long_text_is_cut_in_the_error() {
        let error = ImageId::parse(&"x".repeat(100_000)).unwrap_err();
        assert_eq!(error.text.len(), 100);
    }
}

//! The marks that this project's tools set on the images they make at a target. They belong to the
//! one place where they stand: no copy takes them over.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ImageMetadata;

/// The additional property that says for which origin an image was made here.
pub(crate) const ORIGIN: &str = "replicator_origin";
/// The additional property that says since when its origin has not had it any more.
pub(crate) const RETIRED_AT: &str = "replicator_retired_at";

/// The longest name, in characters. v1 takes no longer one beside its other headers.
const LONGEST: usize = 255;

/// Returns whether an additional property of that name is a mark.
pub(crate) fn is_mark(name: &str) -> bool {
    name == ORIGIN || name == RETIRED_AT
}

/// The name of the origin of images, with which those are marked that are made at a target. Each
/// version of the API keeps it as it is, so that two are compared byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

/// A text is no name of an origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no name: it has 1 to {LONGEST} letters, digits and signs of ASCII, and no blanks"
)]
pub struct OriginError {
    /// The text.
    pub text: String,
}

impl Origin {
    /// The additional property that has it.
    pub const PROPERTY: &'static str = ORIGIN;

    /// Returns whether an image was made for this origin.
    #[must_use]
    pub fn is_of(&self, image: &ImageMetadata) -> bool {
        image.origin() == Some(&*self.0)
    }
}

impl FromStr for Origin {
    type Err = OriginError;

    fn from_str(text: &str) -> Result<Self, OriginError> {
        let is_name =
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        // v1 takes it for nothing.
        if is_name && !text.eq_ignore_ascii_case("none") {
            return Ok(Self(text.to_owned()));
        }
        Err(OriginError {
            text: text.to_owned(),
        })
    }
}

impl TryFrom<String> for Origin {
    type Error = OriginError;

    fn try_from(text: String) -> Result<Self, OriginError> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl ImageMetadata {
    /// Returns the origin for which it was made where it is, if it is marked.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        self.properties.get(ORIGIN).map(String::as_str)
    }

    /// Returns the time since when its origin has not had it any more, as it is marked: a text,
    /// since it may be none. v1 cannot remove a property, and an empty one says nothing.
    #[must_use]
    pub fn retired_at(&self) -> Option<&str> {
        let text = self.properties.get(RETIRED_AT).map(String::as_str);
        text.filter(|text| !text.is_empty())
    }

    /// Removes the marks, which say nothing of the image anywhere else.
    pub(crate) fn remove_marks(&mut self) {
        for name in [ORIGIN, RETIRED_AT] {
            self.properties.remove(name);
            self.null_properties.remove(name);
            self.other.remove(name);
        }
    }

    /// Marks an image that is about to be made for an origin, or, where there is something of it
    /// already (`found`), gives it the mark that this has: what somebody else has made is not ours.
    pub(crate) fn mark(&mut self, origin: Option<&Origin>, found: Option<&Self>) {
        let mark = match found {
            Some(found) => found.origin().map(str::to_owned),
            None => origin.map(ToString::to_string),
        };
        self.properties.remove(ORIGIN);
        self.properties
            .extend(mark.map(|mark| (ORIGIN.to_owned(), mark)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_every_api_keeps() {
        for text in ["prod", "https://prod:9292/x", "a", &"x".repeat(255)] {
            assert_eq!(text.parse::<Origin>().unwrap().to_string(), text);
        }
        for text in ["", " ", "a b", "a\n", "é", "None", &"x".repeat(256)] {
            let error = text.parse::<Origin>().unwrap_err();
            assert!(error.to_string().contains("is no name"), "{error}");
        }
    }
}

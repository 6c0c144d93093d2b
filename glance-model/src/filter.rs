//! Properties that are neither compared nor sent.

use std::collections::BTreeSet;

use crate::{BaseProperty, ImageMetadata};

/// What the Python tool leaves out unless it is told otherwise.
const DEFAULT: [&str; 5] = ["created_at", "date", "deleted_at", "location", "updated_at"];

/// Names of properties, base and additional ones, that are neither compared nor
/// sent (`--dontreplicate` of the Python tool).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DoNotReplicate(BTreeSet<String>);

/// A list of names cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FilterError {
    /// The list names `id`, without which no image is found again.
    #[error("the id of an image cannot be left out")]
    Id,
}

impl Default for DoNotReplicate {
    fn default() -> Self {
        Self(DEFAULT.map(str::to_owned).into())
    }
}

impl DoNotReplicate {
    /// Reads names that are separated by blanks, commas or both.
    ///
    /// # Errors
    ///
    /// [`FilterError::Id`] if `id` is among them.
    pub fn parse(names: &str) -> Result<Self, FilterError> {
        let names: BTreeSet<String> = names
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|name| !name.is_empty())
            // v1's name, which the Python tool's users have in their scripts.
            .map(|name| {
                if name == "is_public" {
                    "visibility"
                } else {
                    name
                }
            })
            .map(str::to_owned)
            .collect();
        if names.contains("id") {
            return Err(FilterError::Id);
        }
        Ok(Self(names))
    }

    /// Says whether a property of that name is left out.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Removes what is left out, save what describes the image's data (size and
    /// digests), which a transfer cannot do without.
    #[must_use]
    pub fn apply(&self, mut metadata: ImageMetadata) -> ImageMetadata {
        for property in BaseProperty::ALL {
            if self.contains(property.name()) && property.is_writable() {
                metadata.clear(*property);
            }
        }
        if self.contains("tags") {
            metadata.tags.clear();
        }
        if self.contains("properties") {
            metadata.properties.clear();
        }
        metadata.properties.retain(|name, _| !self.contains(name));
        metadata.other.retain(|name, _| !self.contains(name));
        metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageId, ImageStatus};

    #[test]
    fn names_are_separated_by_blanks_or_commas() {
        let filter = DoNotReplicate::parse(" created_at,owner  is_public, ").unwrap();
        for name in ["created_at", "owner", "visibility"] {
            assert!(filter.contains(name), "{name}");
        }
        assert!(!filter.contains(""));
        assert!(DoNotReplicate::default().contains("location"));
    }

    #[test]
    fn the_id_cannot_be_left_out() {
        assert_eq!(DoNotReplicate::parse("owner id"), Err(FilterError::Id));
    }

    #[test]
    fn what_is_named_is_gone_and_nothing_else() {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        let mut image = ImageMetadata::new(id, ImageStatus::Active);
        image.owner = Some("acme".into());
        image.name = Some("one".into());
        image.size = Some(5);
        image.tags.insert("a".into());
        image.properties.insert("frog".into(), "1".into());
        image.properties.insert("duck".into(), "2".into());
        image.other.insert("dontrepl".into(), "banana".into());
        let filter = DoNotReplicate::parse("owner tags frog dontrepl size").unwrap();
        let filtered = filter.apply(image);
        assert_eq!(filtered.owner, None);
        assert_eq!(filtered.name.as_deref(), Some("one"));
        assert_eq!(filtered.size, Some(5), "a transfer needs the size");
        assert!(filtered.tags.is_empty() && filtered.other.is_empty());
        assert_eq!(filtered.properties.len(), 1);
    }
}

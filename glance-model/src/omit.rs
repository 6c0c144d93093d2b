//! The fields that are neither compared nor sent.

use std::collections::BTreeSet;

use globset::{Glob, GlobSet};

use crate::{BaseProperty, ImageMetadata};

/// The fields that the Python tool leaves out unless it is told otherwise.
const DEFAULT: [&str; 5] = ["created_at", "date", "deleted_at", "location", "updated_at"];

/// What is neither compared nor sent: fields of a record by their names
/// (`--dontreplicate` of the Python tool), and additional properties by patterns.
///
/// As in the Python tool, a name means a field of the record, and never one of the
/// additional properties: these are a field together, `properties`.
#[derive(Clone, Debug)]
pub struct Omit {
    names: BTreeSet<String>,
    dropped: GlobSet,
}

/// A list of names cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OmitError {
    /// The list names `id`, without which no image is found again.
    #[error("the id of an image cannot be left out")]
    Id,
    /// A pattern is none.
    #[error("{pattern:?} is no pattern for names of properties")]
    Pattern {
        /// The text that was given.
        pattern: String,
        /// The fault.
        source: globset::Error,
    },
}

impl Default for Omit {
    fn default() -> Self {
        Self {
            names: DEFAULT.map(str::to_owned).into(),
            dropped: GlobSet::empty(),
        }
    }
}

impl Omit {
    /// Leaves nothing out.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            names: BTreeSet::new(),
            dropped: GlobSet::empty(),
        }
    }

    /// Reads names that are separated by blanks, commas or both.
    ///
    /// # Errors
    ///
    /// [`OmitError::Id`] if `id` is among them.
    pub fn parse(names: &str) -> Result<Self, OmitError> {
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
            return Err(OmitError::Id);
        }
        let dropped = GlobSet::empty();
        Ok(Self { names, dropped })
    }

    /// Leaves out additional properties, too, whose names match one of the
    /// patterns: `*`, `?`, `[a-z]`, `{a,b}`.
    ///
    /// # Errors
    ///
    /// [`OmitError::Pattern`] for one that cannot be read.
    pub fn with_patterns<'a>(
        mut self,
        patterns: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, OmitError> {
        let mut globs = GlobSet::builder();
        for pattern in patterns {
            let glob = Glob::new(pattern).map_err(|source| OmitError::Pattern {
                pattern: pattern.to_owned(),
                source,
            })?;
            globs.add(glob);
        }
        self.dropped = globs.build().map_err(|source| OmitError::Pattern {
            pattern: source.glob().unwrap_or_default().to_owned(),
            source,
        })?;
        Ok(self)
    }

    /// Returns whether the field of that name is left out.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Returns whether additional properties of that name are left out by a pattern.
    #[must_use]
    pub fn matches_property(&self, name: &str) -> bool {
        self.dropped.is_match(name)
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
            metadata.null_properties.clear();
        }
        let is_kept = |name: &String| !self.matches_property(name);
        metadata.properties.retain(|name, _| is_kept(name));
        metadata.null_properties.retain(is_kept);
        metadata
            .other
            .retain(|name, _| is_kept(name) && !self.contains(name));
        metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageId, ImageStatus};

    #[test]
    fn names_are_separated_by_blanks_or_commas() {
        let filter = Omit::parse(" created_at,owner  is_public, ").unwrap();
        for name in ["created_at", "owner", "visibility"] {
            assert!(filter.contains(name), "{name}");
        }
        assert!(!filter.contains(""));
        assert!(Omit::default().contains("location"));
    }

    #[test]
    fn the_id_cannot_be_left_out() {
        let error = Omit::parse("owner id").unwrap_err();
        assert!(matches!(error, OmitError::Id));
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
        let filter = Omit::parse("owner tags frog dontrepl size").unwrap();
        let filtered = filter.apply(image.clone());
        assert_eq!(filtered.owner, None);
        assert_eq!(filtered.name.as_deref(), Some("one"));
        assert_eq!(filtered.size, Some(5), "a transfer needs the size");
        assert!(filtered.tags.is_empty() && filtered.other.is_empty());
        assert_eq!(filtered.properties, image.properties, "frog is no field");
        let filter = Omit::parse("properties").unwrap();
        assert!(filter.apply(image).properties.is_empty());
    }

    #[test]
    fn additional_properties_are_dropped_by_patterns() {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        let mut image = ImageMetadata::new(id, ImageStatus::Active);
        image.name = Some("hw_name".into());
        for name in ["hw_disk", "hw_net/x", "os_type", "trait:A"] {
            image.properties.insert(name.into(), "1".into());
        }
        let filter = Omit::default().with_patterns(["hw_*", "trait:?", "name"]);
        let filtered = filter.unwrap().apply(image);
        let left: Vec<_> = filtered.properties.keys().collect();
        assert_eq!(left, ["os_type"]);
        assert!(filtered.name.is_some(), "base properties stay");
        let error = Omit::default().with_patterns(["[a"]).unwrap_err();
        assert!(matches!(error, OmitError::Pattern { .. }));
    }
}

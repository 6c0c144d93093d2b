//! The fields that are neither compared nor sent.

use std::collections::BTreeSet;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{BaseProperty, ImageMetadata, Pattern, PatternError};

/// The fields that the Python tool leaves out unless it is told otherwise.
const DEFAULT: [&str; 5] = ["created_at", "date", "deleted_at", "location", "updated_at"];

/// The fields that are neither compared nor sent: those of a record by their names
/// (`--dontreplicate` of the Python tool), and additional properties by patterns.
///
/// As in the Python tool, a name means a field of the record, and never one of the
/// additional properties: these are a field together, `properties`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Omit {
    #[serde(deserialize_with = "names_without_id")]
    names: BTreeSet<String>,
    dropped: Vec<Pattern>,
}

fn names_without_id<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeSet<String>, D::Error> {
    let names = BTreeSet::<String>::deserialize(from)?;
    match names.contains("id") {
        true => Err(D::Error::custom(OmitError::Id)),
        false => Ok(names),
    }
}

/// A list of names cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OmitError {
    /// The list names `id`, without which no image is found again.
    #[error("the id of an image cannot be left out")]
    Id,
    /// A pattern is none.
    #[error("{:?} is no pattern for names of properties", .0.pattern)]
    Pattern(#[from] PatternError),
}

impl Default for Omit {
    fn default() -> Self {
        Self {
            names: DEFAULT.map(str::to_owned).into(),
            dropped: Vec::new(),
        }
    }
}

impl Omit {
    /// Leaves nothing out.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            names: BTreeSet::new(),
            dropped: Vec::new(),
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
        let dropped = Vec::new();
        Ok(Self { names, dropped })
    }

    /// Leaves out another field.
    #[must_use]
    pub fn with_field(mut self, name: &str) -> Self {
        self.names.insert(name.to_owned());
        self
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
        let patterns = patterns.into_iter().map(str::parse);
        self.dropped = patterns.collect::<Result<_, _>>()?;
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
        self.dropped.iter().any(|pattern| pattern.matches(name))
    }

    /// Removes what is left out, save what describes the image's data (size and
    /// digests), which a transfer cannot do without.
    #[must_use]
    pub fn apply(&self, mut metadata: ImageMetadata) -> ImageMetadata {
        for name in &self.names {
            if let Some(property) = BaseProperty::from_name(name).filter(|p| p.is_writable()) {
                metadata.clear(property);
            }
        }
        if self.contains("tags") {
            metadata.tags.clear();
        }
        if self.contains("members") {
            metadata.members = None;
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
    fn it_is_written_and_read_again_and_never_with_the_id() {
        let omit = Omit::parse("owner").unwrap().with_patterns(["hw_*"]);
        let json = serde_json::to_string(&omit.clone().unwrap()).unwrap();
        assert_eq!(json, r#"{"names":["owner"],"dropped":["hw_*"]}"#);
        assert_eq!(serde_json::from_str::<Omit>(&json).ok(), omit.ok());
        let error = serde_json::from_str::<Omit>(r#"{"names":["id"],"dropped":[]}"#);
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("the id of an image cannot be left out"),
            "{error}"
        );
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
        assert!(matches!(error, OmitError::Pattern(_)));
    }
}

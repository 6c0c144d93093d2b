//! The images that somebody means, as a value.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{ImageId, ImageMetadata, ImageStatus, Pattern, Visibility};

/// The images that somebody means. The default is every image.
///
/// A server may be asked for fewer images by it. That is a hint: [`matches`](Self::matches) is what
/// counts, and is asked again of every image that comes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    #[serde(skip_serializing_if = "Option::is_none")]
    ids: Option<BTreeSet<ImageId>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tests: Vec<Test>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    excluded: Vec<Test>,
}

/// A test that the metadata of an image passes or not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Test {
    /// The name is one of these, letter by letter.
    Name(BTreeSet<String>),
    /// The status is one of these.
    Status(Vec<ImageStatus>),
    /// The owner is this project.
    Owner(String),
    /// The visibility is this one, as far as the API version tells.
    Visibility(Visibility),
    /// The image has this tag.
    Tag(String),
    /// The property is there and has this value.
    Property(String, String),
    /// The number of bytes is known, and in this range.
    SizeBytes(RangeInclusive<u64>),
    /// The disk format is one of these.
    DiskFormat(BTreeSet<String>),
    /// The container format is one of these.
    ContainerFormat(BTreeSet<String>),
    /// The name is of this pattern.
    NameLike(Pattern),
    /// The property is there, whatever its value, and be it null.
    HasProperty(String),
    /// The property is there, and its value is of this pattern.
    PropertyLike(String, Pattern),
    /// Listings leave the image out, or not; one that says nothing of it is not hidden.
    Hidden(bool),
    /// Deleting the image is refused, or not; one that says nothing of it is not protected.
    Protected(bool),
    /// The time of the creation is known, and is this one or a later one.
    CreatedSince(Timestamp),
    /// The time of the creation is known, and is an earlier one.
    CreatedBefore(Timestamp),
    /// The time of the last change is known, and is this one or a later one.
    UpdatedSince(Timestamp),
    /// The time of the last change is known, and is an earlier one.
    UpdatedBefore(Timestamp),
}

impl Selection {
    /// Selects images by their ids.
    pub fn of_ids(ids: impl IntoIterator<Item = ImageId>) -> Self {
        Self {
            ids: Some(ids.into_iter().collect()),
            ..Self::default()
        }
    }

    /// Selects of these images those that pass a test, too.
    #[must_use]
    pub fn with(mut self, test: Test) -> Self {
        self.tests.push(test);
        self
    }

    /// Selects of these images those that do not pass a test.
    #[must_use]
    pub fn without(mut self, test: Test) -> Self {
        self.excluded.push(test);
        self
    }

    /// Returns the ids that images are selected by, in order; `None` for images of any id.
    #[must_use]
    pub fn ids(&self) -> Option<&BTreeSet<ImageId>> {
        self.ids.as_ref()
    }

    /// Returns the tests that an image has to pass, all of them.
    #[must_use]
    pub fn tests(&self) -> &[Test] {
        &self.tests
    }

    /// Returns the tests that an image must not pass, none of them.
    #[must_use]
    pub fn excluded(&self) -> &[Test] {
        &self.excluded
    }

    /// Returns the same ids without the tests: an image may pass them at one end and not, before
    /// it is brought up to date, at the other.
    #[must_use]
    pub fn ids_only(&self) -> Self {
        Self {
            ids: self.ids.clone(),
            ..Self::default()
        }
    }

    /// Returns whether an image of this id may be selected.
    #[must_use]
    pub fn matches_id(&self, id: &ImageId) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(id))
    }

    /// Returns whether an image is selected.
    #[must_use]
    pub fn matches(&self, image: &ImageMetadata) -> bool {
        self.matches_id(&image.id)
            && self.tests.iter().all(|test| test.passes(image))
            && !self.excluded.iter().any(|test| test.passes(image))
    }
}

impl Test {
    /// Returns whether an image passes.
    #[must_use]
    pub fn passes(&self, image: &ImageMetadata) -> bool {
        let is_in = |set: &BTreeSet<String>, value: &Option<String>| {
            value.as_ref().is_some_and(|value| set.contains(value))
        };
        match self {
            Self::Name(names) => is_in(names, &image.name),
            Self::Status(statuses) => statuses.contains(&image.status),
            Self::Owner(owner) => image.owner.as_ref() == Some(owner),
            Self::Visibility(wanted) => match (image.visibility, wanted) {
                (Some(Visibility::NotPublic), wanted) => *wanted != Visibility::Public,
                (Some(found), Visibility::NotPublic) => found != Visibility::Public,
                (found, wanted) => found == Some(*wanted),
            },
            Self::Tag(tag) => image.tags.contains(tag),
            Self::Property(name, value) => image.properties.get(name) == Some(value),
            Self::SizeBytes(range) => image.size.is_some_and(|size| range.contains(&size)),
            Self::DiskFormat(formats) => is_in(formats, &image.disk_format),
            Self::ContainerFormat(formats) => is_in(formats, &image.container_format),
            Self::NameLike(pattern) => {
                let name = image.name.as_ref();
                name.is_some_and(|name| pattern.matches(name))
            }
            Self::HasProperty(name) => {
                image.properties.contains_key(name)
                    || image.null_properties.contains(name)
                    || image.other.contains_key(name)
            }
            Self::PropertyLike(name, pattern) => {
                let value = image.properties.get(name);
                value.is_some_and(|value| pattern.matches(value))
            }
            Self::Hidden(is) => image.hidden.unwrap_or(false) == *is,
            Self::Protected(is) => image.protected.unwrap_or(false) == *is,
            Self::CreatedSince(time) => image.created().is_some_and(|at| at >= *time),
            Self::CreatedBefore(time) => image.created().is_some_and(|at| at < *time),
            Self::UpdatedSince(time) => image.updated().is_some_and(|at| at >= *time),
            Self::UpdatedBefore(time) => image.updated().is_some_and(|at| at < *time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Pattern {
        text.parse().unwrap()
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn image(last: char) -> ImageMetadata {
        let id = format!("00000000-0000-4000-8000-00000000000{last}");
        let mut image = ImageMetadata::new(ImageId::parse(&id).unwrap(), ImageStatus::Active);
        image.name = Some("debian-13".to_owned());
        image.size = Some(10);
        image.visibility = Some(Visibility::NotPublic);
        image.tags.insert("gold".to_owned());
        image.created_at = Some("2026-11-22T23:34:26Z".to_owned());
        image.updated_at = Some("some day".to_owned());
        image.null_properties.insert("null".to_owned());
        image.properties.insert("os".to_owned(), "linux".to_owned());
        image
    }

    #[test]
    fn every_image_is_selected_until_something_is_asked() {
        assert!(Selection::default().matches(&image('1')));
    }

    #[test]
    fn ids_and_tests_all_count() {
        let one = Selection::of_ids([image('1').id]);
        assert!(one.matches(&image('1')));
        assert!(!one.matches(&image('2')));
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        for (test, passes) in [
            (Test::Name(texts(&["debian-13", "x"])), true),
            (Test::Name(texts(&["Debian-13"])), false),
            (Test::Status(vec![ImageStatus::Active]), true),
            (Test::Status(vec![ImageStatus::Queued]), false),
            (Test::Owner("alpha".to_owned()), false),
            (Test::Visibility(Visibility::Private), true),
            (Test::Visibility(Visibility::Public), false),
            (Test::Tag("gold".to_owned()), true),
            (Test::Tag("silver".to_owned()), false),
            (Test::Property("os".to_owned(), "linux".to_owned()), true),
            (Test::Property("os".to_owned(), "bsd".to_owned()), false),
            (Test::SizeBytes(10..=20), true),
            (Test::SizeBytes(11..=20), false),
            (Test::DiskFormat(texts(&["raw"])), false),
            (Test::NameLike(pattern("debian-*")), true),
            (Test::NameLike(pattern("Debian-*")), false),
            (Test::HasProperty("os".to_owned()), true),
            (Test::HasProperty("null".to_owned()), true),
            (Test::HasProperty("none".to_owned()), false),
            (Test::PropertyLike("os".to_owned(), pattern("l*x")), true),
            (Test::PropertyLike("os".to_owned(), pattern("b*")), false),
            (Test::PropertyLike("null".to_owned(), pattern("*")), false),
            (Test::Hidden(false), true),
            (Test::Protected(true), false),
            (Test::CreatedSince(time("2026-11-22T23:34:26Z")), true),
            (Test::CreatedSince(time("2026-11-23T00:34:27+01:00")), false),
            (Test::CreatedBefore(time("2026-11-22T23:34:26Z")), false),
            (Test::CreatedBefore(time("2027-01-01T00:00:00Z")), true),
            (Test::UpdatedSince(time("1970-01-01T00:00:00Z")), false),
            (Test::UpdatedBefore(time("2027-01-01T00:00:00Z")), false),
        ] {
            let excluded = one.clone().without(test.clone());
            assert_eq!(excluded.matches(&image('1')), !passes, "{excluded:?}");
            assert!(excluded.ids_only().matches(&image('1')));
            let selection = one.clone().with(test);
            let json = serde_json::to_string(&selection).unwrap();
            assert_eq!(serde_json::from_str::<Selection>(&json).unwrap(), selection);
            assert_eq!(selection.matches(&image('1')), passes, "{selection:?}");
            assert!(!selection.matches(&image('2')), "{selection:?}");
            assert!(selection.ids_only().matches(&image('1')));
        }
    }
}

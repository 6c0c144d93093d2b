//! What copies are to say otherwise than their originals.

use std::collections::BTreeMap;

use crate::origin::is_mark;
use crate::property::Names;
use crate::{ImageMetadata, Visibility};

/// The properties of a snapshot that name the instance, the people and the image of the cloud
/// in which Nova made it.
const OF_SNAPSHOTS: [&str; 9] = [
    "base_image_ref",
    "boot_roles",
    "image_location",
    "image_state",
    "instance_uuid",
    "owner_id",
    "owner_project_name",
    "owner_user_name",
    "user_id",
];

/// What copies are to say otherwise than their originals, by the wish of whoever makes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Adapt {
    /// The widest visibility of a copy: one that more people would see gets this one. `None` keeps
    /// that of the source.
    pub widest: Option<Visibility>,
    /// Whether snapshots lose the properties that name instances and people of their cloud.
    pub scrubs_snapshots: bool,
    properties: BTreeMap<String, String>,
}

/// A text sets no additional property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetPropertyError {
    /// It has no `=`, or nothing before it.
    #[error("{text:?} is not of the form NAME=VALUE")]
    Form {
        /// The text.
        text: String,
    },
    /// The name is that of a field, which is no additional property.
    #[error("{name} is not an additional property")]
    Reserved {
        /// The name.
        name: String,
    },
    /// The name is that of a mark, which says who has made an image, or since when it is retired.
    #[error("{name} is a mark that a run sets by itself: --origin names the origin")]
    Mark {
        /// The name.
        name: String,
    },
}

impl Adapt {
    /// Gives every copy an additional property, written as `NAME=VALUE`.
    ///
    /// # Errors
    ///
    /// [`SetPropertyError`] if it is not written so, or is a field that images have anyway.
    pub fn set_property(&mut self, text: &str) -> Result<(), SetPropertyError> {
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| SetPropertyError::Form { text: text.into() })?;
        if (Names::V2 { hidden: true }).is_reserved(name) || name == "is_public" {
            return Err(SetPropertyError::Reserved { name: name.into() });
        }
        if is_mark(name) {
            return Err(SetPropertyError::Mark { name: name.into() });
        }
        self.properties.insert(name.into(), value.into());
        Ok(())
    }

    /// Returns the names of the additional properties that every copy gets.
    pub fn property_names(&self) -> impl Iterator<Item = &str> {
        self.properties.keys().map(String::as_str)
    }

    /// Returns what a copy of the image is to say.
    #[must_use]
    pub fn apply(&self, mut image: ImageMetadata) -> ImageMetadata {
        if let (Some(widest), Some(visibility)) = (self.widest, image.visibility) {
            image.visibility = Some(visibility.at_most(widest));
        }
        if self.scrubs_snapshots && is_snapshot(&image) {
            for name in OF_SNAPSHOTS {
                image.properties.remove(name);
                image.null_properties.remove(name);
                image.other.remove(name);
            }
        }
        for (name, value) in &self.properties {
            image.null_properties.remove(name);
            image.other.remove(name);
            image.properties.insert(name.clone(), value.clone());
        }
        image
    }
}

/// Returns whether Nova made the image of an instance.
fn is_snapshot(image: &ImageMetadata) -> bool {
    let kind = image.properties.get("image_type").map(String::as_str);
    matches!(kind, Some("snapshot" | "backup")) || image.properties.contains_key("instance_uuid")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageId, ImageStatus};

    fn image() -> ImageMetadata {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        ImageMetadata::new(id, ImageStatus::Active)
    }

    #[test]
    fn no_copy_is_seen_by_more_people_than_it_may_or_than_its_original() {
        use Visibility::{Community, NotPublic, Private, Public, Shared};
        for (widest, expected) in [
            (None, [Public, Community, Shared, Private, NotPublic]),
            (
                Some(Community),
                [Community, Community, Shared, Private, NotPublic],
            ),
            (Some(Shared), [Shared, Shared, Shared, Private, NotPublic]),
            // It may be any of three.
            (Some(Private), [Private; 5]),
        ] {
            let adapt = Adapt {
                widest,
                ..Adapt::default()
            };
            let given = [Public, Community, Shared, Private, NotPublic];
            for (visibility, expected) in given.into_iter().zip(expected) {
                let mut source = image();
                source.visibility = Some(visibility);
                let copy = adapt.apply(source);
                assert_eq!(copy.visibility, Some(expected), "{widest:?}");
            }
        }
    }

    #[test]
    fn snapshots_lose_what_names_their_cloud_and_other_images_lose_nothing() {
        let mut adapt = Adapt {
            scrubs_snapshots: true,
            ..Adapt::default()
        };
        let mut original = image();
        for name in ["user_id", "owner_id", "hw_disk_bus"] {
            original.properties.insert(name.into(), "x".into());
        }
        assert_eq!(adapt.apply(original.clone()), original);
        let mut snapshot = original;
        for name in OF_SNAPSHOTS {
            snapshot.properties.insert(name.into(), "x".into());
        }
        snapshot
            .properties
            .insert("image_type".into(), "snapshot".into());
        let left = adapt.apply(snapshot.clone()).properties;
        assert!(left.keys().eq(["hw_disk_bus", "image_type"]), "{left:?}");
        adapt.scrubs_snapshots = false;
        assert_eq!(adapt.apply(snapshot.clone()), snapshot);
    }

    #[test]
    fn a_property_that_is_set_is_the_one_that_the_copy_has() {
        let mut adapt = Adapt::default();
        for text in ["os_distro=debian=12", "empty=", "hw_x=1"] {
            adapt.set_property(text).unwrap();
        }
        let mut source = image();
        source.properties.insert("os_distro".into(), "other".into());
        source.null_properties.insert("hw_x".into());
        let copy = adapt.apply(source);
        let said: Vec<_> = copy.properties.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(
            said,
            [("empty", ""), ("hw_x", "1"), ("os_distro", "debian=12")]
        );
        assert!(copy.null_properties.is_empty());
        for (text, error) in [
            ("os_distro", "\"os_distro\" is not of the form NAME=VALUE"),
            ("=x", "\"=x\" is not of the form NAME=VALUE"),
            ("owner=me", "owner is not an additional property"),
            ("status=active", "status is not an additional property"),
            ("os_glance_x=1", "os_glance_x is not an additional property"),
        ] {
            assert_eq!(adapt.set_property(text).unwrap_err().to_string(), error);
        }
    }
}

//! The metadata of an image, in one form for both API versions.

mod values;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub(crate) use self::values::read_flag;
use self::values::{as_flag, as_number, is_null, whole_seconds};
use crate::property::Kind;
use crate::{BaseProperty, ImageId, ImageStatus, Members, ProjectName, Scalar, Visibility};

/// Everything that Glance says about an image, in the one canonical form that
/// v1 and v2 records are read into.
///
/// `None` means that nothing is known, which is also what a null, an empty text
/// or v1's word `None` becomes. Times are UTC in whole seconds where they could
/// be read.
///
/// Its own form in serde keeps everything that is known, by the names of v2, for files of this
/// project. What servers and archives say is read by [`v1`](crate::v1) and [`v2`](crate::v2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[expect(missing_docs, reason = "`BaseProperty` says what each of them means")]
pub struct ImageMetadata {
    pub id: ImageId,
    pub status: ImageStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
    #[serde(rename = "os_hidden", default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_disk: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ram: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    #[serde(
        rename = "os_hash_algo",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub hash_algo: Option<String>,
    #[serde(
        rename = "os_hash_value",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub hash_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// Additional properties that have a text, be it an empty one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Additional properties that are null: they say no more than an empty text, and
    /// are no text all the same, which a schema of v2 may not take.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub null_properties: BTreeSet<String>,
    /// Fields that no version of the API has, kept as they are. They are
    /// compared and sent as additional properties.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub other: BTreeMap<String, serde_json::Value>,
    /// The projects that it is shared with; `None` if that was not looked at, as it is for
    /// images that are not shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Members>,
    /// The names of its owner and its members in the Keystone of its source, by their ids. An
    /// archive keeps them; no server has them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub projects: BTreeMap<String, ProjectName>,
    /// The reason why an archive has no data for the image, where it is known. No server
    /// says it; it is neither compared nor sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_data: Option<NoData>,
}

/// The reason why an archive has no data for an image that was active when it was dumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NoData {
    /// Only metadata was asked for.
    NotAsked,
    /// The source had lost the data.
    Lost,
    /// The image was deactivated, and the source did not give its data to the caller.
    Withheld,
}

impl NoData {
    /// The word for it in a metadata file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAsked => "not asked for",
            Self::Lost => "lost at the source",
            Self::Withheld => "withheld by the source",
        }
    }

    /// Reads the word of a metadata file.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::NotAsked, Self::Lost, Self::Withheld]
            .into_iter()
            .find(|reason| reason.as_str() == text)
    }
}

/// A value is not of the type of its property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value is not of the type of its property")]
pub struct WrongType;

impl ImageMetadata {
    /// Starts the metadata of an image about which nothing else is known.
    #[must_use]
    pub fn new(id: ImageId, status: ImageStatus) -> Self {
        Self {
            id,
            status,
            name: None,
            disk_format: None,
            container_format: None,
            visibility: None,
            owner: None,
            protected: None,
            hidden: None,
            min_disk: None,
            min_ram: None,
            size: None,
            virtual_size: None,
            checksum: None,
            hash_algo: None,
            hash_value: None,
            created_at: None,
            updated_at: None,
            deleted_at: None,
            tags: BTreeSet::new(),
            properties: BTreeMap::new(),
            null_properties: BTreeSet::new(),
            other: BTreeMap::new(),
            members: None,
            projects: BTreeMap::new(),
            no_data: None,
        }
    }

    /// Returns whether the image has its data and gives it out.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.status == ImageStatus::Active
    }

    /// Returns whether the image has its data: if it is deactivated, for administrators.
    #[must_use]
    pub fn has_data(&self) -> bool {
        let is_whole = matches!(self.status, ImageStatus::Active | ImageStatus::Deactivated);
        is_whole && self.no_data.is_none()
    }

    /// Returns whether the record has digests and no size: a server of today leaves
    /// it so where it has stored an upload and then refused it for its format.
    #[must_use]
    pub fn has_leftovers(&self) -> bool {
        self.size.is_none() && (self.checksum.is_some() || self.hash_value.is_some())
    }

    /// Returns the time of the creation, where it is known and is one with a zone.
    #[must_use]
    pub fn created(&self) -> Option<Timestamp> {
        self.created_at.as_ref()?.parse().ok()
    }

    /// Returns the time of the last change, where it is known and is one with a zone.
    #[must_use]
    pub fn updated(&self) -> Option<Timestamp> {
        self.updated_at.as_ref()?.parse().ok()
    }

    /// The value of a base property.
    #[must_use]
    pub fn get(&self, property: BaseProperty) -> Option<Scalar<'_>> {
        use BaseProperty as P;
        match property {
            P::Name => self.name.as_deref().map(Scalar::Text),
            P::DiskFormat => self.disk_format.as_deref().map(Scalar::Text),
            P::ContainerFormat => self.container_format.as_deref().map(Scalar::Text),
            P::Visibility => self.visibility.map(|v| Scalar::Text(v.as_str())),
            P::Owner => self.owner.as_deref().map(Scalar::Text),
            P::Protected => self.protected.map(Scalar::Flag),
            P::Hidden => self.hidden.map(Scalar::Flag),
            P::MinDisk => self.min_disk.map(Scalar::Number),
            P::MinRam => self.min_ram.map(Scalar::Number),
            P::Size => self.size.map(Scalar::Number),
            P::VirtualSize => self.virtual_size.map(Scalar::Number),
            P::Checksum => self.checksum.as_deref().map(Scalar::Text),
            P::HashAlgo => self.hash_algo.as_deref().map(Scalar::Text),
            P::HashValue => self.hash_value.as_deref().map(Scalar::Text),
            P::CreatedAt => self.created_at.as_deref().map(Scalar::Text),
            P::UpdatedAt => self.updated_at.as_deref().map(Scalar::Text),
            P::DeletedAt => self.deleted_at.as_deref().map(Scalar::Text),
        }
    }

    /// Sets a base property from whatever form a server or a file gave it in.
    ///
    /// # Errors
    ///
    /// [`WrongType`] if the value is not of the property's type; nothing has changed then.
    pub fn set(
        &mut self,
        property: BaseProperty,
        value: Option<Scalar<'_>>,
    ) -> Result<(), WrongType> {
        let Some(value) = value.filter(|value| !is_null(property, *value)) else {
            self.clear(property);
            return Ok(());
        };
        match property.kind() {
            Kind::Number => as_number(value).map(|n| self.put_number(property, Some(n))),
            Kind::Flag => as_flag(value).map(|flag| self.put_flag(property, Some(flag))),
            Kind::Visibility => Visibility::parse(&value.text()).map(|visibility| {
                self.visibility = Some(visibility);
            }),
            Kind::Time => {
                self.put_text(property, Some(whole_seconds(&value.text())));
                Some(())
            }
            Kind::Text => {
                self.put_text(property, Some(value.text().into_owned()));
                Some(())
            }
        }
        .ok_or(WrongType)
    }

    /// Takes a base property over from another image.
    pub fn clone_base(&mut self, property: BaseProperty, other: &Self) {
        // Its value is of the property's type, since it was one.
        if self.set(property, other.get(property)).is_err() {
            self.clear(property);
        }
    }

    /// Forgets a base property.
    pub fn clear(&mut self, property: BaseProperty) {
        match property.kind() {
            Kind::Number => self.put_number(property, None),
            Kind::Flag => self.put_flag(property, None),
            Kind::Visibility => self.visibility = None,
            Kind::Time | Kind::Text => self.put_text(property, None),
        }
    }

    fn put_text(&mut self, property: BaseProperty, value: Option<String>) {
        use BaseProperty as P;
        let place = match property {
            P::Name => &mut self.name,
            P::DiskFormat => &mut self.disk_format,
            P::ContainerFormat => &mut self.container_format,
            P::Owner => &mut self.owner,
            P::Checksum => &mut self.checksum,
            P::HashAlgo => &mut self.hash_algo,
            P::HashValue => &mut self.hash_value,
            P::CreatedAt => &mut self.created_at,
            P::UpdatedAt => &mut self.updated_at,
            P::DeletedAt => &mut self.deleted_at,
            _ => return,
        };
        *place = value;
    }

    fn put_number(&mut self, property: BaseProperty, value: Option<u64>) {
        use BaseProperty as P;
        let place = match property {
            P::MinDisk => &mut self.min_disk,
            P::MinRam => &mut self.min_ram,
            P::Size => &mut self.size,
            P::VirtualSize => &mut self.virtual_size,
            _ => return,
        };
        *place = value;
    }

    fn put_flag(&mut self, property: BaseProperty, value: Option<bool>) {
        match property {
            BaseProperty::Protected => self.protected = value,
            BaseProperty::Hidden => self.hidden = value,
            _ => {}
        }
    }

    /// Levels what the API versions say differently of images without bytes: v1
    /// reserves an image with size 0.
    pub(crate) fn level(&mut self) {
        if self.status == ImageStatus::Queued && self.size == Some(0) {
            self.size = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> ImageMetadata {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        ImageMetadata::new(id, ImageStatus::Active)
    }

    #[test]
    fn every_form_of_a_value_becomes_the_same() {
        struct Case {
            property: BaseProperty,
            given: Scalar<'static>,
            read: Option<Scalar<'static>>,
        }
        use BaseProperty as P;
        use Scalar::{Flag, Number, Text};
        let cases = [
            (P::MinDisk, Text("5"), Some(Number(5))),
            (P::MinDisk, Number(5), Some(Number(5))),
            (P::MinDisk, Text("5.0"), Some(Number(5))),
            (P::MinDisk, Text("None"), None),
            (P::Protected, Text("True"), Some(Flag(true))),
            (P::Protected, Text("false"), Some(Flag(false))),
            (P::Protected, Flag(true), Some(Flag(true))),
            (P::Owner, Text(""), None),
            (P::Owner, Text("None"), None),
            (P::Name, Text("None"), Some(Text("None"))),
            (P::Name, Number(42), Some(Text("42"))),
            (P::Visibility, Text("Public"), Some(Text("public"))),
            (
                P::CreatedAt,
                Text("2012-06-25T02:10:36.078914"),
                Some(Text("2012-06-25T02:10:36Z")),
            ),
            (
                P::CreatedAt,
                Text("2012-06-25T02:10:36"),
                Some(Text("2012-06-25T02:10:36Z")),
            ),
            (
                P::CreatedAt,
                Text("2012-06-25T02:10:36Z"),
                Some(Text("2012-06-25T02:10:36Z")),
            ),
            (
                P::CreatedAt,
                Text("2012-06-25T02:10:36+02:00"),
                Some(Text("2012-06-25T02:10:36+02:00")),
            ),
        ]
        .map(|(property, given, read)| Case {
            property,
            given,
            read,
        });
        for case in cases {
            let mut image = image();
            assert_eq!(
                image.set(case.property, Some(case.given)),
                Ok(()),
                "{:?}",
                case.given
            );
            assert_eq!(image.get(case.property), case.read, "{:?}", case.given);
        }
    }

    #[test]
    fn a_value_of_another_type_is_refused_and_changes_nothing() {
        let mut image = image();
        image.min_ram = Some(7);
        assert!(
            image
                .set(BaseProperty::MinRam, Some(Scalar::Text("much")))
                .is_err()
        );
        assert!(
            image
                .set(BaseProperty::MinRam, Some(Scalar::Text("5.5")))
                .is_err()
        );
        assert!(
            image
                .set(BaseProperty::MinRam, Some(Scalar::Flag(true)))
                .is_err()
        );
        assert!(
            image
                .set(BaseProperty::Protected, Some(Scalar::Number(7)))
                .is_err()
        );
        assert!(
            image
                .set(BaseProperty::Protected, Some(Scalar::Text("maybe")))
                .is_err()
        );
        assert!(
            image
                .set(BaseProperty::Visibility, Some(Scalar::Text("odd")))
                .is_err()
        );
        assert_eq!(image.min_ram, Some(7));
    }

    #[test]
    fn what_is_set_is_got_and_what_is_cleared_is_gone() {
        for property in BaseProperty::ALL {
            let mut image = image();
            let value = match property.kind() {
                Kind::Number => Scalar::Number(3),
                Kind::Flag => Scalar::Flag(true),
                Kind::Visibility => Scalar::Text("shared"),
                Kind::Text | Kind::Time => Scalar::Text("text"),
            };
            assert_eq!(image.set(*property, Some(value)), Ok(()), "{property:?}");
            assert_eq!(image.get(*property), Some(value), "{property:?}");
            image.clear(*property);
            assert_eq!(image.get(*property), None, "{property:?}");
        }
    }
}

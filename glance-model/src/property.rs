//! Base properties: their names, their types, and who may set them.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A value of a base property, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names of the types say it")]
pub enum Scalar<'a> {
    Text(&'a str),
    Number(u64),
    Flag(bool),
}

impl<'a> Scalar<'a> {
    /// The form that v1 headers use, as [`Display`](fmt::Display) writes it.
    pub(crate) fn text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text.into(),
            other => other.to_string().into(),
        }
    }
}

impl fmt::Display for Scalar<'_> {
    /// Writes the form that v1 headers use: `True` and `False` for flags.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => write!(f, "{number}"),
            Self::Flag(true) => f.write_str("True"),
            Self::Flag(false) => f.write_str("False"),
        }
    }
}

/// The people that see an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody, in every listing.
    Public,
    /// Everybody who knows of it.
    Community,
    /// The owner, and the projects that are its members.
    Shared,
    /// The owner.
    Private,
    /// Not public. Images v1 knows no more than this (`is_public: false`), so
    /// it equals each of the other three in a comparison.
    #[serde(rename = "not public")]
    NotPublic,
}

impl Visibility {
    /// Reads a visibility of v2.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "public" => Some(Self::Public),
            "community" => Some(Self::Community),
            "shared" => Some(Self::Shared),
            "private" => Some(Self::Private),
            "not public" => Some(Self::NotPublic),
            _ => None,
        }
    }

    /// The word that v2 uses, or `not public`, which v2 has no word for.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Community => "community",
            Self::Shared => "shared",
            Self::Private => "private",
            Self::NotPublic => "not public",
        }
    }

    /// Returns whether the members of an image see it.
    #[must_use]
    pub fn is_for_members(self) -> bool {
        matches!(self, Self::Shared | Self::NotPublic)
    }

    /// Returns the narrower of two: the one that fewer people are. What v1 calls not public may
    /// be any of three, of which [`Private`](Self::Private) is the narrowest.
    #[must_use]
    pub fn at_most(self, widest: Self) -> Self {
        if self.is_wider_than(widest) {
            widest
        } else {
            self
        }
    }

    /// Orders visibilities by how many people they are.
    fn circle(self) -> u8 {
        match self {
            Self::Private => 0,
            Self::Shared | Self::NotPublic => 1,
            Self::Community => 2,
            Self::Public => 3,
        }
    }

    /// Returns whether more people see an image of this visibility than one of the other.
    #[must_use]
    pub fn is_wider_than(self, other: Self) -> bool {
        self.circle() > other.circle()
    }

    /// The word of v1 for it.
    #[must_use]
    pub fn is_public(self) -> bool {
        self == Self::Public
    }

    /// Reads v1's `is_public`.
    #[must_use]
    pub fn from_is_public(is_public: bool) -> Self {
        if is_public {
            Self::Public
        } else {
            Self::NotPublic
        }
    }
}

/// The type of a base property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Flag,
    Time,
    Visibility,
}

macro_rules! base_properties {
    ($($(#[$doc:meta])* $variant:ident $name:literal $kind:ident),+ $(,)?) => {
        /// A property that every image has, beside its id, status and tags.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[non_exhaustive]
        pub enum BaseProperty {
            $($(#[$doc])* #[serde(rename = $name)] $variant,)+
        }

        impl BaseProperty {
            /// All of them, in the order in which differences are reported.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The name in v2 records. v1 differs only in `is_public`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            pub(crate) fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)+ }
            }

            /// Finds the property with that name in v2 records.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

base_properties! {
    /// The name, which need not be unique.
    Name "name" Text,
    /// The format of the data, such as `qcow2`.
    DiskFormat "disk_format" Text,
    /// The wrapping of the data, mostly `bare`.
    ContainerFormat "container_format" Text,
    /// The people that see it; v1's `is_public`.
    Visibility "visibility" Visibility,
    /// The id of the project that owns it.
    Owner "owner" Text,
    /// Whether deleting it is refused.
    Protected "protected" Flag,
    /// Whether listings leave it out (Images v2.7).
    Hidden "os_hidden" Flag,
    /// The disk that an instance needs, in GiB.
    MinDisk "min_disk" Number,
    /// The memory that an instance needs, in MiB.
    MinRam "min_ram" Number,
    /// The length of the data in bytes.
    Size "size" Number,
    /// The length of the disk that the data describes, in bytes.
    VirtualSize "virtual_size" Number,
    /// The MD5 of the data, in hexadecimal.
    Checksum "checksum" Text,
    /// The algorithm of `os_hash_value`, such as `sha512`.
    HashAlgo "os_hash_algo" Text,
    /// The digest of the data by `os_hash_algo`, in hexadecimal.
    HashValue "os_hash_value" Text,
    /// The time when the record was created.
    CreatedAt "created_at" Time,
    /// The time when the record was changed last.
    UpdatedAt "updated_at" Time,
    /// The time when the image was deleted.
    DeletedAt "deleted_at" Time,
}

impl BaseProperty {
    /// Returns whether clients set it. The others are set by the server: "Image
    /// API v2 refuses writes to these" (`glance/api/v2/images.py`,
    /// `_readonly_properties`).
    #[must_use]
    pub fn is_writable(self) -> bool {
        matches!(
            self,
            Self::Name
                | Self::DiskFormat
                | Self::ContainerFormat
                | Self::Visibility
                | Self::Owner
                | Self::Protected
                | Self::Hidden
                | Self::MinDisk
                | Self::MinRam
        )
    }

    /// Returns whether it belongs to the image's content, and so must agree
    /// between two copies of one image, though it is never sent.
    #[must_use]
    pub fn is_content(self) -> bool {
        matches!(self, Self::Size | Self::Checksum)
    }
}

/// The names that records of a version of the Image API have. A name that a version
/// does not know is the user's there, whatever it means in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Names {
    /// v1: additional properties stand in an object of their own.
    V1,
    /// v2: additional properties stand beside the others.
    V2 {
        /// From v2.7 on: `os_hidden`, `os_hash_*`, `stores`, `os_glance_*`.
        hidden: bool,
    },
}

impl Names {
    /// Finds the base property that has the name in such records.
    pub(crate) fn base(self, name: &str) -> Option<BaseProperty> {
        use BaseProperty as P;
        let property = P::from_name(name)?;
        let is_known = match property {
            P::Visibility => self != Self::V1,
            P::Hidden | P::HashAlgo | P::HashValue => self == Self::V2 { hidden: true },
            P::DeletedAt => self == Self::V1,
            _ => true,
        };
        is_known.then_some(property)
    }

    /// Returns whether the server shows a field of that name, which tells where an
    /// image is stored and how it is reached. It may hold the server's credentials.
    pub(crate) fn is_of_the_server(self, name: &str) -> bool {
        match (self, name) {
            (Self::V1, _) => matches!(name, "deleted" | "location"),
            (_, "direct_url" | "locations" | "self" | "file" | "schema") => true,
            (Self::V2 { hidden }, _) => {
                hidden && (name == "stores" || name.starts_with("os_glance_"))
            }
        }
    }

    /// Returns whether no additional property of v2 can have the name
    /// (`glance/api/v2/images.py`, `RequestDeserializer`, and `glance/domain`,
    /// `ImageFactory`). `location` is taken before v2.7, by a creation.
    pub(crate) fn is_reserved(self, name: &str) -> bool {
        self.base(name).is_some()
            || self.is_of_the_server(name)
            || matches!(name, "id" | "status" | "tags" | "deleted" | "deleted_at")
            || (name == "location" && self == Self::V2 { hidden: true })
    }
}

/// Returns whether a JSON pointer leads Glance to the additional property of that name.
///
/// Glance cuts off the blanks around a name (`glance/api/v2/images.py`,
/// `_decode_json_pointer`), so that `"owner "` leads to the owner; and where the
/// object that it changes has an attribute of that name, it sets the attribute
/// (`_do_add`): `image_id` makes it write into another image. A creation has neither
/// of these faults.
pub(crate) fn can_be_patched(name: &str) -> bool {
    let is_blank = |c: Option<char>| c.is_some_and(is_blank_to_python);
    !is_blank(name.chars().next())
        && !is_blank(name.chars().next_back())
        && !is_attribute(name)
        && !(Names::V2 { hidden: false }).is_reserved(name)
        // Refused, though a creation takes it before v2.7.
        && name != "location"
}

/// Returns whether `str.strip` of Python 2.7 or 3 cuts the character off.
fn is_blank_to_python(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}' | '\u{180e}')
}

/// Returns whether the objects that stand for an image in Glance 15.0.2 or 33.0.0 have
/// such an attribute, beside those that are base properties.
fn is_attribute(name: &str) -> bool {
    name.starts_with("__")
        || name.starts_with("_abc_")
        || matches!(
            name,
            "_format_image_send"
                | "_format_import_properties"
                | "_get_chunk_data_iterator"
                | "base"
                | "context"
                | "deactivate"
                | "delete"
                | "extra_properties"
                | "get_data"
                | "get_payload"
                | "get_super_class"
                | "helper"
                | "image"
                | "image_id"
                | "locations"
                | "member"
                | "notifier"
                | "policy"
                | "property_rules"
                | "reactivate"
                | "repo"
                | "send_notification"
                | "set_data"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_back_to_its_property() {
        for property in BaseProperty::ALL {
            assert_eq!(BaseProperty::from_name(property.name()), Some(*property));
        }
    }
}

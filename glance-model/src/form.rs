//! The forms in which targets hold the metadata of an image.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::property::{Names, can_be_patched};
use crate::record::property_text;
use crate::{
    BaseProperty, ImageMetadata, ImageStatus, MemberStatus, Scalar, Visibility, WrongType,
};

/// The longest header line that Glance 15.0.2 takes, in bytes: `max_header_line` is
/// 16384, and the line break counts.
const V1_HEADER_BYTES: usize = 16383;

/// All headers of properties together, in bytes: Glance 15.0.2 takes 64 KiB of headers
/// (`MAX_TOTAL_HEADER_SIZE` of eventlet), of which the others get 4 KiB.
const V1_PROPERTIES_BYTES: usize = 60 << 10;

/// The longest name of a property, in characters, from v2.7 on.
const V2_NAME_CHARS: usize = 255;

/// The properties that the schema which comes with Glance (`etc/schema-image.json`) gives a
/// pattern or a choice.
const CANNOT_BE_EMPTY: [&str; 3] = [
    "kernel_id",
    "ramdisk_id",
    "cinder_encryption_key_deletion_policy",
];

/// The form in which a target holds metadata. Source and target are compared
/// in it, so that what the target cannot say is no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TargetForm {
    /// Everything, as an archive does.
    Whole,
    /// Images v2: no null properties, and no properties by the names that it has itself.
    /// `hidden` says whether the server knows `os_hidden` (v2.7); before, it takes it
    /// for the name of an additional property.
    V2 {
        /// Whether the server knows `os_hidden`.
        hidden: bool,
    },
    /// Images v1: no tags, no hidden images, one `is_public` for four
    /// visibilities, lower-case property names, values of one line, names of at
    /// most 255 bytes (v2 counts characters).
    V1,
}

impl TargetForm {
    /// Puts what a target says into the form.
    #[must_use]
    pub fn of(self, metadata: ImageMetadata) -> ImageMetadata {
        self.put(metadata, &mut BTreeSet::new())
    }

    /// Puts what a target is to say into the form, and names the additional properties
    /// that it cannot hold.
    #[must_use]
    pub fn wanted(self, metadata: ImageMetadata) -> (ImageMetadata, BTreeSet<String>) {
        let mut left_out = BTreeSet::new();
        let mut metadata = self.put(metadata, &mut left_out);
        if self == Self::V1 {
            leave_out_what_is_too_much(&mut metadata, &mut left_out);
        }
        (metadata, left_out)
    }

    /// Returns whether an additional property of that name can be changed once there is
    /// a record. On v2 some can only come with its creation: an update of them would
    /// change something else.
    #[must_use]
    pub fn can_update(self, property: &str) -> bool {
        match self {
            Self::V2 { hidden } => {
                can_be_patched(property) && !Names::V2 { hidden }.is_reserved(property)
            }
            Self::Whole | Self::V1 => true,
        }
    }

    /// Returns whether images can be hidden.
    #[must_use]
    pub fn can_hide(self) -> bool {
        matches!(self, Self::Whole | Self::V2 { hidden: true })
    }

    /// Returns whether an image that has its data can be changed from one status to the other.
    /// An archive says what it is told. A server with v2 is asked to deactivate images, and
    /// never to activate those that somebody has deactivated there; v1 does neither.
    #[must_use]
    pub fn can_change_status(self, from: &ImageStatus, to: &ImageStatus) -> bool {
        use ImageStatus::{Active, Deactivated};
        match self {
            Self::Whole => matches!((from, to), (Active, Deactivated) | (Deactivated, Active)),
            Self::V2 { .. } => matches!((from, to), (Active, Deactivated)),
            Self::V1 => false,
        }
    }

    /// Returns whether the target can hold an image that has its data in that status.
    #[must_use]
    pub fn can_hold(self, status: &ImageStatus) -> bool {
        let active = ImageStatus::Active;
        *status == active || self.can_change_status(&active, status)
    }

    fn put(self, metadata: ImageMetadata, left_out: &mut BTreeSet<String>) -> ImageMetadata {
        match self {
            Self::Whole => metadata,
            Self::V2 { hidden } => in_v2(without_names(metadata), hidden, left_out),
            Self::V1 => in_v1(without_names(metadata), left_out),
        }
    }
}

/// A server has no names of projects beside an image.
fn without_names(mut metadata: ImageMetadata) -> ImageMetadata {
    metadata.projects.clear();
    metadata
}

fn in_v2(
    mut metadata: ImageMetadata,
    hidden: bool,
    left_out: &mut BTreeSet<String>,
) -> ImageMetadata {
    if !hidden {
        metadata.hidden = None;
    }
    other_as_properties(&mut metadata);
    // v2 takes null for a few properties only, and shows it for those.
    metadata.null_properties.clear();
    let names = Names::V2 { hidden };
    metadata.properties.retain(|name, value| {
        // A server without a schema for it shows null so; one with it refuses that.
        if value.is_empty() && CANNOT_BE_EMPTY.contains(&name.as_str()) {
            return false;
        }
        // Glance 15.0.2 answers 500 to names that are not ASCII.
        let is_name = if hidden {
            name.chars().count() <= V2_NAME_CHARS
        } else {
            name.is_ascii()
        };
        let is_held = is_name && !names.is_reserved(name);
        if !is_held {
            left_out.insert(name.clone());
        }
        is_held
    });
    metadata
}

fn in_v1(mut metadata: ImageMetadata, left_out: &mut BTreeSet<String>) -> ImageMetadata {
    metadata.tags.clear();
    metadata.hidden = None;
    for status in metadata.members.iter_mut().flat_map(BTreeMap::values_mut) {
        *status = MemberStatus::Unsaid;
    }
    metadata.visibility = metadata
        .visibility
        .map(|visibility| Visibility::from_is_public(visibility.is_public()));
    for property in [BaseProperty::Name, BaseProperty::Owner] {
        if let Some(Scalar::Text(text)) = metadata.get(property) {
            let line = text.get(..text.floor_char_boundary(255)).unwrap_or(text);
            let line = one_line(line).into_owned();
            // In one line it may be one of v1's words for nothing.
            let _: Result<_, WrongType> = metadata.set(property, Some(Scalar::Text(&line)));
        }
    }
    other_as_properties(&mut metadata);
    let mut properties = BTreeMap::new();
    for (name, value) in std::mem::take(&mut metadata.properties) {
        let line = one_line(&value).into_owned();
        if !is_header_name(&name) || header_bytes(&name, &line) > V1_HEADER_BYTES {
            left_out.insert(name);
        } else if line.is_empty() {
            // An empty header is null.
            metadata.null_properties.insert(name);
        } else {
            let name = v1_property_name(name);
            // Two names that v1 takes for one.
            if properties.contains_key(&name) {
                left_out.insert(name.clone());
            }
            properties.insert(name, line);
        }
    }
    metadata.null_properties = std::mem::take(&mut metadata.null_properties)
        .into_iter()
        .filter(|name| is_header_name(name))
        .map(v1_property_name)
        .filter(|name| !properties.contains_key(name))
        .collect();
    metadata.properties = properties;
    metadata
}

/// Leaves out the longest properties, until the others can be sent in one request.
fn leave_out_what_is_too_much(metadata: &mut ImageMetadata, left_out: &mut BTreeSet<String>) {
    let bytes = |(name, value): (&String, &String)| (header_bytes(name, value), name.clone());
    let mut headers: Vec<_> = metadata.properties.iter().map(bytes).collect();
    let nulls = metadata.null_properties.iter();
    headers.extend(nulls.map(|name| (header_bytes(name, ""), name.clone())));
    let mut total: usize = headers.iter().map(|(bytes, _)| bytes).sum();
    headers.sort_unstable();
    while total > V1_PROPERTIES_BYTES
        && let Some((bytes, name)) = headers.pop()
    {
        total -= bytes;
        metadata.properties.remove(&name);
        metadata.null_properties.remove(&name);
        left_out.insert(name);
    }
}

/// The length of the line that a property is in a request.
fn header_bytes(name: &str, value: &str) -> usize {
    "x-image-meta-property-: \r\n".len() + name.len() + value.len()
}

/// A field that no API version has is refused by v1 (400 `Bad header`), and
/// simply is a property in v2.
fn other_as_properties(metadata: &mut ImageMetadata) {
    for (name, value) in std::mem::take(&mut metadata.other) {
        if metadata.properties.contains_key(&name) {
            continue;
        }
        if value == Value::Null {
            metadata.null_properties.insert(name);
        } else {
            metadata.null_properties.remove(&name);
            metadata.properties.insert(name, property_text(&value));
        }
    }
}

/// v1 lower-cases property names, and takes `-` and `_` for one.
fn v1_property_name(name: String) -> String {
    let is_of_v1 = |byte: u8| byte != b'-' && !byte.is_ascii_uppercase();
    match name.bytes().all(is_of_v1) {
        true => name,
        false => name.to_ascii_lowercase().replace('-', "_"),
    }
}

/// RFC 9110, 5.6.2: the letters of a token, which a header name is.
fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A header's value has one line, and no blanks at its ends. Other control
/// characters cannot be sent either.
fn one_line(text: &str) -> Cow<'_, str> {
    const BLANKS: [char; 2] = [' ', '\t'];
    let is_control = |c: char| c != '\t' && c.is_ascii_control();
    if !text.contains(is_control) {
        return text.trim_matches(BLANKS).into();
    }
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if !is_control(c) {
            line.push(c);
        } else if !line.ends_with(' ') {
            line.push(' ');
        }
    }
    line.trim_matches(BLANKS).to_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageId;

    fn image() -> ImageMetadata {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        let mut image = ImageMetadata::new(id, ImageStatus::Active);
        image.name = Some(" two\r\nlines ".into());
        image.visibility = Some(Visibility::Community);
        image.hidden = Some(true);
        image.tags.insert("tag".into());
        for (name, value) in [
            ("With-Dash", "1"),
            ("trait:CPU", "required"),
            ("with space", "x"),
            ("size", "7"),
            ("note", "a\n\nb\u{7}c\t!"),
        ] {
            image.properties.insert(name.into(), value.into());
        }
        image.other.insert("extra".into(), 5.into());
        image
    }

    #[test]
    fn v1_holds_what_a_header_can_say() {
        let held = TargetForm::V1.of(image());
        assert_eq!(held.name.as_deref(), Some("two lines"));
        assert_eq!(held.visibility, Some(Visibility::NotPublic));
        assert_eq!(held.hidden, None);
        assert!(held.tags.is_empty());
        let properties: Vec<_> = held.properties.iter().map(|(k, v)| (&**k, &**v)).collect();
        assert_eq!(
            properties,
            [
                ("extra", "5"),
                ("note", "a b c\t!"),
                ("size", "7"),
                ("with_dash", "1"),
            ]
        );
    }

    #[test]
    fn an_owner_that_v1_would_take_for_nothing_is_none() {
        for owner in ["None\n", " None", "\n"] {
            let mut image = image();
            image.owner = Some(owner.into());
            assert_eq!(TargetForm::V1.of(image).owner, None, "{owner:?}");
        }
    }

    #[test]
    fn a_name_that_is_too_long_for_v1_is_cut_between_letters() {
        let mut image = image();
        image.name = Some("長".repeat(200));
        let held = TargetForm::V1.of(image);
        assert_eq!(held.name, Some("長".repeat(85)));
    }

    #[test]
    fn v2_has_names_of_its_own_and_older_ones_know_no_hidden_images() {
        let held = TargetForm::V2 { hidden: false }.of(image());
        assert_eq!(held.hidden, None);
        assert_eq!(held.visibility, Some(Visibility::Community));
        assert!(!held.properties.contains_key("size"));
        assert_eq!(held.properties.get("extra").map(String::as_str), Some("5"));
        assert_eq!(
            TargetForm::V2 { hidden: true }.of(image()).hidden,
            Some(true)
        );
    }

    #[test]
    fn the_version_decides_which_names_a_property_can_have() {
        let of_v27 = ["os_glance_x", "os_hash_algo", "os_hidden", "stores"];
        let of_users = ["date", "is_public", "properties"];
        let mut image = image();
        image.properties.clear();
        image.other.clear();
        let reserved = [
            "owner",
            "self",
            "deleted",
            "deleted_at",
            "location",
            "visibility",
        ];
        for name in of_v27.iter().chain(&of_users).chain(&reserved) {
            image.properties.insert((*name).into(), "x".into());
        }
        let held = |form: TargetForm| form.of(image.clone()).properties.into_keys();
        let held = |form| held(form).collect::<Vec<_>>();
        assert_eq!(held(TargetForm::V2 { hidden: true }), of_users);
        let early = [
            "date",
            "is_public",
            "location",
            "os_glance_x",
            "os_hash_algo",
            "os_hidden",
            "properties",
            "stores",
        ];
        assert_eq!(held(TargetForm::V2 { hidden: false }), early);
        assert_eq!(held(TargetForm::V1).len(), image.properties.len());
    }

    #[test]
    fn null_is_left_out_of_v2_and_an_empty_text_is_null_to_v1() {
        let mut image = image();
        image.null_properties = ["kernel_id", "none"].map(String::from).into();
        image.other.insert("nothing".into(), Value::Null);
        image.properties = ["empty", "ramdisk_id"]
            .map(|name| (name.to_owned(), String::new()))
            .into();
        let (held, left_out) = TargetForm::V2 { hidden: true }.wanted(image.clone());
        let names: Vec<_> = held.properties.keys().collect();
        assert_eq!(names, ["empty", "extra"]);
        assert!(held.null_properties.is_empty() && left_out.is_empty());
        let (held, _) = TargetForm::V1.wanted(image);
        let nulls: Vec<_> = held.null_properties.iter().collect();
        assert_eq!(
            nulls,
            ["empty", "kernel_id", "none", "nothing", "ramdisk_id"]
        );
        assert_eq!(held.properties.len(), 1);
    }

    /// Measured on Glance 15.0.2: a line of 16383 bytes and 65536 bytes of headers are
    /// taken, one more of either is a 400.
    #[test]
    fn what_no_header_of_v1_can_hold_is_left_out_and_named() {
        let longest = V1_HEADER_BYTES - header_bytes("fits", "");
        let mut image = image();
        image.properties.clear();
        image.other.clear();
        image.properties.insert("fits".into(), "v".repeat(longest));
        image
            .properties
            .insert("long".into(), "v".repeat(longest + 1));
        image.properties.insert("a b".into(), "x".into());
        let (held, left_out) = TargetForm::V1.wanted(image.clone());
        assert_eq!(held.properties.into_keys().collect::<Vec<_>>(), ["fits"]);
        assert_eq!(left_out.into_iter().collect::<Vec<_>>(), ["a b", "long"]);

        image.properties.clear();
        for n in 0..100 {
            image
                .properties
                .insert(format!("p{n:02}"), "v".repeat(1000 + n));
        }
        let (held, left_out) = TargetForm::V1.wanted(image.clone());
        let bytes = held
            .properties
            .iter()
            .map(|(name, value)| header_bytes(name, value));
        assert!(bytes.sum::<usize>() <= V1_PROPERTIES_BYTES);
        assert_eq!(held.properties.len() + left_out.len(), 100);
        assert!(left_out.contains("p99") && !left_out.contains("p00"));
        // A property that the target has is never left out.
        assert_eq!(TargetForm::V1.of(image).properties.len(), 100);
    }

    #[test]
    fn a_form_is_reached_in_one_step() {
        for form in [
            TargetForm::Whole,
            TargetForm::V1,
            TargetForm::V2 { hidden: true },
            TargetForm::V2 { hidden: false },
        ] {
            let once = form.of(image());
            assert_eq!(form.of(once.clone()), once, "{form:?}");
        }
    }
}

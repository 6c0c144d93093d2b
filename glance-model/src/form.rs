//! What a target can hold of an image's metadata.

use std::borrow::Cow;

use crate::property::is_reserved_in_v2;
use crate::record::property_text;
use crate::{BaseProperty, ImageMetadata, Scalar, Visibility};

/// The form in which a target holds metadata. Source and target are compared
/// in it, so that what the target cannot say is no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetForm {
    /// Everything, as an archive does.
    Whole,
    /// Images v2. `hidden` says whether the server knows `os_hidden` (v2.7);
    /// before, it takes it for the name of an additional property.
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
    /// Puts metadata into the form.
    #[must_use]
    pub fn of(self, metadata: ImageMetadata) -> ImageMetadata {
        match self {
            Self::Whole => metadata,
            Self::V2 { hidden } => in_v2(metadata, hidden),
            Self::V1 => in_v1(metadata),
        }
    }
}

fn in_v2(mut metadata: ImageMetadata, hidden: bool) -> ImageMetadata {
    if !hidden {
        metadata.hidden = None;
    }
    other_as_properties(&mut metadata);
    metadata
        .properties
        .retain(|name, _| !is_reserved_in_v2(name));
    metadata
}

fn in_v1(mut metadata: ImageMetadata) -> ImageMetadata {
    metadata.tags.clear();
    metadata.hidden = None;
    metadata.visibility = metadata
        .visibility
        .map(|visibility| Visibility::from_is_public(visibility.is_public()));
    for property in [BaseProperty::Name, BaseProperty::Owner] {
        if let Some(Scalar::Text(text)) = metadata.get(property) {
            let line = text.get(..text.floor_char_boundary(255)).unwrap_or(text);
            let line = one_line(line).into_owned();
            // In one line it may be one of v1's words for nothing.
            metadata.set(property, Some(Scalar::Text(&line)));
        }
    }
    other_as_properties(&mut metadata);
    metadata.properties = std::mem::take(&mut metadata.properties)
        .into_iter()
        .filter(|(name, _)| is_header_name(name))
        .map(|(name, value)| (v1_property_name(name), one_line(&value).into_owned()))
        .collect();
    metadata
}

/// A field that no API version has is refused by v1 (400 `Bad header`), and
/// simply is a property in v2.
fn other_as_properties(metadata: &mut ImageMetadata) {
    for (name, value) in std::mem::take(&mut metadata.other) {
        let text = property_text(&value);
        metadata.properties.entry(name).or_insert(text);
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
    use crate::{ImageId, ImageStatus};

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

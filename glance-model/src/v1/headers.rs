//! Metadata as `x-image-meta-*` headers, which is how Images v1 sends it.

use std::collections::BTreeMap;

use crate::property::Names;
use crate::record::{Builder, property_text};
use crate::{BaseProperty, Field, FieldValue, ImageMetadata, MetadataDiff, RecordError};

const META: &str = "x-image-meta-";
const PROPERTY: &str = "x-image-meta-property-";

/// Writes the headers of `POST /v1/images`.
///
/// Null fields and times are left out: a server answers them with 500, or takes
/// them for the text `None`. So is a status other than `active`, which is
/// ignored. A null property is an empty value. Values are text; they go out as
/// UTF-8. A name or value that no header can hold is written all the same: put
/// the metadata into [`TargetForm::V1`](crate::TargetForm::V1) first.
#[must_use]
pub fn headers(metadata: &ImageMetadata) -> Vec<(String, String)> {
    let mut headers = vec![(format!("{META}id"), metadata.id.to_string())];
    if metadata.is_active() {
        headers.push((format!("{META}status"), metadata.status.to_string()));
        headers.push((format!("{META}deleted"), "False".to_owned()));
    }
    let sent = BaseProperty::ALL
        .iter()
        .filter(|property| property.is_writable() || property.is_content());
    for property in sent {
        if let Some(value) = metadata.get(*property) {
            headers.extend(base_header(*property, &value.into()));
        }
    }
    for (name, value) in &metadata.properties {
        headers.push((format!("{PROPERTY}{name}"), value.clone()));
    }
    for name in &metadata.null_properties {
        headers.push((format!("{PROPERTY}{name}"), String::new()));
    }
    for (name, value) in &metadata.other {
        headers.push((format!("{META}{name}"), property_text(value)));
    }
    headers
}

/// Writes the headers of `PUT /v1/images/{id}` that make the changes of a diff.
///
/// The request also needs `x-glance-registry-purge-props: False`, or the server
/// deletes the properties that the diff does not name. `status`, `size` and
/// `checksum` are never written: a server would take them for true.
#[must_use]
pub fn update_headers(diff: &MetadataDiff) -> Vec<(String, String)> {
    diff.changes()
        .iter()
        .filter(|change| change.is_writable())
        .filter_map(|change| match (&change.field, change.wanted()) {
            (Field::Property(name), FieldValue::Null) => {
                Some((format!("{PROPERTY}{name}"), String::new()))
            }
            // A null is a text, or a 500, for some fields.
            (_, FieldValue::Null) => None,
            (Field::Base(property), value) => base_header(*property, &value),
            (Field::Property(name), value) => {
                Some((format!("{PROPERTY}{name}"), value.to_string()))
            }
            _ => None,
        })
        .collect()
}

fn base_header(property: BaseProperty, value: &FieldValue) -> Option<(String, String)> {
    match property {
        BaseProperty::Hidden => None,
        BaseProperty::Visibility => {
            let is_public = FieldValue::Flag(value.to_string() == "public");
            Some((format!("{META}is_public"), is_public.to_string()))
        }
        _ => Some((format!("{META}{}", property.name()), value.to_string())),
    }
}

/// Reads the headers of an answer of v1 to HEAD or GET.
///
/// Names are compared without case, since servers capitalise them. Headers
/// without the prefix are kept in [`ImageMetadata::other`]. Header forms lose
/// some metadata (case, blanks, null), so prefer the listing's JSON.
///
/// # Errors
///
/// [`RecordError`] if there is no id or no status, or a base property has a
/// value of another type.
pub fn from_headers<'a>(
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<ImageMetadata, RecordError> {
    let mut builder = Builder::new(Names::V1);
    let mut unprefixed = BTreeMap::new();
    for (name, value) in headers {
        let name = name.to_ascii_lowercase();
        if let Some(name) = name.strip_prefix(PROPERTY) {
            builder.property(name, value.into());
        } else if let Some(name) = name.strip_prefix(META) {
            builder.field(name, value.into())?;
        } else {
            unprefixed.insert(name, serde_json::Value::from(value));
        }
    }
    let mut metadata = builder.build()?;
    for (name, value) in unprefixed {
        metadata.other.entry(name).or_insert(value);
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageId, ImageStatus, Omit, Visibility};

    const ID: &str = "6d55dd55-053a-4765-b7bc-b30df0ea3861";

    fn image() -> ImageMetadata {
        ImageMetadata::new(ImageId::parse(ID).unwrap(), ImageStatus::Active)
    }

    /// As in the Python tool: headers become fields and properties.
    #[test]
    fn test_rest_header_list_to_dict() {
        let image = from_headers([
            ("X-Image-Meta-Id", ID),
            ("x-image-meta-status", "active"),
            ("x-image-meta-banana", "42"),
            ("gerkin", "12"),
            ("x-image-meta-property-frog", "11"),
            ("X-Image-Meta-Property-Duck", "12"),
        ])
        .unwrap();
        assert_eq!(image.other.get("banana"), Some(&"42".into()));
        assert_eq!(image.other.get("gerkin"), Some(&"12".into()));
        assert_eq!(image.properties.get("frog").unwrap(), "11");
        assert_eq!(image.properties.get("duck").unwrap(), "12");
        assert!(!image.other.contains_key("x-image-meta-banana"));
    }

    /// As in the Python tool: fields and properties become headers.
    #[test]
    fn test_rest_dict_to_headers() {
        let mut image = image();
        image.other.insert("banana".into(), 42.into());
        image.other.insert("gerkin".into(), 12.into());
        image.properties.insert("frog".into(), "1".into());
        image.properties.insert("kernel_id".into(), String::new());
        let headers: BTreeMap<_, _> = headers(&image).into_iter().collect();
        let value = |name: &str| headers.get(name).map(String::as_str);
        assert_eq!(value("x-image-meta-banana"), Some("42"));
        assert_eq!(value("x-image-meta-gerkin"), Some("12"));
        assert_eq!(value("x-image-meta-property-frog"), Some("1"));
        assert_eq!(value("x-image-meta-property-kernel_id"), Some(""));
        assert_eq!(value("properties"), None);
    }

    #[test]
    fn null_fields_and_times_are_not_sent() {
        let mut image = image();
        image.created_at = Some("2012-06-25T02:10:36Z".into());
        image.size = Some(0);
        image.visibility = Some(Visibility::Shared);
        let names: Vec<_> = headers(&image);
        assert_eq!(
            names,
            [
                ("x-image-meta-id", ID),
                ("x-image-meta-status", "active"),
                ("x-image-meta-deleted", "False"),
                ("x-image-meta-is_public", "False"),
                ("x-image-meta-size", "0"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn an_update_names_only_what_changes() {
        let target = image();
        let mut source = target.clone();
        source.visibility = Some(Visibility::Public);
        source.min_disk = Some(3);
        source.status = ImageStatus::Queued;
        source.properties.insert("frog".into(), "1".into());
        let diff = MetadataDiff::between(&source, &target, &Omit::default());
        assert_eq!(
            update_headers(&diff),
            [
                ("x-image-meta-is_public", "True"),
                ("x-image-meta-min_disk", "3"),
                ("x-image-meta-property-frog", "1"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }
}

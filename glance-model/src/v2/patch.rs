//! Updates of Images v2: JSON patches.

use serde_json::{Value, json};

use crate::property::can_be_patched;
use crate::{BaseProperty, Field, FieldValue, MetadataDiff, Visibility};

/// Writes the patch that makes the changes of a diff, for
/// `PATCH /v2/images/{id}` in the media type
/// `application/openstack-images-v2.1-json-patch`.
///
/// Tags are replaced as a whole, an additional property that is to be null is removed, and
/// any other change is an `add`, which sets a property whether it is there or not. What no
/// client can write
/// (status, size, checksum) is left out, and so are properties whose names would lead
/// the server to something else ([`TargetForm::can_update`](crate::TargetForm::can_update)).
#[must_use]
pub fn patch(diff: &MetadataDiff) -> Value {
    diff.changes()
        .iter()
        .filter(|change| match &change.field {
            // A field that is not there cannot be removed.
            Field::Property(_)
                if change.wanted() == FieldValue::Null && change.target.is_none() =>
            {
                false
            }
            Field::Property(name) => can_be_patched(name),
            // They are no part of a record.
            Field::Members | Field::Projects => false,
            _ => change.is_writable(),
        })
        .map(|change| {
            let path = pointer(&change.field.to_string());
            let value = match change.wanted() {
                // v2 has no null property: without one, it says as much.
                FieldValue::Null if matches!(change.field, Field::Property(_)) => {
                    return json!({ "op": "remove", "path": path });
                }
                FieldValue::Null => Value::Null,
                // v1's word; v2's default is what it means.
                FieldValue::Text(text)
                    if change.field == Field::Base(BaseProperty::Visibility)
                        && text == Visibility::NotPublic.as_str() =>
                {
                    json!(Visibility::Shared.as_str())
                }
                FieldValue::Text(text) => json!(text),
                FieldValue::Number(number) => json!(number),
                FieldValue::Flag(flag) => json!(flag),
                FieldValue::Tags(tags) => json!(tags),
                FieldValue::Members(members) => json!(members),
                FieldValue::Projects(projects) => json!(projects),
            };
            let op = match change.field {
                Field::Tags => "replace",
                _ => "add",
            };
            json!({ "op": op, "path": path, "value": value })
        })
        .collect()
}

/// RFC 6901: a JSON pointer of one step.
fn pointer(name: &str) -> String {
    format!("/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageId, ImageMetadata, ImageStatus, Omit};

    #[test]
    fn what_v1_calls_not_public_is_shared_in_v2() {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        let mut target = ImageMetadata::new(id, ImageStatus::Active);
        target.visibility = Some(Visibility::Public);
        let mut source = target.clone();
        source.visibility = Some(Visibility::NotPublic);
        let diff = MetadataDiff::between(&source, &target, &Omit::default());
        assert_eq!(
            patch(&diff),
            json!([{"op": "add", "path": "/visibility", "value": "shared"}])
        );
    }

    #[test]
    fn a_name_that_leads_to_something_else_is_in_no_patch() {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        let target = ImageMetadata::new(id, ImageStatus::Active);
        let mut source = target.clone();
        for name in [
            "visibility ",
            "\towner",
            "\u{a0}name",
            "os_distro\u{1f}",
            "self\u{3000}",
            " ",
            "image_id",
            "extra_properties",
            "__class__",
            "visibility",
            "location",
        ] {
            source.properties.insert(name.into(), "public".into());
        }
        for name in ["", "a b", "/", "~", "visibility\u{200b}", "_own", "Owner"] {
            source.properties.insert(name.into(), "x".into());
        }
        let diff = MetadataDiff::between(&source, &target, &Omit::default());
        let patch = patch(&diff);
        let paths = patch.as_array().unwrap().iter();
        let paths: Vec<_> = paths.filter_map(|change| change["path"].as_str()).collect();
        let harmless = [
            "/",
            "/~1",
            "/Owner",
            "/_own",
            "/a b",
            "/visibility\u{200b}",
            "/~0",
        ];
        assert_eq!(paths, harmless);
    }

    #[test]
    fn a_diff_becomes_a_patch_of_what_can_be_written() {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        let target = ImageMetadata::new(id, ImageStatus::Queued);
        let mut source = target.clone();
        source.status = ImageStatus::Active;
        source.name = Some("one".into());
        source.protected = Some(true);
        source.min_ram = Some(64);
        source.tags.insert("t".into());
        source.properties.insert("a/b~c".into(), "1".into());
        let diff = MetadataDiff::between(&source, &target, &Omit::default());
        assert_eq!(
            patch(&diff),
            json!([
                {"op": "add", "path": "/name", "value": "one"},
                {"op": "add", "path": "/protected", "value": true},
                {"op": "add", "path": "/min_ram", "value": 64},
                {"op": "replace", "path": "/tags", "value": ["t"]},
                {"op": "add", "path": "/a~1b~0c", "value": "1"},
            ])
        );
    }
}

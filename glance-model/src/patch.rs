//! Updates of Images v2: JSON patches.

use serde_json::{Value, json};

use crate::{BaseProperty, Field, FieldValue, MetadataDiff, Visibility};

/// Writes the patch that makes the changes of a diff, for
/// `PATCH /v2/images/{id}` in the media type
/// `application/openstack-images-v2.1-json-patch`.
///
/// Every operation is an `add`, which sets a property whether it is there or
/// not. What no client can write (status, size, checksum) is left out.
#[must_use]
pub fn json_patch(diff: &MetadataDiff) -> Value {
    diff.changes()
        .iter()
        .filter(|change| change.is_writable())
        .map(|change| {
            let value = match change.wanted() {
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
            };
            let op = match change.field {
                Field::Tags => "replace",
                _ => "add",
            };
            json!({ "op": op, "path": pointer(&change.field.to_string()), "value": value })
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
    use crate::{DoNotReplicate, ImageId, ImageMetadata, ImageStatus};

    #[test]
    fn what_v1_calls_not_public_is_shared_in_v2() {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        let mut target = ImageMetadata::new(id, ImageStatus::Active);
        target.visibility = Some(Visibility::Public);
        let mut source = target.clone();
        source.visibility = Some(Visibility::NotPublic);
        let diff = MetadataDiff::between(&source, &target, &DoNotReplicate::default());
        assert_eq!(
            json_patch(&diff),
            json!([{"op": "add", "path": "/visibility", "value": "shared"}])
        );
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
        let diff = MetadataDiff::between(&source, &target, &DoNotReplicate::default());
        assert_eq!(
            json_patch(&diff),
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

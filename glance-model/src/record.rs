//! Metadata as JSON: the image records of v2, and those of v1's listing, which
//! are also what the Python tool writes into archives.

mod json;
mod listed;

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value, json};

pub(crate) use self::json::{Json, property_text};
pub use self::listed::{BadRecord, read_record, valid_unicode};
use crate::property::Names;
use crate::{BaseProperty, ImageId, ImageMetadata, ImageStatus, Scalar, Visibility};

/// A record that describes no image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The id is missing, or is no UUID.
    #[error("image record without a valid id: {found:?}")]
    Id {
        /// What stands in its place.
        found: String,
    },
    /// The status is missing.
    #[error("record of image {id} has no status")]
    Status {
        /// The image.
        id: ImageId,
    },
    /// The status is none that an image has.
    #[error("record of image {id} has a status of {found:?}")]
    UnknownStatus {
        /// The image.
        id: ImageId,
        /// What stands in its place.
        found: String,
    },
    /// A base property has a value of another type.
    #[error("image record has a {field} of {value:?}")]
    Field {
        /// The name of the property.
        field: &'static str,
        /// What stands in its place.
        value: String,
    },
}

/// A record of Images v2 from v2.7 on, to be read by serde.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V2Record(pub ImageMetadata);

/// A record of Images v2 before v2.7, to be read by serde. `os_hidden`, `os_hash_*`,
/// `stores` and `os_glance_*` are names of additional properties in it, as any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyV2Record(pub ImageMetadata);

/// A record of the listing of Images v1, to be read by serde.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V1Record(pub ImageMetadata);

impl From<V2Record> for ImageMetadata {
    fn from(record: V2Record) -> Self {
        record.0
    }
}

impl From<EarlyV2Record> for ImageMetadata {
    fn from(record: EarlyV2Record) -> Self {
        record.0
    }
}

impl From<V1Record> for ImageMetadata {
    fn from(record: V1Record) -> Self {
        record.0
    }
}

impl<'de> Deserialize<'de> for V2Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Names::V2 { hidden: true };
        deserializer
            .deserialize_map(RecordVisitor(Builder::new(names)))
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for EarlyV2Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Names::V2 { hidden: false };
        deserializer
            .deserialize_map(RecordVisitor(Builder::new(names)))
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for V1Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(RecordVisitor(Builder::new(Names::V1)))
            .map(Self)
    }
}

/// Writes the record that creates an image through v2 (`POST /v2/images`).
///
/// Only what a client may send is in it, and no nulls: one field too many makes
/// the server refuse the whole request. Put the metadata into
/// [`TargetForm::V2`](crate::TargetForm::V2) first: what the name of a property
/// means depends on the version of the server.
#[must_use]
pub fn to_v2_record(metadata: &ImageMetadata) -> Value {
    let mut record = Map::new();
    record.insert("id".into(), json!(metadata.id));
    for property in BaseProperty::ALL.iter().filter(|p| p.is_writable()) {
        let value = metadata.get(*property);
        if let Some(value) = value.filter(|value| *value != Scalar::Text(NOT_PUBLIC)) {
            record.insert(property.name().into(), scalar_to_json(value));
        }
    }
    if !metadata.tags.is_empty() {
        record.insert("tags".into(), json!(metadata.tags));
    }
    for (name, value) in &metadata.properties {
        // A field of the record is never set by a property of its name.
        let early = Names::V2 { hidden: false };
        if !early.is_reserved(name) {
            record.entry(name).or_insert_with(|| json!(value));
        }
    }
    Value::Object(record)
}

/// v2 has no such visibility: without one, an image is `shared`, and without
/// members that is what v1 calls not public.
const NOT_PUBLIC: &str = "not public";

/// Writes the record that v1's listing would show, null fields left out. Tags,
/// `os_hidden`, `os_hash_*` and what `is_public` cannot say are not in it.
#[must_use]
pub fn to_v1_record(metadata: &ImageMetadata) -> Value {
    let mut record = Map::new();
    record.insert("id".into(), json!(metadata.id));
    record.insert("status".into(), json!(metadata.status.as_str()));
    record.insert(
        "deleted".into(),
        json!(metadata.status == ImageStatus::Deleted),
    );
    for property in BaseProperty::ALL {
        let (name, value) = match (property, metadata.get(*property)) {
            (BaseProperty::Hidden | BaseProperty::HashAlgo | BaseProperty::HashValue, _)
            | (_, None) => continue,
            (BaseProperty::Visibility, Some(value)) => (
                "is_public",
                json!(value == Scalar::Text(Visibility::Public.as_str())),
            ),
            (property, Some(value)) => (property.name(), scalar_to_json(value)),
        };
        record.insert(name.into(), value);
    }
    let nulls = metadata.null_properties.iter();
    let nulls = nulls.map(|name| (name.clone(), Value::Null));
    let texts = metadata.properties.iter();
    let properties = nulls.chain(texts.map(|(name, text)| (name.clone(), json!(text))));
    record.insert("properties".into(), Value::Object(properties.collect()));
    for (name, value) in &metadata.other {
        record.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Value::Object(record)
}

fn scalar_to_json(value: Scalar<'_>) -> Value {
    match value {
        Scalar::Text(text) => json!(text),
        Scalar::Number(number) => json!(number),
        Scalar::Flag(flag) => json!(flag),
    }
}

/// Collects the fields of a record, in whatever order and form they come.
pub(crate) struct Builder {
    names: Names,
    id: Option<ImageId>,
    found_id: String,
    status: Option<ImageStatus>,
    image: ImageMetadata,
}

impl Builder {
    /// `names` are those of the version of the API that the record is of.
    pub(crate) fn new(names: Names) -> Self {
        Self {
            names,
            id: None,
            found_id: String::new(),
            status: None,
            image: ImageMetadata::new(ImageId::nil(), ImageStatus::Queued),
        }
    }

    pub(crate) fn field(&mut self, name: &str, value: Json) -> Result<(), RecordError> {
        if let Some(property) = self.names.base(name) {
            return self.base(property, &value);
        }
        let is_v1 = self.names == Names::V1;
        match (name, value) {
            ("id", value) => {
                self.found_id = value.text().chars().take(100).collect();
                self.id = ImageId::parse(&value.text()).ok();
            }
            ("status", value) => {
                if let Json::Text(status) = value {
                    self.status = Some(ImageStatus::parse(&status));
                }
            }
            ("is_public", value) if is_v1 => {
                let mut flag = ImageMetadata::new(ImageId::nil(), ImageStatus::Queued);
                if let Some(scalar) = value.scalar() {
                    if !flag.set(BaseProperty::Protected, Some(scalar)) {
                        return Err(RecordError::Field {
                            field: "is_public",
                            value: value.text().chars().take(100).collect(),
                        });
                    }
                    self.image.visibility = flag.protected.map(Visibility::from_is_public);
                }
            }
            ("tags", value) if !is_v1 => {
                if let Json::Other(Value::Array(tags)) = value {
                    self.image.tags = tags
                        .into_iter()
                        .filter_map(|tag| match tag {
                            Value::String(tag) => Some(tag),
                            _ => None,
                        })
                        .collect();
                }
            }
            ("properties", Json::Other(Value::Object(properties))) if is_v1 => {
                for (name, value) in properties {
                    self.property(&name, &value.into());
                }
            }
            ("properties", Json::Null) if is_v1 => {}
            (name, _) if self.names.is_of_the_server(name) => {}
            (name, Json::Other(value)) if is_deeper(&value, MAX_LEVELS) => {
                let property = self.image.properties.entry(name.to_owned());
                property.or_insert_with(|| property_text(&value));
            }
            (name, Json::Other(value)) => {
                self.image.other.insert(name.to_owned(), value);
            }
            (name, value) if is_v1 => {
                self.image.other.insert(name.to_owned(), value.into());
            }
            (name, value) => self.property(name, &value),
        }
        Ok(())
    }

    fn base(&mut self, property: BaseProperty, value: &Json) -> Result<(), RecordError> {
        let set = match value {
            Json::Null => self.image.set(property, None),
            // `5.0`, as tools write it that know no whole numbers.
            Json::Other(Value::Number(number)) => {
                let number = number.to_string();
                self.image.set(property, Some(Scalar::Text(&number)))
            }
            value => value
                .scalar()
                .is_some_and(|scalar| self.image.set(property, Some(scalar))),
        };
        if set {
            return Ok(());
        }
        Err(RecordError::Field {
            field: property.name(),
            value: value.text().chars().take(100).collect(),
        })
    }

    pub(crate) fn property(&mut self, name: &str, value: &Json) {
        if let Json::Null = value {
            self.image.null_properties.insert(name.to_owned());
        } else {
            let text = value.text();
            self.image.properties.insert(name.to_owned(), text);
        }
    }

    pub(crate) fn build(mut self) -> Result<ImageMetadata, RecordError> {
        let id = self.id.ok_or(RecordError::Id {
            found: self.found_id,
        })?;
        let Some(status) = self.status else {
            return Err(RecordError::Status { id });
        };
        if let ImageStatus::Other(word) = &status {
            let found = word.chars().take(100).collect();
            return Err(RecordError::UnknownStatus { id, found });
        }
        self.image.id = id;
        self.image.status = status;
        self.image.level();
        Ok(self.image)
    }
}

/// Arrays and objects in one another, in a field that no API version knows. One
/// with more is kept as the text that it has as a property: JSON is read up to
/// 127 levels, and whoever writes the field may put some more around it.
const MAX_LEVELS: usize = 64;

fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(below) = levels.checked_sub(1) else {
        return value.is_array() || value.is_object();
    };
    match value {
        Value::Array(items) => items.iter().any(|item| is_deeper(item, below)),
        Value::Object(fields) => fields.values().any(|field| is_deeper(field, below)),
        _ => false,
    }
}

struct RecordVisitor(Builder);

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = ImageMetadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an image record (a JSON object)")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<ImageMetadata, A::Error> {
        while let Some((name, value)) = map.next_entry::<String, Json>()? {
            self.0.field(&name, value).map_err(A::Error::custom)?;
        }
        self.0.build().map_err(A::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6d55dd55-053a-4765-b7bc-b30df0ea3861";

    fn v2(record: Value) -> Result<ImageMetadata, String> {
        let record: Result<V2Record, _> = serde_json::from_value(record);
        record.map(|record| record.0).map_err(|e| e.to_string())
    }

    fn v1(record: Value) -> Result<ImageMetadata, String> {
        let record: Result<V1Record, _> = serde_json::from_value(record);
        record.map(|record| record.0).map_err(|e| e.to_string())
    }

    #[test]
    fn the_same_image_reads_the_same_from_v1_and_v2() {
        let from_v1 = v1(json!({
            "id": ID, "name": "one", "status": "active", "size": 11,
            "checksum": "5eb63bbbe01eeed093cb22bb8f5acdc3", "disk_format": "raw",
            "container_format": "bare", "min_ram": 0, "min_disk": 0, "virtual_size": null,
            "is_public": true, "protected": false, "owner": null, "deleted": false,
            "created_at": "2026-11-22T23:34:26.078914",
            "updated_at": "2026-11-22T23:34:26.265109", "deleted_at": null,
            "properties": {"os_type": "linux", "empty": "", "kernel_id": null},
        }))
        .unwrap();
        let from_v2 = v2(json!({
            "id": ID, "name": "one", "status": "active", "size": 11,
            "checksum": "5eb63bbbe01eeed093cb22bb8f5acdc3", "disk_format": "raw",
            "container_format": "bare", "min_ram": 0, "min_disk": 0, "virtual_size": null,
            "visibility": "public", "protected": false, "owner": null, "tags": [],
            "created_at": "2026-11-22T23:34:26Z", "updated_at": "2026-11-22T23:34:26Z",
            "os_type": "linux", "empty": "", "kernel_id": null, "self": "/v2/images/x", "file": "/v2/images/x/file",
            "schema": "/v2/schemas/image", "stores": "main", "os_glance_import_task": "",
            "direct_url": "rbd://secret", "locations": [{"url": "swift+https://user:key@host"}],
        }))
        .unwrap();
        assert_eq!(from_v1, from_v2);
    }

    /// `is_public` is v1's name, `os_hidden` that of v2.7, and so on.
    #[test]
    fn a_name_of_another_version_is_the_name_of_a_property() {
        let image = v2(json!({
            "id": ID, "status": "active", "is_public": "True", "visibility": "private",
            "properties": "{'a': 'b'}", "location": "dc7", "deleted": "no", "deleted_at": "never",
            "date": "2018-08-25", "os_hidden": false, "os_hash_algo": null, "stores": "main",
        }))
        .unwrap();
        assert_eq!(image.visibility, Some(Visibility::Private));
        assert_eq!(image.deleted_at, None);
        let names: Vec<_> = image.properties.keys().collect();
        let users = [
            "date",
            "deleted",
            "deleted_at",
            "is_public",
            "location",
            "properties",
        ];
        assert_eq!(names, users);

        let EarlyV2Record(early) = serde_json::from_value(json!({
            "id": ID, "status": "active", "is_public": "False", "visibility": "public",
            "os_hidden": "True", "os_hash_algo": "md4", "os_hash_value": "x", "stores": "main",
            "os_glance_x": "y", "self": "/v2/images/x", "direct_url": "rbd://secret",
        }))
        .unwrap();
        assert_eq!(early.visibility, Some(Visibility::Public));
        assert_eq!((early.hidden, early.hash_algo), (None, None));
        let names: Vec<_> = early.properties.keys().collect();
        let users = [
            "is_public",
            "os_glance_x",
            "os_hash_algo",
            "os_hash_value",
            "os_hidden",
            "stores",
        ];
        assert_eq!(names, users);

        let image = v1(json!({
            "id": ID, "status": "active", "is_public": false, "visibility": "public",
            "os_hidden": true, "tags": ["a"], "location": "file:///secret",
            "properties": {"is_public": "True", "visibility": "public", "owner": "x", "id": "y"},
        }))
        .unwrap();
        assert_eq!(image.visibility, Some(Visibility::NotPublic));
        assert_eq!(
            (image.hidden, &image.owner, image.tags.len()),
            (None, &None, 0)
        );
        assert_eq!(image.properties.len(), 4);
        let others: Vec<_> = image.other.keys().collect();
        assert_eq!(others, ["os_hidden", "tags", "visibility"]);
    }

    #[test]
    fn no_property_sets_a_field_of_a_new_record() {
        let mut image = ImageMetadata::new(ImageId::parse(ID).unwrap(), ImageStatus::Queued);
        for name in [
            "id",
            "owner",
            "visibility",
            "tags",
            "locations",
            "self",
            "is_public",
        ] {
            image.properties.insert(name.into(), "x".into());
        }
        assert_eq!(to_v2_record(&image), json!({"id": ID, "is_public": "x"}));
    }

    #[test]
    fn a_record_without_a_usable_id_or_status_is_refused() {
        for (name, record) in [
            ("no id", json!({"status": "active"})),
            (
                "a path",
                json!({"id": "../../etc/passwd", "status": "active"}),
            ),
            ("a number", json!({"id": 5, "status": "active"})),
            ("no status", json!({"id": ID})),
            ("a list", json!([1, 2])),
            (
                "a negative size",
                json!({"id": ID, "status": "active", "size": -1}),
            ),
            (
                "a list as name",
                json!({"id": ID, "status": "active", "name": []}),
            ),
        ] {
            assert!(v2(record.clone()).is_err(), "{name}");
            assert!(v1(record).is_err(), "{name}");
        }
    }

    #[test]
    fn an_empty_image_has_no_digest_that_nobody_states_and_a_reserved_one_no_size() {
        let empty = json!({"id": ID, "status": "active", "size": 0, "checksum": null});
        assert_eq!(v1(empty.clone()).unwrap().checksum, None);
        assert_eq!(v2(empty).unwrap().checksum, None);
        let reserved = v1(json!({"id": ID, "status": "queued", "size": 0}));
        assert_eq!(reserved.unwrap().size, None);
    }

    #[test]
    fn unknown_fields_survive_a_round_trip() {
        let record = json!({
            "id": ID, "status": "active", "deleted": false, "dontrepl": "banana", "odd": [1, {"a": 2}],
            "properties": {"frog": "1"},
        });
        let image = v1(record.clone()).unwrap();
        assert_eq!(to_v1_record(&image), record);
    }

    #[test]
    fn a_field_that_is_nested_too_deep_is_kept_as_text() {
        let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let read = |field: &str| {
            let record = format!(r#"{{"id": "{ID}", "status": "queued", "odd": {field}}}"#);
            let V1Record(image) = serde_json::from_str(&record).unwrap();
            image
        };
        assert!(read(&nested(MAX_LEVELS)).other.contains_key("odd"));
        for levels in [MAX_LEVELS + 1, 126] {
            let image = read(&nested(levels));
            assert!(image.other.is_empty(), "{levels}");
            assert_eq!(image.properties.get("odd"), Some(&nested(levels)));
        }
    }

    #[test]
    fn a_new_record_holds_only_what_a_client_may_send() {
        let mut image = v2(json!({
            "id": ID, "status": "active", "size": 5, "checksum": "ab", "os_hash_algo": "sha512",
            "os_hash_value": "cd", "created_at": "2026-11-22T23:34:26Z", "name": "one",
            "visibility": "community", "os_hidden": true, "tags": ["t"], "frog": "1",
        }))
        .unwrap();
        image
            .properties
            .insert("size".into(), "a v1 property".into());
        assert_eq!(
            to_v2_record(&image),
            json!({
                "id": ID, "name": "one", "visibility": "community", "os_hidden": true,
                "tags": ["t"], "frog": "1",
            })
        );
        image.visibility = Some(Visibility::NotPublic);
        assert_eq!(to_v2_record(&image).get("visibility"), None);
    }
}

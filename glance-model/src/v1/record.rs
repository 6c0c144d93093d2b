//! The records of v1's listing, which are also what the Python tool writes into archives.

use serde::de::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::property::Names;
use crate::record::{RecordVisitor, scalar_to_json};
use crate::{BaseProperty, ImageMetadata, ImageStatus, Scalar, Visibility};

/// A record of the listing of Images v1, to be read by serde.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(pub ImageMetadata);

impl From<Record> for ImageMetadata {
    fn from(record: Record) -> Self {
        record.0
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_map(RecordVisitor::new(Names::V1))
            .map(Self)
    }
}

/// Writes the record that v1's listing would show, null fields left out. Tags,
/// `os_hidden`, `os_hash_*` and what `is_public` cannot say are not in it.
#[must_use]
pub fn record(metadata: &ImageMetadata) -> Value {
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

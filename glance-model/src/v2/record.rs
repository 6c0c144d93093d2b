//! The image records of v2.

use serde::de::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::property::Names;
use crate::record::{RecordVisitor, scalar_to_json};
use crate::{BaseProperty, ImageMetadata, Scalar, Visibility};

/// A record of Images v2 from v2.7 on, to be read by serde.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record(pub ImageMetadata);

/// A record of Images v2 before v2.7, to be read by serde. `os_hidden`, `os_hash_*`,
/// `stores` and `os_glance_*` are names of additional properties in it, as any other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EarlyRecord(pub ImageMetadata);

impl From<Record> for ImageMetadata {
    fn from(record: Record) -> Self {
        record.0
    }
}

impl From<EarlyRecord> for ImageMetadata {
    fn from(record: EarlyRecord) -> Self {
        record.0
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Names::V2 { hidden: true };
        deserializer
            .deserialize_map(RecordVisitor::new(names))
            .map(Self)
    }
}

impl<'de> Deserialize<'de> for EarlyRecord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Names::V2 { hidden: false };
        deserializer
            .deserialize_map(RecordVisitor::new(names))
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
pub fn record(metadata: &ImageMetadata) -> Value {
    let mut record = Map::new();
    record.insert("id".into(), json!(metadata.id));
    for property in BaseProperty::ALL.iter().filter(|p| p.is_writable()) {
        // v2 has no such visibility: without one, an image is `shared`, and without
        // members that is what v1 calls not public.
        let is_said = |value: &Scalar<'_>| *value != Scalar::Text(Visibility::NotPublic.as_str());
        if let Some(value) = metadata.get(*property).filter(is_said) {
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

//! Reads and writes the metadata of one image: JSON, as the Python tool has it.
//!
//! The file is the record that v1 lists, which is all that the Python tool
//! understands. What v1 cannot say stands in an object under the key `location`,
//! which that tool removes before it sends anything, and which no listing has.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::Path;

use glance_model::{
    BaseProperty, ImageId, ImageMetadata, ImageStatus, Scalar, TargetForm, V1Record, to_v1_record,
};
use serde::Serialize as _;
use serde_json::ser::Formatter;
use serde_json::{Map, Value, json};

use crate::ArchiveError;

/// A server lists at most 128 properties, tags and so on: some 100 KiB.
const MAX_BYTES: u64 = 16 << 20;

const EXTENSION: &str = "location";
const IN_V2: &str = "image_api_v2";

/// Reads a metadata file, or returns `None` if there is none.
pub(crate) fn read(path: &Path, id: &ImageId) -> Result<Option<ImageMetadata>, ArchiveError> {
    // Looked at first, since opening a named pipe would wait for a writer.
    let Some(len_bytes) = len_of_regular_file(path)? else {
        return Ok(None);
    };
    if len_bytes > MAX_BYTES {
        return Err(ArchiveError::TooLarge {
            path: path.to_owned(),
            len_bytes,
        });
    }
    let mut json = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut json))
        .map_err(ArchiveError::read(path))?;
    let metadata = from_json(&json).map_err(|source| ArchiveError::Metadata {
        path: path.to_owned(),
        source,
    })?;
    if metadata.id != *id {
        return Err(ArchiveError::OtherImage {
            path: path.to_owned(),
            found: metadata.id,
        });
    }
    Ok(Some(metadata))
}

/// The length of a file, or `None` if there is none. Links are not followed: an
/// archive may come from a stranger, and its links could lead anywhere.
pub(crate) fn len_of_regular_file(path: &Path) -> Result<Option<u64>, ArchiveError> {
    match path.symlink_metadata() {
        Ok(found) if found.is_file() => Ok(Some(found.len())),
        Ok(_) => Err(ArchiveError::NotAFile {
            path: path.to_owned(),
        }),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(ArchiveError::read(path)(e)),
    }
}

fn from_json(json: &[u8]) -> Result<ImageMetadata, serde_json::Error> {
    let mut record: Value = serde_json::from_slice(json)?;
    let extension = record
        .get_mut(EXTENSION)
        .and_then(|location| location.get_mut(IN_V2))
        .map(Value::take);
    let mut metadata = serde_json::from_value::<V1Record>(record)?.0;
    if let Some(Value::Object(extension)) = extension {
        extend(&mut metadata, extension);
    }
    Ok(metadata)
}

/// Writes metadata as the JSON of a metadata file.
pub(crate) fn to_json(metadata: &ImageMetadata) -> Vec<u8> {
    let plain = TargetForm::V1.of(metadata.clone());
    let mut record = to_v1_record(&plain);
    let extension = extension(metadata, &plain);
    if !extension.is_empty()
        && let Some(record) = record.as_object_mut()
    {
        record.insert(EXTENSION.into(), json!({ IN_V2: extension }));
    }
    let mut json = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut json, PythonJson);
    // Writing values into memory cannot fail.
    let _ = record.serialize(&mut serializer);
    json
}

/// The base properties that v1 holds in a poorer form.
const POORER: [BaseProperty; 3] = [
    BaseProperty::Name,
    BaseProperty::Owner,
    BaseProperty::Visibility,
];
/// The base properties that v1 does not know.
const UNKNOWN: [BaseProperty; 3] = [
    BaseProperty::Hidden,
    BaseProperty::HashAlgo,
    BaseProperty::HashValue,
];
const TAGS: &str = "tags";
const PROPERTIES: &str = "properties";
const FIELDS: &str = "fields";

/// What the plain record does not say of an image.
fn extension(metadata: &ImageMetadata, plain: &ImageMetadata) -> Map<String, Value> {
    let mut extension = Map::new();
    let poorer = POORER
        .iter()
        .filter(|property| metadata.get(**property) != plain.get(**property));
    for property in poorer.chain(&UNKNOWN) {
        let value = match metadata.get(*property) {
            Some(Scalar::Text(text)) => json!(text),
            Some(Scalar::Number(number)) => json!(number),
            Some(Scalar::Flag(flag)) => json!(flag),
            None => continue,
        };
        extension.insert(property.name().into(), value);
    }
    if !metadata.tags.is_empty() {
        extension.insert(TAGS.into(), json!(metadata.tags));
    }
    let (mut properties, mut fields) = (Map::new(), Map::new());
    for group in by_v1_name(metadata).into_values() {
        if TargetForm::V1.of(group.clone()) != group {
            properties.extend(group.properties.into_iter().map(|(k, v)| (k, v.into())));
            fields.extend(group.other);
        }
    }
    for (key, map) in [(PROPERTIES, properties), (FIELDS, fields)] {
        if !map.is_empty() {
            extension.insert(key.into(), Value::Object(map));
        }
    }
    extension
}

/// Adds what an extension says, where the plain record still says what v1 would
/// make of it: if somebody has edited the record since, the record holds.
fn extend(metadata: &mut ImageMetadata, extension: Map<String, Value>) {
    let exact = from_extension(&metadata.id, extension);
    let in_v1 = TargetForm::V1.of(exact.clone());
    for property in POORER {
        if metadata.get(property) == in_v1.get(property) && exact.get(property).is_some() {
            metadata.set(property, exact.get(property));
        }
    }
    for property in UNKNOWN {
        if metadata.get(property).is_none() {
            metadata.set(property, exact.get(property));
        }
    }
    if metadata.tags.is_empty() {
        metadata.tags.clone_from(&exact.tags);
    }
    for (v1_name, group) in by_v1_name(&exact) {
        if let Some(v1_name) = v1_name {
            let in_v1 = TargetForm::V1.of(group.clone());
            if metadata.properties.get(&v1_name) != in_v1.properties.get(&v1_name) {
                continue;
            }
            metadata.properties.remove(&v1_name);
        }
        metadata.properties.extend(group.properties);
        metadata.other.extend(group.other);
    }
}

/// Reads an extension; what has the wrong type is not in it.
fn from_extension(id: &ImageId, extension: Map<String, Value>) -> ImageMetadata {
    let mut exact = empty(id);
    for (key, value) in extension {
        match (key.as_str(), value) {
            (TAGS, Value::Array(tags)) => exact.tags = tags.into_iter().filter_map(text).collect(),
            (PROPERTIES, Value::Object(properties)) => {
                exact.properties = properties
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, text(value)?)))
                    .collect();
            }
            (FIELDS, Value::Object(fields)) => exact.other = fields.into_iter().collect(),
            (name, value) => {
                let scalar = match &value {
                    Value::String(text) => Some(Scalar::Text(text)),
                    Value::Bool(flag) => Some(Scalar::Flag(*flag)),
                    _ => None,
                };
                if let Some(property) = BaseProperty::from_name(name) {
                    exact.set(property, scalar);
                }
            }
        }
    }
    exact
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

fn empty(id: &ImageId) -> ImageMetadata {
    ImageMetadata::new(id.clone(), ImageStatus::Queued)
}

/// Sorts additional properties and unknown fields by the name of the property
/// that v1 would make of them, which several may share. What v1 has no name for
/// stands under `None`.
fn by_v1_name(metadata: &ImageMetadata) -> BTreeMap<Option<String>, ImageMetadata> {
    let v1_name = |name: &String| {
        let mut alone = empty(&metadata.id);
        alone.properties.insert(name.clone(), String::new());
        TargetForm::V1.of(alone).properties.into_keys().next()
    };
    let mut groups = BTreeMap::new();
    for (name, value) in &metadata.properties {
        let group = groups.entry(v1_name(name));
        let group: &mut ImageMetadata = group.or_insert_with(|| empty(&metadata.id));
        group.properties.insert(name.clone(), value.clone());
    }
    for (name, value) in &metadata.other {
        let group = groups.entry(v1_name(name));
        let group = group.or_insert_with(|| empty(&metadata.id));
        group.other.insert(name.clone(), value.clone());
    }
    groups
}

/// Writes JSON as Python's `json.dumps` does: in ASCII, a blank after each comma
/// and colon. The Python tool on Python 2 reads nothing else reliably.
struct PythonJson;

impl Formatter for PythonJson {
    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        out.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        for c in fragment.chars() {
            if c.is_ascii() {
                out.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

//! The fields that v1 cannot say of an image, as a JSON object beside those that it can.

use std::collections::BTreeMap;

use glance_model::{
    BaseProperty, ImageId, ImageMetadata, ImageStatus, MemberStatus, Scalar, TargetForm, WrongType,
};
use serde_json::{Map, Value, json};

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
const MEMBERS: &str = "members";
const PROPERTIES: &str = "properties";
const FIELDS: &str = "fields";

/// The fields of an image that the plain record does not say.
pub(super) fn of(metadata: &ImageMetadata, plain: &ImageMetadata) -> Map<String, Value> {
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
    if let Some(members) = metadata.members.as_ref().filter(|all| !all.is_empty()) {
        extension.insert(MEMBERS.into(), json!(members));
    }
    let (mut properties, mut fields) = (Map::new(), Map::new());
    for group in by_v1_name(metadata).into_values() {
        if TargetForm::V1.of(group.clone()) != group {
            properties.extend(group.properties.into_iter().map(|(k, v)| (k, v.into())));
            properties.extend(group.null_properties.into_iter().map(|k| (k, Value::Null)));
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
pub(super) fn add_to(metadata: &mut ImageMetadata, extension: Map<String, Value>) {
    let mut exact = from_extension(&metadata.id, extension);
    let in_v1 = TargetForm::V1.of(exact.clone());
    for property in POORER {
        if metadata.get(property) == in_v1.get(property) && exact.get(property).is_some() {
            metadata.clone_base(property, &exact);
        }
    }
    for property in UNKNOWN {
        if metadata.get(property).is_none() {
            metadata.clone_base(property, &exact);
        }
    }
    if metadata.tags.is_empty() {
        metadata.tags.clone_from(&exact.tags);
    }
    metadata.members = exact.members.take();
    for (v1_name, group) in by_v1_name(&exact) {
        if let Some(v1_name) = v1_name {
            let in_v1 = TargetForm::V1.of(group.clone());
            let says = |image: &ImageMetadata| {
                let text = image.properties.get(&v1_name).cloned();
                (text, image.null_properties.contains(&v1_name))
            };
            if says(metadata) != says(&in_v1) {
                continue;
            }
            metadata.properties.remove(&v1_name);
            metadata.null_properties.remove(&v1_name);
        }
        metadata.properties.extend(group.properties);
        metadata.null_properties.extend(group.null_properties);
        metadata.other.extend(group.other);
    }
}

/// Reads an extension; what has the wrong type is not in it.
fn from_extension(id: &ImageId, extension: Map<String, Value>) -> ImageMetadata {
    let mut exact = empty(id);
    for (key, value) in extension {
        match (key.as_str(), value) {
            (TAGS, Value::Array(tags)) => exact.tags = tags.into_iter().filter_map(text).collect(),
            (MEMBERS, Value::Object(members)) => {
                let members = members.into_iter().filter_map(|(id, status)| {
                    let status = MemberStatus::parse(status.as_str()?)?;
                    Some((id, status))
                });
                exact.members = Some(members.collect());
            }
            (PROPERTIES, Value::Object(properties)) => {
                for (name, value) in properties {
                    match value {
                        Value::Null => drop(exact.null_properties.insert(name)),
                        Value::String(text) => drop(exact.properties.insert(name, text)),
                        _ => {}
                    }
                }
            }
            (FIELDS, Value::Object(fields)) => exact.other = fields.into_iter().collect(),
            (name, value) => {
                let scalar = match &value {
                    Value::String(text) => Some(Scalar::Text(text)),
                    Value::Bool(flag) => Some(Scalar::Flag(*flag)),
                    _ => None,
                };
                if let Some(property) = BaseProperty::from_name(name) {
                    // One of another type is as good as none.
                    let _: Result<_, WrongType> = exact.set(property, scalar);
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
    ImageMetadata::new(*id, ImageStatus::Queued)
}

/// Sorts additional properties and unknown fields by the name of the property
/// that v1 would make of them, which several may share. What v1 has no name for
/// stands under `None`.
fn by_v1_name(metadata: &ImageMetadata) -> BTreeMap<Option<String>, ImageMetadata> {
    let v1_name = |name: &String| {
        let mut alone = empty(&metadata.id);
        alone.null_properties.insert(name.clone());
        TargetForm::V1.of(alone).null_properties.pop_first()
    };
    let mut groups = BTreeMap::new();
    for (name, value) in &metadata.properties {
        let group = groups.entry(v1_name(name));
        let group: &mut ImageMetadata = group.or_insert_with(|| empty(&metadata.id));
        group.properties.insert(name.clone(), value.clone());
    }
    for name in &metadata.null_properties {
        let group = groups.entry(v1_name(name));
        let group = group.or_insert_with(|| empty(&metadata.id));
        group.null_properties.insert(name.clone());
    }
    for (name, value) in &metadata.other {
        let group = groups.entry(v1_name(name));
        let group = group.or_insert_with(|| empty(&metadata.id));
        group.other.insert(name.clone(), value.clone());
    }
    groups
}

//! The schema of images, and what it says of additional properties (`schema-image.json`).

use regex::Regex;
use serde_json::{Map, Value, json};

use super::super::call::Call;
use super::super::reply::{Reply, Stop, refuse};
use super::super::state::{CONTAINER_FORMATS, DISK_FORMATS, VISIBILITIES};

pub(super) fn show(call: &Call) -> Reply {
    let text = |longest: u16| json!({ "type": ["null", "string"], "maxLength": longest });
    let format = |formats: &[&str]| {
        let null = [Value::Null];
        let formats = null
            .into_iter()
            .chain(formats.iter().map(|format| json!(format)));
        json!({ "type": ["null", "string"], "enum": formats.collect::<Vec<_>>() })
    };
    let mut properties = json!({
        "id": { "type": "string", "pattern": "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$" },
        "name": text(255),
        "owner": text(255),
        "visibility": { "type": "string", "enum": VISIBILITIES },
        "protected": { "type": "boolean" },
        "disk_format": format(&DISK_FORMATS),
        "container_format": format(&CONTAINER_FORMATS),
        "min_ram": { "type": "integer" },
        "min_disk": { "type": "integer" },
        "tags": { "type": "array", "items": { "type": "string", "maxLength": 255 } },
        "status": { "type": "string", "readOnly": true },
    });
    if let Value::Object(properties) = &mut properties {
        if call.is_today() {
            properties.insert("os_hidden".to_owned(), json!({ "type": "boolean" }));
        }
        for (name, schema) in &call.shared.settings.schema {
            let mut schema = schema.clone();
            if let Value::Object(schema) = &mut schema {
                schema.insert("is_base".to_owned(), json!(false));
            }
            properties.insert(name.clone(), schema);
        }
    }
    let mut schema = json!({
        "name": "image",
        "properties": properties,
        "additionalProperties": { "type": "string" },
        "links": [{ "rel": "self", "href": "{self}" }],
    });
    let required = &call.shared.settings.required;
    if let (false, Value::Object(schema)) = (required.is_empty(), &mut schema) {
        schema.insert("required".to_owned(), json!(required));
    }
    Reply::json(200, &schema)
}

/// Checks fields that a client sends. The required ones have to be among them: in an update as
/// well, of which each change is checked by itself.
pub(super) fn check(call: &Call, fields: &Map<String, Value>) -> Result<(), Stop> {
    let settings = &call.shared.settings;
    let no_match = |text: String| {
        refuse(
            400,
            format!("Provided object does not match schema 'image': {text}"),
        )
    };
    for (name, value) in fields {
        let Some(schema) = settings.schema.get(name) else {
            continue;
        };
        let choices = schema.get("enum").and_then(Value::as_array);
        if choices.is_some_and(|choices| !choices.contains(value)) {
            return no_match(format!("{value} is not one of {choices:?}"));
        }
        let pattern = schema.get("pattern").and_then(Value::as_str);
        let pattern = pattern.and_then(|pattern| Regex::new(pattern).ok());
        let text = value.as_str().unwrap_or_default();
        if let Some(pattern) = pattern.filter(|pattern| !pattern.is_match(text)) {
            return no_match(format!("{value} does not match '{pattern}'"));
        }
    }
    match settings
        .required
        .iter()
        .find(|name| !fields.contains_key(*name))
    {
        Some(name) => no_match(format!("'{name}' is a required property")),
        None => Ok(()),
    }
}

/// Checks the changes of an update, each by itself, before it is looked whether there is an image.
pub(super) fn check_changes(call: &Call, changes: &[Value]) -> Result<(), Stop> {
    for change in changes {
        let text = |name: &str| change.get(name).and_then(Value::as_str);
        let name = text("path").and_then(|path| path.strip_prefix('/'));
        if let (Some(name), Some(value)) = (name, change.get("value")) {
            let fields = Map::from_iter([(name.to_owned(), value.clone())]);
            check(call, &fields)?;
        }
    }
    Ok(())
}

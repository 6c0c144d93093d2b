//! The fields of an image that a v2 client may set, and their values.

use std::fmt::Display;

use serde_json::{Map, Value};

use super::super::call::Call;
use super::super::reply::{FAILED, Stop, refuse, refuse_in_detail};
use super::super::state::{
    CONTAINER_FORMATS, DISK_FORMATS, StoredImage, VISIBILITIES, is_dashed_uuid, known,
};

const READ_ONLY: [&str; 10] = [
    "status",
    "checksum",
    "size",
    "virtual_size",
    "created_at",
    "updated_at",
    "direct_url",
    "self",
    "file",
    "schema",
];
const LOCATIONS: [&str; 2] = ["locations", "location"];
const DELETION: [&str; 2] = ["deleted", "deleted_at"];
const MULTIHASH: [&str; 2] = ["os_hash_algo", "os_hash_value"];
/// Quota of properties, and of tags.
const QUOTA: usize = 128;
/// The longest name, tag and property name, in characters.
const MAX_NAME: usize = 255;

/// Fills a new image from the body of its creation.
pub(super) fn fill(
    call: &Call,
    image: &mut StoredImage,
    body: Map<String, Value>,
) -> Result<(), Stop> {
    let today = call.is_today();
    for (name, value) in body {
        match name.as_str() {
            "id" => {
                let id = value.as_str().unwrap_or_default();
                if !is_dashed_uuid(id) {
                    return mismatch(format!("'{id}'"), "does not match '^([0-9a-fA-F]){8}-'");
                }
                image.id = id.to_owned();
            }
            "location" if !today => set(call, image, "location", value)?,
            "stores" if today => return refuse(403, "Attribute 'stores' is read-only."),
            name if MULTIHASH.contains(&name) && today => {}
            name if DELETION.contains(&name) && !value.is_string() => {
                return mismatch(value, "is not of type 'string'");
            }
            name if name != "locations" && is_reserved(call, name) => {
                return refuse_in_detail(403, format!("Attribute '{name}' is reserved."));
            }
            name => {
                check_writable(call, name)?;
                set(call, image, name, value)?;
            }
        }
    }
    check_quotas(image)
}

fn check_writable(call: &Call, name: &str) -> Result<(), Stop> {
    if READ_ONLY.contains(&name) || (MULTIHASH.contains(&name) && call.is_today()) {
        return refuse(403, format!("Attribute '{name}' is read-only."));
    }
    match is_reserved(call, name) {
        true => refuse(403, format!("Attribute '{name}' is reserved.")),
        false => Ok(()),
    }
}

fn is_reserved(call: &Call, name: &str) -> bool {
    LOCATIONS.contains(&name)
        || DELETION.contains(&name)
        || (name.starts_with("os_glance_") && call.is_today())
}

/// Refuses a value as the JSON schema does.
fn mismatch<T>(value: impl Display, expected: &str) -> Result<T, Stop> {
    refuse(
        400,
        format!("Provided object does not match schema 'image': {value} {expected}"),
    )
}

/// Applies one operation of a JSON patch.
pub(super) fn apply(call: &Call, image: &mut StoredImage, operation: &Value) -> Result<(), Stop> {
    let text = |name: &str| operation.get(name).and_then(Value::as_str);
    let (Some(op), Some(path)) = (text("op"), text("path")) else {
        return refuse(400, "Unable to find 'op' or 'path' in JSON Schema change");
    };
    if !matches!(op, "add" | "replace" | "remove") {
        return refuse(
            400,
            format!("Invalid operation: `{op}`. It must be one of: add, remove, replace."),
        );
    }
    let Some(pointer) = path
        .strip_prefix('/')
        .filter(|pointer| !pointer.contains('/'))
    else {
        return refuse(
            400,
            format!("Invalid JSON pointer for this resource: '{path}'"),
        );
    };
    let name = pointer.trim().replace("~1", "/").replace("~0", "~");
    if name == "id" {
        return refuse(403, "Attribute 'id' is read-only.");
    }
    check_writable(call, &name)?;
    let base = is_base(call, &name);
    if let Some(value) = operation
        .get("value")
        .filter(|value| !base && !value.is_string())
    {
        text_of(value.clone())?;
    }
    if op != "add" && !base && !image.properties.contains_key(&name) {
        return refuse_in_detail(409, format!("Property {name} does not exist."));
    }
    if op == "remove" {
        if base {
            return refuse_in_detail(403, format!("Property {name} may not be removed."));
        }
        image.properties.remove(&name);
        return Ok(());
    }
    let Some(value) = operation.get("value") else {
        return refuse(
            400,
            format!("Operation \"{op}\" requires a member named \"value\"."),
        );
    };
    match name.as_str() {
        "owner" if !call.caller.admin => {
            return refuse(403, "Owner can't be updated by non admin.");
        }
        "disk_format" | "container_format" if image.status != "queued" => {
            return refuse(
                403,
                format!("Attribute {name} can be only replaced for a queued image."),
            );
        }
        _ => {}
    }
    set(call, image, &name, value.clone())
}

fn is_base(call: &Call, name: &str) -> bool {
    const BASE: [&str; 10] = [
        "name",
        "disk_format",
        "container_format",
        "visibility",
        "owner",
        "min_disk",
        "min_ram",
        "protected",
        "tags",
        "id",
    ];
    BASE.contains(&name) || (name == "os_hidden" && call.is_today())
}

fn set(call: &Call, image: &mut StoredImage, name: &str, value: Value) -> Result<(), Stop> {
    match name {
        "name" => {
            image.name = nullable_text(value)?;
            let name = image.name.as_deref().unwrap_or_default();
            check_text(name, "Name can't contain 4 byte unicode characters.")?;
            check_length(name)?;
        }
        "disk_format" => image.disk_format = format_of(&DISK_FORMATS, value)?,
        "container_format" => image.container_format = format_of(&CONTAINER_FORMATS, value)?,
        "visibility" => {
            let wanted = text_of(value)?;
            let Some(visibility) = known(&VISIBILITIES, &wanted) else {
                return mismatch(
                    format!("'{wanted}'"),
                    "is not one of ['community', 'public', 'private', 'shared']",
                );
            };
            if visibility == "public" && !call.caller.admin {
                return refuse(
                    403,
                    "You are not authorized to complete publicize_image action.",
                );
            }
            image.visibility = visibility;
        }
        "owner" => {
            let owner = nullable_text(value)?;
            if !call.caller.admin && owner != call.caller.project {
                let owner = owner.unwrap_or_default();
                return refuse(
                    403,
                    format!("You are not permitted to create images owned by '{owner}'."),
                );
            }
            image.owner = owner;
        }
        "min_disk" => image.min_disk = integer(&value)?,
        "min_ram" => image.min_ram = integer(&value)?,
        "protected" => image.protected = boolean(&value)?,
        "os_hidden" if call.is_today() => image.hidden = boolean(&value)?,
        "tags" => image.tags = tags(value)?,
        name => {
            let value = text_of(value)?;
            let name_check = check_text(name, "Property names can't contain 4 byte unicode.");
            if name_check.is_err() && !call.is_today() {
                return refuse(500, FAILED);
            }
            name_check?;
            if name.chars().count() > MAX_NAME && call.is_today() {
                return refuse(
                    400,
                    "Custom property should not be greater than 255 characters.",
                );
            }
            check_text(
                &value,
                &format!("{name} can't contain 4 byte unicode characters."),
            )?;
            image.properties.insert(name.to_owned(), Some(value));
        }
    }
    Ok(())
}

/// Checks the quotas of properties and of tags.
pub(super) fn check_quotas(image: &StoredImage) -> Result<(), Stop> {
    for (what, count) in [
        ("properties", image.properties.len()),
        ("tags", image.tags.len()),
    ] {
        if count > QUOTA {
            return refuse(
                413,
                format!(
                    "The limit has been exceeded on the number of allowed image {what}. Attempted: {count}, Maximum: {QUOTA}"
                ),
            );
        }
    }
    Ok(())
}

fn text_of(value: Value) -> Result<String, Stop> {
    match value {
        Value::String(text) => Ok(text),
        other => mismatch(in_python(&other), "is not of type 'string'"),
    }
}

/// Shows a value as Python does.
fn in_python(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => format!("'{text}'"),
        other => other.to_string(),
    }
}

fn nullable_text(value: Value) -> Result<Option<String>, Stop> {
    match value {
        Value::Null => Ok(None),
        value => text_of(value).map(Some),
    }
}

fn format_of(formats: &[&'static str], value: Value) -> Result<Option<&'static str>, Stop> {
    let Some(wanted) = nullable_text(value)? else {
        return Ok(None);
    };
    match known(formats, &wanted) {
        Some(format) => Ok(Some(format)),
        None => mismatch(format!("'{wanted}'"), &format!("is not one of {formats:?}")),
    }
}

fn integer(value: &Value) -> Result<u32, Stop> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    match number.filter(|number| *number <= 2_147_483_647) {
        Some(number) => Ok(number),
        None => mismatch(
            in_python(value),
            "is not of type 'integer' within its range",
        ),
    }
}

fn boolean(value: &Value) -> Result<bool, Stop> {
    match value.as_bool() {
        Some(flag) => Ok(flag),
        None => mismatch(in_python(value), "is not of type 'boolean'"),
    }
}

fn tags(value: Value) -> Result<Vec<String>, Stop> {
    let Value::Array(values) = value else {
        return mismatch(in_python(&value), "is not of type 'array'");
    };
    let mut tags = Vec::new();
    for value in values {
        let tag = text_of(value)?;
        check_length(&tag)?;
        check_text(&tag, "Param values can't contain 4 byte unicode.")?;
        tags.push(tag);
    }
    // A set: duplicates merge and the order is lost.
    tags.sort();
    tags.dedup();
    Ok(tags)
}

fn check_length(text: &str) -> Result<(), Stop> {
    match text.chars().count() {
        0..=MAX_NAME => Ok(()),
        _ => mismatch(format!("'{text}'"), "is too long"),
    }
}

fn check_text(text: &str, complaint: &str) -> Result<(), Stop> {
    match text.chars().any(|character| character.len_utf8() == 4) {
        true => refuse(400, complaint),
        false => Ok(()),
    }
}

//! Image metadata in v1 request headers.

use std::collections::BTreeMap;

use super::super::call::Call;
use super::super::reply::{FAILED, Stop, refuse, refuse_in_detail};
use super::super::state::{CONTAINER_FORMATS, DISK_FORMATS, StoredImage, known};

/// The names that are fields; anything else has to be a property.
const FIELDS: [&str; 21] = [
    "id",
    "name",
    "size",
    "checksum",
    "disk_format",
    "container_format",
    "is_public",
    "protected",
    "min_ram",
    "min_disk",
    "virtual_size",
    "owner",
    "status",
    "deleted",
    "created_at",
    "updated_at",
    "deleted_at",
    "location",
    "copy_from",
    "uri",
    "store",
];
/// Formats that come as a pair: one alone sets the other.
const PAIRED: [&str; 3] = ["aki", "ari", "ami"];
const PROPERTY_QUOTA: usize = 128;

/// The metadata of one request; an empty header is a null.
#[derive(Debug, Default)]
pub(super) struct Meta {
    fields: BTreeMap<String, Option<String>>,
    pub(super) properties: BTreeMap<String, Option<String>>,
}

impl Meta {
    pub(super) fn from_headers(call: &Call) -> Result<Self, Stop> {
        let mut meta = Self::default();
        for name in call.headers.keys() {
            let Some(field) = name.as_str().strip_prefix("x-image-meta-") else {
                continue;
            };
            let mut values = Vec::new();
            for value in call.headers.get_all(name) {
                let Ok(value) = std::str::from_utf8(value.as_bytes()) else {
                    return refuse(
                        400,
                        "Error decoding your request. Either the URL or the request body contained characters that could not be decoded by Glance",
                    );
                };
                values.push(value.trim());
            }
            // A header that is sent twice is joined.
            let value = values.join(",");
            if value.chars().any(|character| character.len_utf8() == 4) {
                return refuse(400, "4 byte unicode characters are not allowed");
            }
            let value = Some(value).filter(|value| !value.is_empty());
            let field = field.replace('-', "_");
            if let Some(property) = field.strip_prefix("property_") {
                meta.properties.insert(property.to_owned(), value);
            } else if FIELDS.contains(&field.as_str()) {
                meta.fields.insert(field, value);
            } else {
                return refuse_in_detail(400, format!("Bad header: {name}"));
            }
        }
        if meta.properties.len() > PROPERTY_QUOTA {
            return refuse(
                413,
                format!(
                    "The limit has been exceeded on the number of allowed image properties. Attempted: {}, Maximum: {PROPERTY_QUOTA}",
                    meta.properties.len()
                ),
            );
        }
        Ok(meta)
    }

    /// Returns whether a field was sent, be it null.
    pub(super) fn has(&self, field: &str) -> bool {
        self.fields.contains_key(field)
    }

    /// The value of a field that was sent and is not null.
    pub(super) fn get(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_deref()
    }

    /// Reads a number; an empty one makes the real server fail.
    pub(super) fn number<N: std::str::FromStr>(&self, field: &str) -> Result<Option<N>, Stop> {
        match self.fields.get(field) {
            None => Ok(None),
            Some(None) => refuse(500, FAILED),
            Some(Some(text)) => match text.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => refuse(
                    400,
                    format!(
                        "Invalid value '{text}' for parameter '{field}': Cannot convert image {field} '{text}' to an integer."
                    ),
                ),
            },
        }
    }

    /// Sets the fields that creation and change have in common.
    pub(super) fn fill(&self, call: &Call, image: &mut StoredImage) -> Result<(), Stop> {
        if self.has("name") {
            image.name = self.get("name").map(str::to_owned);
            if self
                .get("name")
                .is_some_and(|name| name.chars().count() > 255)
            {
                return refuse(400, "Image name too long: 255 characters at most");
            }
        }
        if self.has("owner") && call.caller.admin {
            image.owner = self.get("owner").map(str::to_owned);
        }
        if self.has("is_public") {
            let public = self.get("is_public").is_some_and(boolean);
            if public && !call.caller.admin {
                return refuse(
                    403,
                    "You are not authorized to complete publicize_image action.",
                );
            }
            // An image that is not public reads as `shared` in v2.
            match (public, image.visibility) {
                (true, _) => image.visibility = "public",
                (false, "public") => image.visibility = "shared",
                (false, _) => {}
            }
        }
        if self.has("protected") {
            image.protected = self.get("protected").is_some_and(boolean);
        }
        image.min_ram = self.number("min_ram")?.unwrap_or(image.min_ram);
        image.min_disk = self.number("min_disk")?.unwrap_or(image.min_disk);
        if self.get("virtual_size") == Some("None") {
            image.virtual_size = None;
        } else if let Some(size) = self.number("virtual_size")? {
            image.virtual_size = Some(size);
        }
        if self.has("disk_format") {
            image.disk_format = Some(self.format("disk", "disk_format", &DISK_FORMATS)?);
        }
        if self.has("container_format") {
            image.container_format =
                Some(self.format("container", "container_format", &CONTAINER_FORMATS)?);
        }
        pair_formats(image)
    }

    fn format(
        &self,
        what: &str,
        field: &str,
        formats: &[&'static str],
    ) -> Result<&'static str, Stop> {
        let wanted = self.get(field).unwrap_or_default();
        match known(formats, wanted) {
            Some(format) => Ok(format),
            None => refuse(400, format!("Invalid {what} format '{wanted}' for image.")),
        }
    }
}

fn pair_formats(image: &mut StoredImage) -> Result<(), Stop> {
    let paired = |format: Option<&'static str>| format.filter(|format| PAIRED.contains(format));
    match (paired(image.disk_format), paired(image.container_format)) {
        (Some(disk), None) if image.container_format.is_none() => {
            image.container_format = Some(disk)
        }
        (None, Some(container)) if image.disk_format.is_none() => {
            image.disk_format = Some(container)
        }
        (Some(disk), Some(container)) if disk == container => {}
        (None, None) => {}
        _ => {
            return refuse(
                400,
                "Invalid mix of disk and container formats. When setting a disk or container format to one of 'aki', 'ari', or 'ami', the container and disk formats must match.",
            );
        }
    }
    Ok(())
}

/// Reads a boolean as the server does: anything unknown is false.
pub(super) fn boolean(text: &str) -> bool {
    matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "1" | "yes" | "on" | "t" | "y"
    )
}

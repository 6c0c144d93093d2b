//! The JSON records of images. They are written without a tree of values in between, or listings of
//! many images would take the server longer than whoever reads them.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::state::{StoredImage, show_micros, show_seconds};

/// The names that no additional property can have.
const BASE: [&str; 19] = [
    "id",
    "name",
    "status",
    "disk_format",
    "container_format",
    "visibility",
    "owner",
    "protected",
    "min_disk",
    "min_ram",
    "tags",
    "size",
    "virtual_size",
    "checksum",
    "created_at",
    "updated_at",
    "self",
    "file",
    "schema",
];

/// The record of v2: of today with `stores`, of 2017 without.
#[derive(Debug)]
pub(super) struct RecordV2<'a> {
    pub(super) image: &'a StoredImage,
    pub(super) stores: Option<&'a [String]>,
}

impl Serialize for RecordV2<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let image = self.image;
        let mut record = serializer.serialize_map(None)?;
        for (name, value) in &image.properties {
            if !BASE.contains(&name.as_str()) {
                record.serialize_entry(name, value.as_deref().unwrap_or_default())?;
            }
        }
        record.serialize_entry("id", &image.id)?;
        record.serialize_entry("name", &image.name)?;
        record.serialize_entry("status", image.status)?;
        record.serialize_entry("disk_format", &image.disk_format)?;
        record.serialize_entry("container_format", &image.container_format)?;
        record.serialize_entry("visibility", image.visibility)?;
        record.serialize_entry("owner", &image.owner)?;
        record.serialize_entry("protected", &image.protected)?;
        record.serialize_entry("min_disk", &image.min_disk)?;
        record.serialize_entry("min_ram", &image.min_ram)?;
        record.serialize_entry("tags", &image.tags)?;
        record.serialize_entry("size", &image.size)?;
        record.serialize_entry("virtual_size", &image.virtual_size)?;
        record.serialize_entry("checksum", &image.checksum)?;
        record.serialize_entry("created_at", &show_seconds(image.created_at))?;
        record.serialize_entry("updated_at", &show_seconds(image.updated_at))?;
        record.serialize_entry("self", &format_args!("/v2/images/{}", image.id))?;
        record.serialize_entry("file", &format_args!("/v2/images/{}/file", image.id))?;
        record.serialize_entry("schema", "/v2/schemas/image")?;
        if let Some(stores) = self.stores {
            let (algorithm, value) = image.multihash.as_ref().map(|(a, v)| (a, v)).unzip();
            record.serialize_entry("os_hash_algo", &algorithm)?;
            record.serialize_entry("os_hash_value", &value)?;
            record.serialize_entry("os_hidden", &image.hidden)?;
            let in_stores = match (&*image.leftovers_in, &*image.stores) {
                ([], []) => stores.get(..1).unwrap_or_default(),
                ([], stores) | (stores, _) => stores,
            };
            if let Some((to, failed)) = &image.import {
                record.serialize_entry("os_glance_importing_to_stores", &to.join(","))?;
                record.serialize_entry("os_glance_failed_import", &failed.join(","))?;
                if !to.is_empty() {
                    record.serialize_entry("os_glance_import_task", "a-task")?;
                }
            }
            if image.content.is_some() && !in_stores.is_empty() {
                record.serialize_entry("stores", &in_stores.join(","))?;
            }
        }
        record.end()
    }
}

/// The record of v1, as in its detailed listing.
#[derive(Debug)]
pub(super) struct RecordV1<'a>(pub(super) &'a StoredImage);

impl Serialize for RecordV1<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(image) = self;
        let deleted_at = image.deleted.then(|| show_micros(image.updated_at));
        let mut record = serializer.serialize_map(None)?;
        record.serialize_entry("id", &image.id)?;
        record.serialize_entry("name", &image.name)?;
        record.serialize_entry("status", image.status)?;
        record.serialize_entry("size", &image.size)?;
        record.serialize_entry("checksum", &image.checksum)?;
        record.serialize_entry("disk_format", &image.disk_format)?;
        record.serialize_entry("container_format", &image.container_format)?;
        record.serialize_entry("min_ram", &image.min_ram)?;
        record.serialize_entry("min_disk", &image.min_disk)?;
        record.serialize_entry("virtual_size", &image.virtual_size)?;
        record.serialize_entry("is_public", &(image.visibility == "public"))?;
        record.serialize_entry("protected", &image.protected)?;
        record.serialize_entry("owner", &image.owner)?;
        record.serialize_entry("deleted", &image.deleted)?;
        record.serialize_entry("created_at", &show_micros(image.created_at))?;
        record.serialize_entry("updated_at", &show_micros(image.updated_at))?;
        record.serialize_entry("deleted_at", &deleted_at)?;
        record.serialize_entry("properties", &image.properties)?;
        record.end()
    }
}

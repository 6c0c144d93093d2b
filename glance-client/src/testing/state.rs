//! The images that a server holds, and how each API version shows one.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::content::{Digests, ImageContent, mix};

pub(super) const DISK_FORMATS: [&str; 11] = [
    "ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop",
];
pub(super) const CONTAINER_FORMATS: [&str; 8] = [
    "ami",
    "ari",
    "aki",
    "bare",
    "ovf",
    "ova",
    "docker",
    "compressed",
];
pub(super) const VISIBILITIES: [&str; 4] = ["public", "community", "shared", "private"];
const STATUSES: [&str; 10] = [
    "queued",
    "saving",
    "active",
    "killed",
    "deleted",
    "pending_delete",
    "deactivated",
    "uploading",
    "importing",
    "unknown",
];

/// Returns the entry of `known` that equals `text`, so that images share it.
pub(super) fn known(known: &[&'static str], text: &str) -> Option<&'static str> {
    known.iter().copied().find(|entry| *entry == text)
}

/// Who sends a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The project of the token; an admin may have none.
    pub project: Option<String>,
    /// Whether the token has the admin role.
    pub admin: bool,
}

impl Caller {
    /// An admin without a project, as everybody is on a server without Keystone.
    #[must_use]
    pub fn admin() -> Self {
        Self {
            project: None,
            admin: true,
        }
    }

    /// A member of a project.
    #[must_use]
    pub fn member(project: &str) -> Self {
        Self {
            project: Some(project.to_owned()),
            admin: false,
        }
    }

    pub(super) fn owns(&self, image: &StoredImage) -> bool {
        self.project.is_some() && self.project == image.owner
    }

    pub(super) fn may_change(&self, image: &StoredImage) -> bool {
        self.admin || self.owns(image)
    }

    pub(super) fn sees(&self, image: &StoredImage) -> bool {
        self.may_change(image)
            || image.owner.is_none()
            || matches!(image.visibility, "public" | "community")
            || (image.visibility == "shared" && self.membership(image).is_some())
    }

    pub(super) fn membership<'a>(&self, image: &'a StoredImage) -> Option<&'a str> {
        image
            .members
            .get(self.project.as_deref()?)
            .map(String::as_str)
    }
}

#[derive(Clone, Debug)]
pub(super) struct StoredImage {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) status: &'static str,
    pub(super) disk_format: Option<&'static str>,
    pub(super) container_format: Option<&'static str>,
    pub(super) visibility: &'static str,
    pub(super) owner: Option<String>,
    pub(super) protected: bool,
    pub(super) hidden: bool,
    pub(super) deleted: bool,
    pub(super) min_disk: u32,
    pub(super) min_ram: u32,
    pub(super) tags: Vec<String>,
    pub(super) properties: BTreeMap<String, Option<String>>,
    pub(super) members: BTreeMap<String, String>,
    pub(super) size: Option<u64>,
    pub(super) virtual_size: Option<u64>,
    pub(super) checksum: Option<String>,
    pub(super) multihash: Option<(String, String)>,
    pub(super) content: Option<ImageContent>,
    /// A refused format left data in the store: no further upload succeeds.
    pub(super) spoiled: bool,
    pub(super) created_at: u64,
    pub(super) updated_at: u64,
}

impl StoredImage {
    pub(super) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            name: None,
            status: "queued",
            disk_format: None,
            container_format: None,
            visibility: "shared",
            owner: None,
            protected: false,
            hidden: false,
            deleted: false,
            min_disk: 0,
            min_ram: 0,
            tags: Vec::new(),
            properties: BTreeMap::new(),
            members: BTreeMap::new(),
            size: None,
            virtual_size: None,
            checksum: None,
            multihash: None,
            content: None,
            spoiled: false,
            created_at: 0,
            updated_at: 0,
        }
    }

    pub(super) fn set_digests(&mut self, digests: Option<Digests>) {
        let (checksum, multihash) = match digests {
            Some(digests) => (Some(digests.md5), Some((digests.algorithm, digests.value))),
            None => (None, None),
        };
        self.checksum = checksum;
        self.multihash = multihash;
    }

    /// The JSON record of v2: of today with `stores`, of 2017 without.
    pub(super) fn record_v2(&self, stores: Option<&[String]>) -> Value {
        let mut record: Map<String, Value> = self
            .properties
            .iter()
            .map(|(name, value)| (name.clone(), json!(value.as_deref().unwrap_or_default())))
            .collect();
        let base = json!({
            "id": self.id, "name": self.name, "status": self.status,
            "disk_format": self.disk_format, "container_format": self.container_format,
            "visibility": self.visibility, "owner": self.owner, "protected": self.protected,
            "min_disk": self.min_disk, "min_ram": self.min_ram, "tags": self.tags,
            "size": self.size, "virtual_size": self.virtual_size, "checksum": self.checksum,
            "created_at": show_seconds(self.created_at), "updated_at": show_seconds(self.updated_at),
            "self": format!("/v2/images/{}", self.id), "file": format!("/v2/images/{}/file", self.id),
            "schema": "/v2/schemas/image",
        });
        if let Value::Object(base) = base {
            record.extend(base);
        }
        if let Some(stores) = stores {
            let (algorithm, value) = self.multihash.clone().unzip();
            record.insert("os_hash_algo".to_owned(), json!(algorithm));
            record.insert("os_hash_value".to_owned(), json!(value));
            record.insert("os_hidden".to_owned(), json!(self.hidden));
            if let (Some(_), Some(store)) = (&self.content, stores.first()) {
                record.insert("stores".to_owned(), json!(store));
            }
        }
        record.into()
    }

    /// The JSON record of v1, as in its detailed listing.
    pub(super) fn record_v1(&self) -> Value {
        let deleted_at = self.deleted.then(|| show_micros(self.updated_at));
        json!({
            "id": self.id, "name": self.name, "status": self.status, "size": self.size,
            "checksum": self.checksum, "disk_format": self.disk_format,
            "container_format": self.container_format, "min_ram": self.min_ram,
            "min_disk": self.min_disk, "virtual_size": self.virtual_size,
            "is_public": self.visibility == "public", "protected": self.protected,
            "owner": self.owner, "deleted": self.deleted,
            "created_at": show_micros(self.created_at), "updated_at": show_micros(self.updated_at),
            "deleted_at": deleted_at, "properties": self.properties,
        })
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// By id, deleted ones included: an id is used up for good.
    pub(super) images: BTreeMap<String, StoredImage>,
    clock: u64,
    invented_ids: u64,
}

impl State {
    /// The time in microseconds, never twice the same.
    pub(super) fn now(&mut self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        self.clock = u64::try_from(since.as_micros())
            .unwrap_or_default()
            .max(self.clock + 1);
        self.clock
    }

    /// Adds an image or replaces it; times not given are now.
    pub(super) fn put(&mut self, mut image: StoredImage) {
        let now = self.now();
        if image.created_at == 0 {
            image.created_at = now;
        }
        image.updated_at = image.updated_at.max(image.created_at);
        self.images.insert(image.id.clone(), image);
    }

    pub(super) fn alive(&self, id: &str) -> Option<&StoredImage> {
        self.images.get(id).filter(|image| !image.deleted)
    }

    pub(super) fn bytes_of(&self, owner: Option<&str>) -> u64 {
        let owned = self
            .images
            .values()
            .filter(|image| !image.deleted && image.owner.as_deref() == owner);
        owned
            .filter(|image| image.content.is_some())
            .filter_map(|image| image.size)
            .sum()
    }

    pub(super) fn delete(&mut self, id: &str) {
        let now = self.now();
        let image = self
            .images
            .entry(id.to_owned())
            .or_insert_with(|| StoredImage::new(id));
        image.deleted = true;
        image.status = "deleted";
        image.content = None;
        image.updated_at = now;
    }

    pub(super) fn invent_id(&mut self) -> String {
        self.invented_ids += 1;
        uuid_from(mix(self.now()), mix(self.invented_ids))
    }
}

/// Writes 128 bits in the form of a UUID of version 4.
pub(super) fn uuid_from(high: u64, low: u64) -> String {
    let (high, low) = (
        (high & !0xf000) | 0x4000,
        (low & !(0b11 << 62)) | (0b10 << 62),
    );
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// Whether `id` has the form 8-4-4-4-12 of hex digits, in any case.
pub(super) fn is_dashed_uuid(id: &str) -> bool {
    id.len() == 36
        && id.bytes().enumerate().all(|(index, byte)| match index {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

pub(super) fn show_seconds(micros: u64) -> String {
    let (date, time) = date_and_time(micros);
    format!("{date}T{time}Z")
}

pub(super) fn show_micros(micros: u64) -> String {
    let (date, time) = date_and_time(micros);
    format!("{date}T{time}.{:06}", micros % 1_000_000)
}

fn date_and_time(micros: u64) -> (String, String) {
    let seconds = micros / 1_000_000;
    // Howard Hinnant's `civil_from_days`, for days since 1970.
    let shifted = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let of_day = seconds % 86_400;
    (
        format!("{year:04}-{month:02}-{day:02}"),
        format!(
            "{:02}:{:02}:{:02}",
            of_day / 3600,
            of_day / 60 % 60,
            of_day % 60
        ),
    )
}

/// An image to be put on a server, active if it has data, else queued.
#[derive(Clone, Debug)]
pub struct ImageSpec {
    pub(super) image: StoredImage,
    pub(super) digests: SpecDigests,
    status_given: bool,
}

#[derive(Clone, Debug)]
pub(super) enum SpecDigests {
    Computed,
    Given(Option<Digests>),
}

impl ImageSpec {
    /// A queued image: no name, no data, formats `raw` and `bare`, shared, no owner.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let mut image = StoredImage::new(id);
        image.disk_format = Some("raw");
        image.container_format = Some("bare");
        Self {
            image,
            digests: SpecDigests::Computed,
            status_given: false,
        }
    }

    /// Sets the name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.image.name = Some(name.to_owned());
        self
    }

    /// Gives it data, which makes it active. It is hashed when the image is added.
    #[must_use]
    pub fn data(mut self, content: ImageContent) -> Self {
        self.image.size = Some(content.len_bytes());
        self.image.content = Some(content);
        if !self.status_given {
            self.image.status = "active";
        }
        self
    }

    /// Makes it an active image of this size whose data is gone from the store.
    #[must_use]
    pub fn data_gone(mut self, size: u64) -> Self {
        self = self.data(ImageContent::zeros(size));
        self.image.content = None;
        self
    }

    /// Records this size, whatever the length of the data.
    #[must_use]
    pub fn size(mut self, size: u64) -> Self {
        self.image.size = Some(size);
        self
    }

    /// Records these digests instead of the data's own.
    #[must_use]
    pub fn digests(mut self, md5: &str, algorithm: &str, value: &str) -> Self {
        self.digests = SpecDigests::Given(Some(Digests {
            md5: md5.to_owned(),
            algorithm: algorithm.to_owned(),
            value: value.to_owned(),
        }));
        self
    }

    /// Records no digests.
    #[must_use]
    pub fn without_digests(mut self) -> Self {
        self.digests = SpecDigests::Given(None);
        self
    }

    /// Sets the status.
    ///
    /// # Panics
    ///
    /// If Glance has no such status.
    #[must_use]
    pub fn status(mut self, status: &str) -> Self {
        self.image.status = expect_known(&STATUSES, status);
        self.image.deleted = status == "deleted";
        self.status_given = true;
        self
    }

    /// Sets disk format and container format.
    ///
    /// # Panics
    ///
    /// If Glance has no such format.
    #[must_use]
    pub fn formats(mut self, disk: &str, container: &str) -> Self {
        self.image.disk_format = Some(expect_known(&DISK_FORMATS, disk));
        self.image.container_format = Some(expect_known(&CONTAINER_FORMATS, container));
        self
    }

    /// Leaves both formats unset.
    #[must_use]
    pub fn without_formats(mut self) -> Self {
        self.image.disk_format = None;
        self.image.container_format = None;
        self
    }

    /// Sets the visibility.
    ///
    /// # Panics
    ///
    /// If Glance has no such visibility.
    #[must_use]
    pub fn visibility(mut self, visibility: &str) -> Self {
        self.image.visibility = expect_known(&VISIBILITIES, visibility);
        self
    }

    /// Sets the owner.
    #[must_use]
    pub fn owner(mut self, project: &str) -> Self {
        self.image.owner = Some(project.to_owned());
        self
    }

    /// Protects it from deletion.
    #[must_use]
    pub fn protected(mut self) -> Self {
        self.image.protected = true;
        self
    }

    /// Hides it from default listings.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.image.hidden = true;
        self
    }

    /// Sets the least disk (GB) and memory (MB) of a server.
    #[must_use]
    pub fn minima(mut self, min_disk: u32, min_ram: u32) -> Self {
        self.image.min_disk = min_disk;
        self.image.min_ram = min_ram;
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.image.tags.push(tag.to_owned());
        self
    }

    /// Adds an additional property.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.image
            .properties
            .insert(name.to_owned(), Some(value.to_owned()));
        self
    }

    /// Adds an additional property that is null in the database.
    #[must_use]
    pub fn null_property(mut self, name: &str) -> Self {
        self.image.properties.insert(name.to_owned(), None);
        self
    }

    /// Shares it with a project; `status` is `pending`, `accepted` or `rejected`.
    #[must_use]
    pub fn member(mut self, project: &str, status: &str) -> Self {
        self.image
            .members
            .insert(project.to_owned(), status.to_owned());
        self
    }

    /// Sets the time of creation, in seconds since 1970.
    #[must_use]
    pub fn created_at(mut self, seconds: u64) -> Self {
        self.image.created_at = seconds * 1_000_000;
        self
    }
}

#[expect(clippy::expect_used, reason = "a typing error in a test's fixture")]
fn expect_known(list: &[&'static str], text: &str) -> &'static str {
    known(list, text).expect("a value that Glance knows")
}

/// The state of one image, for tests to look at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageView {
    /// The id.
    pub id: String,
    /// The status; `deleted` for an id that is used up.
    pub status: String,
    /// The record as today's v2 shows it to an admin, without `stores`.
    pub record: Value,
    /// The data, if there is any.
    pub content: Option<ImageContent>,
    /// The members: project and status.
    pub members: BTreeMap<String, String>,
}

impl ImageView {
    pub(super) fn of(image: &StoredImage) -> Self {
        Self {
            id: image.id.clone(),
            status: image.status.to_owned(),
            record: image.record_v2(Some(&[])),
            content: image.content.clone(),
            members: image.members.clone(),
        }
    }

    /// Returns one field of the record.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.record.get(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_glance_shows_them() {
        assert_eq!(show_seconds(1_709_210_096_078_914), "2024-02-29T12:34:56Z");
        assert_eq!(
            show_micros(1_709_210_096_078_914),
            "2024-02-29T12:34:56.078914"
        );
        assert_eq!(show_seconds(0), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn invented_ids_are_dashed_uuids() {
        let mut state = State::default();
        let (first, second) = (state.invent_id(), state.invent_id());
        assert!(is_dashed_uuid(&first) && is_dashed_uuid(&second) && first != second);
    }
}

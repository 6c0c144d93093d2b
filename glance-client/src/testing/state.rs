//! The images that a server holds.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

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
/// Returns the entry of `known` that equals `text`, so that images share it.
pub(super) fn known(known: &[&'static str], text: &str) -> Option<&'static str> {
    known.iter().copied().find(|entry| *entry == text)
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
    /// A refused format left data in these stores, which take no other.
    pub(super) leftovers_in: Vec<String>,
    /// The stores that have its data; none stands for the default one.
    pub(super) stores: Vec<String>,
    /// Those that it is being copied to, and those that have not taken it. `None` before the first
    /// import.
    pub(super) import: Option<(Vec<String>, Vec<String>)>,
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
            leftovers_in: Vec::new(),
            stores: Vec::new(),
            import: None,
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
}

#[derive(Debug, Default)]
pub(super) struct State {
    /// By id, deleted ones included: an id is used up for good.
    pub(super) images: BTreeMap<String, StoredImage>,
    /// Namespaces of metadata definitions by their names, without what the server sets.
    pub(super) metadefs: BTreeMap<String, Map<String, Value>>,
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

/// Returns whether `id` has the form 8-4-4-4-12 of hex digits, in any case.
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

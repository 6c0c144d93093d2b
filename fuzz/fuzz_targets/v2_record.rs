//! The record of an image as a server with v2, or v1's listing, may send it.
#![no_main]

use glance_model::{ImageMetadata, TargetForm, Visibility, v1, v2};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const FORMS: [TargetForm; 4] = [
    TargetForm::Whole,
    TargetForm::V1,
    TargetForm::V2 { hidden: true },
    TargetForm::V2 { hidden: false },
];

/// The fields that clients may set; every other name is one of an additional property, or
/// the server's.
const SENT: [&str; 11] = [
    "id",
    "name",
    "disk_format",
    "container_format",
    "visibility",
    "owner",
    "protected",
    "os_hidden",
    "min_disk",
    "min_ram",
    "tags",
];
/// The fields for which a server refuses the whole request.
const REFUSED: [&str; 19] = [
    "status",
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "created_at",
    "updated_at",
    "deleted_at",
    "deleted",
    "location",
    "locations",
    "direct_url",
    "self",
    "file",
    "schema",
    "stores",
    "os_glance_importing_to_stores",
    "os_glance_failed_import",
];

fuzz_target!(|data: &[u8]| {
    let v1 = serde_json::from_slice(data).map(|v1::Record(image)| image);
    let v2 = serde_json::from_slice(data).map(|v2::Record(image)| image);
    for image in [v1, v2].into_iter().flatten() {
        for form in FORMS {
            let held = form.of(image.clone());
            assert_eq!(form.of(held.clone()), held, "{form:?}");
        }
        v1_record_leads_back(image.clone());
        v2_record_leads_back(image);
    }
});

fn v1_record_leads_back(image: ImageMetadata) {
    let mut held = TargetForm::V1.of(image);
    let json = v1::record(&held).to_string();
    let v1::Record(read) = serde_json::from_str(&json).expect("was written");
    (held.hash_algo, held.hash_value) = (None, None);
    assert_eq!(read, held, "{json}");
}

fn v2_record_leads_back(image: ImageMetadata) {
    let mut held = TargetForm::V2 { hidden: true }.of(image);
    // v2 has no word for it.
    held.visibility = held
        .visibility
        .filter(|visibility| *visibility != Visibility::NotPublic);
    let mut sent = v2::record(&held);
    for (name, value) in sent.as_object().expect("a record") {
        assert!(!REFUSED.contains(&name.as_str()), "{sent}");
        assert!(value.is_string() || SENT.contains(&name.as_str()), "{sent}");
        assert!(!value.is_null(), "{sent}");
    }
    sent["status"] = Value::from(held.status.as_str());
    let json = sent.to_string();
    let v2::Record(read) = serde_json::from_str(&json).expect("was written");
    (held.size, held.virtual_size, held.checksum) = (None, None, None);
    (held.hash_algo, held.hash_value) = (None, None);
    (held.created_at, held.updated_at, held.deleted_at) = (None, None, None);
    assert_eq!(read, held, "{json}");
}

//! A metadata file as it may lie in an archive of a stranger.
#![no_main]

use glance_model::{ImageMetadata, TargetForm, v2};
use libfuzzer_sys::fuzz_target;
use replicator_fs::{metadata_from_json, metadata_to_json};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let file = metadata_from_json(data);
    // The words of a server go into such a file as well.
    let record = serde_json::from_slice(data).map(|v2::Record(image)| image);
    for image in [file, record].into_iter().flatten() {
        leads_back(&image);
    }
});

fn leads_back(image: &ImageMetadata) {
    let json = metadata_to_json(image);
    let text = String::from_utf8_lossy(&json);
    // As `json.dumps` has it, which leaves DEL as it is.
    assert!(
        json.iter().all(|byte| matches!(byte, b' '..=0x7f)),
        "{text}"
    );
    let read = metadata_from_json(&json).expect("was written");
    assert_eq!(read, *image, "{text}");

    // The part that the Python tool understands.
    let mut record: Value = serde_json::from_slice(&json).expect("was written");
    record.as_object_mut().expect("a record").remove("location");
    let plain = metadata_from_json(record.to_string().as_bytes()).expect("was written");
    let mut listed = TargetForm::V1.of(image.clone());
    (listed.hash_algo, listed.hash_value) = (None, None);
    assert_eq!(plain, listed, "{record}");
}

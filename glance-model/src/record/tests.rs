//! Records of v1 and v2, read and written.

use serde_json::json;

use super::*;
use crate::{v1, v2};

const ID: &str = "6d55dd55-053a-4765-b7bc-b30df0ea3861";

fn v2(record: Value) -> Result<ImageMetadata, String> {
    let record: Result<v2::Record, _> = serde_json::from_value(record);
    record.map(|record| record.0).map_err(|e| e.to_string())
}

fn v1(record: Value) -> Result<ImageMetadata, String> {
    let record: Result<v1::Record, _> = serde_json::from_value(record);
    record.map(|record| record.0).map_err(|e| e.to_string())
}

#[test]
fn the_same_image_reads_the_same_from_v1_and_v2() {
    let from_v1 = v1(json!({
        "id": ID, "name": "one", "status": "active", "size": 11,
        "checksum": "5eb63bbbe01eeed093cb22bb8f5acdc3", "disk_format": "raw",
        "container_format": "bare", "min_ram": 0, "min_disk": 0, "virtual_size": null,
        "is_public": true, "protected": false, "owner": null, "deleted": false,
        "created_at": "2026-11-22T23:34:26.078914",
        "updated_at": "2026-11-22T23:34:26.265109", "deleted_at": null,
        "properties": {"os_type": "linux", "empty": "", "kernel_id": null},
    }))
    .unwrap();
    let from_v2 = v2(json!({
        "id": ID, "name": "one", "status": "active", "size": 11,
        "checksum": "5eb63bbbe01eeed093cb22bb8f5acdc3", "disk_format": "raw",
        "container_format": "bare", "min_ram": 0, "min_disk": 0, "virtual_size": null,
        "visibility": "public", "protected": false, "owner": null, "tags": [],
        "created_at": "2026-11-22T23:34:26Z", "updated_at": "2026-11-22T23:34:26Z",
        "os_type": "linux", "empty": "", "kernel_id": null, "self": "/v2/images/x", "file": "/v2/images/x/file",
        "schema": "/v2/schemas/image", "stores": "main", "os_glance_import_task": "",
        "direct_url": "rbd://secret", "locations": [{"url": "swift+https://user:key@host"}],
    }))
    .unwrap();
    assert_eq!(from_v1, from_v2);
}

/// `is_public` is v1's name, `os_hidden` that of v2.7, and so on.
#[test]
fn a_name_of_another_version_is_the_name_of_a_property() {
    let image = v2(json!({
        "id": ID, "status": "active", "is_public": "True", "visibility": "private",
        "properties": "{'a': 'b'}", "location": "dc7", "deleted": "no", "deleted_at": "never",
        "date": "2018-08-25", "os_hidden": false, "os_hash_algo": null, "stores": "main",
    }))
    .unwrap();
    assert_eq!(image.visibility, Some(Visibility::Private));
    assert_eq!(image.deleted_at, None);
    let names: Vec<_> = image.properties.keys().collect();
    let users = [
        "date",
        "deleted",
        "deleted_at",
        "is_public",
        "location",
        "properties",
    ];
    assert_eq!(names, users);

    let v2::EarlyRecord(early) = serde_json::from_value(json!({
        "id": ID, "status": "active", "is_public": "False", "visibility": "public",
        "os_hidden": "True", "os_hash_algo": "md4", "os_hash_value": "x", "stores": "main",
        "os_glance_x": "y", "self": "/v2/images/x", "direct_url": "rbd://secret",
    }))
    .unwrap();
    assert_eq!(early.visibility, Some(Visibility::Public));
    assert_eq!((early.hidden, early.hash_algo), (None, None));
    let names: Vec<_> = early.properties.keys().collect();
    let users = [
        "is_public",
        "os_glance_x",
        "os_hash_algo",
        "os_hash_value",
        "os_hidden",
        "stores",
    ];
    assert_eq!(names, users);

    let image = v1(json!({
        "id": ID, "status": "active", "is_public": false, "visibility": "public",
        "os_hidden": true, "tags": ["a"], "location": "file:///secret",
        "properties": {"is_public": "True", "visibility": "public", "owner": "x", "id": "y"},
    }))
    .unwrap();
    assert_eq!(image.visibility, Some(Visibility::NotPublic));
    assert_eq!(
        (image.hidden, &image.owner, image.tags.len()),
        (None, &None, 0)
    );
    assert_eq!(image.properties.len(), 4);
    let others: Vec<_> = image.other.keys().collect();
    assert_eq!(others, ["os_hidden", "tags", "visibility"]);
}

#[test]
fn no_property_sets_a_field_of_a_new_record() {
    let mut image = ImageMetadata::new(ImageId::parse(ID).unwrap(), ImageStatus::Queued);
    for name in [
        "id",
        "owner",
        "visibility",
        "tags",
        "locations",
        "self",
        "is_public",
    ] {
        image.properties.insert(name.into(), "x".into());
    }
    assert_eq!(v2::record(&image), json!({"id": ID, "is_public": "x"}));
}

#[test]
fn a_record_without_a_usable_id_or_status_is_refused() {
    for (name, record) in [
        ("no id", json!({"status": "active"})),
        (
            "a path",
            json!({"id": "../../etc/passwd", "status": "active"}),
        ),
        ("a number", json!({"id": 5, "status": "active"})),
        ("no status", json!({"id": ID})),
        ("a list", json!([1, 2])),
        (
            "a negative size",
            json!({"id": ID, "status": "active", "size": -1}),
        ),
        (
            "a list as name",
            json!({"id": ID, "status": "active", "name": []}),
        ),
    ] {
        assert!(v2(record.clone()).is_err(), "{name}");
        assert!(v1(record).is_err(), "{name}");
    }
}

#[test]
fn an_empty_image_has_no_digest_that_nobody_states_and_a_reserved_one_no_size() {
    let empty = json!({"id": ID, "status": "active", "size": 0, "checksum": null});
    assert_eq!(v1(empty.clone()).unwrap().checksum, None);
    assert_eq!(v2(empty).unwrap().checksum, None);
    let reserved = v1(json!({"id": ID, "status": "queued", "size": 0}));
    assert_eq!(reserved.unwrap().size, None);
}

#[test]
fn unknown_fields_survive_a_round_trip() {
    let record = json!({
        "id": ID, "status": "active", "deleted": false, "dontrepl": "banana", "odd": [1, {"a": 2}],
        "properties": {"frog": "1"},
    });
    let image = v1(record.clone()).unwrap();
    assert_eq!(v1::record(&image), record);
}

#[test]
fn a_field_that_is_nested_too_deep_is_kept_as_text() {
    let nested = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let read = |field: &str| {
        let record = format!(r#"{{"id": "{ID}", "status": "queued", "odd": {field}}}"#);
        let v1::Record(image) = serde_json::from_str(&record).unwrap();
        image
    };
    assert!(read(&nested(MAX_LEVELS)).other.contains_key("odd"));
    for levels in [MAX_LEVELS + 1, 126] {
        let image = read(&nested(levels));
        assert!(image.other.is_empty(), "{levels}");
        assert_eq!(image.properties.get("odd"), Some(&nested(levels)));
    }
}

#[test]
fn a_new_record_holds_only_what_a_client_may_send() {
    let mut image = v2(json!({
        "id": ID, "status": "active", "size": 5, "checksum": "ab", "os_hash_algo": "sha512",
        "os_hash_value": "cd", "created_at": "2026-11-22T23:34:26Z", "name": "one",
        "visibility": "community", "os_hidden": true, "tags": ["t"], "frog": "1",
    }))
    .unwrap();
    image
        .properties
        .insert("size".into(), "a v1 property".into());
    assert_eq!(
        v2::record(&image),
        json!({
            "id": ID, "name": "one", "visibility": "community", "os_hidden": true,
            "tags": ["t"], "frog": "1",
        })
    );
    image.visibility = Some(Visibility::NotPublic);
    assert_eq!(v2::record(&image).get("visibility"), None);
}

#[test]
fn of_a_name_that_comes_twice_the_last_value_counts() {
    let read = |values: &str| {
        let record = format!(r#"{{"id": "{ID}", "status": "queued", {values}}}"#);
        serde_json::from_str::<v2::Record>(&record).unwrap().0
    };
    let image = read(r#""a": null, "a": false, "b": "x", "b": null, "c": {}, "c": "x""#);
    assert_eq!(image.properties.get("a").map(String::as_str), Some("False"));
    assert_eq!(image.properties.get("c").map(String::as_str), Some("x"));
    assert_eq!(image.properties.len(), 2);
    assert_eq!(image.null_properties, ["b".to_owned()].into());
    assert!(image.other.is_empty(), "{:?}", image.other);
    let image = read(r#""a": "x", "a": {}"#);
    assert!(image.properties.is_empty() && image.other.contains_key("a"));
}

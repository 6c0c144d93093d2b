//! Laws of the metadata file, and what an edit by hand does.

use glance_model::{
    ImageId, ImageMetadata, ImageStatus, MemberStatus, Members, ProjectName, TargetForm,
    Visibility, v2,
};
use proptest::collection::{btree_map, btree_set};
use proptest::option::of;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{metadata_from_json, metadata_to_json};

const ID: &str = "6d55dd55-053a-4765-b7bc-b30df0ea3861";

fn image() -> ImageMetadata {
    ImageMetadata::new(ImageId::parse(ID).unwrap(), ImageStatus::Queued)
}

/// An image as v1 lists it: `TargetForm::V1`, less the digests, which
/// the form leaves alone since they are neither compared nor sent.
fn as_v1_lists(image: ImageMetadata) -> ImageMetadata {
    let mut listed = TargetForm::V1.of(image);
    (listed.hash_algo, listed.hash_value) = (None, None);
    (listed.members, listed.projects) = (None, Default::default());
    listed
}

/// Written, changed by hand, and read.
fn edited(image: &ImageMetadata, edit: impl FnOnce(&mut Value)) -> ImageMetadata {
    let mut record: Value = serde_json::from_slice(&metadata_to_json(image)).unwrap();
    edit(&mut record);
    metadata_from_json(record.to_string().as_bytes()).unwrap()
}

#[test]
fn a_file_is_written_as_python_writes_json() {
    let mut image = image();
    image.name = Some("größer \"日本\" 💿\n".into());
    image.min_disk = Some(3);
    image.protected = Some(true);
    image.visibility = Some(Visibility::Community);
    image.properties = [("os_type", "linux"), ("With-Dash", "é")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    image.tags = ["a", "b"].map(String::from).into();
    assert_eq!(
        String::from_utf8(metadata_to_json(&image)).unwrap(),
        concat!(
            r#"{"deleted": false, "id": "6d55dd55-053a-4765-b7bc-b30df0ea3861", "is_public": false, "#,
            r#""location": {"image_api_v2": {"#,
            r#""name": "gr\u00f6\u00dfer \"\u65e5\u672c\" \ud83d\udcbf\n", "#,
            r#""properties": {"With-Dash": "\u00e9"}, "tags": ["a", "b"], "visibility": "community"}}, "#,
            r#""min_disk": 3, "name": "gr\u00f6\u00dfer \"\u65e5\u672c\" \ud83d\udcbf", "#,
            r#""properties": {"os_type": "linux", "with_dash": "\u00e9"}, "#,
            r#""protected": true, "status": "queued"}"#,
        )
    );
}

#[test]
fn what_v1_says_whole_needs_no_extension() {
    let mut image = image();
    image.name = Some("one".into());
    image.visibility = Some(Visibility::Public);
    image.properties.insert("os_type".into(), "linux".into());
    let record: Value = serde_json::from_slice(&metadata_to_json(&image)).unwrap();
    assert_eq!(record.get("location"), None);
}

#[test]
fn a_field_that_was_edited_by_hand_holds() {
    let mut image = image();
    image.name = Some("two\nlines".into());
    image.visibility = Some(Visibility::Community);
    image.tags.insert("kept".into());
    image.properties.insert("With-Dash".into(), "1".into());
    image.properties.insert("Other-Dash".into(), "2".into());

    assert_eq!(edited(&image, |_| {}), image);
    let now = edited(&image, |record| {
        record["name"] = json!("edited");
        record["is_public"] = json!(true);
        record["properties"]["with_dash"] = json!("edited");
    });
    assert_eq!(now.name.as_deref(), Some("edited"));
    assert_eq!(now.visibility, Some(Visibility::Public));
    assert_eq!(now.tags, image.tags);
    let properties = [("Other-Dash", "2"), ("with_dash", "edited")];
    let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(now.properties, properties.into());
    let now = edited(&image, |record| {
        record["properties"] = json!({});
    });
    assert!(now.properties.is_empty(), "{now:?}");
}

#[test]
fn owner_and_members_stand_beside_what_v1_says_with_their_names() {
    let mut image = image();
    image.visibility = Some(Visibility::Shared);
    image.owner = Some("p1".into());
    image.members = Some([("p2".to_owned(), MemberStatus::Accepted)].into());
    for (id, domain, name) in [("p1", Some("Default"), "alpha"), ("p2", None, "beta")] {
        let domain = domain.map(str::to_owned);
        let name = name.to_owned();
        image
            .projects
            .insert(id.into(), ProjectName { domain, name });
    }
    let record: Value = serde_json::from_slice(&metadata_to_json(&image)).unwrap();
    assert_eq!(
        record["location"],
        json!({
            "image_api_v2": {"members": {"p2": "accepted"}, "visibility": "shared"},
            "projects": {"p1": {"domain": "Default", "name": "alpha"}, "p2": {"name": "beta"}},
        })
    );
    assert_eq!(edited(&image, |_| {}), image);
    let broken = edited(&image, |record| {
        record["location"]["projects"]["p1"] = json!("alpha");
        record["location"]["image_api_v2"]["members"] = json!({"p2": 5, "p3": "odd"});
    });
    assert_eq!(broken.members, Some(Members::new()));
    assert_eq!(broken.projects.into_keys().collect::<Vec<_>>(), ["p2"]);
}

#[test]
fn any_other_location_is_ignored() {
    for location in [
        json!(null),
        json!("http://127.0.0.1:9292/v1/images/x"),
        json!(["image_api_v2"]),
        json!({"image_api_v2": "tags"}),
        json!({"image_api_v2": {"tags": "a", "os_hidden": [], "name": {}, "properties": 5, "fields": []}}),
    ] {
        let now = edited(&image(), |record| record["location"] = location.clone());
        assert_eq!(now, image(), "{location}");
    }
}

#[test]
fn a_property_by_the_name_of_a_field_is_kept_apart_from_it() {
    let mut image = image();
    image.visibility = Some(Visibility::Private);
    image.owner = Some("acme".into());
    for name in [
        "is_public",
        "visibility",
        "owner",
        "location",
        "properties",
        "os_hidden",
        "tags",
        "id",
        "image_api_v2",
        "deleted_at",
        "visibility ",
    ] {
        image.properties.insert(name.into(), "True".into());
    }
    let record: Value = serde_json::from_slice(&metadata_to_json(&image)).unwrap();
    assert_eq!(record["is_public"], json!(false));
    assert_eq!(record["properties"]["is_public"], json!("True"));
    assert_eq!(edited(&image, |_| {}), image);
}

#[test]
fn null_stays_null_and_an_empty_text_a_text() {
    let mut image = image();
    image.null_properties = ["kernel_id", "With-Dash", "a b"].map(String::from).into();
    image.properties.insert("empty".into(), String::new());
    let record: Value = serde_json::from_slice(&metadata_to_json(&image)).unwrap();
    assert_eq!(
        record["properties"],
        json!({"empty": null, "kernel_id": null, "with_dash": null})
    );
    assert_eq!(edited(&image, |_| {}), image);
    let record = format!(
        r#"{{"id": "{ID}", "status": "queued", "properties": {{"kernel_id": "", "none": null}}}}"#
    );
    let image = metadata_from_json(record.as_bytes()).unwrap();
    let held = TargetForm::V2 { hidden: true }.of(image);
    assert!(
        held.properties.is_empty() && held.null_properties.is_empty(),
        "{held:?}"
    );
}

#[test]
fn a_file_with_a_byte_order_mark_and_numbers_with_a_point_is_read() {
    let record = format!(
        "\u{feff}{{\"id\": \"{ID}\", \"status\": \"active\", \"size\": 5.0, \"min_ram\": \"64.0\"}}"
    );
    let image = metadata_from_json(record.as_bytes()).unwrap();
    assert_eq!((image.size, image.min_ram), (Some(5), Some(64)));
    assert!(metadata_from_json(record.replace("5.0", "5.5").as_bytes()).is_err());
}

#[test]
fn names_that_v1_takes_for_one_are_kept_apart() {
    let mut image = image();
    for (name, value) in [("A-b", "1"), ("a_B", "2"), ("a_b", "3"), ("a b", "4")] {
        image.properties.insert(name.into(), value.into());
    }
    image.other.insert("A_b".into(), json!([5]));
    assert_eq!(
        metadata_from_json(&metadata_to_json(&image)).unwrap(),
        image
    );
}

#[test]
fn a_field_is_read_again_however_deep_it_was_nested() {
    let field = format!("{}{}", "[".repeat(126), "]".repeat(126));
    let record = format!(r#"{{"id": "{ID}", "status": "queued", "odd": {field}}}"#);
    let v2::Record(image) = serde_json::from_str(&record).unwrap();
    assert_eq!(
        metadata_from_json(&metadata_to_json(&image)).unwrap(),
        image
    );
}

#[test]
fn a_number_is_read_exactly_as_it_was_written() {
    let mut image = image();
    image.other.insert("odd".into(), json!(6.5e85));
    assert_eq!(
        metadata_from_json(&metadata_to_json(&image)).unwrap(),
        image
    );
}

#[test]
fn an_owner_that_v1_takes_for_nothing_is_kept() {
    let mut image = image();
    image.owner = Some("None\n".into());
    assert_eq!(
        metadata_from_json(&metadata_to_json(&image)).unwrap(),
        image
    );
}

fn some_text() -> impl Strategy<Value = String> {
    // A null, in one form or another, is no text.
    prop_oneof!["[ a-zA-Z\n-]{1,4}", any::<String>()]
        .prop_filter("null", |text| !text.is_empty() && text != "None")
}

fn some_name() -> impl Strategy<Value = String> {
    prop_oneof!["[aA_-]{1,2}", "[a-z:é ]{1,8}", any::<String>()]
}

fn some_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!([1, {"a": "é"}])),
    ]
}

fn some_time() -> impl Strategy<Value = String> {
    "20[0-9]{2}-0[1-9]-1[0-9]T2[0-3]:[0-5][0-9]:[0-5][0-9]Z"
}

prop_compose! {
    fn some_image()(
        status in prop_oneof![
            Just(ImageStatus::Active),
            Just(ImageStatus::Queued),
            Just(ImageStatus::Deleted),
            Just(ImageStatus::Deactivated),
        ],
        texts in proptest::array::uniform7(of(some_text())),
        times in proptest::array::uniform3(of(some_time())),
        flags in proptest::array::uniform2(of(any::<bool>())),
        numbers in proptest::array::uniform4(of(any::<u64>())),
        visibility in of(prop_oneof![
            Just(Visibility::Public),
            Just(Visibility::Community),
            Just(Visibility::Shared),
            Just(Visibility::Private),
            Just(Visibility::NotPublic),
        ]),
        tags in btree_set(any::<String>(), 0..4),
        properties in btree_map(some_name(), any::<String>(), 0..8),
        nulls in btree_set(some_name(), 0..3),
        other in btree_map(some_name(), some_value(), 0..4),
        members in btree_map(any::<String>(), prop_oneof![
            Just(MemberStatus::Pending),
            Just(MemberStatus::Accepted),
            Just(MemberStatus::Rejected),
            Just(MemberStatus::Unsaid),
        ], 0..3),
        projects in btree_map(any::<String>(), (of(some_text()), some_text()), 0..3),
    ) -> ImageMetadata {
        let mut image = image();
        image.status = status;
        image.members = Some(members).filter(|members| !members.is_empty());
        let project = |(domain, name)| ProjectName { domain, name };
        let projects = projects.into_iter();
        image.projects = projects.map(|(id, name)| (id, project(name))).collect();
        [
            image.name, image.disk_format, image.container_format, image.owner,
            image.checksum, image.hash_algo, image.hash_value,
        ] = texts;
        [image.created_at, image.updated_at, image.deleted_at] = times;
        [image.protected, image.hidden] = flags;
        [image.min_disk, image.min_ram, image.size, image.virtual_size] = numbers;
        image.visibility = visibility;
        (image.tags, image.properties, image.other) = (tags, properties, other);
        image.null_properties = nulls;
        image.null_properties.retain(|name| !image.properties.contains_key(name));
        image
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(image in some_image()) {
        prop_assert_eq!(metadata_from_json(&metadata_to_json(&image)).unwrap(), image);
    }

    #[test]
    fn without_the_extension_it_is_the_v1_form(image in some_image()) {
        let now = edited(&image, |record| {
            record.as_object_mut().unwrap().remove("location");
        });
        prop_assert_eq!(now, as_v1_lists(image));
    }

    #[test]
    fn no_extension_changes_what_v1_can_say(
        image in some_image(),
        extension in btree_map(
            prop_oneof![
                Just("tags"), Just("name"), Just("properties"), Just("fields"),
                Just("size"), Just("status"), Just("disk_format"), Just("protected"),
            ],
            some_value(),
            0..5,
        ),
    ) {
        let plain = as_v1_lists(image.clone());
        let now = edited(&image, |record| {
            record["location"] = json!({"image_api_v2": extension});
        });
        prop_assert_eq!(as_v1_lists(now), plain);
    }
}

#[test]
fn a_text_that_is_no_unicode_is_read_with_replacement_characters() {
    let id = "6d55dd55-053a-4765-b7bc-b30df0ea3861";
    for name in [&br"bug-\ud83d"[..], b"bug-\xff"] {
        let head = format!(r#"{{"id": "{id}", "status": "queued", "name": ""#);
        let json = [head.as_bytes(), name, b"\"}"].concat();
        let name = metadata_from_json(&json).unwrap().name;
        assert_eq!(name.as_deref(), Some("bug-\u{fffd}"));
    }
}

//! Records and headers captured from real servers: Glance 33.0.0, and Glance
//! 15.0.2 of 2017, which serves one image through v2.5 and through v1.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use glance_model::{ImageMetadata, MetadataDiff, Omit, TargetForm, v1, v2};

fn v1(json: &str) -> ImageMetadata {
    serde_json::from_str::<v1::Record>(json).unwrap().into()
}

fn v2(json: &str) -> ImageMetadata {
    serde_json::from_str::<v2::Record>(json).unwrap().into()
}

fn between(source: &ImageMetadata, target: &ImageMetadata) -> MetadataDiff {
    MetadataDiff::between(source, target, &Omit::default())
}

#[test]
fn one_image_is_the_same_through_v1_and_v2() {
    let through_v1 = v1(include_str!("fixtures/v1-2017.json"));
    let mut through_v2 = v2(include_str!("fixtures/v2-2017.json"));
    assert_eq!(through_v2.tags.len(), 2);
    through_v2.tags.clear();
    assert_eq!(through_v1, through_v2);
}

#[test]
fn the_same_image_on_old_and_new_servers_compares_equal() {
    let old = v2(include_str!("fixtures/v2-2017.json"));
    let new = v2(include_str!("fixtures/v2-today.json"));
    assert_eq!(new.hash_algo.as_deref(), Some("sha512"));
    assert!(between(&old, &new).is_empty());
    let form = TargetForm::V2 { hidden: false };
    assert!(between(&form.of(new.clone()), &form.of(old)).is_empty());
    let oldest = v1(include_str!("fixtures/v1-2017.json"));
    let (new, oldest) = (TargetForm::V1.of(new), TargetForm::V1.of(oldest));
    assert!(between(&new, &oldest).is_empty());
    assert!(between(&oldest, &new).is_empty());
}

#[test]
fn headers_say_the_same_as_the_listing() {
    let head = include_str!("fixtures/v1-2017-head.txt");
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let mut from_head = v1::from_headers(headers).unwrap();
    from_head.other.clear();
    let listed = v1(include_str!("fixtures/v1-2017-head.json"));
    assert_eq!(from_head, listed);
}

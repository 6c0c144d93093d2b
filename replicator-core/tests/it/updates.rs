//! Updates of metadata: the fields that they may change, and the error if they change another.

use bytes::Bytes;
use glance_model::{ImageMetadata, Visibility};
use replicator_core::testing::{Faulty, MemoryImages, active_image};
use replicator_core::{ImageError, Report};

use crate::kit::{faults, livecopy};

const DATA: &[u8] = b"data";

/// A private image of null owner at both ends; the source has these properties as well.
fn ends(properties: &[&str]) -> (MemoryImages, MemoryImages) {
    let (source, target) = (MemoryImages::default(), MemoryImages::default());
    let mut image = active_image(DATA);
    image.visibility = Some(Visibility::Private);
    target.insert(image.clone(), Some(Bytes::from_static(DATA)));
    for name in properties {
        image.properties.insert((*name).into(), "x".into());
    }
    source.insert(image, Some(Bytes::from_static(DATA)));
    (source, target)
}

async fn run(source: &MemoryImages, target: &MemoryImages, publishing_updates: u32) -> Report {
    let faults = faults(|f| f.publishing_updates = publishing_updates);
    livecopy(source.clone(), Faulty::new(target.clone(), faults)).await
}

fn only(images: &MemoryImages) -> ImageMetadata {
    images.all().remove(0)
}

#[tokio::test]
async fn other_fields_that_an_update_changes_are_set_back_and_the_image_fails() {
    for (publishing_updates, is_restored, visibility) in [
        (1, true, Visibility::Private),
        (2, false, Visibility::Public),
    ] {
        let (source, target) = ends(&["plain"]);
        let report = run(&source, &target, publishing_updates).await;
        assert_eq!((report.failures().count(), report.updated()), (1, 0));
        let (_, error) = report.failures().next().unwrap();
        assert!(
            matches!(error, ImageError::OtherFieldsChanged { is_restored: restored, .. } if *restored == is_restored),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains("visibility (to public, not private)"),
            "{error}"
        );
        assert_eq!(only(&target).visibility, Some(visibility));
        assert!(only(&target).properties.contains_key("plain"));
    }
}

#[tokio::test]
async fn a_property_that_no_update_can_name_is_left_out_and_needs_no_update() {
    let (source, target) = ends(&["visibility ", "image_id"]);
    let before = only(&target);
    let report = run(&source, &target, 0).await;
    assert_eq!((report.unchanged(), report.updated()), (1, 0));
    assert_eq!(only(&target), before);
    let (source, target) = ends(&["owner ", "plain"]);
    assert_eq!(run(&source, &target, 0).await.updated(), 1);
    let names: Vec<_> = only(&target).properties.into_keys().collect();
    assert_eq!(names, ["plain"]);
    assert_eq!(run(&source, &target, 0).await.unchanged, 1);
}

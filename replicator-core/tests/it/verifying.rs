//! The comparison of the content of two ends.

use std::sync::Arc;

use bytes::Bytes;
use glance_model::{ImageMetadata, Sample, Selection};
use replicator_core::testing::{Faulty, MemoryImages, active_image};
use replicator_core::{ImageRef, RunContext, TargetIds, VerifyBy, VerifyOptions, verify};

use crate::kit::{faults, verified};

const DATA: Bytes = Bytes::from_static(b"the data of the image");

fn one(image: &ImageMetadata) -> MemoryImages {
    let images = MemoryImages::default();
    images.insert(image.clone(), Some(DATA));
    images
}

#[tokio::test]
async fn equal_digests_are_proof_and_other_ones_are_failures() {
    let image = active_image(&DATA);
    let mut other = image.clone();
    other.checksum = Some("00".into());
    let mut unknown = image.clone();
    unknown.checksum = None;
    for (copy, verified_images, unverifiable, failures) in
        [(&image, 1, 0, 0), (&other, 0, 0, 1), (&unknown, 0, 1, 0)]
    {
        let report = verified(one(&image), one(copy), TargetIds::new(), VerifyBy::Stated).await;
        assert_eq!(report.verified, verified_images);
        assert_eq!(report.unverifiable.len(), unverifiable);
        assert_eq!(report.failures.len(), failures);
    }
}

#[tokio::test]
async fn reading_finds_what_digests_do_not_say() {
    let image = active_image(&DATA);
    let wrong = || Faulty::new(one(&image), faults(|f| f.flipped_byte = Some(3)));
    let by_stated = verified(one(&image), wrong(), TargetIds::new(), VerifyBy::Stated).await;
    assert_eq!((by_stated.verified, by_stated.failures.len()), (1, 0));
    let by_reading = verified(one(&image), wrong(), TargetIds::new(), VerifyBy::Reading).await;
    assert_eq!((by_reading.verified, by_reading.failures.len()), (0, 1));
    assert!(by_reading.failures[0].error().unwrap().is_of_content());
    let itself = verified(
        one(&image),
        one(&image),
        TargetIds::new(),
        VerifyBy::Reading,
    )
    .await;
    assert_eq!((itself.verified, itself.failures.len()), (1, 0));
}

#[tokio::test]
async fn an_image_whose_data_is_gone_is_found_by_a_byte() {
    let image = active_image(&DATA);
    let hollow = MemoryImages::default();
    hollow.insert(image.clone(), None);
    let short = MemoryImages::default();
    short.insert(image.clone(), Some(DATA.slice(1..)));
    for (target, verified_images, failures) in [(one(&image), 1, 0), (hollow, 0, 1), (short, 0, 1)]
    {
        let report = verified(one(&image), target, TargetIds::new(), VerifyBy::Probing).await;
        assert_eq!(
            (report.verified, report.failures.len()),
            (verified_images, failures)
        );
    }
}

#[tokio::test]
async fn each_image_is_in_the_sample_of_one_day() {
    let images = MemoryImages::default();
    for _ in 0..20 {
        images.insert(active_image(&DATA), Some(DATA));
    }
    let images = Arc::new(images);
    let ctx = RunContext::silent();
    let mut verified = 0;
    for day in 20_000..20_004 {
        let mut options = VerifyOptions::new(VerifyBy::Reading);
        options.sample = Some("25%".parse::<Sample>().unwrap().on(day));
        let (all, ids) = (Selection::default(), TargetIds::new());
        let end = Arc::clone(&images);
        let report = verify(&ctx, end.clone(), end, &all, ids, options).await;
        let report = report.unwrap();
        assert_eq!((report.failures.len(), report.missing.len()), (0, 0));
        verified += report.verified;
    }
    assert_eq!(verified, 20);
}

#[tokio::test]
async fn what_the_target_lacks_is_named() {
    let image = active_image(&DATA);
    let report = verified(
        one(&image),
        MemoryImages::default(),
        TargetIds::new(),
        VerifyBy::Stated,
    )
    .await;
    assert_eq!(report.missing, [ImageRef::from(&image)]);
    assert_eq!((report.verified, report.failures.len()), (0, 0));
}

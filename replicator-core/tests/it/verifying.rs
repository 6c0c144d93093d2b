//! The comparison of the content of two ends.

use bytes::Bytes;
use glance_model::ImageMetadata;
use replicator_core::testing::{Faulty, MemoryImages, active_image};
use replicator_core::{ImageRef, TargetIds, VerifyBy};

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

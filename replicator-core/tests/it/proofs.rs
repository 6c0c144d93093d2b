//! Wrong data never becomes an image: wrong bytes, a wrong length, another format.

use bytes::Bytes;
use glance_model::{ImageMetadata, ImageStatus, TargetForm};
use replicator_core::testing::{Faults, Faulty, MemoryImages, active_image};
use replicator_core::{ImageError, ImageTarget as _, Outcome, Proof, Verify, Wrong};

use crate::kit::{assert_same, data, faults, livecopy, livecopy_with, quick, source};

#[tokio::test]
async fn a_wrong_byte_never_becomes_an_image() {
    for at in [0, 50_000, 99_999] {
        let (_, source) = source(&[100_000], faults(|f| f.flipped_byte = Some(at)));
        let target = MemoryImages::default();
        let report = livecopy(source, target.clone()).await;
        let (_, error) = report.failures().next().unwrap();
        assert!(
            matches!(error, ImageError::Content(Wrong::SourceDigest { .. })),
            "{error:?}"
        );
        assert!(error.is_of_content());
        let left: Vec<ImageMetadata> = target.all();
        assert!(left.iter().all(|image| image.status == ImageStatus::Queued));
        // The record is good for the next try.
        let again = MemoryImages::default();
        let mut image = left[0].clone();
        (image.status, image.size) = (ImageStatus::Active, Some(100_000));
        again.insert(image, Some(data(100_000)));
        assert_eq!(livecopy(again.clone(), target.clone()).await.copied(), 1);
        assert_same(&again, &target);
    }
}

#[tokio::test]
async fn data_of_another_length_than_stated_never_becomes_an_image() {
    for stated in [99_999_u64, 100_001] {
        let images = MemoryImages::default();
        let mut image = active_image(&data(100_000));
        (image.size, image.checksum) = (Some(stated), None);
        images.insert(image, Some(data(100_000)));
        let target = MemoryImages::default();
        let report = livecopy(images, target.clone()).await;
        let (_, error) = report.failures().next().unwrap();
        assert!(
            matches!(error, ImageError::Content(Wrong::Length { .. })),
            "{error:?}"
        );
        assert!(target.all().iter().all(|image| !image.is_active()));
    }
}

#[tokio::test]
async fn data_that_the_target_would_refuse_is_not_sent() {
    for (form, fails) in [
        (TargetForm::V2 { hidden: true }, true),
        (TargetForm::V2 { hidden: false }, false),
        (TargetForm::V1, false),
        (TargetForm::Whole, false),
    ] {
        let images = MemoryImages::default();
        let mut image = active_image(b"no qcow2");
        image.disk_format = Some("qcow2".into());
        images.insert(image, Some("no qcow2".into()));
        let target = MemoryImages::default().with_form(form);
        let report = livecopy(images, target.clone()).await;
        assert_eq!(report.failures().count(), usize::from(fails), "{form:?}");
        if fails {
            let (_, error) = report.failures().next().unwrap();
            assert!(matches!(error, ImageError::Refused(_)), "{error:?}");
            // The record was made ready before the data was opened; it takes data still.
            let Outcome::Failed { left_behind, .. } =
                report.failures().next().unwrap().0.outcome.clone()
            else {
                panic!("{report:?}");
            };
            let left = left_behind.as_deref();
            assert_eq!(left, target.all().first());
            assert_eq!(left.unwrap().status, ImageStatus::Queued);
        }
    }
}

#[tokio::test]
async fn wrong_bytes_that_were_kept_are_not_kept_for_ever() {
    for kept in [&b"wrong bytes"[..], &[0; 10_000], &[0; 20_000]] {
        let (images, source) = source(&[10_000], Faults::default());
        let target = MemoryImages::default();
        let image = images.all().remove(0);
        target.create_record(&image).await.unwrap();
        let kept = faults(|f| f.kept = Some(Bytes::copy_from_slice(kept)));
        let report = livecopy(source, Faulty::new(target.clone(), kept)).await;
        assert_eq!(report.copied(), 1, "{report:?}");
        assert_same(&images, &target);
    }
}

#[tokio::test]
async fn how_a_copy_is_verified_is_chosen() {
    struct Case {
        verify: Verify,
        flipped_at_source: bool,
        flipped_on_read_back: bool,
        outcome: Result<Proof, &'static str>,
    }
    let cases = [
        (Verify::Full, false, false, Ok(Proof::Verified)),
        (Verify::Full, false, true, Ok(Proof::Verified)),
        (Verify::Full, true, false, Err("SourceDigest")),
        (Verify::Target, false, false, Ok(Proof::Verified)),
        (Verify::Target, true, false, Err("TargetDiffers")),
        (Verify::ReadBack, false, false, Ok(Proof::Verified)),
        (Verify::ReadBack, false, true, Err("ReadBack")),
        (Verify::None, false, false, Ok(Proof::Unverifiable)),
        (Verify::None, true, false, Ok(Proof::Unverifiable)),
    ]
    .map(
        |(verify, flipped_at_source, flipped_on_read_back, outcome)| Case {
            verify,
            flipped_at_source,
            flipped_on_read_back,
            outcome,
        },
    );
    for case in cases {
        let flip = |yes: bool| faults(|f| f.flipped_byte = yes.then_some(500));
        let (_, source) = source(&[10_000], flip(case.flipped_at_source));
        let target = Faulty::new(MemoryImages::default(), flip(case.flipped_on_read_back));
        let mut options = quick();
        options.policy.verify = case.verify;
        let report = livecopy_with(&options, source, target).await;
        let name = format!(
            "{:?} {} {}",
            case.verify, case.flipped_at_source, case.flipped_on_read_back
        );
        let outcomes = report.results.iter().map(|result| result.outcome);
        match (case.outcome, &outcomes.collect::<Vec<_>>()[..]) {
            (Ok(wanted), [Outcome::Copied { proof, .. }]) => {
                assert_eq!(*proof, wanted, "{name}");
            }
            (Err(wanted), [Outcome::Failed { error, .. }]) => {
                let error = format!("{error:?}");
                assert!(
                    error.starts_with(&format!("Content({wanted}")),
                    "{name}: {error}"
                );
            }
            _ => panic!("{name}: {report:?}"),
        }
    }
}

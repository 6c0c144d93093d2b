//! Copies that go wrong: read on, tried again, given up; the other images go on.

use replicator_core::testing::{Faults, Faulty, MemoryImages, active_image};
use replicator_core::{ImageError, Outcome, Proof};

use crate::kit::{assert_same, faults, livecopy, source};

#[tokio::test]
async fn a_source_that_breaks_off_is_read_on_within_one_upload() {
    for no_range in [false, true] {
        let (images, source) = source(
            &[100_000],
            faults(|f| {
                f.broken_reads = (20_000, 4);
                f.no_range = no_range;
            }),
        );
        let target = MemoryImages::default();
        let report = livecopy(source, target.clone()).await;
        let [result] = &report.results.iter().collect::<Vec<_>>()[..] else {
            panic!("no_range {no_range}: {report:?}")
        };
        let Outcome::Copied { total_bytes, proof } = result.outcome else {
            panic!("no_range {no_range}: {report:?}")
        };
        assert_eq!((total_bytes, proof), (100_000, Proof::Verified));
        assert_same(&images, &target);
    }
}

#[tokio::test]
async fn one_bad_image_does_not_stop_the_others() {
    let lens: Vec<usize> = (1..=20).map(|n| n * 100).collect();
    let (images, _) = source(&lens, Faults::default());
    let bad = images.all()[7].id;
    let source = Faulty::new(images, faults(|f| f.unreadable = Some(bad)));
    let target = MemoryImages::default();
    let report = livecopy(source, target.clone()).await;
    assert_eq!(report.copied(), 19);
    assert_eq!(report.failures().count(), 1);
    assert_eq!(report.failures().next().unwrap().0.image.id, bad.as_str());
}

#[tokio::test]
async fn a_write_that_fails_is_repeated_and_one_that_was_stored_is_not() {
    for fault in [
        faults(|f| f.failed_writes = 2),
        faults(|f| f.lost_answers = 1),
    ] {
        let (images, source) = source(&[10_000], Faults::default());
        let target = MemoryImages::default();
        let report = livecopy(source, Faulty::new(target.clone(), fault)).await;
        assert!(report.failures().next().is_none(), "{report:?}");
        assert_eq!(report.copied(), 1);
        assert_same(&images, &target);
    }
}

#[tokio::test]
async fn what_never_works_is_given_up_after_the_retries() {
    let (_, source) = source(&[10], Faults::default());
    let never = faults(|f| f.failed_writes = u32::MAX);
    let report = livecopy(source, Faulty::new(MemoryImages::default(), never)).await;
    let (_, error) = report.failures().next().unwrap();
    assert!(matches!(error, ImageError::Target(_)), "{error:?}");
}

#[tokio::test]
async fn data_that_the_source_lost_is_a_failure() {
    let images = MemoryImages::default();
    images.insert(active_image(b"lost"), None);
    let report = livecopy(images, MemoryImages::default()).await;
    assert!(matches!(
        report.failures().next(),
        Some((_, ImageError::DataLost))
    ));
}

#[tokio::test]
async fn a_target_that_has_yet_to_notice_a_broken_upload_is_waited_for() {
    for (still_saving, is_copied) in [(2, true), (u32::MAX, false)] {
        let (images, source) = source(&[10_000], Faults::default());
        let target = MemoryImages::default();
        let slow = faults(|f| {
            f.failed_writes = 1;
            f.still_saving = still_saving;
        });
        let report = livecopy(source, Faulty::new(target.clone(), slow)).await;
        assert_eq!(report.copied(), u64::from(is_copied), "{report:?}");
        if is_copied {
            assert_same(&images, &target);
        } else {
            let (_, error) = report.failures().next().unwrap();
            assert!(matches!(error, ImageError::StillSaving), "{error:?}");
        }
    }
}

//! What becomes of images whose copying goes wrong.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use glance_model::{ImageId, ImageMetadata, ImageStatus, MetadataDiff, Selection, TargetForm};
use replicator_core::testing::{Faults, Faulty, MemoryImages, Setup, active_image};
use replicator_core::{
    Event, EventSink, ImageData, ImageError, ImageSource, ImageStream, ImageTarget, Nature,
    Outcome, PortError, Proof, Report, RetryPolicy, RunContext, Verify, Wrong,
};

fn quick() -> Setup {
    let mut retry = RetryPolicy::default();
    retry.first_delay = Duration::from_millis(1);
    retry.notice_time = Duration::from_millis(100);
    let mut options = Setup::default();
    options.run.retry = retry;
    options
}

async fn livecopy(
    source: impl ImageSource + 'static,
    target: impl ImageTarget + 'static,
) -> Report {
    livecopy_with(&quick(), source, target).await
}

async fn livecopy_with(
    options: &Setup,
    source: impl ImageSource + 'static,
    target: impl ImageTarget + 'static,
) -> Report {
    let ctx = RunContext::silent();
    let (source, target) = (Arc::new(source), Arc::new(target));
    options.replicate(&ctx, source, target).await.unwrap()
}

fn data(len: usize) -> Bytes {
    (0..len).map(|n| (n % 251) as u8).collect()
}

/// Images of that many bytes, and the faults with which they are read.
fn source(lens: &[usize], faults: Faults) -> (MemoryImages, Faulty<MemoryImages>) {
    let images = MemoryImages::default();
    for len in lens {
        let data = data(*len);
        images.insert(active_image(&data), Some(data));
    }
    (images.clone(), Faulty::new(images, faults))
}

fn faults(change: impl FnOnce(&mut Faults)) -> Faults {
    let mut faults = Faults::default();
    change(&mut faults);
    faults
}

fn assert_same(source: &MemoryImages, target: &MemoryImages) {
    for image in source.all() {
        let (from, to) = (source.data(&image.id), target.data(&image.id));
        assert!(from.is_some() && from == to, "{}", image.id);
    }
}

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
        let [result] = &report.results[..] else {
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
        let (again, source) = self::source(&[], Faults::default());
        let mut image = left[0].clone();
        (image.status, image.size) = (ImageStatus::Active, Some(100_000));
        again.insert(image, Some(data(100_000)));
        assert_eq!(livecopy(source, target.clone()).await.copied(), 1);
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
async fn the_largest_image_of_those_that_are_ready_goes_first() {
    struct Started(Mutex<Vec<u64>>);
    impl EventSink for Started {
        fn emit(&self, event: Event) {
            if let Event::TransferStarted { total_bytes, .. } = event {
                self.0.lock().unwrap().push(total_bytes);
            }
        }
    }
    let started = Arc::new(Started(Mutex::default()));
    let ctx = RunContext::new(started.clone());
    let (_, source) = source(&[10, 1000, 100], Faults::default());
    let target = MemoryImages::default();
    let mut options = quick();
    options.run.transfers = 1.try_into().unwrap();
    let (source, target) = (Arc::new(source), Arc::new(target));
    let planned = options.plan(&ctx, &*source, target.clone()).await.unwrap();
    assert_eq!(planned.total_bytes(), 1110);
    options.run_plan(&ctx, source, target, planned).await;
    assert_eq!(*started.0.lock().unwrap(), [1000, 100, 10]);
}

/// The records of a target, in the order in which they were made.
#[derive(Debug)]
struct Creations(MemoryImages, Mutex<Vec<ImageId>>);

impl fmt::Display for Creations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ImageSource for Creations {
    fn images(&self, wanted: &Selection) -> ImageStream {
        self.0.images(wanted)
    }

    async fn image_data(&self, id: &ImageId, at: u64) -> Result<Option<ImageData>, PortError> {
        self.0.image_data(id, at).await
    }
}

#[async_trait]
impl ImageTarget for Creations {
    fn nature(&self) -> Nature {
        self.0.nature()
    }

    async fn find_image(&self, id: &ImageId) -> Result<Option<ImageMetadata>, PortError> {
        self.0.find_image(id).await
    }

    async fn partial_data(&self, image: &ImageMetadata) -> Result<Option<ImageData>, PortError> {
        self.0.partial_data(image).await
    }

    async fn prepare_record(
        &self,
        image: &ImageMetadata,
        existing: Option<&ImageMetadata>,
    ) -> Result<Option<ImageMetadata>, PortError> {
        // A server that is slower for one than for another.
        let millis = u64::from(image.id.as_str().as_bytes()[0] % 7);
        tokio::time::sleep(Duration::from_millis(millis)).await;
        self.1.lock().unwrap().push(image.id);
        self.0.prepare_record(image, existing).await
    }

    async fn write_image(
        &self,
        image: &ImageMetadata,
        existing: Option<&ImageMetadata>,
        data: ImageData,
    ) -> Result<ImageMetadata, PortError> {
        assert!(existing.is_some(), "it was made ready");
        self.0.write_image(image, existing, data).await
    }

    async fn create_record(&self, image: &ImageMetadata) -> Result<(), PortError> {
        self.0.create_record(image).await
    }

    async fn update_metadata(
        &self,
        current: &ImageMetadata,
        diff: &MetadataDiff,
    ) -> Result<ImageMetadata, PortError> {
        self.0.update_metadata(current, diff).await
    }
}

#[tokio::test]
async fn records_are_made_in_the_order_in_which_the_source_has_created_them() {
    for transfers in [1, 4, 64] {
        let images = MemoryImages::default();
        for n in 0..30_u8 {
            let data = Bytes::from(vec![n; 1000 * usize::from(n % 5)]);
            let mut image = active_image(&data);
            // Two of each second, and one of which nothing is known.
            let second = 10 + n / 2;
            image.created_at = (n > 0).then(|| format!("2026-01-01T00:00:{second}Z"));
            images.insert(image, Some(data));
        }
        let mut wanted = images.all();
        wanted.sort_by_key(|image| (image.created_at.is_none(), image.created_at.clone()));
        let wanted: Vec<ImageId> = wanted.into_iter().map(|image| image.id).collect();
        let mut options = quick();
        options.run.transfers = transfers.try_into().unwrap();
        let target = Arc::new(Creations(MemoryImages::default(), Mutex::default()));
        let (ctx, source) = (RunContext::silent(), Arc::new(images.clone()));
        let report = options.replicate(&ctx, source, target.clone()).await;
        assert_eq!(report.unwrap().copied(), 30);
        assert_eq!(*target.1.lock().unwrap(), wanted, "{transfers}");
    }
}

#[tokio::test]
async fn a_run_that_ends_early_leaves_few_records_without_data() {
    struct CancelAtFirst(Mutex<Option<RunContext>>);
    impl EventSink for CancelAtFirst {
        fn emit(&self, event: Event) {
            if matches!(event, Event::TransferStarted { .. }) {
                self.0.lock().unwrap().as_ref().unwrap().cancel();
            }
        }
    }
    let sink = Arc::new(CancelAtFirst(Mutex::default()));
    let ctx = RunContext::new(sink.clone());
    *sink.0.lock().unwrap() = Some(ctx.clone());
    let (_, source) = source(&[100; 200], Faults::default());
    let (target, options) = (MemoryImages::default(), quick());
    let (source, to) = (Arc::new(source), Arc::new(target.clone()));
    let report = options.replicate(&ctx, source, to).await.unwrap();
    assert!(report.not_done() > 180);
    let made = target.all().len();
    assert!((1..=12).contains(&made), "{made}");
}

#[tokio::test]
async fn a_cancelled_run_says_what_it_has_not_done() {
    struct CancelAtFirst(Mutex<Option<RunContext>>);
    impl EventSink for CancelAtFirst {
        fn emit(&self, event: Event) {
            if let Event::Transferred { .. } = event
                && let Some(ctx) = self.0.lock().unwrap().take()
            {
                ctx.cancel();
            }
        }
    }
    let sink = Arc::new(CancelAtFirst(Mutex::new(None)));
    let ctx = RunContext::new(sink.clone());
    *sink.0.lock().unwrap() = Some(ctx.clone());
    let (images, source) = source(&[10_000; 8], Faults::default());
    let target = MemoryImages::default();
    let options = quick();
    let (source, to) = (Arc::new(source), Arc::new(target.clone()));
    let report = options.replicate(&ctx, source, to).await.unwrap();
    assert_eq!(report.copied() + report.not_done(), 8);
    assert!(
        report.not_done() > 0 && report.failures().next().is_none(),
        "{report:?}"
    );
    assert!(
        target.all().iter().all(|image| {
            !image.is_active() || target.data(&image.id) == images.data(&image.id)
        })
    );
    // The next run finishes.
    assert_eq!(
        livecopy(images.clone(), target.clone()).await.copied(),
        report.not_done()
    );
    assert_same(&images, &target);
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
            let Outcome::Failed { left_behind, .. } = &report.results[0].outcome else {
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
        let outcomes = report.results.iter().map(|result| &result.outcome);
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

#[tokio::test]
async fn an_image_is_proven_on_the_stage_before_v1_gets_a_byte_of_it() {
    let stage = MemoryImages::default().with_form(TargetForm::Whole);
    let mut options = quick();
    options.stage = Some(Arc::new(stage.clone()));
    for (form, flipped, staged_for) in [
        (TargetForm::V1, Some(500), true),
        (TargetForm::V1, None, true),
        (TargetForm::V2 { hidden: true }, None, false),
    ] {
        let (images, source) = source(&[10_000], faults(|f| f.flipped_byte = flipped));
        let target = MemoryImages::default().with_form(form);
        let report = livecopy_with(&options, source, target.clone()).await;
        if flipped.is_some() {
            assert_eq!(target.all(), [], "nothing was sent");
            assert!(report.failures().next().unwrap().1.is_of_content());
            continue;
        }
        assert_eq!(report.copied(), 1, "{report:?}");
        assert_same(&images, &target);
        let left = stage
            .all()
            .iter()
            .any(|staged| staged.id == images.all()[0].id);
        assert!(!left, "staged: {staged_for}");
    }
}

#[tokio::test]
async fn what_is_staged_already_is_not_read_from_the_source_again() {
    let (images, _) = source(&[10_000], Faults::default());
    let image = images.all().remove(0);
    let stage = MemoryImages::default().with_form(TargetForm::Whole);
    stage.insert(image.clone(), images.data(&image.id));
    let mut options = quick();
    options.stage = Some(Arc::new(stage));
    let unreadable = Faulty::new(images.clone(), faults(|f| f.unreadable = Some(image.id)));
    let target = MemoryImages::default().with_form(TargetForm::V1);
    let report = livecopy_with(&options, unreadable, target.clone()).await;
    assert_eq!(report.copied(), 1, "{report:?}");
    assert_same(&images, &target);
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

#[tokio::test]
async fn what_was_sent_already_does_not_stay_on_the_stage() {
    let (images, _) = source(&[10_000, 20_000], Faults::default());
    let (sent, other) = (images.all().remove(0), images.all().remove(1));
    let stage = MemoryImages::default().with_form(TargetForm::Whole);
    let target = MemoryImages::default().with_form(TargetForm::V1);
    target.insert(sent.clone(), images.data(&sent.id));
    stage.insert(sent.clone(), images.data(&sent.id));
    // Of no image that this run knows: it may be another run's.
    let mut foreign = other.clone();
    foreign.id = ImageId::parse("ffffffff-0000-4000-8000-000000000000").unwrap();
    stage.insert(foreign.clone(), images.data(&other.id));
    let mut options = quick();
    options.stage = Some(Arc::new(stage.clone()));
    let report = livecopy_with(&options, images.clone(), target.clone()).await;
    assert_eq!(report.copied(), 1, "{report:?}");
    assert_same(&images, &target);
    let left: Vec<ImageId> = stage.all().into_iter().map(|image| image.id).collect();
    assert_eq!(left, [foreign.id]);
}

//! In which order images are made ready and copied, and what a run that ends early leaves.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use glance_model::{ImageId, ImageMetadata, MetadataDiff, Selection};
use replicator_core::testing::{Faults, MemoryImages, active_image};
use replicator_core::{
    Event, EventSink, ImageData, ImageSource, ImageStream, ImageTarget, Nature, PortError,
    RunContext,
};

use crate::kit::{assert_same, livecopy, quick, source};

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

    async fn delete_image(&self, image: &ImageMetadata) -> Result<(), PortError> {
        self.0.delete_image(image).await
    }
}

/// Images of a second each in the source, and one of which nothing is known. Those of one remainder
/// share a name or a tag, if there are such.
fn created(groups: u8, by_tag: bool) -> MemoryImages {
    let images = MemoryImages::default();
    for n in 0..30_u8 {
        let len = if n % 3 == 0 { 1 << 20 } else { 1000 };
        let data = Bytes::from(vec![n; len + usize::from(n % 5)]);
        let mut image = active_image(&data);
        // Two of each second, and one of which nothing is known.
        let second = 10 + n / 2;
        image.created_at = (n > 0).then(|| format!("2026-01-01T00:00:{second}Z"));
        let group = format!("group {}", n % groups);
        match by_tag {
            true => drop(image.tags.insert(group)),
            false => image.name = Some(group),
        }
        images.insert(image, Some(data));
    }
    images
}

/// Copies images, and returns the ids of the records in the order in which they were made, beside
/// that in which the source has made them.
async fn made(images: &MemoryImages, transfers: usize) -> [Vec<ImageId>; 2] {
    let mut wanted = images.all();
    wanted.sort_by_key(|image| (image.created_at.is_none(), image.created_at.clone()));
    let mut options = quick();
    options.run.transfers = transfers.try_into().unwrap();
    let target = Arc::new(Creations(MemoryImages::default(), Mutex::default()));
    let (ctx, source) = (RunContext::silent(), Arc::new(images.clone()));
    let report = options.replicate(&ctx, source, target.clone()).await;
    assert_eq!(report.unwrap().copied(), 30);
    let found = target.1.lock().unwrap().clone();
    [found, wanted.into_iter().map(|image| image.id).collect()]
}

#[tokio::test(start_paused = true)]
async fn records_of_one_name_or_tag_are_made_in_the_order_in_which_the_source_has_created_them() {
    for (transfers, groups, by_tag) in [(1, 30, false), (4, 1, false), (64, 1, true), (4, 3, true)]
    {
        let images = created(groups, by_tag);
        let [found, wanted] = made(&images, transfers).await;
        let group_of = |id: &ImageId| {
            let image = images
                .all()
                .into_iter()
                .find(|image| image.id == *id)
                .unwrap();
            image.name.or(image.tags.into_iter().next()).unwrap()
        };
        // One at a time is in order, of whatever name.
        let places = if transfers == 1 { 1 } else { groups };
        for place in 0..places {
            let group = format!("group {place}");
            let is_of = |id: &&ImageId| transfers == 1 || group_of(id) == group;
            let of_group = |ids: &[ImageId]| ids.iter().filter(is_of).copied().collect::<Vec<_>>();
            assert_eq!(of_group(&found), of_group(&wanted), "{transfers} {group}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn records_that_share_no_name_and_no_tag_are_made_side_by_side() {
    let begun = tokio::time::Instant::now();
    made(&created(1, false), 4).await;
    assert!(begun.elapsed() >= Duration::from_secs(14), "a second apart");
    let begun = tokio::time::Instant::now();
    made(&created(30, false), 4).await;
    // Each takes the target up to 6 ms.
    assert!(
        begun.elapsed() < Duration::from_millis(60),
        "{:?}",
        begun.elapsed()
    );
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

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

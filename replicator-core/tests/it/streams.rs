//! A large image that is read over several connections at once.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use replicator_core::testing::{Faults, Faulty, MemoryImages, active_image};
use replicator_core::{Event, EventSink, Report, RunContext};

use crate::kit::{assert_same, quick};

const MIB: usize = 1 << 20;

/// The number of times that it was told that the source gives no parts.
#[derive(Default)]
struct Told(Mutex<u32>);

impl EventSink for Told {
    fn emit(&self, event: Event) {
        if let Event::NoParts = event {
            *self.0.lock().unwrap() += 1;
        }
    }
}

/// Images of these many MiB, whose bytes all differ from those a few MiB away.
fn images(mib: &[usize]) -> MemoryImages {
    let images = MemoryImages::default();
    for mib in mib {
        let block = (0..=250_u8).cycle();
        let data: Bytes = block.take(mib * MIB + 77).collect();
        images.insert(active_image(&data), Some(data));
    }
    images
}

struct Run {
    report: Report,
    target: MemoryImages,
    opened: u32,
    told: u32,
}

async fn run(images: &MemoryImages, faults: Faults, streams: usize) -> Run {
    let told = Arc::new(Told::default());
    let ctx = RunContext::new(told.clone());
    let source = Arc::new(Faulty::new(images.clone(), faults));
    let target = MemoryImages::default();
    let mut options = quick();
    options.run.streams = streams.try_into().unwrap();
    let to = Arc::new(target.clone());
    let report = options.replicate(&ctx, source.clone(), to).await.unwrap();
    let told = *told.0.lock().unwrap();
    Run {
        report,
        target,
        opened: source.opened(),
        told,
    }
}

#[tokio::test]
async fn a_large_image_is_read_in_parts_and_arrives_in_order() {
    let images = images(&[3, 15, 20, 41]);
    for (streams, opened) in [(1, 4), (2, 2 + 3 + 6), (4, 2 + 3 + 6), (16, 2 + 11 + 21)] {
        let ran = run(&images, Faults::default(), streams).await;
        assert_eq!((ran.report.copied(), ran.told), (4, 0), "{streams}");
        assert_same(&images, &ran.target);
        assert_eq!(ran.opened, opened, "{streams}");
    }
}

#[tokio::test]
async fn a_part_that_breaks_off_goes_on_at_the_byte_reached() {
    let images = images(&[41]);
    let mut faults = Faults::default();
    faults.broken_reads = (100_000, 12);
    let ran = run(&images, faults, 4).await;
    assert_eq!(ran.report.copied(), 1, "{:?}", ran.report);
    assert_same(&images, &ran.target);
    assert_eq!(
        ran.opened,
        6 + 12,
        "each is asked for once more, and no other"
    );
}

#[tokio::test]
async fn a_part_that_never_comes_fails_as_an_image_does_that_never_comes() {
    let images = images(&[41]);
    let mut faults = Faults::default();
    faults.broken_reads = (0, u32::MAX);
    let ran = run(&images, faults, 4).await;
    assert_eq!(ran.report.failures().count(), 1, "{:?}", ran.report);
    assert!(ran.target.all().iter().all(|image| !image.is_active()));
}

#[tokio::test]
async fn a_wrong_byte_of_a_part_never_becomes_an_image() {
    let images = images(&[41]);
    let mut faults = Faults::default();
    faults.flipped_byte = Some(30 << 20);
    let ran = run(&images, faults, 4).await;
    assert_eq!(ran.report.copied(), 0, "{:?}", ran.report);
    assert!(ran.target.all().iter().all(|image| !image.is_active()));
}

#[tokio::test]
async fn a_source_that_gives_no_parts_is_read_over_one_connection_and_told_once() {
    let images = images(&[20, 30, 41]);
    let mut faults = Faults::default();
    faults.no_range = true;
    let ran = run(&images, faults, 4).await;
    assert_eq!((ran.report.copied(), ran.told), (3, 1));
    assert_same(&images, &ran.target);
    assert_eq!(ran.opened, 3, "nothing is asked for twice");
}

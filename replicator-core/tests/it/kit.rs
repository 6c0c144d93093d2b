//! The kit of the tests: images, ends that fail as they are told, and runs that do not wait long.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use glance_model::{Omit, Selection, View};
use replicator_core::testing::{Faults, Faulty, MemoryImages, Setup, active_image};
use replicator_core::{
    Compared, ImageSource, ImageTarget, Report, RunContext, TargetIds, VerifyBy, VerifyOptions,
    VerifyReport, compare, verify,
};

/// Options with which a failure is noticed, and tried again, at once.
pub(crate) fn quick() -> Setup {
    let mut options = Setup::default();
    options.run.retry.first_delay = Duration::from_millis(1);
    options.run.retry.notice_time = Duration::from_millis(100);
    options
}

/// Replicates from one end to the other.
pub(crate) async fn livecopy(
    source: impl ImageSource + 'static,
    target: impl ImageTarget + 'static,
) -> Report {
    livecopy_with(&quick(), source, target).await
}

/// Replicates with these options.
pub(crate) async fn livecopy_with(
    options: &Setup,
    source: impl ImageSource + 'static,
    target: impl ImageTarget + 'static,
) -> Report {
    let ctx = RunContext::silent();
    let (source, target) = (Arc::new(source), Arc::new(target));
    options.replicate(&ctx, source, target).await.unwrap()
}

/// The differences between two ends, where some images go by other ids at the target.
pub(crate) async fn differences(
    source: &MemoryImages,
    target: &MemoryImages,
    ids: TargetIds,
) -> Vec<Compared> {
    let (ctx, all) = (RunContext::silent(), Selection::default());
    let view = View::new(Omit::default(), target.nature().form);
    let mut differences = compare(&ctx, source, target, &all, view, ids);
    let mut found = Vec::new();
    while let Some(one) = differences.next().await.unwrap() {
        found.push(one);
    }
    found
}

/// Verifies the content of two ends, where some images go by other ids at the target.
pub(crate) async fn verified(
    source: impl ImageSource + 'static,
    target: impl ImageSource + 'static,
    ids: TargetIds,
    by: VerifyBy,
) -> VerifyReport {
    let (source, target) = (Arc::new(source), Arc::new(target));
    let all = Selection::default();
    let mut options = VerifyOptions::new(by);
    options.transfers = 2.try_into().unwrap();
    let ctx = RunContext::silent();
    let report = verify(&ctx, source, target, &all, ids, options).await;
    report.unwrap()
}

/// Image data of this length.
pub(crate) fn data(len: usize) -> Bytes {
    (0..len).map(|n| (n % 251) as u8).collect()
}

/// Active images of these lengths.
pub(crate) fn images(lens: &[usize]) -> MemoryImages {
    let images = MemoryImages::default();
    for len in lens {
        let data = data(*len);
        images.insert(active_image(&data), Some(data));
    }
    images
}

/// Active images of these lengths, and the end that reads them with these faults.
pub(crate) fn source(lens: &[usize], faults: Faults) -> (MemoryImages, Faulty<MemoryImages>) {
    let images = images(lens);
    (images.clone(), Faulty::new(images, faults))
}

/// Faults, of which some are set.
pub(crate) fn faults(change: impl FnOnce(&mut Faults)) -> Faults {
    let mut faults = Faults::default();
    change(&mut faults);
    faults
}

/// Fails unless the target has the data of each image of the source.
#[track_caller]
pub(crate) fn assert_same(source: &MemoryImages, target: &MemoryImages) {
    for image in source.all() {
        let (from, to) = (source.data(&image.id), target.data(&image.id));
        assert!(from.is_some() && from == to, "{}", image.id);
    }
}

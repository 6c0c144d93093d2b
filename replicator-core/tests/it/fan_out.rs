//! One source, several targets.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::sync::Arc;

use glance_model::{ImageStatus, TargetForm};
use replicator_core::testing::{Faults, Faulty, MemoryImages, Setup};
use replicator_core::{
    ImageError, ImageSource, ImageTarget, Report, RunContext, TargetEnd, TargetRun, Wrong, plan,
    replicate,
};

use crate::kit::{assert_same, faults, images, quick};

const LEN: usize = 200_000;

async fn planned(
    ctx: &RunContext,
    options: &Setup,
    source: &dyn ImageSource,
    targets: Vec<Arc<dyn ImageTarget>>,
) -> Vec<TargetRun> {
    let ends = targets.into_iter().map(|target| options.end(ctx, target));
    let ends: Vec<TargetEnd> = ends.collect();
    let plans = plan(source, &options.selection, &ends, &options.run).await;
    let runs = ends.into_iter().zip(plans);
    runs.map(|(end, plan)| TargetRun::new(end, plan.unwrap()))
        .collect()
}

/// Copies to all targets; returns the reports, and how many times the source was opened.
async fn livecopy(
    source: &MemoryImages,
    faults: Faults,
    targets: Vec<Arc<dyn ImageTarget>>,
) -> (Vec<Report>, u32) {
    let (ctx, options) = (RunContext::silent(), quick());
    let source = Arc::new(Faulty::new(source.clone(), faults));
    let runs = planned(&ctx, &options, &*source, targets).await;
    let reports = replicate(&ctx, source.clone(), runs, &options.run).await;
    let opened = source.opened();
    (reports, opened)
}

fn faulty(images: &MemoryImages, change: impl FnOnce(&mut Faults)) -> Arc<dyn ImageTarget> {
    Arc::new(Faulty::new(images.clone(), faults(change)))
}

#[tokio::test]
async fn an_image_that_several_targets_lack_is_read_once_and_proven_at_each() {
    let source = images(&[LEN; 5]);
    let targets = [(); 3].map(|()| MemoryImages::default());
    let ports = targets.iter().map(|target| Arc::new(target.clone()) as _);
    let (reports, opened) = livecopy(&source, Faults::default(), ports.collect()).await;
    assert_eq!(opened, 5);
    for (report, target) in reports.iter().zip(&targets) {
        assert_eq!(report.copied(), 5, "{report:?}");
        assert_eq!(report.unverified(), 0);
        assert_same(&source, target);
    }
}

#[tokio::test]
async fn only_what_a_target_lacks_is_sent_there() {
    let source = images(&[LEN; 4]);
    let targets = [(); 2].map(|()| MemoryImages::default());
    let there = source.all()[0].clone();
    targets[1].insert(there.clone(), source.data(&there.id));
    let ports = targets.iter().map(|target| Arc::new(target.clone()) as _);
    let (reports, opened) = livecopy(&source, Faults::default(), ports.collect()).await;
    let copied: Vec<u64> = reports.iter().map(Report::copied).collect();
    assert_eq!((copied, opened), (vec![4, 3], 4));
    assert_eq!(reports[1].unchanged(), 1);
}

#[tokio::test]
async fn a_target_that_fails_is_tried_again_alone_and_the_others_do_not_notice() {
    let source = images(&[LEN; 1]);
    let targets = [(); 3].map(|()| MemoryImages::default());
    let ports = vec![
        Arc::new(targets[0].clone()) as _,
        faulty(&targets[1], |faults| faults.failed_writes = 1),
        faulty(&targets[2], |faults| faults.failed_writes = u32::MAX),
    ];
    let (reports, opened) = livecopy(&source, Faults::default(), ports).await;
    assert_eq!((reports[0].copied(), reports[1].copied()), (1, 1));
    assert_eq!(reports[2].failures().count(), 1);
    let retries = quick().run.retry.retries;
    assert_eq!(
        opened,
        1 + 1 + retries,
        "once for all, then for those that failed"
    );
    assert_same(&source, &targets[1]);
}

#[tokio::test]
async fn wrong_data_from_the_source_becomes_an_image_at_none() {
    let source = images(&[LEN; 1]);
    let targets = [(); 2].map(|()| MemoryImages::default());
    let ports = targets.iter().map(|target| Arc::new(target.clone()) as _);
    let last_byte = faults(|f| f.flipped_byte = Some(LEN as u64 - 1));
    let (reports, _) = livecopy(&source, last_byte, ports.collect()).await;
    for (report, target) in reports.iter().zip(&targets) {
        let (_, error) = report.failures().next().unwrap();
        assert!(
            matches!(error, ImageError::Content(Wrong::SourceDigest { .. })),
            "{error:?}"
        );
        assert!(
            target
                .all()
                .iter()
                .all(|image| image.status == ImageStatus::Queued)
        );
    }
}

#[tokio::test]
async fn targets_of_different_forms_get_their_own_data() {
    let source = images(&[LEN; 2]);
    let v1 = MemoryImages::default().with_form(TargetForm::V1);
    let v2 = [(); 2].map(|()| MemoryImages::default());
    let ports = vec![
        Arc::new(v2[0].clone()) as _,
        Arc::new(v1.clone()) as _,
        Arc::new(v2[1].clone()) as _,
    ];
    let (reports, opened) = livecopy(&source, Faults::default(), ports).await;
    assert!(reports.iter().all(|report| report.copied() == 2));
    assert_eq!(opened, 4);
    assert_same(&source, &v1);
}

#[tokio::test]
async fn a_cancelled_run_says_of_each_target_what_it_has_not_done() {
    let source = images(&[LEN; 3]);
    let (ctx, options) = (RunContext::silent(), quick());
    let targets = [(); 2].map(|()| Arc::new(MemoryImages::default()) as Arc<dyn ImageTarget>);
    let runs = planned(&ctx, &options, &source, targets.to_vec()).await;
    ctx.cancel();
    for report in replicate(&ctx, Arc::new(source), runs, &options.run).await {
        assert_eq!((report.not_done(), report.failures().count()), (3, 0));
    }
}

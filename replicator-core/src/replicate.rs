//! How images are replicated, and to which targets.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use glance_model::{DoNotReplicate, TargetForm};

use crate::context::RunContext;
use crate::ids::{OnIdConflict, TargetIds};
use crate::plan::Plan;
use crate::port::{Event, IdMap, ImageSource, ImageTarget, Stage, gives_last_byte};
use crate::proof::Verify;
use crate::report::{Failure, ImageError, Report};
use crate::retry::RetryPolicy;
use crate::schedule::Schedule;
use crate::staging;

/// Whether image data is copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataPolicy {
    /// Data and metadata.
    #[default]
    Copy,
    /// Metadata only; the data of no image is opened.
    MetadataOnly,
}

/// Whether the beginning of image data is looked at before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatCheck {
    /// For targets that may refuse data for its format: Glances since 2019.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// How images are replicated.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplicateOptions {
    /// What is neither compared nor sent.
    pub do_not_replicate: DoNotReplicate,
    /// Whether data is copied.
    pub data: DataPolicy,
    /// How many images are written at a time with their data.
    pub transfers: NonZeroUsize,
    /// How many images are written at a time of which there is only metadata to
    /// be written.
    pub checkers: NonZeroUsize,
    /// How much is done to know that a copy is right.
    pub verify: Verify,
    /// Whether data that the target would refuse is sent all the same.
    pub format_check: FormatCheck,
    /// When what failed is tried again.
    pub retry: RetryPolicy,
    /// Where each image is proven before its first byte is sent to a target with
    /// v1 alone. Other targets need none, and no two targets may share one.
    pub stage: Option<Arc<dyn Stage>>,
    /// What becomes of an image whose id cannot be used at the target.
    pub on_id_conflict: OnIdConflict,
    /// Which images go by another id at the target.
    pub id_map: Option<Arc<dyn IdMap>>,
    /// What time it is, counted from 1970 (UTC). Without it, no record that is in
    /// `saving` at the target is taken for one whose upload is dead.
    pub now: Option<Duration>,
}

impl Default for ReplicateOptions {
    fn default() -> Self {
        Self {
            do_not_replicate: DoNotReplicate::default(),
            data: DataPolicy::default(),
            transfers: const { NonZeroUsize::new(4).unwrap() },
            checkers: const { NonZeroUsize::new(8).unwrap() },
            verify: Verify::default(),
            format_check: FormatCheck::default(),
            retry: RetryPolicy::default(),
            stage: None,
            on_id_conflict: OnIdConflict::default(),
            id_map: None,
            now: None,
        }
    }
}

impl ReplicateOptions {
    /// Which images go by another id at the target.
    pub(crate) fn target_ids(&self) -> TargetIds {
        let ids = self.id_map.as_ref().map(|map| map.target_ids());
        ids.unwrap_or_default()
    }

    /// The stage, if images for this target go over it.
    pub(crate) fn stage_for(&self, target: &dyn ImageTarget) -> Option<&Arc<dyn Stage>> {
        self.stage
            .as_ref()
            .filter(|_| target.form() == TargetForm::V1)
    }
}

/// A target of a run, and what is to be done there.
#[non_exhaustive]
pub struct TargetRun {
    /// Where what happens at this target is reported to.
    pub ctx: RunContext,
    /// The target.
    pub target: Arc<dyn ImageTarget>,
    /// What is to be done.
    pub plan: Plan,
    /// How.
    pub options: ReplicateOptions,
}

impl TargetRun {
    /// Puts together what a run needs to know of a target.
    pub fn new(
        ctx: &RunContext,
        target: Arc<dyn ImageTarget>,
        plan: Plan,
        options: &ReplicateOptions,
    ) -> Self {
        Self {
            ctx: ctx.clone(),
            target,
            plan,
            options: options.clone(),
        }
    }
}

impl fmt::Debug for TargetRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetRun")
            .field("plan", &self.plan)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Runs a plan to its end, and reports what became of each image.
///
/// An image that fails does not stop the others, unless the target can take no
/// more at all (a full disk). If the run is cancelled, what is under way is
/// broken off, and the next run goes on from there.
///
/// # Panics
///
/// If an adapter panics.
pub async fn replicate(
    ctx: &RunContext,
    source: Arc<dyn ImageSource>,
    target: Arc<dyn ImageTarget>,
    plan: Plan,
    options: &ReplicateOptions,
) -> Report {
    let run = TargetRun::new(ctx, target, plan, options);
    let reports = replicate_to_all(ctx, source, vec![run]).await;
    reports.into_iter().next().unwrap_or_default()
}

/// Runs the plans of several targets side by side, as [`replicate`] does each of
/// them. An image that several of them lack is read from the source once; it is
/// sent at the pace of the slowest. A target that fails, or takes nothing for
/// seconds, is left behind, and gets the image again by itself.
///
/// How many images are worked on at a time is what the options of the first
/// target say, for all of them together. The reports come in the order of the
/// targets.
///
/// # Panics
///
/// If an adapter panics.
pub async fn replicate_to_all(
    ctx: &RunContext,
    source: Arc<dyn ImageSource>,
    mut targets: Vec<TargetRun>,
) -> Vec<Report> {
    for run in &mut targets {
        tell_withheld(&*source, run).await;
        if let Some(stage) = run.options.stage_for(&*run.target) {
            let ids = run.options.target_ids();
            staging::tidy(&**stage, &*run.target, &run.plan.images, &ids).await;
        }
    }
    Schedule::new(ctx, source, targets).run().await
}

/// Tells of which images the target gets no data, though they have some. It is a failure if
/// the caller could have read it.
async fn tell_withheld(source: &dyn ImageSource, run: &mut TargetRun) {
    for image in std::mem::take(&mut run.plan.withheld) {
        let read = run.ctx.until_cancelled(gives_last_byte(source, &image));
        match read.await {
            Ok(Ok(true)) => {
                let failure = Failure::new(&image.id, image.name, ImageError::Withheld);
                run.ctx.emit(Event::Failed(failure.clone()));
                run.plan.failures.push(failure);
            }
            Err(_) => return,
            Ok(Ok(false) | Err(_)) => {
                let image = Box::new(image);
                run.ctx.emit(Event::Withheld { image });
            }
        }
    }
}

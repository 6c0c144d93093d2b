//! How images are replicated, and to which targets.

use std::sync::Arc;

use crate::copy::schedule::Schedule;
use crate::copy::target::TargetRun;
use crate::plan::Plan;
use crate::port::{ImageSource, ImageTarget, gives_last_byte};
use crate::run::context::RunContext;
use crate::run::error::{Failure, ImageError};
use crate::run::event::Event;
use crate::run::options::ReplicateOptions;
use crate::run::report::Report;

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
            crate::copy::staging::tidy(&**stage, &*run.target, &run.plan.images, &ids).await;
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

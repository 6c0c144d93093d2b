//! Plans are run.

use std::sync::Arc;

use crate::copy::schedule::Schedule;
use crate::copy::staging;
use crate::copy::target::TargetRun;
use crate::port::ImageSource;
use crate::run::context::RunContext;
use crate::run::options::RunOptions;
use crate::run::report::Report;

/// Runs the plans of targets side by side, each to its end, and reports what became of
/// each image. The reports come in the order of the targets.
///
/// An image that several targets lack is read from the source once; it is sent at the
/// pace of the slowest. A target that fails, or takes nothing for seconds, is left
/// behind, and gets the image again by itself.
///
/// An image that fails does not stop the others, unless its target can take no more at
/// all (a full disk). If the run is cancelled, what is under way is broken off, and the
/// next run goes on from there.
///
/// # Panics
///
/// If an adapter panics.
pub async fn replicate(
    ctx: &RunContext,
    source: Arc<dyn ImageSource>,
    targets: Vec<TargetRun>,
    options: &RunOptions,
) -> Vec<Report> {
    for run in &targets {
        if let Some(stage) = run.end.stage() {
            staging::tidy(&**stage, &run.end, &run.plan.images).await;
        }
    }
    Schedule::new(ctx, source, targets, options).run().await
}

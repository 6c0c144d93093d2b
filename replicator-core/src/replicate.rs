//! Plans are run.

use std::sync::Arc;

use crate::copy::schedule::Schedule;
use crate::copy::staging;
use crate::copy::target::TargetRun;
use crate::port::{ImageSource, gives_last_byte};
use crate::run::context::RunContext;
use crate::run::error::ImageError;
use crate::run::event::Event;
use crate::run::options::RunOptions;
use crate::run::report::Report;
use crate::run::result::{ImageRef, ImageResult};

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
    mut targets: Vec<TargetRun>,
    options: &RunOptions,
) -> Vec<Report> {
    for run in &mut targets {
        tell_withheld(&*source, run).await;
        if let Some(stage) = run.end.stage() {
            staging::tidy(&**stage, &run.end, &run.plan.images).await;
        }
    }
    Schedule::new(ctx, source, targets, options).run().await
}

/// Tells of which images the target gets no data, though they have some. It is a failure if
/// the caller could have read it.
async fn tell_withheld(source: &dyn ImageSource, run: &mut TargetRun) {
    let TargetRun { end, plan } = run;
    for image in std::mem::take(&mut plan.withheld) {
        let read = end.ctx.until_cancelled(gives_last_byte(source, &image));
        let (read, image) = (read.await, Arc::new(ImageRef::from(&image)));
        match read {
            Ok(Ok(true)) => {
                let result = ImageResult::failed(image, ImageError::Withheld);
                end.ctx.emit(Event::Finished(result.clone()));
                plan.settled.push(result);
            }
            Err(_) => return,
            Ok(Ok(false) | Err(_)) => end.ctx.emit(Event::Withheld { image }),
        }
    }
}

//! The end of a run: images leave their targets, if all else went well.

use std::sync::Arc;

use super::fan_out::writer;
use super::one_image::{Done, WriteError};
use super::progress::{Place, Progress};
use crate::plan::{Action, PlannedImage};
use crate::port::ImageSource;
use crate::run::error::ImageError;
use crate::run::options::RunOptions;
use crate::run::result::{NotDone, Outcome};

/// Lets images leave their targets, one after the other, until anything fails. What is deleted
/// comes last.
pub(crate) async fn leave(
    options: &RunOptions,
    source: &Arc<dyn ImageSource>,
    targets: &mut [Progress],
    mut removals: Vec<(usize, PlannedImage)>,
) {
    removals.sort_by_key(|(_, planned)| planned.action == Action::Delete);
    for (index, planned) in removals {
        let has_failures = targets.iter().any(|target| target.report.has_failures());
        let Some(target) = targets.get_mut(index) else {
            continue;
        };
        let place = Place::of(index, &planned).begun();
        let end = Arc::clone(&target.end);
        if end.ctx.is_cancelled() {
            target.not_done(place);
            continue;
        }
        if has_failures {
            target.finish(place, Outcome::NotDone(NotDone::AfterFailures));
            continue;
        }
        let writer = writer(options, source, &end);
        // It is large, since it could be any work.
        let work = Box::pin(writer.write(planned, None, None));
        let cancelled = |cancelled| WriteError::from(ImageError::Target(cancelled));
        let written = end.ctx.until_cancelled(work).await;
        match written.map_err(cancelled).flatten() {
            Ok(Done::Finished { outcome, .. }) => target.finish(place, outcome),
            // Nobody writes an image that is looked at and settled.
            Ok(Done::Left(left)) => target.fail(place, left.error().into()),
            Err(failed) => target.fail(place, failed),
        }
    }
}

//! Runs a plan: so many images at a time, largest first, each by itself.

use std::cmp::Reverse;
use std::num::NonZeroUsize;
use std::sync::Arc;

use glance_model::{DoNotReplicate, TargetForm};
use tokio::task::JoinSet;

use crate::context::RunContext;
use crate::plan::{Action, Plan, PlannedImage};
use crate::port::{Event, ImageSource, ImageTarget, Stage};
use crate::proof::Verify;
use crate::report::{Failure, ImageError, Outcome, Report};
use crate::retry::RetryPolicy;
use crate::staging;
use crate::transfer::{Transfer, update_metadata};

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
    /// How many images are written at a time.
    pub transfers: NonZeroUsize,
    /// How much is done to know that a copy is right.
    pub verify: Verify,
    /// Whether data that the target would refuse is sent all the same.
    pub format_check: FormatCheck,
    /// When what failed is tried again.
    pub retry: RetryPolicy,
    /// Where each image is proven before its first byte is sent to a target with
    /// v1 alone. Other targets need none.
    pub stage: Option<Arc<dyn Stage>>,
}

impl Default for ReplicateOptions {
    fn default() -> Self {
        Self {
            do_not_replicate: DoNotReplicate::default(),
            data: DataPolicy::default(),
            transfers: const { NonZeroUsize::new(4).unwrap() },
            verify: Verify::default(),
            format_check: FormatCheck::default(),
            retry: RetryPolicy::default(),
            stage: None,
        }
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
    let mut report = Report {
        failures: plan.failures,
        unchanged: plan.unchanged,
        skipped: plan.skipped,
        ..Report::default()
    };
    ctx.emit(Event::Planned {
        images: plan.images.len() as u64,
        total_bytes: plan.images.iter().map(PlannedImage::bytes_to_copy).sum(),
    });
    let mut images = plan.images;
    images.sort_by_key(|planned| Reverse(planned.bytes_to_copy()));
    let mut waiting = images.into_iter();
    let mut running = JoinSet::new();
    let mut is_over = false;
    loop {
        while running.len() < options.transfers.get() && !is_over && !ctx.is_cancelled() {
            let Some(planned) = waiting.next() else { break };
            let (id, name) = (planned.image.id.clone(), planned.image.name.clone());
            let work = one_image(
                ctx.clone(),
                Arc::clone(&source),
                Arc::clone(&target),
                planned,
                options.clone(),
            );
            running.spawn(async { (id, name, work.await) });
        }
        let Some(finished) = running.join_next().await else {
            break;
        };
        let (id, name, result) = match finished {
            Ok(finished) => finished,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        match result {
            Ok(outcome) => report.done.push((id, outcome)),
            Err(error) if error.is_cancelled() => report.not_done += 1,
            Err(error) => {
                is_over |= error.is_of_the_end();
                let error = Arc::new(error);
                let failure = Failure { id, name, error };
                ctx.emit(Event::Failed(failure.clone()));
                report.failures.push(failure);
            }
        }
    }
    report.not_done += waiting.len() as u64;
    report
}

async fn one_image(
    ctx: RunContext,
    source: Arc<dyn ImageSource>,
    target: Arc<dyn ImageTarget>,
    planned: PlannedImage,
    options: ReplicateOptions,
) -> Result<Outcome, ImageError> {
    let work = write(&ctx, &source, &target, planned, &options);
    // Dropped on cancellation, which breaks off its requests.
    ctx.until_cancelled(work)
        .await
        .map_err(ImageError::Target)?
}

async fn write(
    ctx: &RunContext,
    source: &Arc<dyn ImageSource>,
    target: &Arc<dyn ImageTarget>,
    planned: PlannedImage,
    options: &ReplicateOptions,
) -> Result<Outcome, ImageError> {
    let PlannedImage {
        image,
        existing,
        action,
        ..
    } = planned;
    match action {
        Action::Copy => {
            let transfer = Transfer {
                ctx,
                source,
                target,
                options,
                image: &image,
            };
            let outcome = match &options.stage {
                Some(stage) if target.form() == TargetForm::V1 => {
                    staging::run(&transfer, stage, existing).await?
                }
                _ => transfer.run(existing).await?,
            };
            if let Outcome::Copied { total_bytes, .. } = outcome {
                let id = image.id;
                ctx.emit(Event::Copied { id, total_bytes });
            }
            Ok(outcome)
        }
        Action::CreateRecord => {
            let created = target.create_record(&image).await;
            created.map_err(ImageError::Target)?;
            ctx.emit(Event::RecordCreated { id: image.id });
            Ok(Outcome::RecordCreated)
        }
        Action::UpdateMetadata(diff) => {
            let current = existing.as_ref().unwrap_or(&image);
            update_metadata(ctx, target, current, &diff, options).await?;
            let image = Box::new(image);
            ctx.emit(Event::MetadataUpdated { image, diff });
            Ok(Outcome::MetadataUpdated)
        }
    }
}

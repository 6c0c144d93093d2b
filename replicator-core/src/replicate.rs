//! Runs a plan: so many images at a time, largest first, each by itself.

use std::cmp::Reverse;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use glance_model::{DoNotReplicate, ImageId, ImageMetadata, TargetForm};
use tokio::task::JoinSet;

use crate::context::RunContext;
use crate::ids::OnIdConflict;
use crate::plan::{Action, Plan, PlannedImage, TargetId};
use crate::port::{Event, IdMap, ImageSource, ImageTarget, PortError, SkipReason, Stage};
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
    /// The stage, if images for this target go over it.
    fn stage_for(&self, target: &dyn ImageTarget) -> Option<&Arc<dyn Stage>> {
        self.stage
            .as_ref()
            .filter(|_| target.form() == TargetForm::V1)
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
    if let Some(stage) = options.stage_for(&*target) {
        staging::tidy(&**stage, &*target, &images).await;
    }
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
            Ok(Done::Written(outcome)) => report.done.push((id, outcome)),
            Ok(Done::LeftAlone) => report.skipped += 1,
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

/// What became of an image that did not fail.
enum Done {
    Written(Outcome),
    LeftAlone,
}

async fn one_image(
    ctx: RunContext,
    source: Arc<dyn ImageSource>,
    target: Arc<dyn ImageTarget>,
    planned: PlannedImage,
    options: ReplicateOptions,
) -> Result<Done, ImageError> {
    let writer = Writer {
        ctx: &ctx,
        source: &source,
        target: &target,
        options: &options,
    };
    // Dropped on cancellation, which breaks off its requests.
    ctx.until_cancelled(writer.write(planned))
        .await
        .map_err(ImageError::Target)?
}

struct Writer<'a> {
    ctx: &'a RunContext,
    source: &'a Arc<dyn ImageSource>,
    target: &'a Arc<dyn ImageTarget>,
    options: &'a ReplicateOptions,
}

impl Writer<'_> {
    async fn write(&self, planned: PlannedImage) -> Result<Done, ImageError> {
        let PlannedImage {
            image,
            target_id,
            existing,
            action,
            ..
        } = planned;
        match action {
            Action::Copy => self.copy(image, target_id, existing).await,
            Action::CreateRecord => {
                let created = self.target.create_record(&image).await;
                created.map_err(ImageError::Target)?;
                self.ctx.emit(Event::RecordCreated { id: image.id });
                Ok(Done::Written(Outcome::RecordCreated))
            }
            Action::UpdateMetadata(diff) => {
                let current = existing.as_ref().unwrap_or(&image);
                update_metadata(self.ctx, self.target, current, &diff, self.options).await?;
                let image = Box::new(image);
                self.ctx.emit(Event::MetadataUpdated { image, diff });
                Ok(Done::Written(Outcome::MetadataUpdated))
            }
        }
    }

    async fn copy(
        &self,
        image: ImageMetadata,
        target_id: TargetId,
        mut existing: Option<ImageMetadata>,
    ) -> Result<Done, ImageError> {
        let mut copy = image.clone();
        let mut is_new = false;
        match target_id {
            TargetId::Same => {}
            TargetId::Other(id) => copy.id = id,
            TargetId::New(problem) => {
                copy.id = self.assign_id(&image, problem.into()).await?;
                is_new = true;
            }
        }
        loop {
            let error = match self.transfer(&image, &copy, existing.take()).await {
                Ok(outcome) => return Ok(Done::Written(outcome)),
                Err(error) => error,
            };
            let skip = match (&error, self.options.on_id_conflict) {
                (ImageError::Target(PortError::Busy { since, .. }), _) => {
                    let since = since.clone();
                    SkipReason::BeingWritten { since }
                }
                (ImageError::Target(PortError::AlreadyExists { .. }), OnIdConflict::Skip) => {
                    SkipReason::IdTaken
                }
                (
                    ImageError::Target(PortError::AlreadyExists { .. }) | ImageError::Id(_),
                    OnIdConflict::NewId,
                ) if !is_new => {
                    copy.id = self.assign_id(&image, error).await?;
                    is_new = true;
                    continue;
                }
                _ => return Err(error),
            };
            let image = Box::new(image);
            self.ctx.emit(Event::Skipped {
                image,
                reason: skip,
            });
            return Ok(Done::LeftAlone);
        }
    }

    async fn transfer(
        &self,
        image: &ImageMetadata,
        copy: &ImageMetadata,
        existing: Option<ImageMetadata>,
    ) -> Result<Outcome, ImageError> {
        let transfer = Transfer {
            ctx: self.ctx,
            source: self.source,
            target: self.target,
            options: self.options,
            image,
            copy,
        };
        let outcome = match self.options.stage_for(&**self.target) {
            Some(stage) => staging::run(&transfer, stage, existing).await?,
            None => transfer.run(existing).await?,
        };
        if let Outcome::Copied { total_bytes, proof } = outcome {
            self.ctx.emit(Event::Copied {
                image: Box::new(image.clone()),
                total_bytes,
                proof,
            });
        }
        Ok(outcome)
    }

    /// Gives an image a new id in place of one that cannot be used, as `problem`
    /// says.
    async fn assign_id(
        &self,
        image: &ImageMetadata,
        problem: ImageError,
    ) -> Result<ImageId, ImageError> {
        let Some(id_map) = &self.options.id_map else {
            return Err(problem);
        };
        let target_id = id_map.assign(&image.id).await;
        let target_id = target_id.map_err(ImageError::IdMap)?;
        self.ctx.emit(Event::IdAssigned {
            image: Box::new(image.clone()),
            target_id: target_id.clone(),
        });
        Ok(target_id)
    }
}

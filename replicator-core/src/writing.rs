//! One image to one target: what is planned for it, under which id.

use std::sync::Arc;

use glance_model::{ImageId, ImageMetadata, MetadataDiff, NoData, TargetForm};

use crate::context::RunContext;
use crate::ids::{IdProblem, OnIdConflict};
use crate::plan::{Action, PlannedImage, TargetId};
use crate::port::{Event, ImageSource, ImageTarget, PortError, SkipReason};
use crate::replicate::ReplicateOptions;
use crate::report::{ImageError, Outcome};
use crate::staging;
use crate::transfer::{SharedData, Transfer};
use crate::update::Update;
use crate::verify;

/// What became of an image that did not fail.
pub(crate) enum Done {
    Written(Outcome),
    Unchanged,
    LeftAlone,
}

/// Writes images to one target.
pub(crate) struct Writer<'a> {
    pub(crate) ctx: &'a RunContext,
    pub(crate) source: &'a Arc<dyn ImageSource>,
    pub(crate) target: &'a Arc<dyn ImageTarget>,
    pub(crate) options: &'a ReplicateOptions,
}

impl Writer<'_> {
    /// Does what is planned for an image. If its data is `shared` with other
    /// targets, that is what it is given first.
    pub(crate) async fn write(
        &self,
        planned: PlannedImage,
        shared: Option<SharedData>,
    ) -> Result<Done, ImageError> {
        let PlannedImage {
            image,
            target_id,
            existing,
            action,
            ..
        } = planned;
        match action {
            Action::Copy => self.copy(image, target_id, existing, shared).await,
            Action::CreateRecord => match self.target.create_record(&image).await {
                Ok(()) => {
                    self.ctx.emit(Event::RecordCreated { id: image.id });
                    Ok(Done::Written(Outcome::RecordCreated))
                }
                // It was not there a moment ago: somebody else is at it.
                Err(PortError::AlreadyExists { .. } | PortError::Busy { .. }) => {
                    Ok(self.leave_alone(image, SkipReason::BeingWritten { since: None }))
                }
                Err(error) => Err(ImageError::Target(error)),
            },
            Action::Check => {
                let existing = existing.unwrap_or_else(|| image.clone());
                self.check(image, existing).await
            }
            Action::UpdateMetadata(diff) => {
                let current = existing.unwrap_or_else(|| image.clone());
                self.update(image, &current, diff).await
            }
        }
    }

    async fn update(
        &self,
        image: ImageMetadata,
        current: &ImageMetadata,
        diff: MetadataDiff,
    ) -> Result<Done, ImageError> {
        let update = Update {
            ctx: self.ctx,
            target: self.target,
            options: self.options,
            image: &image,
        };
        match update.of_listed(current, &diff).await {
            Ok(()) => {
                let image = Box::new(image);
                self.ctx.emit(Event::MetadataUpdated { image, diff });
                Ok(Done::Written(Outcome::MetadataUpdated))
            }
            Err(ImageError::Target(PortError::Busy { since, .. })) => {
                Ok(self.leave_alone(image, SkipReason::BeingWritten { since }))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the data that the target has, and copies it again if it is not right.
    async fn check(
        &self,
        image: ImageMetadata,
        existing: ImageMetadata,
    ) -> Result<Done, ImageError> {
        match verify::read(&**self.target, &image, &existing).await {
            Ok(_) => {
                let filter = &self.options.do_not_replicate;
                let diff = MetadataDiff::between(&image, &existing, filter).writable();
                if diff.is_empty() {
                    return Ok(Done::Unchanged);
                }
                self.update(image, &existing, diff).await
            }
            Err(error) => {
                self.ctx.emit(Event::Repairing {
                    image: Box::new(image.clone()),
                    error: Arc::new(error),
                });
                self.copy(image, TargetId::Same, Some(existing), None).await
            }
        }
    }

    async fn copy(
        &self,
        image: ImageMetadata,
        target_id: TargetId,
        mut existing: Option<ImageMetadata>,
        mut shared: Option<SharedData>,
    ) -> Result<Done, ImageError> {
        // Every id can be used in an archive.
        let on_conflict = match self.target.form() {
            TargetForm::Whole => OnIdConflict::Fail,
            _ => self.options.on_id_conflict,
        };
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
            let transferred = self.transfer(&image, &copy, existing.take(), shared.take());
            let error = match transferred.await {
                Ok(outcome) => return Ok(Done::Written(outcome)),
                Err(error) => error,
            };
            if matches!(error, ImageError::DataLost) {
                self.keep_record(&copy).await;
            }
            let reason = match (&error, on_conflict) {
                (ImageError::Target(PortError::Busy { since, .. }), _) => {
                    let since = since.clone();
                    SkipReason::BeingWritten { since }
                }
                (ImageError::Target(PortError::AlreadyExists { .. }), OnIdConflict::Skip) => {
                    SkipReason::IdTaken
                }
                (ImageError::Target(PortError::Damaged { .. }), OnIdConflict::Skip) => {
                    SkipReason::Id(IdProblem::Spoiled)
                }
                (
                    ImageError::Id(_)
                    | ImageError::Target(PortError::AlreadyExists { .. } | PortError::Damaged { .. }),
                    OnIdConflict::NewId,
                ) if !is_new => {
                    copy.id = self.assign_id(&image, error).await?;
                    is_new = true;
                    continue;
                }
                _ => return Err(error),
            };
            return Ok(self.leave_alone(image, reason));
        }
    }

    /// Keeps what is known of an image whose data is lost, in an archive: anywhere else it would
    /// look like a record that waits for its data.
    async fn keep_record(&self, copy: &ImageMetadata) {
        if self.target.form() != TargetForm::Whole {
            return;
        }
        let mut record = copy.clone();
        record.no_data = Some(NoData::Lost);
        // The image has failed already, and does so again if there is a record.
        if self.target.create_record(&record).await.is_ok() {
            self.ctx.emit(Event::RecordCreated { id: record.id });
        }
    }

    fn leave_alone(&self, image: ImageMetadata, reason: SkipReason) -> Done {
        let image = Box::new(image);
        self.ctx.emit(Event::Skipped { image, reason });
        Done::LeftAlone
    }

    async fn transfer(
        &self,
        image: &ImageMetadata,
        copy: &ImageMetadata,
        existing: Option<ImageMetadata>,
        shared: Option<SharedData>,
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
            None => transfer.run(existing, shared).await?,
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

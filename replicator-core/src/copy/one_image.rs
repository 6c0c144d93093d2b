//! One image to one target: what is planned for it, under which id.

use std::sync::Arc;
use std::time::Duration;

use glance_model::{ImageId, ImageMetadata, ImageStatus, MetadataDiff, NoData, TargetForm};

use crate::copy::transfer::{Record, SharedData, Transfer};
use crate::copy::update::Update;
use crate::plan::{Action, LeftImage, PlannedImage, TargetId};
use crate::port::{ImageSource, ImageTarget, PortError};
use crate::run::context::RunContext;
use crate::run::error::ImageError;
use crate::run::event::{Event, SkipReason};
use crate::run::id_problem::IdProblem;
use crate::run::options::{OnIdConflict, ReplicateOptions};
use crate::run::read_back::read_back;
use crate::run::report::Outcome;

/// How long the target may take to say what a failure has left there.
const LEFT_BEHIND: Duration = Duration::from_secs(10);

/// What became of an image that did not fail.
pub(crate) enum Done {
    Written(Outcome),
    Unchanged,
    LeftAlone,
    /// Somebody else is writing it.
    Left(Box<LeftImage>),
}

/// Why an image could not be written, and what stays of it at the target.
pub(crate) struct WriteError {
    pub(crate) error: ImageError,
    pub(crate) left_behind: Option<Box<ImageMetadata>>,
}

impl From<ImageError> for WriteError {
    fn from(error: ImageError) -> Self {
        Self {
            error,
            left_behind: None,
        }
    }
}

/// What is at the target before the data of an image is opened: its record, under the
/// id that it gets there.
pub(crate) struct Begun {
    copy: ImageMetadata,
    is_new: bool,
    record: Record,
}

impl Begun {
    /// Returns whether there is anything that data can be put into.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.record, Record::Ready(_))
    }
}

/// What an image that was left to another run is by now.
pub(crate) enum Look {
    There(Outcome),
    /// Nobody writes it any more.
    Free(Box<PlannedImage>),
}

/// Writes images to one target.
pub(crate) struct Writer<'a> {
    pub(crate) ctx: &'a RunContext,
    pub(crate) source: &'a Arc<dyn ImageSource>,
    pub(crate) target: &'a Arc<dyn ImageTarget>,
    pub(crate) options: &'a ReplicateOptions,
}

impl Writer<'_> {
    /// Makes the record ready that the data of an image is to be put into. What fails
    /// and may pass is tried again at once only if that `waits`.
    pub(crate) async fn begin(
        &self,
        planned: &PlannedImage,
        waits: bool,
    ) -> Result<Begun, ImageError> {
        let image = &planned.image;
        let mut copy = image.clone();
        match &planned.target_id {
            TargetId::Same => {}
            TargetId::Other(id) => copy.id = *id,
            TargetId::New(problem) => {
                return self.begin_anew(image, problem.clone().into(), waits).await;
            }
        }
        let existing = planned.existing.clone();
        match self.transfer(image, &copy).ready(existing, waits).await {
            Ok(record) => Ok(Begun {
                copy,
                is_new: false,
                record,
            }),
            Err(error) if self.gets_new_id(&error) => self.begin_anew(image, error, waits).await,
            Err(error) => Err(error),
        }
    }

    /// Begins under a new id, in place of one that cannot be used, as `problem` says.
    async fn begin_anew(
        &self,
        image: &ImageMetadata,
        problem: ImageError,
        waits: bool,
    ) -> Result<Begun, ImageError> {
        let mut copy = image.clone();
        copy.id = self.assign_id(image, problem).await?;
        let record = self.transfer(image, &copy).ready(None, waits).await?;
        Ok(Begun {
            copy,
            is_new: true,
            record,
        })
    }

    /// Does what is planned for an image, of which the record may have been made ready
    /// already. If its data is `shared` with other targets, that is what it is given
    /// first.
    pub(crate) async fn write(
        &self,
        planned: PlannedImage,
        begun: Option<Result<Begun, ImageError>>,
        shared: Option<SharedData>,
    ) -> Result<Done, WriteError> {
        let (image, existing) = match &planned.action {
            Action::Copy => return self.copy(planned, begun, shared).await,
            Action::Check => return self.check(planned).await,
            Action::CreateRecord | Action::UpdateMetadata(_) => (planned.image, planned.existing),
        };
        match planned.action {
            Action::UpdateMetadata(diff) => {
                let current = existing.unwrap_or_else(|| image.clone());
                Ok(self.update(image, &current, diff).await?)
            }
            _ => match self.target.create_record(&image).await {
                Ok(()) => {
                    self.ctx.emit(Event::RecordCreated { id: image.id });
                    Ok(Done::Written(Outcome::RecordCreated))
                }
                // It was not there a moment ago: somebody else is at it.
                Err(PortError::AlreadyExists { .. } | PortError::Busy { .. }) => {
                    Ok(self.leave_alone(image, SkipReason::BeingWritten { since: None }))
                }
                Err(error) => Err(ImageError::Target(error).into()),
            },
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
    async fn check(&self, planned: PlannedImage) -> Result<Done, WriteError> {
        let image = &planned.image;
        let existing = planned.existing.clone().unwrap_or_else(|| image.clone());
        match read_back(&**self.target, image, &existing).await {
            Ok(_) => {
                let filter = &self.options.omit;
                let diff = MetadataDiff::between(image, &existing, filter).writable();
                if diff.is_empty() {
                    return Ok(Done::Unchanged);
                }
                Ok(self.update(planned.image, &existing, diff).await?)
            }
            Err(error) => {
                self.ctx.emit(Event::Repairing {
                    image: Box::new(image.clone()),
                    error: Arc::new(error),
                });
                let planned = PlannedImage {
                    existing: Some(existing),
                    ..planned
                };
                self.copy(planned, None, None).await
            }
        }
    }

    /// Looks at an image again that was left to another run, when all else is done.
    pub(crate) async fn look(&self, left: LeftImage) -> Result<Look, ImageError> {
        let error = left.error();
        let mut planned = left.planned;
        let mut copy = planned.image.clone();
        if let TargetId::Other(id) = &planned.target_id {
            copy.id = *id;
        }
        let transfer = self.transfer(&planned.image, &copy);
        match transfer.settled().await? {
            Some(found) if found.is_active() => {
                let outcome = transfer.already_there(found).await?;
                self.tell(&planned.image, &outcome);
                Ok(Look::There(outcome))
            }
            Some(found) if found.status == ImageStatus::Queued => {
                planned.existing = Some(found);
                Ok(Look::Free(Box::new(planned)))
            }
            None => Ok(Look::Free(Box::new(planned))),
            Some(found) if found.status.is_burnt() => Err(IdProblem::Burnt(found.status).into()),
            Some(_) => Err(error),
        }
    }

    async fn copy(
        &self,
        planned: PlannedImage,
        begun: Option<Result<Begun, ImageError>>,
        mut shared: Option<SharedData>,
    ) -> Result<Done, WriteError> {
        let mut begun = match begun {
            Some(begun) => begun,
            None => self.begin(&planned, false).await,
        };
        loop {
            let Begun {
                copy,
                is_new,
                record,
            } = match begun {
                Ok(begun) => begun,
                Err(error) => return Ok(self.leave(planned, error)?),
            };
            let image = &planned.image;
            let error = match self.send(image, &copy, record, shared.take()).await {
                Ok(outcome) => return Ok(Done::Written(outcome)),
                Err(error) => error,
            };
            if matches!(error, ImageError::DataLost) {
                self.keep_record(&copy).await;
            }
            if !is_new && self.gets_new_id(&error) {
                begun = self.begin_anew(image, error, false).await;
                continue;
            }
            return match self.leave(planned, error) {
                Ok(done) => Ok(done),
                Err(error) => {
                    let left_behind = self.left_behind(&copy.id, &error).await;
                    Err(WriteError { error, left_behind })
                }
            };
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

    fn on_conflict(&self) -> OnIdConflict {
        // Every id can be used in an archive.
        match self.target.form() {
            TargetForm::Whole => OnIdConflict::Fail,
            _ => self.options.on_id_conflict,
        }
    }

    fn gets_new_id(&self, error: &ImageError) -> bool {
        let is_of_id = matches!(
            error,
            ImageError::Id(_)
                | ImageError::DifferentContent(_)
                | ImageError::Target(PortError::AlreadyExists { .. } | PortError::Damaged { .. })
        );
        is_of_id && self.on_conflict() == OnIdConflict::NewId
    }

    /// Leaves an image alone for an error that is no failure of it, or gives that back.
    fn leave(&self, planned: PlannedImage, error: ImageError) -> Result<Done, ImageError> {
        let is_skipped = self.on_conflict() == OnIdConflict::Skip;
        let (since, is_ours) = match error {
            ImageError::Target(PortError::Busy { since, .. }) => (since, false),
            ImageError::StillSaving => (None, true),
            ImageError::Target(PortError::AlreadyExists { .. }) if is_skipped => {
                return Ok(self.leave_alone(planned.image, SkipReason::IdTaken));
            }
            ImageError::Target(PortError::Damaged { .. }) if is_skipped => {
                let reason = SkipReason::Id(IdProblem::Spoiled);
                return Ok(self.leave_alone(planned.image, reason));
            }
            error => return Err(error),
        };
        self.ctx.emit(Event::Skipped {
            image: Box::new(planned.image.clone()),
            reason: SkipReason::BeingWritten {
                since: since.clone(),
            },
        });
        Ok(Done::Left(Box::new(LeftImage {
            planned,
            since,
            is_ours,
        })))
    }

    fn leave_alone(&self, image: ImageMetadata, reason: SkipReason) -> Done {
        let image = Box::new(image);
        self.ctx.emit(Event::Skipped { image, reason });
        Done::LeftAlone
    }

    fn transfer<'a>(&'a self, image: &'a ImageMetadata, copy: &'a ImageMetadata) -> Transfer<'a> {
        Transfer {
            ctx: self.ctx,
            source: self.source,
            target: self.target,
            options: self.options,
            image,
            copy,
        }
    }

    async fn send(
        &self,
        image: &ImageMetadata,
        copy: &ImageMetadata,
        record: Record,
        shared: Option<SharedData>,
    ) -> Result<Outcome, ImageError> {
        let transfer = self.transfer(image, copy);
        let outcome = match self.options.stage_for(&**self.target) {
            Some(stage) => super::staging::run(&transfer, stage, record).await?,
            None => transfer.run(record, shared).await?,
        };
        self.tell(image, &outcome);
        Ok(outcome)
    }

    fn tell(&self, image: &ImageMetadata, outcome: &Outcome) {
        let image = Box::new(image.clone());
        match *outcome {
            Outcome::Copied { total_bytes, proof } => self.ctx.emit(Event::Copied {
                image,
                total_bytes,
                proof,
            }),
            Outcome::AlreadyThere => self.ctx.emit(Event::AlreadyThere { image }),
            _ => {}
        }
    }

    /// Asks the target what is left there of an image that failed, as far as it can
    /// tell: a record without data, or a copy that is not published.
    async fn left_behind(&self, id: &ImageId, error: &ImageError) -> Option<Box<ImageMetadata>> {
        let is_of_others = matches!(error, ImageError::DifferentContent(_) | ImageError::Id(_));
        if self.target.form() == TargetForm::Whole || is_of_others || error.is_cancelled() {
            return None;
        }
        let found = tokio::time::timeout(LEFT_BEHIND, self.target.find_image(id)).await;
        found.ok()?.ok()?.map(Box::new)
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
            target_id,
        });
        Ok(target_id)
    }
}

//! One image to one target: what is planned for it, under which id.

use std::sync::Arc;
use std::time::Duration;

use glance_model::{ImageId, ImageMetadata, ImageStatus, MetadataDiff, NoData};

use super::removal::Removal;
use super::staging;
use super::transfer::{Record, SharedData, Transfer};
use super::update::Update;
use crate::plan::{Action, LeftImage, PlannedImage, TargetId};
use crate::port::{ImageSource, PortError};
use crate::run::error::ImageError;
use crate::run::event::Event;
use crate::run::id_problem::IdProblem;
use crate::run::options::{OnIdConflict, RunOptions};
use crate::run::read_back::read_back;
use crate::run::result::{ImageRef, Outcome, SkipReason};
use crate::run::target_end::TargetEnd;

/// The longest time that the target is waited for to say what a failure has left there.
const LEFT_BEHIND: Duration = Duration::from_secs(10);

/// The end of the work on an image.
pub(crate) enum Done {
    Finished {
        outcome: Outcome,
        /// Its id at the target, if that is another one.
        target_id: Option<ImageId>,
    },
    /// Somebody else is writing it.
    Left(Box<LeftImage>),
}

/// The error of an image, and what stays of it at the target.
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

/// An image whose data has yet to be opened, with its record at the target, under the id
/// that it gets there.
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

/// An image that was left to another run, as it is by now.
pub(crate) enum Look {
    There(Outcome),
    /// Nobody writes it any more.
    Free(Box<PlannedImage>),
}

/// Writes images to one target.
pub(crate) struct Writer<'a> {
    pub(crate) run: &'a RunOptions,
    pub(crate) source: &'a Arc<dyn ImageSource>,
    pub(crate) target: &'a TargetEnd,
}

impl Writer<'_> {
    /// Makes the record ready that the data of an image is to be put into. What fails
    /// and may pass is tried again at once only if that `waits`.
    pub(crate) async fn begin(
        &self,
        planned: &PlannedImage,
        waits: bool,
    ) -> Result<Begun, ImageError> {
        let wanted = &planned.wanted;
        let mut copy = wanted.clone();
        match &planned.target_id {
            TargetId::Same => {}
            TargetId::Other(id) => copy.id = *id,
            TargetId::New(problem) => {
                return self.begin_anew(wanted, problem.clone().into(), waits).await;
            }
        }
        let found = planned.found.clone();
        match self.transfer(wanted, &copy).ready(found, waits).await {
            Ok(record) => Ok(Begun {
                copy,
                is_new: false,
                record,
            }),
            Err(error) if self.gets_new_id(&error) => self.begin_anew(wanted, error, waits).await,
            Err(error) => Err(error),
        }
    }

    /// Begins under a new id, in place of one that cannot be used, as `problem` says.
    async fn begin_anew(
        &self,
        wanted: &ImageMetadata,
        problem: ImageError,
        waits: bool,
    ) -> Result<Begun, ImageError> {
        let mut copy = wanted.clone();
        copy.id = self.assign_id(wanted, problem).await?;
        // Whatever has the id that it cannot have: the copy is made here and now.
        self.target.view().mark(&mut copy, None);
        let record = self.transfer(wanted, &copy).ready(None, waits).await?;
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
        let wanted = &planned.wanted;
        match &planned.action {
            Action::Copy => self.copy(planned, begun, shared).await,
            Action::Check => self.check(planned).await,
            Action::UpdateMetadata(diff) => {
                let current = planned.found.as_ref().unwrap_or(wanted);
                Ok(self.update(wanted, current, diff).await?)
            }
            Action::CopyToStores => {
                let found = planned.found.as_ref().unwrap_or(wanted);
                Ok(finished(
                    match self.target.copy_to_stores(self.run, found).await? {
                        true => Outcome::CopiedToStores,
                        false => Outcome::Unchanged,
                    },
                ))
            }
            Action::Retire(_) | Action::Delete => {
                let removal = Removal {
                    run: self.run,
                    source: self.source,
                    target: self.target,
                };
                Ok(finished(removal.remove(&planned).await?))
            }
            Action::CreateRecord => match self.target.images.create_record(wanted).await {
                Ok(()) => Ok(finished(Outcome::RecordCreated)),
                // It was not there a moment ago: somebody else is at it.
                Err(PortError::AlreadyExists { .. } | PortError::Busy { .. }) => {
                    Ok(skipped(SkipReason::BeingWritten { since: None }))
                }
                Err(error) => Err(ImageError::Target(error).into()),
            },
        }
    }

    async fn update(
        &self,
        wanted: &ImageMetadata,
        current: &ImageMetadata,
        diff: &MetadataDiff,
    ) -> Result<Done, ImageError> {
        let update = Update {
            run: self.run,
            target: self.target,
            wanted,
        };
        match update.of_listed(current, diff).await {
            Ok(()) => {
                if current.is_active() {
                    self.target.copy_to_stores(self.run, current).await?;
                }
                Ok(finished(Outcome::MetadataUpdated(diff.clone())))
            }
            Err(ImageError::Target(PortError::Busy { since, .. })) => {
                Ok(skipped(SkipReason::BeingWritten { since }))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads the data that the target has, and copies it again if it is not right.
    async fn check(&self, planned: PlannedImage) -> Result<Done, WriteError> {
        let wanted = &planned.wanted;
        let found = planned.found.clone().unwrap_or_else(|| wanted.clone());
        match read_back(&*self.target.images, wanted, &found).await {
            Ok(_) => {
                let view = self.target.view();
                let (diff, _) = view.updatable(view.diff(wanted, &found));
                if diff.is_empty() {
                    return Ok(finished(Outcome::Unchanged));
                }
                Ok(self.update(wanted, &found, &diff).await?)
            }
            Err(error) => {
                self.target.ctx.emit(Event::Repairing {
                    image: planned.image_ref(),
                    error: Arc::new(error),
                });
                let planned = PlannedImage {
                    found: Some(found),
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
        let mut copy = planned.wanted.clone();
        if let TargetId::Other(id) = &planned.target_id {
            copy.id = *id;
        }
        let transfer = self.transfer(&planned.wanted, &copy);
        match transfer.settled().await? {
            Some(found) if found.has_data() => {
                Ok(Look::There(transfer.already_there(found).await?))
            }
            Some(found) if found.status == ImageStatus::Queued => {
                planned.found = Some(found);
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
            let wanted = &planned.wanted;
            let error = match self.send(wanted, &copy, record, shared.take()).await {
                Ok(outcome) => {
                    let target_id = (copy.id != wanted.id).then_some(copy.id);
                    return Ok(Done::Finished { outcome, target_id });
                }
                Err(error) => error,
            };
            let kept = match error {
                ImageError::DataLost => self.keep_record(&copy).await,
                _ => None,
            };
            if !is_new && self.gets_new_id(&error) {
                begun = self.begin_anew(wanted, error, false).await;
                continue;
            }
            return match self.leave(planned, error) {
                Ok(done) => Ok(done),
                Err(error) => {
                    let left_behind = match kept {
                        Some(record) => Some(record),
                        None => self.left_behind(&copy.id, &error).await,
                    };
                    Err(WriteError { error, left_behind })
                }
            };
        }
    }

    /// Keeps what is known of an image whose data is lost, in an archive: anywhere else it would
    /// look like a record that waits for its data. Returns the record, if it could be written: the
    /// image has failed already, whether there is one or not.
    async fn keep_record(&self, copy: &ImageMetadata) -> Option<Box<ImageMetadata>> {
        if !self.target.nature().keeps_records {
            return None;
        }
        let mut record = copy.clone();
        record.no_data = Some(NoData::Lost);
        let written = self.target.images.create_record(&record).await;
        written.ok().map(|()| Box::new(record))
    }

    fn on_conflict(&self) -> OnIdConflict {
        if self.target.nature().can_replace() {
            return OnIdConflict::Fail;
        }
        self.target.policy.on_id_conflict
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
                return Ok(skipped(SkipReason::IdTaken));
            }
            ImageError::Target(PortError::Damaged { .. }) if is_skipped => {
                return Ok(skipped(SkipReason::Id(IdProblem::Spoiled)));
            }
            error => return Err(error),
        };
        self.target.ctx.emit(Event::PutOff {
            image: planned.image_ref(),
            since: since.clone(),
        });
        Ok(Done::Left(Box::new(LeftImage {
            planned,
            since,
            is_ours,
        })))
    }

    fn transfer<'a>(&'a self, wanted: &'a ImageMetadata, copy: &'a ImageMetadata) -> Transfer<'a> {
        Transfer {
            run: self.run,
            source: self.source,
            target: self.target,
            wanted,
            copy,
        }
    }

    async fn send(
        &self,
        wanted: &ImageMetadata,
        copy: &ImageMetadata,
        record: Record,
        shared: Option<SharedData>,
    ) -> Result<Outcome, ImageError> {
        let transfer = self.transfer(wanted, copy);
        match self.target.stage() {
            Some(stage) => staging::run(&transfer, stage, record).await,
            None => transfer.send(record, shared).await,
        }
    }

    /// Asks the target what is left there of an image that failed, as far as it can
    /// tell: a record without data, or a copy that is not published.
    async fn left_behind(&self, id: &ImageId, error: &ImageError) -> Option<Box<ImageMetadata>> {
        let is_of_others = matches!(error, ImageError::DifferentContent(_) | ImageError::Id(_));
        if self.target.nature().can_replace() || is_of_others || error.is_cancelled() {
            return None;
        }
        let found = tokio::time::timeout(LEFT_BEHIND, self.target.images.find_image(id)).await;
        found.ok()?.ok()?.map(Box::new)
    }

    /// Gives an image a new id in place of one that cannot be used, as `problem`
    /// says.
    async fn assign_id(
        &self,
        wanted: &ImageMetadata,
        problem: ImageError,
    ) -> Result<ImageId, ImageError> {
        let Some(id_map) = &self.target.id_map else {
            return Err(problem);
        };
        let target_id = id_map.assign(&wanted.id).await;
        let target_id = target_id.map_err(ImageError::IdMap)?;
        self.target.ctx.emit(Event::IdAssigned {
            image: Arc::new(ImageRef::from(wanted)),
            target_id,
        });
        Ok(target_id)
    }
}

fn skipped(reason: SkipReason) -> Done {
    finished(Outcome::Skipped(reason))
}

fn finished(outcome: Outcome) -> Done {
    Done::Finished {
        outcome,
        target_id: None,
    }
}

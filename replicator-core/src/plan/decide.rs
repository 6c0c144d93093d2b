//! The decision about one image.

use std::collections::BTreeSet;

use glance_model::{Change, ImageMetadata, ImageStatus, MetadataDiff, NoData, TargetForm};

use crate::plan::verb::Verb;
use crate::plan::{Action, PlannedImage, Reason, TargetId};
use crate::run::error::ImageError;
use crate::run::event::SkipReason;
use crate::run::id_problem::{IdProblem, refused_before};
use crate::run::options::{DataPolicy, OnIdConflict, ReplicateOptions, Verify};

pub(crate) enum Decision {
    Do(Box<PlannedImage>),
    /// Somebody else is writing it, since then.
    Leave(Box<PlannedImage>, Option<String>),
    Unchanged,
    Skip(SkipReason),
    Fail(ImageError),
}

pub(crate) struct Decider<'a> {
    pub(crate) verb: Verb,
    pub(crate) form: TargetForm,
    pub(crate) options: &'a ReplicateOptions,
    /// The properties that an active image lacks and no update can give it.
    pub(crate) not_updated: BTreeSet<String>,
}

impl Decider<'_> {
    pub(crate) fn decide(
        &mut self,
        mut image: ImageMetadata,
        existing: Option<ImageMetadata>,
    ) -> Decision {
        let verb = self.verb;
        let has_data = image.is_active();
        let verify = self.options.verify;
        let is_to_copy = has_data && self.options.data == DataPolicy::Copy;
        let Some(existing) = existing else {
            return if is_to_copy {
                write(image, None, Action::Copy, Reason::Missing)
            } else if verb.keeps_records() {
                if has_data {
                    image.no_data = Some(NoData::NotAsked);
                }
                write(image, None, Action::CreateRecord, Reason::Missing)
            } else if has_data {
                Decision::Skip(SkipReason::MetadataOnly)
            } else {
                Decision::Skip(verb.no_data(&image))
            };
        };

        let diff = MetadataDiff::between(&image, &existing, &self.options.omit);
        if existing.is_active() {
            if has_data && diff.is_of_content() {
                return self.other_content(image, diff);
            }
            // What is wrong there can be replaced, as it cannot at a server.
            if is_to_copy && self.form == TargetForm::Whole && verify == Verify::ReadBack {
                return write(image, Some(existing), Action::Check, Reason::Unread);
            }
            let is_writable = diff.changes().iter().all(Change::is_writable);
            let status = existing.status.clone();
            let (diff, not_updated) = diff.updatable(self.form);
            self.not_updated = not_updated;
            return if !diff.is_empty() {
                update(image, existing, diff)
            } else if is_writable {
                Decision::Unchanged
            } else {
                Decision::Skip(SkipReason::OnlyStatusDiffers(status))
            };
        }
        // Where nothing is to be copied, nothing is lost; and an archive has no such ids.
        if is_to_copy && self.form != TargetForm::Whole {
            if let Some(problem) = refused_before(&image, &existing) {
                return Decision::Fail(ImageError::Refused(problem));
            }
            if let Some(problem) = IdProblem::find(&image, &existing, self.options.now) {
                return self.id_conflict(image, problem);
            }
            if existing.status.is_being_written() {
                let since = existing.updated_at;
                let planned = planned(image, None, Action::Copy, Reason::DataMissing);
                return Decision::Leave(planned, since);
            }
        }
        let can_take_data = existing.status == ImageStatus::Queued || verb.keeps_records();
        if is_to_copy && can_take_data {
            return write(image, Some(existing), Action::Copy, Reason::DataMissing);
        }
        if verb.keeps_records() {
            // An active image without its data, as the archive lists it.
            let diff = if has_data { diff.writable() } else { diff };
            return if diff.is_empty() {
                Decision::Unchanged
            } else {
                update(image, existing, diff)
            };
        }
        if !has_data && existing.status == image.status {
            return Decision::Skip(verb.no_data(&image));
        }
        Decision::Skip(SkipReason::TargetStatus(existing.status))
    }

    fn id_conflict(&self, image: ImageMetadata, problem: IdProblem) -> Decision {
        match self.options.on_id_conflict {
            OnIdConflict::Skip => Decision::Skip(SkipReason::Id(problem)),
            OnIdConflict::NewId if self.options.id_map.is_some() => with_new_id(image, problem),
            OnIdConflict::Fail | OnIdConflict::NewId => Decision::Fail(problem.into()),
        }
    }

    /// An image is never written over, nor is one that differs ever left alone.
    fn other_content(&self, image: ImageMetadata, diff: MetadataDiff) -> Decision {
        let is_new = self.options.on_id_conflict == OnIdConflict::NewId
            && self.options.id_map.is_some()
            && self.options.data == DataPolicy::Copy
            && self.form != TargetForm::Whole;
        if is_new {
            return with_new_id(image, IdProblem::OtherContent(diff));
        }
        Decision::Fail(ImageError::DifferentContent(diff))
    }
}

fn with_new_id(image: ImageMetadata, problem: IdProblem) -> Decision {
    let mut planned = planned(image, None, Action::Copy, Reason::Missing);
    planned.target_id = TargetId::New(problem);
    Decision::Do(planned)
}

fn write(
    image: ImageMetadata,
    existing: Option<ImageMetadata>,
    action: Action,
    reason: Reason,
) -> Decision {
    Decision::Do(planned(image, existing, action, reason))
}

fn planned(
    image: ImageMetadata,
    existing: Option<ImageMetadata>,
    action: Action,
    reason: Reason,
) -> Box<PlannedImage> {
    Box::new(PlannedImage {
        image,
        created_at: None,
        target_id: TargetId::Same,
        existing,
        action,
        reason,
    })
}

fn update(image: ImageMetadata, existing: ImageMetadata, diff: MetadataDiff) -> Decision {
    let action = Action::UpdateMetadata(diff);
    write(image, Some(existing), action, Reason::MetadataDiffers)
}

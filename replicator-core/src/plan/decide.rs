//! The decision about one image.

use std::sync::Arc;
use std::time::Duration;

use glance_model::{Change, ImageMetadata, ImageStatus, MetadataDiff, NoData, View};

use super::{Action, PlannedImage, Reason, TargetId};
use crate::port::Nature;
use crate::run::error::ImageError;
use crate::run::event::LeftOut;
use crate::run::id_problem::{IdProblem, refused_before};
use crate::run::member::Member;
use crate::run::options::{DataPolicy, OnIdConflict, Verify};
use crate::run::result::{ImageRef, ImageResult, Outcome, SkipReason};
use crate::run::target_end::TargetEnd;

pub(crate) enum Decision {
    Do(Box<PlannedImage>),
    /// Somebody else is writing it, since then.
    Leave(Box<PlannedImage>, Option<String>),
    Unchanged,
    Settled(ImageResult),
}

impl Decision {
    /// Settles what the target would refuse the token of a member, and the source that of a reader.
    pub(crate) fn unless_refused(
        self,
        reads_records_only: bool,
        member: Option<&Member>,
        nature: Nature,
    ) -> Self {
        let (Self::Do(planned) | Self::Leave(planned, _)) = &self else {
            return self;
        };
        let (wanted, found) = (&planned.wanted, planned.found.as_ref());
        if reads_records_only && planned.action == Action::Copy {
            return fail(wanted, ImageError::ReaderAtSource);
        }
        match member.and_then(|member| member.refusal(nature, wanted, found)) {
            Some(error) => fail(wanted, error),
            None => self,
        }
    }
}

pub(crate) struct Decider<'a> {
    pub(crate) target: &'a TargetEnd,
    pub(crate) nature: Nature,
    pub(crate) view: View,
    pub(crate) now: Option<Duration>,
}

impl Decider<'_> {
    /// Decides about an image that the target is to have as `wanted`, and has as `found`.
    pub(crate) fn decide(
        &self,
        mut wanted: ImageMetadata,
        found: Option<ImageMetadata>,
    ) -> Decision {
        let (nature, policy) = (self.nature, &self.target.policy);
        let has_data = wanted.has_data();
        let is_held = nature.form.can_hold(&wanted.status);
        let is_to_copy = has_data && is_held && policy.data == DataPolicy::Copy;
        let Some(found) = found else {
            return if is_to_copy {
                write(wanted, None, Action::Copy, Reason::Missing)
            } else if nature.keeps_records {
                if has_data {
                    wanted.no_data = Some(NoData::NotAsked);
                }
                write(wanted, None, Action::CreateRecord, Reason::Missing)
            } else if has_data && !is_held {
                skip(&wanted, SkipReason::CannotDeactivate)
            } else if has_data {
                skip(&wanted, SkipReason::MetadataOnly)
            } else {
                skip(&wanted, no_data(&wanted))
            };
        };

        let diff = self.view.diff(&wanted, &found);
        if found.has_data() {
            if has_data && diff.is_of_content() {
                return self.other_content(wanted, diff);
            }
            // An update of wrong data makes sense only where it can be replaced.
            if is_to_copy && nature.can_replace() && policy.verify == Verify::ReadBack {
                return write(wanted, Some(found), Action::Check, Reason::Unread);
            }
            let is_writable = diff.changes().iter().all(Change::is_writable);
            let (diff, not_updated) = self.view.updatable(diff);
            self.target
                .tell_left_out(&wanted, not_updated, LeftOut::NotUpdated);
            return if !diff.is_empty() {
                update(wanted, found, diff)
            } else if is_to_copy && nature.copies_to_stores {
                write(wanted, Some(found), Action::CopyToStores, Reason::Stores)
            } else if is_writable {
                Decision::Unchanged
            } else {
                skip(&wanted, SkipReason::OnlyStatusDiffers(found.status))
            };
        }
        // Where nothing is to be copied, nothing is lost.
        if is_to_copy && !nature.can_replace() {
            if let Some(problem) = refused_before(&wanted, &found) {
                return fail(&wanted, ImageError::Refused(problem));
            }
            if let Some(problem) = IdProblem::find(&wanted, &found, self.now) {
                return self.id_conflict(wanted, problem);
            }
            if found.status.is_being_written() {
                let since = found.updated_at;
                let planned = planned(wanted, None, Action::Copy, Reason::DataMissing);
                return Decision::Leave(planned, since);
            }
        }
        let can_take_data = found.status == ImageStatus::Queued || nature.keeps_records;
        if is_to_copy && can_take_data {
            return write(wanted, Some(found), Action::Copy, Reason::DataMissing);
        }
        if nature.keeps_records {
            // An image without its data, as the archive lists it.
            let diff = if has_data { diff.writable() } else { diff };
            return if diff.is_empty() {
                Decision::Unchanged
            } else {
                update(wanted, found, diff)
            };
        }
        if !has_data && found.status == wanted.status {
            return skip(&wanted, no_data(&wanted));
        }
        skip(&wanted, SkipReason::TargetStatus(found.status))
    }

    fn id_conflict(&self, wanted: ImageMetadata, problem: IdProblem) -> Decision {
        match self.target.policy.on_id_conflict {
            OnIdConflict::Skip => skip(&wanted, SkipReason::Id(problem)),
            OnIdConflict::NewId if self.target.id_map.is_some() => with_new_id(wanted, problem),
            OnIdConflict::Fail | OnIdConflict::NewId => fail(&wanted, problem.into()),
        }
    }

    /// An image is never written over, nor is one that differs ever left alone.
    fn other_content(&self, wanted: ImageMetadata, diff: MetadataDiff) -> Decision {
        let policy = &self.target.policy;
        let is_new = policy.on_id_conflict == OnIdConflict::NewId
            && self.target.id_map.is_some()
            && policy.data == DataPolicy::Copy
            && !self.nature.can_replace();
        if is_new {
            return with_new_id(wanted, IdProblem::OtherContent(diff));
        }
        fail(&wanted, ImageError::DifferentContent(diff))
    }
}

/// The reason why an image is left alone whose data the source does not give out.
fn no_data(wanted: &ImageMetadata) -> SkipReason {
    match wanted.no_data {
        Some(NoData::Withheld) => SkipReason::Withheld,
        Some(_) => SkipReason::NoData,
        None => SkipReason::SourceStatus(wanted.status.clone()),
    }
}

fn skip(wanted: &ImageMetadata, reason: SkipReason) -> Decision {
    let image = Arc::new(ImageRef::from(wanted));
    Decision::Settled(ImageResult::new(image, Outcome::Skipped(reason)))
}

pub(crate) fn fail(wanted: &ImageMetadata, error: ImageError) -> Decision {
    Decision::Settled(ImageResult::failed(ImageRef::from(wanted), error))
}

fn with_new_id(wanted: ImageMetadata, problem: IdProblem) -> Decision {
    let mut planned = planned(wanted, None, Action::Copy, Reason::Missing);
    planned.target_id = TargetId::New(problem);
    Decision::Do(planned)
}

fn write(
    wanted: ImageMetadata,
    found: Option<ImageMetadata>,
    action: Action,
    reason: Reason,
) -> Decision {
    Decision::Do(planned(wanted, found, action, reason))
}

fn planned(
    wanted: ImageMetadata,
    found: Option<ImageMetadata>,
    action: Action,
    reason: Reason,
) -> Box<PlannedImage> {
    Box::new(PlannedImage {
        wanted,
        created_at: None,
        target_id: TargetId::Same,
        found,
        action,
        reason,
    })
}

fn update(wanted: ImageMetadata, found: ImageMetadata, diff: MetadataDiff) -> Decision {
    let action = Action::UpdateMetadata(diff);
    write(wanted, Some(found), action, Reason::MetadataDiffers)
}

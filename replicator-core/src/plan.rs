//! What a run will do: two ordered listings merged into actions with reasons.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use glance_model::{
    BadRecord, Change, ImageId, ImageMetadata, ImageStatus, MetadataDiff, NoData, TargetForm,
};

use crate::context::RunContext;
use crate::ids::{IdProblem, OnIdConflict, refused_before};
use crate::merge::{End, ListingError, MergedListing, Next, Pair};
use crate::port::{
    Event, ImageSource, ImageStream, ImageTarget, LeftOut, Operation, PortError, SkipReason,
};
use crate::proof::Verify;
use crate::replicate::{DataPolicy, ReplicateOptions};
use crate::report::{Failure, ImageError};
use crate::tee::tee;
use crate::verb::Verb;

/// What is to be done, image by image. Memory grows with the work to be done
/// only.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Plan {
    /// The images that need work, in order of ids.
    pub images: Vec<PlannedImage>,
    /// Images that cannot be replicated, which is known already.
    pub failures: Vec<Failure>,
    /// How many images need nothing.
    pub unchanged: u64,
    /// How many images are left alone; an [`Event::Skipped`] said why.
    pub skipped: u64,
    /// Deactivated images, of which an archive gets the metadata alone. Servers give out
    /// their data to administrators; whether to this caller is seen when the plan is run.
    pub withheld: Vec<ImageMetadata>,
    /// Images that somebody else is writing. They are looked at again when all else is
    /// done.
    pub left: Vec<LeftImage>,
}

/// An image that was left to another run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LeftImage {
    /// What would have been done with it.
    pub planned: PlannedImage,
    /// Since when it has been written, where the target says it; `None` as well if it
    /// was our own upload that broke off.
    pub since: Option<String>,
    pub(crate) is_ours: bool,
}

/// One image that needs work.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedImage {
    /// What the target is to say of it, in the target's form, under the id that
    /// it has at the source.
    pub image: ImageMetadata,
    /// When the source says that it was created.
    pub created_at: Option<String>,
    /// Its id at the target.
    pub target_id: TargetId,
    /// What the target has of it.
    pub existing: Option<ImageMetadata>,
    /// What is to be done.
    pub action: Action,
    /// Why.
    pub reason: Reason,
}

/// Under which id the target has, or gets, an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TargetId {
    /// The one that it has at the source.
    Same,
    /// Another one, which it got in an earlier run.
    Other(ImageId),
    /// A new one, since its own cannot be used.
    New(IdProblem),
}

/// What is to be done with an image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Copy its data and metadata.
    Copy,
    /// Read the data that is there, and copy it again if it is wrong.
    Check,
    /// Write its metadata, without data.
    CreateRecord,
    /// Update metadata that differs.
    UpdateMetadata(MetadataDiff),
}

/// Why something is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The target does not have the image.
    Missing,
    /// The target has a record of it, but not its data.
    DataMissing,
    /// The metadata differs.
    MetadataDiffers,
    /// What is there is to be read ([`Verify::ReadBack`]).
    Unread,
}

impl LeftImage {
    /// What it comes to if it is not there when all else is done.
    pub(crate) fn error(&self) -> ImageError {
        if self.is_ours {
            return ImageError::StillSaving;
        }
        let since = self.since.clone();
        ImageError::LeftToAnother { since }
    }
}

impl Plan {
    /// How much image data is to be copied, as far as sizes are known.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.images.iter().map(PlannedImage::bytes_to_copy).sum()
    }
}

impl PlannedImage {
    /// How much image data is to be copied for it.
    #[must_use]
    pub fn bytes_to_copy(&self) -> u64 {
        match self.action {
            Action::Copy => self.image.size.unwrap_or(0),
            Action::Check | Action::CreateRecord | Action::UpdateMetadata(_) => 0,
        }
    }
}

/// Lists both ends and says what is to be done. Nothing is changed.
///
/// # Errors
///
/// [`ListingError`] if one of them cannot be listed in whole and in order.
pub async fn plan(
    ctx: &RunContext,
    verb: Verb,
    source: &dyn ImageSource,
    target: &dyn ImageTarget,
    options: &ReplicateOptions,
) -> Result<Plan, ListingError> {
    plan_from(ctx, verb, source.images(), target, options).await
}

/// A target to plan for: where events go, the target, and how it is written to.
pub type PlanTarget<'a> = (&'a RunContext, &'a dyn ImageTarget, &'a ReplicateOptions);

/// Plans for several targets, as [`plan`] does for each of them, but lists the
/// source once. A target that cannot be listed does not stop the others. The
/// plans come in the order of the targets.
pub async fn plan_for_all(
    verb: Verb,
    source: &dyn ImageSource,
    targets: &[PlanTarget<'_>],
) -> Vec<Result<Plan, ListingError>> {
    let listings = match targets.len() {
        1 => vec![source.images()],
        count => tee(source.images(), count, None, &Operation::ListImages),
    };
    let plans = listings
        .into_iter()
        .zip(targets)
        .map(|(listing, (ctx, target, options))| plan_from(ctx, verb, listing, *target, options));
    join_all(plans).await
}

async fn plan_from(
    ctx: &RunContext,
    verb: Verb,
    source: ImageStream,
    target: &dyn ImageTarget,
    options: &ReplicateOptions,
) -> Result<Plan, ListingError> {
    let mut listing = MergedListing::new(source, target.taken_ids(), options.target_ids());
    let mut plan = Plan::default();
    while let Some(next) = listing.next(ctx).await? {
        match next {
            Next::Pair(pair) => plan.add(ctx, verb, target, options, *pair),
            Next::NoImage(end, bad) => plan.fail_at(ctx, end, bad),
        }
    }
    Ok(plan)
}

enum Decision {
    Do(Box<PlannedImage>),
    /// Somebody else is writing it, since then.
    Leave(Box<PlannedImage>, Option<String>),
    Unchanged,
    Skip(SkipReason),
    Fail(ImageError),
}

impl Plan {
    fn add(
        &mut self,
        ctx: &RunContext,
        verb: Verb,
        target: &dyn ImageTarget,
        options: &ReplicateOptions,
        pair: Pair,
    ) {
        let Some(source) = pair.source else {
            if let Some(Err(PortError::BadRecord(bad))) = pair.target {
                self.fail_at(ctx, End::Target, bad);
            }
            return;
        };
        let form = target.form();
        let (source, existing) = match (source, pair.target.transpose()) {
            (Ok(source), Ok(existing)) => (source, existing),
            // An archive holds nothing of its own: what is damaged is written anew.
            (Ok(source), Err(PortError::Damaged { .. })) if form == TargetForm::Whole => {
                (source, None)
            }
            (Err(PortError::BadRecord(bad)), _) => return self.fail_at(ctx, End::Source, bad),
            (Err(error), _) => {
                return self.fail(ctx, pair.id, None, ImageError::Source(error));
            }
            (Ok(source), Err(error)) => {
                return self.fail(ctx, pair.id, source.name, ImageError::Target(error));
            }
        };
        let created_at = source.created_at.clone();
        let (image, not_held) = form.wanted(options.do_not_replicate.apply(source));
        let existing = existing.map(|existing| form.of(existing));
        let skipped = image.clone();
        let is_kept = existing.as_ref().is_some_and(ImageMetadata::is_active);
        if verb.keeps_records()
            && options.data == DataPolicy::Copy
            && image.status == ImageStatus::Deactivated
            && !is_kept
            && image.size != Some(0)
        {
            self.withheld.push(image.clone());
        }
        let mut decider = Decider {
            verb,
            form,
            options,
            not_updated: BTreeSet::new(),
        };
        let decision = decider.decide(image, existing);
        let left_out = |names: BTreeSet<String>, reason| {
            if !names.is_empty() {
                let id = skipped.id.clone();
                ctx.emit(Event::PropertiesLeftOut { id, names, reason });
            }
        };
        if let Decision::Do(_) = decision {
            left_out(not_held, LeftOut::NotHeld);
        }
        left_out(decider.not_updated, LeftOut::NotUpdated);
        match decision {
            Decision::Do(mut planned) => {
                if let (TargetId::Same, Some(id)) = (&planned.target_id, pair.target_id) {
                    planned.target_id = TargetId::Other(id);
                }
                planned.created_at = created_at;
                self.images.push(*planned);
            }
            Decision::Leave(mut planned, since) => {
                planned.target_id = pair.target_id.map_or(TargetId::Same, TargetId::Other);
                planned.created_at = created_at;
                let image = Box::new(skipped);
                let reason = SkipReason::BeingWritten {
                    since: since.clone(),
                };
                ctx.emit(Event::Skipped { image, reason });
                self.left.push(LeftImage {
                    planned: *planned,
                    since,
                    is_ours: false,
                });
            }
            Decision::Unchanged => self.unchanged += 1,
            Decision::Skip(reason) => {
                self.skipped += 1;
                let image = Box::new(skipped);
                ctx.emit(Event::Skipped { image, reason });
            }
            Decision::Fail(error) => self.fail(ctx, skipped.id, skipped.name, error),
        }
    }

    fn fail(&mut self, ctx: &RunContext, id: ImageId, name: Option<String>, error: ImageError) {
        let failure = Failure::new(&id, name, error);
        ctx.emit(Event::Failed(failure.clone()));
        self.failures.push(failure);
    }

    fn fail_at(&mut self, ctx: &RunContext, end: End, bad: Box<BadRecord>) {
        let failure = Failure::of_record(end, bad);
        ctx.emit(Event::Failed(failure.clone()));
        self.failures.push(failure);
    }
}

struct Decider<'a> {
    verb: Verb,
    form: TargetForm,
    options: &'a ReplicateOptions,
    /// The properties that an active image lacks and no update can give it.
    not_updated: BTreeSet<String>,
}

impl Decider<'_> {
    fn decide(&mut self, mut image: ImageMetadata, existing: Option<ImageMetadata>) -> Decision {
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

        let diff = MetadataDiff::between(&image, &existing, &self.options.do_not_replicate);
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

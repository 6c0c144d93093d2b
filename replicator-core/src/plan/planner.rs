//! Two ordered listings, merged into a plan.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use glance_model::{BadRecord, ImageId, ImageMetadata, ImageStatus, TargetForm};

use crate::list::pairs::{ListingError, MergedListing, Next, Pair};
use crate::list::tee::tee;
use crate::plan::decide::{Decider, Decision};
use crate::plan::verb::Verb;
use crate::plan::{LeftImage, Plan, TargetId};
use crate::port::{ImageSource, ImageStream, ImageTarget, Operation, PortError, Side};
use crate::run::context::RunContext;
use crate::run::error::{Failure, ImageError};
use crate::run::event::{Event, LeftOut, SkipReason};
use crate::run::options::{DataPolicy, ReplicateOptions};

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
            Next::NoImage(side, bad) => plan.fail_at(ctx, side, bad),
        }
    }
    Ok(plan)
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
                self.fail_at(ctx, Side::Target, bad);
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
            (Err(PortError::BadRecord(bad)), _) => return self.fail_at(ctx, Side::Source, bad),
            (Err(error), _) => {
                return self.fail(ctx, pair.id, None, ImageError::Source(error));
            }
            (Ok(source), Err(error)) => {
                return self.fail(ctx, pair.id, source.name, ImageError::Target(error));
            }
        };
        let created_at = source.created_at.clone();
        let (image, not_held) = form.wanted(options.omit.apply(source));
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
                let id = skipped.id;
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

    fn fail_at(&mut self, ctx: &RunContext, side: Side, bad: Box<BadRecord>) {
        let failure = Failure::of_record(side, bad);
        ctx.emit(Event::Failed(failure.clone()));
        self.failures.push(failure);
    }
}

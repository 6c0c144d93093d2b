//! Two ordered listings, merged into a plan.

use std::sync::Arc;

use futures_util::future::join_all;
use glance_model::{ImageId, Selection};

use super::decide::Decision;
use super::decisions::{Decided, DecidedImage, Decisions, listings};
use super::removal::listed;
use super::{LeftImage, Plan, PlannedImage, TargetId};
use crate::list::pairs::ListingError;
use crate::list::selected::Counter;
use crate::port::ImageSource;
use crate::run::approved::{Approval, Met};
use crate::run::event::{Event, LeftOut};
use crate::run::options::RunOptions;
use crate::run::result::{ImageRef, ImageResult, Outcome, SkipReason, Stale};
use crate::run::target_end::TargetEnd;

/// Lists the wanted images of the source once, and each target, and plans what is to be done
/// at each. Nothing is changed.
///
/// A target that cannot be listed does not stop the others. The plans come in the order
/// of the targets.
pub async fn plan(
    source: &dyn ImageSource,
    wanted: &Selection,
    targets: &[TargetEnd],
    options: &RunOptions,
) -> Vec<Result<Plan, ListingError>> {
    let listed = listed(wanted, targets, options);
    let (listings, counter) = listings(source, &listed, targets);
    let plans = listings.into_iter().zip(targets).map(|(listing, target)| {
        let selections = (wanted, &listed);
        let decisions = Decisions::new(source, listing, selections, target, options);
        plan_from(decisions, target, &counter)
    });
    join_all(plans).await
}

async fn plan_from(
    mut decisions: Decisions<'_>,
    target: &TargetEnd,
    counter: &Counter,
) -> Result<Plan, ListingError> {
    let mut planner = Planner {
        target,
        met: Met::default(),
        plan: Plan::default(),
    };
    while let Some(decided) = decisions.next().await? {
        match decided {
            Decided::Image(image) => planner.add(*image),
            Decided::Damaged(damaged) => {
                if planner.is_meant(&damaged.image) {
                    planner.settle(damaged.into());
                }
            }
            Decided::Alone(_, found) => {
                if let Some(decision) = decisions.of_alone(found).await?
                    && let Some(planned) = planner.add_alone(decision)
                {
                    decisions.removals.add(planned);
                }
            }
        }
    }
    planner.settle_what_is_gone();
    planner.plan.selected = counter.count();
    decisions.removals.finish(&mut planner.plan).await?;
    Ok(planner.plan)
}

struct Planner<'a> {
    target: &'a TargetEnd,
    /// The approved images that were listed.
    met: Met,
    plan: Plan,
}

impl Planner<'_> {
    fn add(&mut self, mut decided: DecidedImage) {
        if !self.is_meant(&decided.image) {
            return;
        }
        if let (Decision::Do(planned) | Decision::Leave(planned, _), Some(id)) =
            (&mut decided.decision, decided.target_id)
            && planned.target_id == TargetId::Same
        {
            planned.target_id = TargetId::Other(id);
        }
        self.plan.unknown_projects.extend(decided.unknown);
        match self.if_approved(&decided.image, decided.decision) {
            Decision::Do(mut planned) => {
                let target = self.target;
                target.tell_left_out(&planned.wanted, decided.not_held, LeftOut::NotHeld);
                target.tell_members(&planned.wanted, &decided.lost);
                target.tell_excesses(&planned.wanted, decided.excesses);
                planned.created_at = decided.created_at;
                self.plan.images.push(*planned);
            }
            Decision::Leave(mut planned, since) => {
                planned.created_at = decided.created_at;
                let event = Event::PutOff {
                    image: planned.image_ref(),
                    since: since.clone(),
                };
                self.target.ctx.emit(event);
                self.plan.left.push(LeftImage {
                    planned: *planned,
                    since,
                    is_ours: false,
                });
            }
            Decision::Unchanged => self.plan.unchanged += 1,
            Decision::Settled(result) => self.settle(result),
        }
    }

    /// Takes what becomes of an image that the source does not have, and returns it if it is to leave.
    fn add_alone(&mut self, decision: Decision) -> Option<PlannedImage> {
        match decision {
            Decision::Do(planned) if self.is_meant(&planned.image_ref()) => {
                match self.stale(&planned) {
                    Some(stale) => {
                        let outcome = Outcome::Stale(stale);
                        self.settle(ImageResult::new(planned.image_ref(), outcome));
                    }
                    None => return Some(*planned),
                }
            }
            Decision::Settled(result) if self.is_meant(&result.image) => {
                let is_retired =
                    matches!(result.outcome, Outcome::Skipped(SkipReason::Retired { .. }));
                let approval = self.approval(&result.image);
                match is_retired && approval.is_some_and(Approval::retires) {
                    true => self.plan.unchanged += 1,
                    false => self.settle(result),
                }
            }
            _ => {}
        }
        None
    }

    /// Returns whether anything is to be done about an image: of a plan that was approved, it is
    /// about its images alone.
    fn is_meant(&mut self, image: &ImageRef) -> bool {
        let Some(approved) = &self.target.approved else {
            return true;
        };
        let id = ImageId::parse(&image.id);
        id.is_ok_and(|id| self.met.meet(approved, &id))
    }

    fn approval(&self, image: &ImageRef) -> Option<&Approval> {
        let id = ImageId::parse(&image.id).ok()?;
        self.target.approved.as_ref()?.approval(&id)
    }

    /// Returns why work is not what was approved.
    fn stale(&self, planned: &PlannedImage) -> Option<Stale> {
        let approved = self.target.approved.as_ref()?;
        let approval = approved.approval(&planned.wanted.id)?;
        approval.stale(&planned.approval())
    }

    /// Settles what is not what was approved about an image of the source.
    fn if_approved(&self, image: &ImageRef, decision: Decision) -> Decision {
        let stale = match &decision {
            // It was to leave.
            _ if self.approval(image).is_some_and(Approval::removes) => {
                Some(Stale::Skipped(SkipReason::AtSource))
            }
            Decision::Do(planned) | Decision::Leave(planned, _) => self.stale(planned),
            Decision::Unchanged | Decision::Settled(_) => None,
        };
        match stale {
            Some(stale) => {
                let outcome = Outcome::Stale(stale);
                Decision::Settled(ImageResult::new(Arc::new(image.clone()), outcome))
            }
            None => decision,
        }
    }

    fn settle_what_is_gone(&mut self) {
        let Some(approved) = &self.target.approved else {
            return;
        };
        for (id, approval) in self.met.others(approved).collect::<Vec<_>>() {
            // It was to leave, and neither end has it.
            if approval.removes() {
                self.plan.unchanged += 1;
                continue;
            }
            let image = ImageRef::of_id(id).into();
            self.settle(ImageResult::new(image, Outcome::Stale(Stale::Gone)));
        }
    }

    fn settle(&mut self, mut result: ImageResult) {
        if self.target.approved.is_some()
            && let Outcome::Skipped(reason) = result.outcome
        {
            result.outcome = Outcome::Stale(Stale::Skipped(reason));
        }
        self.target.ctx.emit(Event::Finished(result.clone()));
        self.plan.settled.push(result);
    }
}

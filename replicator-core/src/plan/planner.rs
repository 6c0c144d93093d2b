//! Two ordered listings, merged into a plan.

use futures_util::future::join_all;
use glance_model::{ImageId, Selection};

use super::decide::Decision;
use super::decisions::{Decided, DecidedImage, Decisions, listings};
use super::removal::listed;
use super::{LeftImage, Plan, TargetId};
use crate::list::pairs::ListingError;
use crate::list::selected::Counter;
use crate::port::ImageSource;
use crate::run::approved::Met;
use crate::run::event::{Event, LeftOut};
use crate::run::options::RunOptions;
use crate::run::result::{ImageRef, ImageResult, Outcome, Stale};
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
                let result = decisions.of_alone(found).await?;
                result.into_iter().for_each(|result| planner.settle(result));
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
        match self.if_approved(decided.decision) {
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

    /// Returns whether anything is to be done about an image: of a plan that was approved, it is
    /// about its images alone.
    fn is_meant(&mut self, image: &ImageRef) -> bool {
        let Some(approved) = &self.target.approved else {
            return true;
        };
        let id = ImageId::parse(&image.id);
        id.is_ok_and(|id| self.met.meet(approved, &id).is_some())
    }

    /// Settles work that is not what was approved.
    fn if_approved(&mut self, decision: Decision) -> Decision {
        let (Some(approved), Decision::Do(planned) | Decision::Leave(planned, _)) =
            (&self.target.approved, &decision)
        else {
            return decision;
        };
        let approval = self.met.meet(approved, &planned.wanted.id);
        match approval.and_then(|approval| approval.stale(&planned.approval())) {
            Some(stale) => {
                let outcome = Outcome::Stale(stale);
                Decision::Settled(ImageResult::new(planned.image_ref(), outcome))
            }
            None => decision,
        }
    }

    fn settle_what_is_gone(&mut self) {
        let Some(approved) = &self.target.approved else {
            return;
        };
        for id in self.met.others(approved).collect::<Vec<_>>() {
            let image = ImageRef::of_id(&id).into();
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

//! Two ordered listings, merged into a plan.

use futures_util::future::join_all;
use glance_model::Selection;

use super::decide::Decision;
use super::decisions::{Decided, DecidedImage, Decisions, listings};
use super::removal::listed;
use super::{LeftImage, Plan, TargetId};
use crate::list::pairs::ListingError;
use crate::list::selected::Counter;
use crate::port::ImageSource;
use crate::run::event::{Event, LeftOut};
use crate::run::options::RunOptions;
use crate::run::result::ImageResult;
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
        plan: Plan::default(),
    };
    while let Some(decided) = decisions.next().await? {
        match decided {
            Decided::Image(image) => planner.add(*image),
            Decided::Damaged(damaged) => planner.settle(damaged.into()),
            Decided::Alone(_, found) => {
                let result = decisions.of_alone(found).await?;
                result.into_iter().for_each(|result| planner.settle(result));
            }
        }
    }
    planner.plan.selected = counter.count();
    decisions.removals.finish(&mut planner.plan).await?;
    Ok(planner.plan)
}

struct Planner<'a> {
    target: &'a TargetEnd,
    plan: Plan,
}

impl Planner<'_> {
    fn add(&mut self, decided: DecidedImage) {
        self.plan.unknown_projects.extend(decided.unknown);
        let target_id = decided.target_id;
        match decided.decision {
            Decision::Do(mut planned) => {
                let target = self.target;
                target.tell_left_out(&planned.wanted, decided.not_held, LeftOut::NotHeld);
                target.tell_members(&planned.wanted, &decided.lost);
                target.tell_excesses(&planned.wanted, decided.excesses);
                if let (TargetId::Same, Some(id)) = (&planned.target_id, target_id) {
                    planned.target_id = TargetId::Other(id);
                }
                planned.created_at = decided.created_at;
                self.plan.images.push(*planned);
            }
            Decision::Leave(mut planned, since) => {
                planned.target_id = target_id.map_or(TargetId::Same, TargetId::Other);
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

    fn settle(&mut self, result: ImageResult) {
        self.target.ctx.emit(Event::Finished(result.clone()));
        self.plan.settled.push(result);
    }
}

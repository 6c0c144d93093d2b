//! Two ordered listings, merged into a plan.

use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use glance_model::{ImageMetadata, NoData, NoProject, Selection, Wanted};

use super::decide::{Decider, Decision};
use super::{LeftImage, Plan, TargetId};
use crate::list::members::{with_members, with_members_of_target};
use crate::list::pairs::{Damaged, Listed, ListingError, Pair, Pairs};
use crate::list::selected::{at_target, only, selected};
use crate::list::tee::tee;
use crate::list::withheld::withholds;
use crate::port::{ImageSource, ImageStream, Operation, PortError};
use crate::run::event::{Event, LeftOut};
use crate::run::options::RunOptions;
use crate::run::result::{ImageRef, ImageResult, Outcome, SkipReason};
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
    let (mut images, counter) = selected(source, wanted);
    if let Some(target) = targets.first() {
        images = with_members(source, images, &target.policy.omit);
    }
    let listings = match targets.len() {
        1 => vec![images],
        count => tee(images, count, None, &Operation::ListImages),
    };
    let plans = listings
        .into_iter()
        .zip(targets)
        .map(|(listing, target)| plan_from(source, listing, wanted, target, options));
    let mut plans = join_all(plans).await;
    for plan in plans.iter_mut().flatten() {
        plan.selected = counter.count();
    }
    plans
}

async fn plan_from(
    source: &dyn ImageSource,
    listing: ImageStream,
    wanted: &Selection,
    target: &TargetEnd,
    options: &RunOptions,
) -> Result<Plan, ListingError> {
    let target_ids = target.target_ids();
    let at_target = at_target(wanted, &target_ids);
    let taken = only(target.images.taken_ids(&at_target), &at_target);
    let mut view = target.view();
    view.ids.clone_from(&target_ids);
    let pairs = Pairs::new(listing, taken, target_ids);
    let (images, omit) = (&*target.images, &target.policy.omit);
    let mut pairs = with_members_of_target(pairs, &target.ctx, images, omit);
    let mut planner = Planner {
        source,
        target,
        decider: Decider {
            target,
            nature: target.nature(),
            view,
            now: options.now,
        },
        plan: Plan::default(),
    };
    while let Some(pair) = pairs.try_next().await? {
        match pair {
            Pair::Missing(listed) => planner.add(*listed, None).await,
            Pair::Both(listed, found) => planner.add(*listed, Some(*found)).await,
            Pair::Alone(..) => {}
            Pair::Damaged(damaged) => planner.add_damaged(damaged).await,
        }
    }
    Ok(planner.plan)
}

struct Planner<'a> {
    source: &'a dyn ImageSource,
    target: &'a TargetEnd,
    decider: Decider<'a>,
    plan: Plan,
}

impl Planner<'_> {
    async fn add_damaged(&mut self, damaged: Box<Damaged>) {
        match *damaged {
            // It is written anew.
            Damaged {
                source: Some(source),
                error: PortError::Damaged { .. },
                ..
            } if self.decider.nature.can_replace() => self.add(source, None).await,
            damaged => self.settle(Box::new(damaged).into()),
        }
    }

    async fn add(&mut self, listed: Listed, found: Option<ImageMetadata>) {
        let Listed { image, target_id } = listed;
        let created_at = image.created_at.clone();
        let of_image = ImageRef::from(&image);
        let Wanted {
            image: wanted,
            left_out: not_held,
            lost,
            ..
        } = match self.decider.view.wanted(image) {
            Ok(wanted) => wanted,
            Err(problem) => return self.settle(self.without_project(of_image, problem)),
        };
        let unknown = self.decider.view.identity.unknown(&wanted);
        self.plan.unknown_projects.extend(unknown);
        let found = found.map(|found| self.decider.view.found(found));
        let mut decision = self.decider.decide(wanted, found);
        if let Decision::Do(planned) = &mut decision
            && planned.copies_deactivated()
            && withholds(&self.target.ctx, self.source, &planned.wanted).await
        {
            planned.wanted.no_data = Some(NoData::Withheld);
            let (wanted, found) = (planned.wanted.clone(), planned.found.take());
            if self.decider.nature.keeps_records {
                let image = planned.image_ref();
                self.target.ctx.emit(Event::Withheld { image });
            }
            decision = self.decider.decide(wanted, found);
        }
        match decision.unless_refused(self.target.policy.member.as_ref(), self.decider.view.form) {
            Decision::Do(mut planned) => {
                let target = self.target;
                target.tell_left_out(&planned.wanted, not_held, LeftOut::NotHeld);
                target.tell_members(&planned.wanted, &lost);
                if let (TargetId::Same, Some(id)) = (&planned.target_id, target_id) {
                    planned.target_id = TargetId::Other(id);
                }
                planned.created_at = created_at;
                self.plan.images.push(*planned);
            }
            Decision::Leave(mut planned, since) => {
                planned.target_id = target_id.map_or(TargetId::Same, TargetId::Other);
                planned.created_at = created_at;
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

    fn without_project(&self, image: ImageRef, problem: NoProject) -> ImageResult {
        if self.decider.view.identity.skips(&problem) {
            let skipped = Outcome::Skipped(SkipReason::NoProject(problem));
            return ImageResult::new(image.into(), skipped);
        }
        ImageResult::failed(image, problem.into())
    }

    fn settle(&mut self, result: ImageResult) {
        self.target.ctx.emit(Event::Finished(result.clone()));
        self.plan.settled.push(result);
    }
}

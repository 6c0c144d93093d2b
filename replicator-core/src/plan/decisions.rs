//! The images of a source and a target, and the decision about each.

use std::collections::BTreeSet;

use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use glance_model::{
    Excess, ImageId, ImageMetadata, Lost, NoData, NoProject, Requirements, Selection, Wanted,
};

use super::decide::{Decider, Decision, fail};
use super::refused::refusal;
use super::removal::Removals;
use crate::list::members::{with_members, with_members_of_target};
use crate::list::pairs::{Damaged, Listed, ListingError, Pair, Pairs};
use crate::list::selected::{Counter, at_target, only, selected_and_meant};
use crate::list::tee::tee;
use crate::list::withheld::withholds;
use crate::port::{ImageSource, ImageStream, Operation, PortError};
use crate::run::event::Event;
use crate::run::options::RunOptions;
use crate::run::result::{ImageRef, ImageResult, Outcome, SkipReason};
use crate::run::target_end::TargetEnd;

/// Lists the wanted images of a source once, for each of some targets.
pub(crate) fn listings(
    source: &dyn ImageSource,
    wanted: &Selection,
    targets: &[TargetEnd],
) -> (Vec<ImageStream>, Counter) {
    let all = targets.to_vec();
    let is_meant =
        move |id: &ImageId| all.is_empty() || all.iter().any(|target| target.is_meant(id));
    let (mut images, counter) = selected_and_meant(source, wanted, is_meant.clone());
    if let Some(target) = targets.first() {
        images = with_members(source, images, &target.policy.omit, is_meant);
    }
    let listings = match targets.len() {
        1 => vec![images],
        count => tee(images, count, None, &Operation::ListImages),
    };
    (listings, counter)
}

/// What was listed, and what is to become of it.
pub(crate) enum Decided {
    /// An image of the source.
    Image(Box<DecidedImage>),
    /// Something that cannot be used of an image.
    Damaged(Box<Damaged>),
    /// An image that the target alone has; `None` if it has something that cannot be used.
    Alone(ImageId, Option<Box<ImageMetadata>>),
}

/// An image of the source, with the decision about it.
pub(crate) struct DecidedImage {
    pub(crate) image: ImageRef,
    /// The time of its creation, as the source says it.
    pub(crate) created_at: Option<String>,
    /// The time of its last change at the source.
    pub(crate) updated_at: Option<String>,
    /// Whether the source gives its data.
    pub(crate) has_data: bool,
    /// Whether what the target has of it is damaged, and is written anew.
    pub(crate) is_damaged: bool,
    /// Its id at the target, if it is another one.
    pub(crate) target_id: Option<ImageId>,
    pub(crate) decision: Decision,
    /// The projects that own or share it and that the target does not know.
    pub(crate) unknown: Vec<String>,
    /// The properties that the target cannot hold.
    pub(crate) not_held: BTreeSet<String>,
    /// The members that do not become what they are at the source.
    pub(crate) lost: Lost,
    /// What it has too much of for most servers.
    pub(crate) excesses: Vec<Excess>,
}

/// Goes through the images of a source and a target, side by side, and decides about each.
pub(crate) struct Decisions<'a> {
    source: &'a dyn ImageSource,
    target: &'a TargetEnd,
    decider: Decider<'a>,
    reads_records_only: bool,
    pub(crate) removals: Removals<'a>,
    /// The requirements of the target, once there is anything to be written.
    requirements: Option<Requirements>,
    pairs: BoxStream<'static, Result<Pair, ListingError>>,
}

impl<'a> Decisions<'a> {
    /// Begins with the images of a source, which are listed already, and those of a target. Of the
    /// wanted images, those are looked at which are listed.
    pub(crate) fn new(
        source: &'a dyn ImageSource,
        listing: ImageStream,
        (wanted, listed): (&'a Selection, &Selection),
        target: &'a TargetEnd,
        options: &RunOptions,
    ) -> Self {
        let target_ids = target.target_ids();
        let at_target = at_target(listed, &target_ids);
        let taken = only(target.images.taken_ids(&at_target), &at_target);
        let mut view = target.view();
        view.ids.clone_from(&target_ids);
        let pairs = Pairs::new(listing, taken, target_ids);
        let pairs = with_members_of_target(pairs, &target.ctx, &*target.images, &view);
        Self {
            source,
            target,
            removals: Removals::new(source, target, wanted, listed, options),
            decider: Decider {
                target,
                nature: target.nature(),
                view,
                now: options.now,
            },
            reads_records_only: options.reads_records_only,
            requirements: None,
            pairs,
        }
    }

    /// The next image that either end has.
    pub(crate) async fn next(&mut self) -> Result<Option<Decided>, ListingError> {
        let pair = loop {
            match self.pairs.try_next().await? {
                Some(pair) if !self.removals.takes(&pair) => {}
                Some(pair) => break pair,
                None => return Ok(None),
            }
        };
        let decided = match pair {
            Pair::Missing(listed) => self.decide(*listed, None).await,
            Pair::Both(listed, found) => self.decide(*listed, Some(*found)).await,
            Pair::Alone(id, found) => return Ok(Some(Decided::Alone(id, found))),
            Pair::Damaged(damaged) => match *damaged {
                // It is written anew.
                Damaged {
                    source: Some(source),
                    error: PortError::Damaged { .. },
                    ..
                } if self.decider.nature.can_replace() => DecidedImage {
                    is_damaged: true,
                    ..self.decide(source, None).await
                },
                damaged => return Ok(Some(Decided::Damaged(Box::new(damaged)))),
            },
        };
        Ok(Some(Decided::Image(Box::new(decided))))
    }

    /// Decides about an image that the target alone has, if it is one that may leave.
    pub(crate) async fn of_alone(
        &mut self,
        found: Option<Box<ImageMetadata>>,
    ) -> Result<Option<Decision>, ListingError> {
        match found {
            Some(found) => self.removals.alone(*found, &self.decider.view).await,
            None => Ok(None),
        }
    }

    async fn decide(&mut self, listed: Listed, found: Option<ImageMetadata>) -> DecidedImage {
        let Listed { image, target_id } = listed;
        let mut decided = DecidedImage {
            image: ImageRef::from(&image),
            created_at: image.created_at.clone(),
            updated_at: image.updated_at.clone(),
            has_data: image.has_data(),
            is_damaged: false,
            target_id,
            decision: Decision::Unchanged,
            unknown: Vec::new(),
            not_held: BTreeSet::new(),
            lost: Lost::default(),
            excesses: Vec::new(),
        };
        let Wanted {
            image: mut wanted,
            left_out,
            lost,
            ..
        } = match self.decider.view.wanted(image) {
            Ok(wanted) => wanted,
            Err(problem) => {
                let result = self.without_project(decided.image.clone(), problem);
                decided.decision = Decision::Settled(result);
                return decided;
            }
        };
        decided.unknown = self.decider.view.identity.unknown(&wanted);
        (decided.not_held, decided.lost) = (left_out, lost);
        let found = found.map(|found| self.decider.view.found(found));
        self.decider.view.mark(&mut wanted, found.as_ref());
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
        let member = self.target.policy.member.as_ref();
        let nature = self.decider.nature;
        decision = decision.unless_refused(self.reads_records_only, member, nature);
        if let Decision::Do(planned) = &decision {
            let requirements = self.requirements().await;
            decided.excesses = requirements.excesses(&planned.wanted, planned.found.as_ref());
            if let Some(error) = refusal(planned, nature, requirements) {
                decision = fail(&planned.wanted, error);
            }
        }
        decided.decision = decision;
        decided
    }

    async fn requirements(&mut self) -> &Requirements {
        if self.requirements.is_none() {
            let asked = self.target.images.requirements();
            let asked = self.target.ctx.until_cancelled(asked).await;
            self.requirements = Some(asked.unwrap_or_default());
        }
        self.requirements.get_or_insert_default()
    }

    fn without_project(&self, image: ImageRef, problem: NoProject) -> ImageResult {
        if self.decider.view.identity.skips(&problem) {
            let skipped = Outcome::Skipped(SkipReason::NoProject(problem.into()));
            return ImageResult::new(image.into(), skipped);
        }
        ImageResult::failed(image, problem.into())
    }
}

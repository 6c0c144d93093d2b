//! The images of an origin that leave a target, since the source does not have them any more.

use glance_model::{Fate, ImageId, ImageMetadata, Retirement, Selection, Shard, View};

use super::decide::Decision;
use super::{Action, Plan, PlannedImage, Reason, TargetId};
use crate::list::pairs::{ListingError, Pair};
use crate::port::{ImageSource, Side};
use crate::run::event::Event;
use crate::run::options::{OnIdConflict, RunOptions};
use crate::run::result::{ImageRef, ImageResult, NotDone, Outcome, SkipReason, Stale};
use crate::run::target_end::TargetEnd;

/// Returns the images of the source that have to be listed, so that it is known which of the
/// target it does not have: those of all shares, if images are to leave one.
pub(crate) fn listed(wanted: &Selection, targets: &[TargetEnd], run: &RunOptions) -> Selection {
    let removes = |target: &TargetEnd| target.retirement(run).is_some();
    let listed = wanted.clone();
    match targets.iter().any(removes) {
        true => listed.of_shard(None),
        false => listed,
    }
}

/// What two listings say of the images that are to leave a target.
pub(crate) struct Removals<'a> {
    source: &'a dyn ImageSource,
    target: &'a TargetEnd,
    rules: Option<Retirement>,
    wanted: &'a Selection,
    /// The share of the work, if others do the rest of it. What leaves the target is of all shares.
    shard: Option<Shard>,
    of_source: u64,
    of_share: u64,
    of_origin: u64,
    same: u64,
    other: u64,
    planned: Vec<PlannedImage>,
}

impl<'a> Removals<'a> {
    /// Of the wanted images, those are looked at which are listed.
    pub(crate) fn new(
        source: &'a dyn ImageSource,
        target: &'a TargetEnd,
        wanted: &'a Selection,
        listed: &Selection,
        run: &RunOptions,
    ) -> Self {
        Self {
            source,
            target,
            rules: target.retirement(run),
            wanted,
            shard: wanted.shard().filter(|_| listed.shard().is_none()),
            of_source: 0,
            of_share: 0,
            of_origin: 0,
            same: 0,
            other: 0,
            planned: Vec::new(),
        }
    }

    /// Takes note of what is listed, and returns whether it is of our share, and of a plan that was
    /// approved. What cannot be used of an image is a failure, of whatever share it is.
    pub(crate) fn takes(&mut self, pair: &Pair) -> bool {
        match pair {
            Pair::Missing(listed) => self.has(&listed.image.id),
            Pair::Both(listed, found) => {
                self.both(&listed.image, found);
                self.has(&listed.image.id)
            }
            Pair::Damaged(damaged) => {
                let is_of_source = damaged.side == Side::Source || damaged.source.is_some();
                self.of_source += u64::from(is_of_source);
                true
            }
            Pair::Alone(..) => true,
        }
    }

    fn has(&mut self, id: &ImageId) -> bool {
        self.of_source += 1;
        let is_of_share = self.shard.is_none_or(|shard| shard.has(id));
        self.of_share += u64::from(is_of_share);
        is_of_share && self.target.is_meant(id)
    }

    /// Takes note of an image that both ends have. A copy is not as old as its original, to the
    /// second of its creation and of its last change, and it alone has our mark.
    fn both(&mut self, image: &ImageMetadata, found: &ImageMetadata) {
        if self.rules.is_none() {
            return;
        }
        if !self.target.nature().keeps_records {
            let times = |image: &ImageMetadata| image.created().zip(image.updated());
            let is_same = times(image).is_some()
                && times(image) == times(found)
                && image.origin() == found.origin();
            match is_same {
                true => self.same += 1,
                false => self.other += 1,
            }
        }
        self.count(found);
    }

    fn count(&mut self, found: &ImageMetadata) {
        let is_ours = |rules: &Retirement| rules.origin().is_of(found);
        let is_counted = self.rules.as_ref().is_some_and(is_ours) && !found.status.is_burnt();
        self.of_origin += u64::from(is_counted);
    }

    /// Decides about an image that the source has not listed: whether it leaves, or why it stays if it
    /// would leave otherwise.
    pub(crate) async fn alone(
        &mut self,
        found: ImageMetadata,
        view: &View,
    ) -> Result<Option<Decision>, ListingError> {
        let Some(rules) = &self.rules else {
            return Ok(None);
        };
        let target_id = found.id;
        let original = view.ids.iter().find(|(_, id)| **id == target_id);
        let id = original.map_or(target_id, |(id, _)| *id);
        // One whose copy goes by another id may take up its id, and has its original all the same.
        let is_original = view.ids.contains_key(&target_id);
        let stays = |found: &ImageMetadata, reason: SkipReason| {
            let mut image = ImageRef::from(found);
            image.id = id.to_string();
            let mut result = ImageResult::new(image.into(), Outcome::Skipped(reason));
            result.target_id = (id != target_id).then_some(target_id);
            Ok(Some(Decision::Settled(result)))
        };
        // Whoever has approved that it leaves is told.
        let not_ours = |found: &ImageMetadata| match &self.target.approved {
            Some(_) if !found.status.is_burnt() => stays(found, SkipReason::Changed),
            _ => Ok(None),
        };
        if is_original || !self.is_ours_to_remove(&found) {
            return not_ours(&found);
        }
        let found = view.found(found);
        let fate = rules.fate(&found, view.form);
        let retired = rules.retired(&found, view.form);
        let changes = rules.changes(&found, view.form);
        self.count(&found);
        if fate == Fate::NotOurs {
            return not_ours(&found);
        }
        // The selection may have left it out at the source, which may be so for any number of them.
        if self.is_selection() && self.is_at_source(&id).await? {
            return Ok(None);
        }
        if let Some(reason) = reason_to_stay(&fate, &found) {
            return stays(&found, reason);
        }
        let (action, reason, mut wanted) = match fate {
            Fate::Delete => (Action::Delete, Reason::GraceOver, found.clone()),
            _ => (Action::Retire(changes), Reason::GoneAtSource, retired),
        };
        wanted.id = id;
        Ok(Some(Decision::Do(Box::new(PlannedImage {
            wanted,
            created_at: None,
            target_id: match id == target_id {
                true => TargetId::Same,
                false => TargetId::Other(target_id),
            },
            found: Some(found),
            action,
            reason,
        }))))
    }

    /// Takes an image that is to leave, if nothing is wrong with all of them together.
    pub(crate) fn add(&mut self, planned: PlannedImage) {
        self.planned.push(planned);
    }

    /// Returns whether some images alone are wanted, of whatever share.
    fn is_selection(&self) -> bool {
        !self.wanted.clone().of_shard(None).is_all()
    }

    /// A member removes images of its own project alone, and a selection is one of images to be
    /// removed as well.
    fn is_ours_to_remove(&self, found: &ImageMetadata) -> bool {
        let whole = self.wanted.clone().of_shard(None);
        let member = self.target.policy.member.as_ref();
        whole.matches(found) && member.is_none_or(|member| member.owns(found))
    }

    /// Asks the source for an image.
    async fn is_at_source(&self, id: &ImageId) -> Result<bool, ListingError> {
        let asked = self.target.ctx.until_cancelled(self.source.has_image(id));
        asked.await.flatten().map_err(|source| {
            let side = Side::Source;
            ListingError::Failed { side, source }
        })
    }

    /// Adds to a plan what leaves the target, or why nothing does. The source is asked for each
    /// image by itself: a listing of many pages may miss one, and one of ours may leave out those of
    /// other projects.
    pub(crate) async fn finish(mut self, plan: &mut Plan) -> Result<(), ListingError> {
        if self.shard.is_some() {
            plan.selected.images = self.of_share;
        }
        if self.planned.is_empty() {
            return Ok(());
        }
        let why = self.why_not(plan);
        for planned in std::mem::take(&mut self.planned) {
            if why.is_some() || !self.is_at_source(&planned.wanted.id).await? {
                plan.images.push(planned);
            } else if self.target.approved.is_some() {
                let outcome = Outcome::Stale(Stale::Skipped(SkipReason::AtSource));
                let result = ImageResult::new(planned.image_ref(), outcome);
                self.target.ctx.emit(Event::Finished(result.clone()));
                plan.settled.push(result);
            }
        }
        if let Some(why) = why {
            plan.hold_back(why);
        }
        Ok(())
    }

    fn why_not(&self, plan: &Plan) -> Option<NotDone> {
        let deletes = self.planned.iter();
        let deletes = deletes.filter(|planned| planned.action == Action::Delete);
        let deletes = deletes.count() as u64;
        let images = deletes.max(self.planned.len() as u64 - deletes);
        let max = self.target.policy.delete.map(|delete| delete.max);
        let most = max.map_or(0, |max| max.of(self.of_origin));
        let failed = plan.settled.iter().any(|result| result.error().is_some());
        let skips_ids = self.target.policy.on_id_conflict == OnIdConflict::Skip;
        if self.of_source == 0 && self.is_selection() {
            Some(NotDone::NothingSelected)
        } else if self.of_source == 0 {
            Some(NotDone::SourceEmpty)
        } else if self.same > 0 && self.other == 0 {
            Some(NotDone::SameEnd)
        } else if images > most {
            Some(NotDone::TooManyGone { images, most })
        } else if failed {
            Some(NotDone::AfterFailures)
        } else if skips_ids && self.target.id_map.is_none() {
            Some(NotDone::MayBeACopy)
        } else {
            None
        }
    }
}

/// Returns the reason why an image that its source does not have any more stays as it is, if it
/// does.
pub(crate) fn reason_to_stay(fate: &Fate, found: &ImageMetadata) -> Option<SkipReason> {
    match fate {
        Fate::Retire | Fate::Delete => None,
        Fate::Protected => Some(SkipReason::Protected),
        Fate::BeingWritten => Some(SkipReason::BeingWritten {
            since: found.updated_at.clone(),
        }),
        Fate::Waits { until } => Some(SkipReason::Retired {
            until: until.to_string(),
        }),
        _ => Some(SkipReason::Changed),
    }
}

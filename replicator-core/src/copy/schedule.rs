//! The order of the work. Records are made ready one after the other, in the source's
//! order of creation, a few ahead of the data; of those that are ready, the largest goes
//! first, as many at a time as there are transfers, each by itself.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use glance_model::{ImageId, ImageMetadata};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::fan_out::{Member, begin_all, write_all, writer};
use super::one_image::{Done, Look, WriteError};
use super::order::{Order, kernels_first};
use super::target::TargetRun;
use crate::plan::{Action, LeftImage, PlannedImage, TargetId};
use crate::port::ImageSource;
use crate::run::context::RunContext;
use crate::run::error::ImageError;
use crate::run::event::Event;
use crate::run::options::RunOptions;
use crate::run::report::Report;
use crate::run::result::{ImageRef, ImageResult, NotDone, Outcome};
use crate::run::target_end::TargetEnd;

/// The number of images that have their records made ready ahead of their data. Whoever
/// ends the run leaves as many records without data, beside those that are being written.
const AHEAD: usize = 8;

/// A target, as far as its work has come.
struct Progress {
    end: Arc<TargetEnd>,
    report: Report,
    /// The least number of bytes that is too many for the target.
    too_many: u64,
    is_unusable: bool,
}

/// An image whose data is to be copied, and to which targets.
struct Copies {
    bytes: u64,
    created_at: Option<String>,
    planned: Vec<(usize, PlannedImage)>,
}

/// An image whose records are ready.
struct Ready {
    bytes: u64,
    members: Vec<Member>,
    /// The image whose record was made just now, and the time of its original.
    made: Option<(ImageMetadata, String)>,
}

/// An image at a target.
struct Place {
    index: usize,
    image: Arc<ImageRef>,
    target_id: Option<ImageId>,
    bytes: u64,
    /// The moment at which the work on it began.
    begun: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Lane {
    /// Data moves.
    Transfers,
    /// Metadata alone is written, which never waits for the data of others.
    Checkers,
}

enum Ended {
    Ready(Box<Ready>),
    Written(Lane, Vec<(Place, Result<Done, WriteError>)>),
}

/// All of a run, as it is worked off.
pub(crate) struct Schedule {
    ctx: RunContext,
    options: Arc<RunOptions>,
    source: Arc<dyn ImageSource>,
    targets: Vec<Progress>,
    /// The images that have yet to be made ready, in that order.
    copies: VecDeque<Copies>,
    is_preparing: bool,
    order: Order,
    ready: Vec<Ready>,
    /// Whether there was a choice of the image that goes first.
    is_filled: bool,
    updates: VecDeque<(usize, PlannedImage)>,
    /// The images that are looked at again when all else is done.
    left: Vec<(usize, LeftImage)>,
    free_transfers: usize,
    free_checkers: usize,
    /// The bytes of the images whose records were made ready, which are those that are sent.
    begun_bytes: u64,
    running: JoinSet<Ended>,
}

impl Schedule {
    pub(crate) fn new(
        ctx: &RunContext,
        source: Arc<dyn ImageSource>,
        runs: Vec<TargetRun>,
        options: &RunOptions,
    ) -> Self {
        let mut schedule = Self {
            ctx: ctx.clone(),
            options: Arc::new(options.clone()),
            source,
            free_transfers: options.transfers.get(),
            free_checkers: options.checkers.get(),
            targets: Vec::new(),
            copies: VecDeque::new(),
            is_preparing: false,
            order: Order::default(),
            ready: Vec::new(),
            is_filled: false,
            updates: VecDeque::new(),
            left: Vec::new(),
            begun_bytes: 0,
            running: JoinSet::new(),
        };
        let mut copies: BTreeMap<ImageId, Copies> = BTreeMap::new();
        for (index, TargetRun { end, plan }) in runs.into_iter().enumerate() {
            for planned in plan.images {
                if planned.action == Action::Copy {
                    let of_image = copies
                        .entry(planned.wanted.id)
                        .or_insert_with(|| Copies::of(&planned));
                    of_image.planned.push((index, planned));
                } else {
                    schedule.updates.push_back((index, planned));
                }
            }
            let left = plan.left.into_iter().map(|left| (index, left));
            schedule.left.extend(left);
            schedule.targets.push(Progress {
                end: Arc::new(end),
                report: Report {
                    results: plan.settled,
                    unchanged: plan.unchanged,
                },
                too_many: u64::MAX,
                is_unusable: false,
            });
        }
        let mut copies: Vec<Copies> = copies.into_values().collect();
        let mut natures = schedule.targets.iter().map(|target| target.end.nature());
        if natures.all(|nature| nature.keeps_records) {
            copies.sort_by_key(|copies| Reverse(copies.bytes));
        } else {
            // Consumers that take the newest image of a name go by the time of its record.
            // Those of one second stay in order of ids.
            copies.sort_by(|a, b| {
                (a.created_at.is_none(), &a.created_at)
                    .cmp(&(b.created_at.is_none(), &b.created_at))
            });
            copies = kernels_first(copies, Copies::image);
        }
        schedule.copies = copies.into();
        schedule
    }

    pub(crate) async fn run(mut self) -> Vec<Report> {
        let copies: usize = self.copies.iter().map(|copies| copies.planned.len()).sum();
        self.ctx.emit(Event::Planned {
            images: (copies + self.updates.len()) as u64,
            total_bytes: self.copies.iter().map(|copies| copies.bytes).sum(),
        });
        self.work().await;
        if !self.ctx.is_cancelled() && !self.left.is_empty() {
            self.look_at_left().await;
            self.work().await;
        }
        for (index, left) in std::mem::take(&mut self.left) {
            let place = Place::of(index, &left.planned);
            self.fail(place, left.error().into());
        }
        let ready = std::mem::take(&mut self.ready).into_iter();
        let ready = ready.flat_map(|ready| ready.members);
        let ready = ready.map(|member| (member.index, member.planned));
        let copies = std::mem::take(&mut self.copies).into_iter();
        let copies = copies.flat_map(|copies| copies.planned);
        let left: Vec<_> = ready.chain(copies).chain(self.updates.drain(..)).collect();
        for (index, planned) in left {
            self.not_done(Place::of(index, &planned));
        }
        let targets = self.targets.into_iter();
        targets.map(|target| target.report).collect()
    }

    async fn work(&mut self) {
        loop {
            self.begin_more();
            let Some(ended) = self.running.join_next().await else {
                break;
            };
            match ended {
                Ok(Ended::Ready(mut ready)) => {
                    self.is_preparing = false;
                    if let Some((image, created_at)) = ready.made.take() {
                        self.order.made(&image, &created_at, Instant::now());
                    }
                    self.ready.push(*ready);
                }
                Ok(Ended::Written(lane, written)) => {
                    match lane {
                        Lane::Transfers => self.free_transfers += 1,
                        Lane::Checkers => self.free_checkers += 1,
                    }
                    for (place, result) in written {
                        self.take(place, result);
                    }
                }
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }

    fn begin_more(&mut self) {
        if self.ctx.is_cancelled() || self.is_late() {
            return;
        }
        let is_all_ready = (self.copies.is_empty() || self.is_spent()) && !self.is_preparing;
        self.is_filled |= is_all_ready || self.ready.len() >= AHEAD;
        while self.is_filled
            && self.free_transfers > 0
            && let Some(ready) = self.largest_ready()
        {
            let members = ready.members.into_iter();
            let members: Vec<Member> = members
                .filter_map(|member| self.still_possible(member))
                .collect();
            if !members.is_empty() {
                self.free_transfers -= 1;
                self.write(Lane::Transfers, members);
            }
        }
        while !self.is_preparing
            && self.ready.len() < AHEAD
            && !self.is_spent()
            && let Some(copies) = self.copies.pop_front()
        {
            self.prepare(copies);
        }
        while self.free_checkers > 0
            && let Some((index, update)) = self.updates.pop_front()
        {
            if let Some(member) = self.member(index, update) {
                self.free_checkers -= 1;
                self.write(Lane::Checkers, vec![member]);
            }
        }
    }

    /// Returns whether the run has lasted as long as it may.
    fn is_late(&self) -> bool {
        let most = self.options.max_duration;
        most.is_some_and(|most| self.ctx.run_time() >= most)
    }

    /// Returns whether as much data as may be is sent by the images that have begun.
    fn is_spent(&self) -> bool {
        let most = self.options.max_transfer;
        most.is_some_and(|most| self.begun_bytes >= most)
    }

    fn largest_ready(&mut self) -> Option<Ready> {
        let sizes = self.ready.iter().enumerate();
        let largest = sizes.max_by_key(|(index, ready)| (ready.bytes, Reverse(*index)));
        let index = largest.map(|(index, _)| index)?;
        Some(self.ready.remove(index))
    }

    /// Makes the records of an image ready.
    fn prepare(&mut self, copies: Copies) {
        let image = copies.image().cloned();
        let planned = copies.planned.into_iter();
        let members: Vec<Member> = planned
            .filter_map(|(index, mut planned)| {
                let end = &self.targets.get(index)?.end;
                if end.id_map.is_some() {
                    // The kernel may have got another id in this run.
                    planned.wanted.rename_references(&end.target_ids());
                }
                self.member(index, planned)
            })
            .collect();
        if members.is_empty() {
            return;
        }
        self.is_preparing = true;
        let bytes = members.iter().map(|member| member.planned.bytes_to_copy());
        self.begun_bytes += bytes.sum::<u64>();
        let is_new = |member: &Member| {
            member.planned.found.is_none() && !member.target.nature().keeps_records
        };
        let made = copies.created_at.filter(|_| members.iter().any(is_new));
        let made = image.zip(made);
        let not_before = made
            .as_ref()
            .and_then(|(image, created_at)| self.order.not_before(image, created_at));
        let ctx = self.ctx.clone();
        let (options, source) = (Arc::clone(&self.options), Arc::clone(&self.source));
        let (bytes, waits) = (copies.bytes, self.targets.len() == 1);
        self.running.spawn(async move {
            if let Some(not_before) = not_before {
                // If it is cancelled, nothing is begun.
                drop(ctx.until_cancelled(sleep_until(not_before)).await);
            }
            let members = begin_all(&options, &source, members, waits).await;
            Ended::Ready(Box::new(Ready {
                bytes,
                members,
                made,
            }))
        });
    }

    /// An image at a target, if that can take more.
    fn member(&mut self, index: usize, planned: PlannedImage) -> Option<Member> {
        let target = Arc::clone(&self.targets.get(index)?.end);
        self.still_possible(Member {
            index,
            target,
            planned,
            begun: None,
        })
    }

    /// The same image, unless its target can take it no more by now.
    fn still_possible(&mut self, member: Member) -> Option<Member> {
        let too_many = self.targets.get(member.index)?.too_many;
        if member.planned.bytes_to_copy() < too_many {
            return Some(member);
        }
        self.not_done(Place::of(member.index, &member.planned));
        None
    }

    fn write(&mut self, lane: Lane, members: Vec<Member>) {
        let (ctx, source) = (self.ctx.clone(), Arc::clone(&self.source));
        let options = Arc::clone(&self.options);
        let places = members.iter().map(Place::of_member);
        let places: Vec<Place> = places.collect();
        self.running.spawn(async move {
            let results = write_all(&ctx, &options, &source, members).await;
            Ended::Written(lane, places.into_iter().zip(results).collect())
        });
    }

    fn take(&mut self, mut place: Place, result: Result<Done, WriteError>) {
        match result {
            Ok(Done::Finished { outcome, target_id }) => {
                place.target_id = target_id.or(place.target_id);
                self.finish(place, outcome);
            }
            Ok(Done::Left(left)) => self.left.push((place.index, *left)),
            Err(failed) => {
                if let Some(target) = self.targets.get_mut(place.index) {
                    if failed.error.is_of_the_end() {
                        (target.too_many, target.is_unusable) = (0, true);
                    } else if failed.error.is_of_room() {
                        target.too_many = place.bytes.min(target.too_many);
                    }
                }
                self.fail(place, failed);
            }
        }
    }

    fn finish(&mut self, place: Place, outcome: Outcome) {
        let Some(target) = self.targets.get_mut(place.index) else {
            return;
        };
        let mut result = ImageResult::new(place.image, outcome);
        result.target_id = place.target_id;
        result.took = place.begun.map(|begun| begun.elapsed());
        target.end.ctx.emit(Event::Finished(result.clone()));
        target.report.results.push(result);
    }

    /// An image that was broken off has not failed.
    fn fail(&mut self, place: Place, failed: WriteError) {
        let is_put_off = matches!(
            failed.error,
            ImageError::LeftToAnother { .. } | ImageError::StillSaving
        );
        if failed.error.is_cancelled() || (is_put_off && self.ctx.is_cancelled()) {
            return self.not_done(place);
        }
        let outcome = Outcome::Failed {
            error: Arc::new(failed.error),
            left_behind: failed.left_behind,
        };
        self.finish(place, outcome);
    }

    fn not_done(&mut self, place: Place) {
        let target = self.targets.get(place.index);
        let why = match target {
            _ if self.ctx.is_cancelled() => NotDone::Cancelled,
            Some(target) if target.is_unusable => NotDone::TargetUnusable,
            Some(target) if place.bytes >= target.too_many => NotDone::NoRoom,
            _ => NotDone::LimitReached,
        };
        self.finish(place, Outcome::NotDone(why));
    }

    /// Looks at what was left to other runs: what is there by now is right, and what
    /// nobody writes any more is ours.
    async fn look_at_left(&mut self) {
        let left = std::mem::take(&mut self.left);
        let looks = left.into_iter().map(|(index, left)| {
            let place = Place::of(index, &left.planned);
            let target = self.targets.get(index);
            let target = target.map(|target| Arc::clone(&target.end));
            let (options, source) = (&self.options, &self.source);
            async move {
                let target = target?;
                let writer = writer(options, source, &target);
                let look = target.ctx.until_cancelled(writer.look(left)).await;
                Some((place, look.map_err(ImageError::Target).flatten()))
            }
        });
        let looks: Vec<_> = stream::iter(looks).buffer_unordered(AHEAD).collect().await;
        for (place, look) in looks.into_iter().flatten() {
            match look {
                Ok(Look::There(outcome)) => self.finish(place, outcome),
                Ok(Look::Free(planned)) => {
                    let mut copies = Copies::of(&planned);
                    copies.planned.push((place.index, *planned));
                    self.copies.push_back(copies);
                }
                Err(_) if self.ctx.is_cancelled() => self.not_done(place),
                Err(error) => self.fail(place, error.into()),
            }
        }
    }
}

impl Copies {
    /// The image, as the first of the targets is to have it.
    fn image(&self) -> Option<&ImageMetadata> {
        self.planned.first().map(|(_, planned)| &planned.wanted)
    }

    fn of(planned: &PlannedImage) -> Self {
        Self {
            bytes: planned.bytes_to_copy(),
            created_at: planned.created_at.clone(),
            planned: Vec::new(),
        }
    }
}

impl Place {
    fn of(index: usize, planned: &PlannedImage) -> Self {
        Self {
            index,
            image: planned.image_ref(),
            target_id: match &planned.target_id {
                TargetId::Other(id) => Some(*id),
                TargetId::Same | TargetId::New(_) => None,
            },
            bytes: planned.bytes_to_copy(),
            begun: None,
        }
    }

    /// The place of an image on which the work begins now.
    fn of_member(member: &Member) -> Self {
        Self {
            begun: Some(Instant::now()),
            ..Self::of(member.index, &member.planned)
        }
    }
}

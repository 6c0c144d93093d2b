//! The order of the work. Records are made in the source's order of creation, those of one name or
//! tag one after the other and others side by side. Small images have a lane of their own; of the
//! others, records are made a few ahead of the data, and of those that are ready, the largest goes
//! first, as many at a time as there are transfers. Each image goes by itself.

use std::cmp::Reverse;
use std::sync::Arc;

use futures_util::future::join;
use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::fan_out::{Member, begin_all, open_early, write_all, writer};
use super::leaving::leave;
use super::one_image::{Done, Look, WriteError};
use super::progress::{Place, Progress};
use super::queue::{Copies, Made, Pace, Queue, TellMade};
use super::small_lane::SmallLane;
use super::target::TargetRun;
use super::waiting::Waiting;
use crate::plan::{LeftImage, PlannedImage};
use crate::port::{IdUse, ImageSource};
use crate::run::context::RunContext;
use crate::run::error::ImageError;
use crate::run::event::Event;
use crate::run::options::RunOptions;
use crate::run::report::Report;

/// The number of images that have their records made ready ahead of their data. Whoever
/// ends the run leaves as many records without data, beside those that are being written.
const AHEAD: usize = 8;

/// An image whose records are ready.
struct Ready {
    bytes: u64,
    members: Vec<Member>,
    /// What is kept until its data is sent, which makes its record.
    tell_made: Option<TellMade>,
}

#[derive(Clone, Copy)]
enum Lane {
    /// Data moves.
    Transfers,
    /// The data of a small image moves, of this many bytes.
    Small(u64),
    /// Metadata alone is written, which never waits for the data of others.
    Checkers,
}

enum Ended {
    Ready(Ready),
    Written(Lane, Vec<(Place, Result<Done, WriteError>)>),
}

/// All of a run, as it is worked off.
pub(crate) struct Schedule {
    ctx: RunContext,
    options: Arc<RunOptions>,
    source: Arc<dyn ImageSource>,
    targets: Vec<Progress>,
    queue: Queue,
    small: SmallLane,
    /// The number of images that are being made ready.
    preparing: usize,
    ready: Vec<Ready>,
    /// Whether there was a choice of the image that goes first.
    is_filled: bool,
    /// The images that leave their targets when all else is done.
    removals: Vec<(usize, PlannedImage)>,
    /// The images that are looked at again when all else is done.
    left: Vec<(usize, LeftImage)>,
    free_transfers: usize,
    free_checkers: usize,
    /// The bytes of the images whose records were made ready, which are those that are sent.
    begun_bytes: u64,
    running: JoinSet<Ended>,
    made: (mpsc::UnboundedSender<Made>, mpsc::UnboundedReceiver<Made>),
    /// The time at which an image may begin that has to wait for it.
    wake: Option<Instant>,
}

impl Schedule {
    pub(crate) fn new(
        ctx: &RunContext,
        source: Arc<dyn ImageSource>,
        runs: Vec<TargetRun>,
        options: &RunOptions,
    ) -> Self {
        let natures: Vec<_> = runs.iter().map(|run| run.end.nature()).collect();
        let mut plans = Vec::new();
        let mut left = Vec::new();
        let mut targets = Vec::new();
        for (index, TargetRun { end, plan }) in runs.into_iter().enumerate() {
            plans.push(plan.images);
            left.extend(plan.left.into_iter().map(|left| (index, left)));
            let report = Report {
                results: plan.settled.into_iter().collect(),
                unchanged: plan.unchanged,
            };
            targets.push(Progress::new(end, report));
        }
        // Whoever ends the run loses as many ids there as there are uploads.
        let is_at_risk = |target: &Progress| {
            let uses_up = target.end.nature().ids == IdUse::UsedUpByBrokenUpload;
            uses_up && target.end.stage().is_none()
        };
        let pace = match options.transfers.get() {
            // One at a time is one at a time, of any size.
            1 => Pace::InTurn,
            _ if targets.iter().any(is_at_risk) => Pace::OneLane,
            _ => Pace::Lanes,
        };
        let keep_records = natures.iter().all(|nature| nature.keeps_records);
        let have_other_ids = targets.iter().any(|target| target.end.id_map.is_some());
        let (waiting, removals) = Waiting::new(plans, keep_records, have_other_ids);
        Self {
            ctx: ctx.clone(),
            options: Arc::new(options.clone()),
            source,
            targets,
            queue: Queue::new(waiting, natures, pace),
            small: SmallLane::new(options.small_transfers.get(), Instant::now()),
            preparing: 0,
            ready: Vec::new(),
            is_filled: false,
            removals,
            left,
            free_transfers: options.transfers.get(),
            free_checkers: options.checkers.get(),
            begun_bytes: 0,
            running: JoinSet::new(),
            made: mpsc::unbounded_channel(),
            wake: None,
        }
    }

    pub(crate) async fn run(mut self) -> Vec<Report> {
        self.ctx.emit(Event::Planned {
            images: (self.queue.images() + self.removals.len()) as u64,
            total_bytes: self.queue.bytes(),
        });
        self.work().await;
        if !self.ctx.is_cancelled() && !self.left.is_empty() {
            self.look_at_left().await;
            self.work().await;
        }
        for (index, left) in std::mem::take(&mut self.left) {
            if let Some(target) = self.targets.get_mut(index) {
                target.fail(Place::of(index, &left.planned), left.error().into());
            }
        }
        let ready = std::mem::take(&mut self.ready).into_iter();
        let ready = ready.flat_map(|ready| ready.members);
        let ready: Vec<_> = ready.map(|member| (member.index, member.planned)).collect();
        let mut left = Some(ready);
        while let Some(images) = left {
            for (index, planned) in images {
                if let Some(target) = self.targets.get_mut(index) {
                    target.not_done(Place::of(index, &planned));
                }
            }
            left = self.queue.take_any();
        }
        let removals = std::mem::take(&mut self.removals);
        leave(&self.options, &self.source, &mut self.targets, removals).await;
        let targets = self.targets.into_iter();
        targets.map(|target| target.report).collect()
    }

    async fn work(&mut self) {
        loop {
            self.begin_more();
            if self.running.is_empty() && self.wake.is_none() {
                break;
            }
            let (ctx, wake) = (self.ctx.clone(), self.wake);
            tokio::select! {
                Some(ended) = self.running.join_next() => self.end(ended),
                Some(made) = self.made.1.recv() => self.queue.made(made),
                Some(_) = async {
                    // If it is cancelled, nothing is begun.
                    Some(ctx.until_cancelled(sleep_until(wake?)).await)
                } => {}
            }
        }
    }

    fn end(&mut self, ended: Result<Ended, JoinError>) {
        match ended {
            Ok(Ended::Ready(ready)) => {
                self.preparing -= 1;
                self.ready.push(ready);
            }
            Ok(Ended::Written(lane, written)) => {
                match lane {
                    Lane::Transfers => self.free_transfers += 1,
                    Lane::Small(bytes) => self.small.end(bytes, Instant::now()),
                    Lane::Checkers => self.free_checkers += 1,
                }
                for (place, result) in written {
                    self.take(place, result);
                }
            }
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn begin_more(&mut self) {
        // Each is told before its task ends.
        while let Ok(made) = self.made.1.try_recv() {
            self.queue.made(made);
        }
        self.wake = None;
        if self.ctx.is_cancelled() || self.is_late() {
            return;
        }
        loop {
            self.prepare_more();
            self.is_filled |= self.preparing == 0 || self.ready.len() >= AHEAD;
            if !self.is_filled || !self.write_ready() {
                break;
            }
        }
        while !self.is_spent()
            && let Some(copies) = {
                let transfers = self.options.transfers.get() - self.free_transfers;
                let has_room = |bytes| self.small.has_room(bytes, transfers);
                self.queue.next_small(has_room, &mut self.wake)
            }
        {
            let bytes = copies.bytes;
            if self.copy(Lane::Small(bytes), copies) {
                self.small.begin(bytes);
            }
        }
        while self.free_checkers > 0
            && let Some((index, update)) = self.queue.next_update()
        {
            if let Some(member) = self.member(index, update) {
                self.free_checkers -= 1;
                self.write(Lane::Checkers, None, vec![member]);
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

    /// Writes images that are ready, as many as there are transfers; returns whether there were any.
    fn write_ready(&mut self) -> bool {
        let ready_before = self.ready.len();
        while self.free_transfers > 0
            && let Some(ready) = self.largest_ready()
        {
            let members = ready.members.into_iter();
            let members: Vec<Member> = members
                .filter_map(|member| self.still_possible(member))
                .collect();
            if !members.is_empty() {
                self.free_transfers -= 1;
                self.write(Lane::Transfers, ready.tell_made, members);
            }
        }
        self.ready.len() < ready_before
    }

    fn largest_ready(&mut self) -> Option<Ready> {
        let sizes = self.ready.iter().enumerate();
        let largest = sizes.max_by_key(|(index, ready)| (ready.bytes, Reverse(*index)));
        let index = largest.map(|(index, _)| index)?;
        Some(self.ready.remove(index))
    }

    /// Has the records of the next images made that are not small.
    fn prepare_more(&mut self) {
        let at_a_time = if self.options.transfers.get() == 1 {
            1
        } else {
            AHEAD
        };
        while self.preparing < at_a_time
            && self.preparing + self.ready.len() < AHEAD
            && !self.is_spent()
        {
            let waiting = self.queue.large() + self.preparing + self.ready.len();
            let Some(copies) = self.queue.next_large(&mut self.wake) else {
                break;
            };
            // Where all of them can be written at once, none has to be chosen.
            if waiting <= self.free_transfers {
                if self.copy(Lane::Transfers, copies) {
                    self.free_transfers -= 1;
                }
            } else {
                self.prepare(copies);
            }
        }
    }

    /// Makes the records of an image ready.
    fn prepare(&mut self, copies: Copies) {
        let (bytes, tell_made) = (copies.bytes, copies.tell_made(&self.made.0));
        let members = self.members(copies);
        if members.is_empty() {
            return;
        }
        self.preparing += 1;
        let (options, source) = (Arc::clone(&self.options), Arc::clone(&self.source));
        let waits = self.targets.len() == 1;
        self.running.spawn(async move {
            let members = begin_all(&options, &source, members, waits).await;
            let tell_made = tell_made.unless_with_data();
            Ended::Ready(Ready {
                bytes,
                members,
                tell_made,
            })
        });
    }

    /// Makes the records of an image ready and copies its data, which is opened meanwhile if it is
    /// large. Returns whether there is a target that can take it.
    fn copy(&mut self, lane: Lane, copies: Copies) -> bool {
        let tell_made = copies.tell_made(&self.made.0);
        let members = self.members(copies);
        if members.is_empty() {
            return false;
        }
        let (ctx, source) = (self.ctx.clone(), Arc::clone(&self.source));
        let options = Arc::clone(&self.options);
        let waits = self.targets.len() == 1;
        let places: Vec<Place> = members.iter().map(Place::of_member).collect();
        let early = match (lane, &members[..]) {
            (Lane::Transfers, [only]) => Some((only.planned.clone(), Arc::clone(&only.target))),
            // Of many, one more at a time is as good as one round trip less, and asks for nothing
            // in vain.
            _ => None,
        };
        self.running.spawn(async move {
            let opened = async {
                let (planned, target) = early?;
                Box::pin(open_early(&ctx, &options, &source, &planned, &target)).await
            };
            let begun = async {
                let members = begin_all(&options, &source, members, waits).await;
                (members, tell_made.unless_with_data())
            };
            let ((members, tell_made), opened) = join(begun, opened).await;
            let results = write_all(&ctx, &options, &source, members, opened).await;
            drop(tell_made);
            Ended::Written(lane, places.into_iter().zip(results).collect())
        });
        true
    }

    /// An image at those of its targets that can take more.
    fn members(&mut self, copies: Copies) -> Vec<Member> {
        let planned = copies.planned.into_iter();
        let member = |(index, mut planned): (usize, PlannedImage)| {
            let end = &self.targets.get(index)?.end;
            if end.id_map.is_some() {
                // The kernel may have got another id in this run.
                planned.wanted.rename_references(&end.target_ids());
            }
            self.member(index, planned)
        };
        let members: Vec<Member> = planned.filter_map(member).collect();
        let bytes = members.iter().map(|member| member.planned.bytes_to_copy());
        self.begun_bytes += bytes.sum::<u64>();
        members
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
        let target = self.targets.get_mut(member.index)?;
        if target.can_take(&member.planned) {
            return Some(member);
        }
        target.not_done(Place::of(member.index, &member.planned));
        None
    }

    fn write(&mut self, lane: Lane, tell_made: Option<TellMade>, members: Vec<Member>) {
        let (ctx, source) = (self.ctx.clone(), Arc::clone(&self.source));
        let options = Arc::clone(&self.options);
        let places = members.iter().map(Place::of_member);
        let places: Vec<Place> = places.collect();
        self.running.spawn(async move {
            let results = write_all(&ctx, &options, &source, members, None).await;
            drop(tell_made);
            Ended::Written(lane, places.into_iter().zip(results).collect())
        });
    }

    fn take(&mut self, mut place: Place, result: Result<Done, WriteError>) {
        let Some(target) = self.targets.get_mut(place.index) else {
            return;
        };
        match result {
            Ok(Done::Finished { outcome, target_id }) => {
                place.target_id = target_id.or(place.target_id);
                target.finish(place, outcome);
            }
            Ok(Done::Left(left)) => self.left.push((place.index, *left)),
            Err(failed) => target.fail(place, failed),
        }
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
            let Some(target) = self.targets.get_mut(place.index) else {
                continue;
            };
            match look {
                Ok(Look::There(outcome)) => target.finish(place, outcome),
                Ok(Look::Free(planned)) => {
                    let mut copies = Copies::of(&planned);
                    copies.add(place.index, *planned, target.end.nature());
                    self.queue.push(copies);
                }
                Err(_) if self.ctx.is_cancelled() => target.not_done(place),
                Err(error) => target.fail(place, error.into()),
            }
        }
    }
}

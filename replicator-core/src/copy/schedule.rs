//! Which image is worked on when. Records are made ready one after the other, in the
//! source's order of creation, a few ahead of the data; of those that are ready, the
//! largest goes first, so many at a time, each by itself.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use glance_model::{ImageId, TargetForm};
use tokio::task::JoinSet;

use crate::copy::fan_out::{Member, begin_all, write_all, writer};
use crate::copy::one_image::{Done, Look, WriteError};
use crate::copy::target::{Target, TargetRun};
use crate::plan::{Action, LeftImage, PlannedImage};
use crate::port::ImageSource;
use crate::run::context::RunContext;
use crate::run::error::{Failure, ImageError};
use crate::run::event::Event;
use crate::run::report::Report;

/// How many images have their records made ready ahead of their data. Whoever ends the
/// run leaves so many records without data, beside those that are being written.
const AHEAD: usize = 8;

/// An image whose data is to be copied, and to which targets.
struct Copies {
    bytes: u64,
    created_at: Option<String>,
    members: Vec<(usize, PlannedImage)>,
}

/// An image whose records are ready.
struct Ready {
    bytes: u64,
    names: Vec<Name>,
    members: Vec<Member>,
}

/// An image at a target.
struct Name {
    target: usize,
    id: ImageId,
    name: Option<String>,
    bytes: u64,
}

/// What became of one image at one target.
struct Finished {
    name: Name,
    result: Result<Done, WriteError>,
}

#[derive(Clone, Copy)]
enum Lane {
    /// Data moves.
    Transfers,
    /// Metadata alone is written, which never waits for the data of others.
    Checkers,
}

enum Ended {
    Ready(Ready),
    Written(Lane, Vec<Finished>),
}

/// All of a run, as it is worked off.
pub(crate) struct Schedule {
    ctx: RunContext,
    source: Arc<dyn ImageSource>,
    targets: Vec<Arc<Target>>,
    reports: Vec<Report>,
    /// How many bytes are too many for each target: none at first, and all once it
    /// can take no more.
    too_many: Vec<u64>,
    /// What has yet to be made ready, in that order.
    copies: VecDeque<Copies>,
    is_preparing: bool,
    ready: Vec<Ready>,
    /// Whether there was a choice of what goes first.
    is_filled: bool,
    updates: VecDeque<(usize, PlannedImage)>,
    /// What is looked at again when all else is done.
    left: Vec<(usize, LeftImage)>,
    free_transfers: usize,
    free_checkers: usize,
    running: JoinSet<Ended>,
}

impl Schedule {
    pub(crate) fn new(
        ctx: &RunContext,
        source: Arc<dyn ImageSource>,
        runs: Vec<TargetRun>,
    ) -> Self {
        let first = runs.first().map(|run| &run.options);
        let mut schedule = Self {
            ctx: ctx.clone(),
            source,
            free_transfers: first.map_or(1, |options| options.transfers.get()),
            free_checkers: first.map_or(1, |options| options.checkers.get()),
            targets: Vec::new(),
            reports: Vec::new(),
            too_many: vec![u64::MAX; runs.len()],
            copies: VecDeque::new(),
            is_preparing: false,
            ready: Vec::new(),
            is_filled: false,
            updates: VecDeque::new(),
            left: Vec::new(),
            running: JoinSet::new(),
        };
        let mut copies: BTreeMap<ImageId, Copies> = BTreeMap::new();
        for (index, run) in runs.into_iter().enumerate() {
            for planned in run.plan.images {
                if planned.action == Action::Copy {
                    let of_image = copies
                        .entry(planned.image.id)
                        .or_insert_with(|| Copies::of(&planned));
                    of_image.members.push((index, planned));
                } else {
                    schedule.updates.push_back((index, planned));
                }
            }
            let left = run.plan.left.into_iter().map(|left| (index, left));
            schedule.left.extend(left);
            schedule.reports.push(Report {
                failures: run.plan.failures,
                unchanged: run.plan.unchanged,
                skipped: run.plan.skipped,
                ..Report::default()
            });
            schedule.targets.push(Arc::new(Target {
                ctx: run.ctx,
                images: run.target,
                options: run.options,
            }));
        }
        let mut copies: Vec<Copies> = copies.into_values().collect();
        let is_archive = |target: &Arc<Target>| target.images.form() == TargetForm::Whole;
        if schedule.targets.iter().all(is_archive) {
            copies.sort_by_key(|copies| Reverse(copies.bytes));
        } else {
            // Whoever takes the newest image of a name goes by when its record was made.
            // Those of one second stay in order of ids.
            copies.sort_by(|a, b| {
                (a.created_at.is_none(), &a.created_at)
                    .cmp(&(b.created_at.is_none(), &b.created_at))
            });
        }
        schedule.copies = copies.into();
        schedule
    }

    pub(crate) async fn run(mut self) -> Vec<Report> {
        let members: usize = self.copies.iter().map(|copies| copies.members.len()).sum();
        self.ctx.emit(Event::Planned {
            images: (members + self.updates.len()) as u64,
            total_bytes: self.copies.iter().map(|copies| copies.bytes).sum(),
        });
        self.work().await;
        if !self.ctx.is_cancelled() && !self.left.is_empty() {
            self.look_at_left().await;
            self.work().await;
        }
        for (target, left) in std::mem::take(&mut self.left) {
            let name = Name::of(target, &left.planned);
            self.fail_left(name, left.error().into());
        }
        let ready = self.ready.into_iter().flat_map(|ready| ready.names);
        let left = self.copies.into_iter().flat_map(|copies| copies.members);
        let left = left.chain(self.updates).map(|(index, _)| index);
        for index in ready.map(|name| name.target).chain(left) {
            if let Some(report) = self.reports.get_mut(index) {
                report.not_done += 1;
            }
        }
        self.reports
    }

    async fn work(&mut self) {
        loop {
            self.begin_more();
            let Some(ended) = self.running.join_next().await else {
                break;
            };
            match ended {
                Ok(Ended::Ready(ready)) => {
                    self.is_preparing = false;
                    self.ready.push(ready);
                }
                Ok(Ended::Written(lane, finished)) => {
                    match lane {
                        Lane::Transfers => self.free_transfers += 1,
                        Lane::Checkers => self.free_checkers += 1,
                    }
                    for finished in finished {
                        self.take(finished);
                    }
                }
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            }
        }
    }

    fn begin_more(&mut self) {
        if self.ctx.is_cancelled() {
            return;
        }
        let is_all_ready = self.copies.is_empty() && !self.is_preparing;
        self.is_filled |= is_all_ready || self.ready.len() >= AHEAD;
        while self.is_filled
            && self.free_transfers > 0
            && let Some(ready) = self.largest_ready()
        {
            if let Some(ready) = self.still_possible(ready) {
                self.free_transfers -= 1;
                self.write(Lane::Transfers, ready);
            }
        }
        while !self.is_preparing
            && self.ready.len() < AHEAD
            && let Some(copies) = self.copies.pop_front()
        {
            self.prepare(copies);
        }
        while self.free_checkers > 0
            && let Some(update) = self.updates.pop_front()
        {
            if let Some(ready) = self.members(0, vec![update]) {
                self.free_checkers -= 1;
                self.write(Lane::Checkers, ready);
            }
        }
    }

    fn largest_ready(&mut self) -> Option<Ready> {
        let sizes = self.ready.iter().enumerate();
        let largest = sizes.max_by_key(|(index, ready)| (ready.bytes, Reverse(*index)));
        let index = largest.map(|(index, _)| index)?;
        Some(self.ready.remove(index))
    }

    /// What is left of it without targets that can take no more by now.
    fn still_possible(&mut self, ready: Ready) -> Option<Ready> {
        let bytes = ready.bytes;
        let (mut names, mut members) = (Vec::new(), Vec::new());
        for (name, member) in ready.names.into_iter().zip(ready.members) {
            let too_many = self.too_many.get(name.target);
            if too_many.is_some_and(|too_many| name.bytes < *too_many) {
                names.push(name);
                members.push(member);
            } else if let Some(report) = self.reports.get_mut(name.target) {
                report.not_done += 1;
            }
        }
        (!members.is_empty()).then_some(Ready {
            bytes,
            names,
            members,
        })
    }

    /// Makes the records of an image ready.
    fn prepare(&mut self, copies: Copies) {
        let Some(ready) = self.members(copies.bytes, copies.members) else {
            return;
        };
        self.is_preparing = true;
        let source = Arc::clone(&self.source);
        let waits = self.targets.len() == 1;
        self.running.spawn(async move {
            let members = begin_all(&source, ready.members, waits).await;
            Ended::Ready(Ready { members, ..ready })
        });
    }

    /// An image at those targets that can take more.
    fn members(&mut self, bytes: u64, planned: Vec<(usize, PlannedImage)>) -> Option<Ready> {
        let mut ready = Ready {
            bytes,
            names: Vec::new(),
            members: Vec::new(),
        };
        for (index, planned) in planned {
            let bytes = planned.bytes_to_copy();
            match (self.targets.get(index), self.too_many.get(index)) {
                (Some(target), Some(too_many)) if bytes < *too_many => {
                    ready.names.push(Name::of(index, &planned));
                    ready.members.push(Member {
                        target: Arc::clone(target),
                        planned,
                        begun: None,
                    });
                }
                _ => {
                    if let Some(report) = self.reports.get_mut(index) {
                        report.not_done += 1;
                    }
                }
            }
        }
        (!ready.members.is_empty()).then_some(ready)
    }

    fn write(&mut self, lane: Lane, ready: Ready) {
        let (ctx, source) = (self.ctx.clone(), Arc::clone(&self.source));
        self.running.spawn(async move {
            let results = write_all(&ctx, &source, ready.members).await;
            let finished = ready.names.into_iter().zip(results);
            let finished = finished.map(|(name, result)| Finished { name, result });
            Ended::Written(lane, finished.collect())
        });
    }

    fn take(&mut self, finished: Finished) {
        let Finished { name, result } = finished;
        let (Some(report), Some(too_many)) = (
            self.reports.get_mut(name.target),
            self.too_many.get_mut(name.target),
        ) else {
            return;
        };
        match result {
            Ok(Done::Written(outcome)) => report.done.push((name.id, outcome)),
            Ok(Done::Unchanged) => report.unchanged += 1,
            Ok(Done::LeftAlone) => report.skipped += 1,
            Ok(Done::Left(left)) => self.left.push((name.target, *left)),
            Err(failed) if failed.error.is_cancelled() => report.not_done += 1,
            Err(failed) => {
                if failed.error.is_of_the_end() {
                    *too_many = 0;
                } else if failed.error.is_of_room() {
                    *too_many = name.bytes.min(*too_many);
                }
                let failure = self.failed(&name, failed);
                if let Some(report) = self.reports.get_mut(name.target) {
                    report.failures.push(failure);
                }
            }
        }
    }

    fn failed(&self, name: &Name, failed: WriteError) -> Failure {
        let mut failure = Failure::new(&name.id, name.name.clone(), failed.error);
        failure.left_behind = failed.left_behind;
        if let Some(target) = self.targets.get(name.target) {
            target.ctx.emit(Event::Failed(failure.clone()));
        }
        failure
    }

    /// Looks at what was left to other runs: what is there by now is right, and what
    /// nobody writes any more is ours.
    async fn look_at_left(&mut self) {
        let left = std::mem::take(&mut self.left);
        let looks = left.into_iter().map(|(index, left)| {
            let name = Name::of(index, &left.planned);
            let target = self.targets.get(index).cloned();
            let source = &self.source;
            async move {
                let target = target?;
                let writer = writer(source, &target);
                let look = target.ctx.until_cancelled(writer.look(left)).await;
                Some((name, look.map_err(ImageError::Target).flatten()))
            }
        });
        let looks: Vec<_> = stream::iter(looks).buffer_unordered(AHEAD).collect().await;
        for (name, look) in looks.into_iter().flatten() {
            match look {
                Ok(Look::There(outcome)) => {
                    if let Some(report) = self.reports.get_mut(name.target) {
                        report.done.push((name.id, outcome));
                    }
                }
                Ok(Look::Free(planned)) => {
                    let mut copies = Copies::of(&planned);
                    copies.members.push((name.target, *planned));
                    self.copies.push_back(copies);
                }
                Err(error) => self.fail_left(name, error.into()),
            }
        }
    }

    fn fail_left(&mut self, name: Name, failed: WriteError) {
        let is_cancelled = failed.error.is_cancelled() || self.ctx.is_cancelled();
        let is_left = matches!(failed.error, ImageError::LeftToAnother { .. });
        let failure = (!is_cancelled).then(|| self.failed(&name, failed));
        if let Some(report) = self.reports.get_mut(name.target) {
            match failure {
                None => report.not_done += 1,
                Some(failure) if is_left => report.left.push(failure),
                Some(failure) => report.failures.push(failure),
            }
        }
    }
}

impl Copies {
    fn of(planned: &PlannedImage) -> Self {
        Self {
            bytes: planned.bytes_to_copy(),
            created_at: planned.created_at.clone(),
            members: Vec::new(),
        }
    }
}

impl Name {
    fn of(target: usize, planned: &PlannedImage) -> Self {
        Self {
            target,
            id: planned.image.id,
            name: planned.image.name.clone(),
            bytes: planned.bytes_to_copy(),
        }
    }
}

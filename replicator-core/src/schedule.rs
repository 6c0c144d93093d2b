//! Which image is worked on when: so many at a time, largest first, each by itself.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use glance_model::ImageId;
use tokio::task::JoinSet;

use crate::context::RunContext;
use crate::fan_out::{Member, write_all};
use crate::plan::{Action, PlannedImage};
use crate::port::{Event, ImageSource, ImageTarget};
use crate::replicate::{ReplicateOptions, TargetRun};
use crate::report::{Failure, ImageError, Report};
use crate::writing::Done;

/// A target, for the tasks that write to it.
pub(crate) struct Target {
    pub(crate) ctx: RunContext,
    pub(crate) images: Arc<dyn ImageTarget>,
    pub(crate) options: ReplicateOptions,
}

/// An image whose data is to be copied, and to which targets.
struct Copies {
    bytes: u64,
    members: Vec<(usize, PlannedImage)>,
}

/// What became of one image at one target.
struct Finished {
    target: usize,
    id: ImageId,
    name: Option<String>,
    bytes: u64,
    result: Result<Done, ImageError>,
}

#[derive(Clone, Copy)]
enum Lane {
    /// Data moves.
    Transfers,
    /// Metadata alone is written, which never waits for the data of others.
    Checkers,
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
    copies: VecDeque<Copies>,
    updates: VecDeque<(usize, PlannedImage)>,
    free_transfers: usize,
    free_checkers: usize,
    running: JoinSet<(Lane, Vec<Finished>)>,
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
            updates: VecDeque::new(),
            running: JoinSet::new(),
        };
        let mut copies: BTreeMap<ImageId, Copies> = BTreeMap::new();
        for (index, run) in runs.into_iter().enumerate() {
            for planned in run.plan.images {
                if planned.action == Action::Copy {
                    let bytes = planned.bytes_to_copy();
                    let of_image =
                        copies
                            .entry(planned.image.id.clone())
                            .or_insert_with(|| Copies {
                                bytes,
                                members: Vec::new(),
                            });
                    of_image.members.push((index, planned));
                } else {
                    schedule.updates.push_back((index, planned));
                }
            }
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
        copies.sort_by_key(|copies| Reverse(copies.bytes));
        schedule.copies = copies.into();
        schedule
    }

    pub(crate) async fn run(mut self) -> Vec<Report> {
        let members: usize = self.copies.iter().map(|copies| copies.members.len()).sum();
        self.ctx.emit(Event::Planned {
            images: (members + self.updates.len()) as u64,
            total_bytes: self.copies.iter().map(|copies| copies.bytes).sum(),
        });
        loop {
            self.begin_more();
            let Some(ended) = self.running.join_next().await else {
                break;
            };
            let (lane, finished) = match ended {
                Ok(ended) => ended,
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            match lane {
                Lane::Transfers => self.free_transfers += 1,
                Lane::Checkers => self.free_checkers += 1,
            }
            for finished in finished {
                self.take(finished);
            }
        }
        let left = self.copies.into_iter().flat_map(|copies| copies.members);
        for (index, _) in left.chain(self.updates) {
            if let Some(report) = self.reports.get_mut(index) {
                report.not_done += 1;
            }
        }
        self.reports
    }

    fn begin_more(&mut self) {
        while self.free_transfers > 0
            && !self.ctx.is_cancelled()
            && let Some(copies) = self.copies.pop_front()
        {
            self.begin(Lane::Transfers, copies.members);
        }
        while self.free_checkers > 0
            && !self.ctx.is_cancelled()
            && let Some(update) = self.updates.pop_front()
        {
            self.begin(Lane::Checkers, vec![update]);
        }
    }

    fn begin(&mut self, lane: Lane, planned: Vec<(usize, PlannedImage)>) {
        let mut members = Vec::new();
        let mut names = Vec::new();
        for (index, planned) in planned {
            let bytes = planned.bytes_to_copy();
            match (self.targets.get(index), self.too_many.get(index)) {
                (Some(target), Some(too_many)) if bytes < *too_many => {
                    let image = &planned.image;
                    names.push((index, image.id.clone(), image.name.clone(), bytes));
                    members.push(Member {
                        target: Arc::clone(target),
                        planned,
                    });
                }
                _ => {
                    if let Some(report) = self.reports.get_mut(index) {
                        report.not_done += 1;
                    }
                }
            }
        }
        if members.is_empty() {
            return;
        }
        match lane {
            Lane::Transfers => self.free_transfers -= 1,
            Lane::Checkers => self.free_checkers -= 1,
        }
        let (ctx, source) = (self.ctx.clone(), Arc::clone(&self.source));
        self.running.spawn(async move {
            let results = write_all(&ctx, &source, members).await;
            let finished = names.into_iter().zip(results);
            let finished = finished.map(|((target, id, name, bytes), result)| Finished {
                target,
                id,
                name,
                bytes,
                result,
            });
            (lane, finished.collect())
        });
    }

    fn take(&mut self, finished: Finished) {
        let Finished {
            target,
            id,
            name,
            bytes,
            result,
        } = finished;
        let (Some(report), Some(too_many), Some(target)) = (
            self.reports.get_mut(target),
            self.too_many.get_mut(target),
            self.targets.get(target),
        ) else {
            return;
        };
        match result {
            Ok(Done::Written(outcome)) => report.done.push((id, outcome)),
            Ok(Done::Unchanged) => report.unchanged += 1,
            Ok(Done::LeftAlone) => report.skipped += 1,
            Err(error) if error.is_cancelled() => report.not_done += 1,
            Err(error) => {
                if error.is_of_the_end() {
                    *too_many = 0;
                } else if error.is_of_room() {
                    *too_many = bytes.min(*too_many);
                }
                let failure = Failure::new(&id, name, error);
                target.ctx.emit(Event::Failed(failure.clone()));
                report.failures.push(failure);
            }
        }
    }
}

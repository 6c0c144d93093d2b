//! `livecopy`, `dump` and `load`, which differ in their verb and their ends.

mod removal;
pub(super) mod snapshot;

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use glance_client::cloud::Details;
use glance_model::{Selection, Shard};
use replicator_core::{
    Approved, DataPolicy, ErrorKind, ImageError, ImageResult, ImageSource, Member, NotDone,
    OnIdConflict, Outcome, Plan, RunOptions, TargetEnd, TargetPolicy, TargetRun, plan, replicate,
};

use self::snapshot::Making;
use super::owners::{self, Owners, Use, leaves_members_pending};
use super::planned::Planned;
use super::planned::dry_run::{DryRun, PlannedTarget};
use super::planned::file::written;
use super::results::{ImageRow, Output, Record};
use super::select::{Selected, select};
use crate::args::{
    CopyArgs, DataArgs, IdArgs, OwnerArgs, PlanningArgs, SelectionArgs, SendArgs, UploadArgs,
    WhatArgs, WorkArgs,
};
use crate::ends::{self, Access, End, Opening, Reached, Sides, Source, Target};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::limits::{self, MOST_SMALL, Parallel};
use crate::run::Run;

/// The ends and options of a copy.
pub(super) struct Job<'a> {
    pub(super) verb: &'static str,
    pub(super) sides: Sides,
    pub(super) policy: TargetPolicy,
    /// The directory of snapshots, one of which is the target then.
    pub(super) snapshots: Option<snapshot::Into<'a>>,
    pub(super) selection: &'a SelectionArgs,
    pub(super) copies: &'a CopyArgs,
    /// The connections over which an image is read.
    pub(super) streams: NonZeroUsize,
    /// The options of uploads; a directory needs none.
    pub(super) uploads: Option<&'a UploadArgs>,
}

impl Job<'_> {
    /// Fails if its result cannot be shown as it is asked for; else returns its ends.
    pub(super) fn check(&self, run: &Run<'_>) -> Result<Vec<End>, CliError> {
        match self.copies.dry_run {
            true => run.sink::<Planned>().map(drop)?,
            false => run.sink::<ImageRow>().map(drop)?,
        }
        Ok(self.sides.ends())
    }
}

pub(super) async fn run_job(run: &Run<'_>, job: Job<'_>) -> Result<ExitCode, CliError> {
    let dry_run = job.copies.dry_run.then(|| run.sink()).transpose()?;
    let dry_run = dry_run.map(DryRun::new);
    let output = match &dry_run {
        Some(_) => Output::default(),
        None => Output::begin(run, &job.copies.work.report, true)?,
    };
    let mut record = Record::begin(job.verb, job.sides.source.to_string(), &job.sides.targets);
    // However early it ends: who adds reports up has to know which share this one is of.
    let share = Selection::default().of_shard(job.selection.shard);
    record.selected(&share, None);
    let code = make_copies(run, job, dry_run, &mut record).await;
    output.end(run, &record, code)
}

async fn make_copies(
    run: &Run<'_>,
    job: Job<'_>,
    dry_run: Option<DryRun>,
    record: &mut Record,
) -> Result<ExitCode, CliError> {
    let (uploads, mut sides) = (job.uploads, job.sides);
    if let Some(uploads) = uploads {
        let SendArgs { way, data } = &uploads.send;
        sides = sides.sending(way).into_stores(&data.stores);
    }
    let policy = of_share(run, job.policy, job.selection.shard);
    let is_dry_run = dry_run.is_some();
    let options = work_options(run, &job.copies.work, job.streams, sides.targets.len());
    let (mut source, reached) = sides.open(run).await?;
    let targets = Targets {
        verb: job.verb,
        access: &sides.target_access,
        ends: &sides.targets,
        reached,
        policy,
        options,
        stage: uploads.and_then(|uploads| uploads.send.way.stage.as_deref()),
        id_map: uploads.and_then(|uploads| uploads.ids.id_map.id_map.as_deref()),
        owners: uploads.map(|uploads| &uploads.ids.owners),
        yes: job.copies.yes.yes,
        approved: Vec::new(),
        dry_run,
    };
    let details = source.details().cloned();
    let selected = select(run, job.selection, &mut source.images, details.as_ref()).await?;
    let Some(into) = &job.snapshots else {
        return copy(run, source, &selected, targets, record).await;
    };
    let making = into.begin(run, is_dry_run, &mut source.images)?;
    let ends = [making.end()];
    let targets = Targets {
        ends: &ends,
        ..targets
    };
    let code = copy(run, source, &selected, targets, record).await?;
    Making::finish(making, run, code, record)
}

/// The targets of a copy, and how they are written to.
pub(super) struct Targets<'a> {
    pub(super) verb: &'static str,
    pub(super) access: &'a Access,
    pub(super) ends: &'a [End],
    /// Their servers, in the same order.
    pub(super) reached: Vec<Reached>,
    pub(super) policy: TargetPolicy,
    pub(super) options: RunOptions,
    pub(super) stage: Option<&'a Path>,
    pub(super) id_map: Option<&'a Path>,
    /// The owners at servers; without them, images have those that they have at the source.
    pub(super) owners: Option<&'a OwnerArgs>,
    /// Whether images may leave the targets without a question.
    pub(super) yes: bool,
    /// The work that is approved at each end, with the name that the end has in the plan; empty if all is.
    pub(super) approved: Vec<(String, Arc<Approved>)>,
    /// Takes what would be done, in place of doing it.
    pub(super) dry_run: Option<DryRun>,
}

/// Copies the selected images of a source to targets, or prints what would be done.
pub(super) async fn copy(
    run: &Run<'_>,
    source: Source,
    selected: &Selected,
    mut to: Targets<'_>,
    record: &mut Record,
) -> Result<ExitCode, CliError> {
    let verb = to.verb;
    let dry_run = to.dry_run.take();
    let opening = match dry_run {
        Some(_) => Opening::DryRun,
        None => Opening::Write,
    };
    let mut ends = Ends::new(run, to, record);
    ends.record.source = source.images.to_string();
    ends.to.options.reads_records_only = source.details().is_some_and(Details::is_reader);
    let targets = ends.open(&source, opening).await?;
    let source = source.images;
    let started = Instant::now();
    let mut planned = ends.plan(&*source, &selected.selection, targets).await?;
    let count = planned.first().map(|(_, plan)| plan.selected);
    if let Some(count) = count {
        let code = selected.tell(run, &*source, count).await?;
        ends.code = ends.code.and(code);
    }
    ends.record.selected(&selected.selection, count);
    let summary = count.and_then(|count| selected.summary(count));
    if let Some(dry_run) = dry_run {
        let mut plans = Vec::new();
        for ((number, target), plan) in &planned {
            let name = target.name();
            owners::warn_of_unknown(run, &name, plan);
            removal::tell(run, &name, plan);
            // What a target does not say is not known.
            let room = run.ctx.until_cancelled(target.end.images.room()).await;
            let room = room.map_err(|_| run.interrupted())?.unwrap_or_default();
            let end = ends.to.ends.get(*number).map(written);
            plans.push(PlannedTarget {
                end: end.unwrap_or_default(),
                name,
                plan,
                room,
            });
        }
        let selection = &selected.selection;
        let code = dry_run.print(run, verb, source.to_string(), selection, &plans)?;
        summary
            .iter()
            .for_each(|summary| run.console.summary(summary));
        let settled = planned.iter().flat_map(|(_, plan)| &plan.settled).cloned();
        return Ok(ends.exit_code(settled).and(code));
    }
    for ((_, target), plan) in &mut planned {
        removal::settle(run, &target.name(), plan, ends.to.yes, ends.code).await?;
    }
    // The plans have what is approved; the rest of it is not needed any more.
    ends.to.approved = Vec::new();
    let (targets, runs): (Vec<_>, Vec<_>) = planned
        .into_iter()
        .map(|((number, mut target), plan)| {
            target.end.approved = None;
            let name = target.name();
            ((number, name), TargetRun::new(target.end, plan))
        })
        .unzip();
    let reports = replicate(&run.ctx, source, runs, &ends.to.options).await;
    let elapsed = started.elapsed();
    summary
        .iter()
        .for_each(|summary| run.console.summary(summary));
    let results = reports.iter().flat_map(|report| &report.results);
    let code = ends.exit_code(results);
    for ((number, name), report) in targets.into_iter().zip(reports) {
        let shown = ends.are_several.then_some(&*name);
        run.console.report(shown, verb, &report, elapsed);
        ends.record.done(number, report);
    }
    Ok(code)
}

/// A target that can be reached, and its place among the ends that were named.
pub(super) type Numbered = (usize, Target);

/// The parts of a run that are the same for every target.
pub(super) struct Ends<'a> {
    run: &'a Run<'a>,
    to: Targets<'a>,
    record: &'a mut Record,
    are_several: bool,
    /// The exit code of the targets that could not be used.
    pub(super) code: ExitCode,
}

impl<'a> Ends<'a> {
    pub(super) fn new(run: &'a Run<'a>, to: Targets<'a>, record: &'a mut Record) -> Self {
        Self {
            run,
            are_several: to.ends.len() > 1,
            to,
            record,
            code: ExitCode::Done,
        }
    }

    /// Of several targets, one that cannot be reached does not stop the others.
    pub(super) async fn open(
        &mut self,
        source: &Source,
        opening: Opening,
    ) -> Result<Vec<Numbered>, CliError> {
        let (id_map, stage) = (self.to.id_map, self.to.stage);
        let mut owners = Owners::new(self.run, self.to.owners);
        let usage = match opening {
            Opening::DryRun => Use::DryRun,
            Opening::Write => Use::Write,
            Opening::Read => Use::Compare,
        };
        let mut targets: Vec<Numbered> = Vec::new();
        let reached = std::mem::take(&mut self.to.reached);
        for (number, (end, reached)) in self.to.ends.iter().zip(reached).enumerate() {
            let target = ends::target(self.run, self.to.access, end, reached, opening, id_map);
            let mut target = match target.await {
                Ok(target) => target,
                Err(error) => {
                    // It names the end.
                    self.left_out(number, "", error)?;
                    continue;
                }
            };
            source.is_another_than(&target)?;
            let name = target.name();
            let identity = match owners.at(source, &target, usage).await {
                Ok(identity) => identity,
                Err(error) => {
                    self.left_out(number, &format!("{name}: "), error)?;
                    continue;
                }
            };
            if targets.iter().any(|(_, other)| other.place == target.place) {
                return Err(CliError::SameTarget { name });
            }
            if self.are_several {
                let events = self.run.console.of_target(&name);
                target.end.ctx = self.run.ctx.reporting_to(events);
            }
            target.end.policy = self.to.policy.clone();
            target.end.policy.identity = identity;
            if let Some((planned, approved)) = self.to.approved.get(number) {
                is_planned(end, planned, &name)?;
                target.end.approved = Some(Arc::clone(approved));
            }
            target.end.policy.leaves_members_pending = leaves_members_pending(&target);
            target.end.policy.member = target.details().and_then(member);
            if let (Some(path), Opening::Write) = (stage, opening) {
                target.end.stage = Some(ends::stage(path, &name)?);
            }
            self.record.reached(number, name);
            targets.push((number, target));
        }
        Ok(targets)
    }

    async fn plan(
        &mut self,
        source: &dyn ImageSource,
        wanted: &Selection,
        targets: Vec<Numbered>,
    ) -> Result<Vec<(Numbered, Plan)>, CliError> {
        let ends: Vec<TargetEnd> = targets
            .iter()
            .map(|(_, target)| target.end.clone())
            .collect();
        let plans = plan(source, wanted, &ends, &self.to.options).await;
        let mut planned = Vec::new();
        for (target, plan) in targets.into_iter().zip(plans) {
            match plan {
                Ok(plan) => planned.push((target, plan)),
                Err(error) => {
                    let (number, target) = target;
                    let place = format!("{}: ", target.name());
                    self.left_out(number, &place, self.run.listing_failed(error))?;
                }
            }
        }
        Ok(planned)
    }

    /// Goes on without a target, if there are others.
    pub(super) fn left_out(
        &mut self,
        number: usize,
        place: &str,
        error: CliError,
    ) -> Result<(), CliError> {
        if !self.are_several || matches!(error, CliError::Interrupted(_)) {
            return Err(error);
        }
        self.run.console.failed(place, &error);
        self.code = self.code.and(error.exit_code());
        self.record.left_out(number, &error);
        Ok(())
    }

    fn exit_code(&self, results: impl Iterator<Item = ImageResult>) -> ExitCode {
        let mut code = self.code;
        let mut is_all_done = true;
        for result in results {
            code = code.and(result.error().map_or(ExitCode::Done, of_failure));
            match result.outcome {
                Outcome::NotDone(why) if why.is_refusal() => code = code.and(ExitCode::Refused),
                Outcome::NotDone(why) => {
                    is_all_done = false;
                    if why == NotDone::LimitReached {
                        code = code.and(ExitCode::LimitReached);
                    }
                }
                Outcome::Stale(_) => code = code.and(ExitCode::Differences),
                _ => {}
            }
        }
        match self.run.signal() {
            Some(signal) if !is_all_done => ExitCode::Interrupted(signal),
            _ => code,
        }
    }
}

/// Returns the rights of a token that is known to be no administrator's.
fn member(details: &Details) -> Option<Member> {
    let member = details.member_of().map(Member::of)?;
    Some(match details.is_reader() {
        true => member.reading_only(),
        false => member,
    })
}

/// Makes sure that an end is the one that a plan was made for: a cloud may be another one by now.
pub(super) fn is_planned(end: &End, planned: &str, found: &str) -> Result<(), CliError> {
    match planned == found {
        true => Ok(()),
        false => Err(CliError::OtherEnd {
            end: end.to_string(),
            planned: planned.to_owned(),
            found: found.to_owned(),
        }),
    }
}

fn of_failure(error: &ImageError) -> ExitCode {
    match error.kind() {
        ErrorKind::WrongContent => ExitCode::WrongContent,
        ErrorKind::Refused => ExitCode::Refused,
        _ => ExitCode::ImagesFailed,
    }
}

pub(super) fn run_options(
    run: &Run<'_>,
    parallel: Parallel,
    streams: NonZeroUsize,
    targets: usize,
) -> RunOptions {
    let parallel = parallel.within_limit(streams.get() + targets, &run.console);
    let mut options = RunOptions::default();
    options.streams = streams;
    options.transfers = parallel.transfers;
    options.small_transfers = parallel.small;
    options.checkers = parallel.checkers;
    options.retry.retries = run.common.servers.retries;
    options.retry.max_time = run.common.servers.retry_max_time();
    options.now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    options
}

/// Takes the options of work that is planned.
pub(super) fn work_options(
    run: &Run<'_>,
    work: &WorkArgs,
    streams: NonZeroUsize,
    targets: usize,
) -> RunOptions {
    limits::keep_to(work.transfers.bwlimit(), &run.limits, &run.console);
    let parallel = Parallel {
        transfers: work.transfers.transfers,
        small: MOST_SMALL,
        checkers: work.checkers,
    };
    let mut options = run_options(run, parallel, streams, targets);
    work.limits.set(&mut options);
    options
}

/// Takes the options of copies that may remove images, too.
pub(super) fn copy_policy(
    copies: &CopyArgs,
    selection: &SelectionArgs,
    uploads: Option<&UploadArgs>,
) -> Result<TargetPolicy, CliError> {
    let to_server = uploads.map(|uploads| (&uploads.ids, &uploads.send.data));
    let mut policy = policy(&copies.what, to_server)?;
    policy.origin = copies.delete.origin(&policy.omit)?;
    policy.delete = removal::policy(&copies.delete, selection, copies.yes.yes)?;
    Ok(policy)
}

/// Takes the options of what is planned, and looked at before it is done.
pub(super) fn planning_policy(planning: &PlanningArgs) -> Result<TargetPolicy, CliError> {
    let mut policy = policy(&planning.what, Some((&planning.ids, &planning.data)))?;
    policy.origin = planning.delete.origin(&policy.omit)?;
    policy.delete = planning.delete.policy();
    Ok(policy)
}

/// Returns the policy of a run of this share, in which images leave the targets or not.
pub(super) fn of_share(
    run: &Run<'_>,
    mut policy: TargetPolicy,
    shard: Option<Shard>,
) -> TargetPolicy {
    if policy.delete.is_some() && !removal::is_done_by(run, shard) {
        policy.delete = None;
    }
    policy
}

/// Takes the options of copies; a directory has none of those of a server.
pub(super) fn policy(
    what: &WhatArgs,
    to_server: Option<(&IdArgs, &DataArgs)>,
) -> Result<TargetPolicy, CliError> {
    let mut policy = TargetPolicy::default();
    policy.omit = what.omit.filter()?;
    policy.adapt = what.state.adapt(&policy.omit)?;
    policy.mirrors = what.mirror.mirror_metadata;
    policy.verify = what.verify;
    if what.metaonly.metaonly {
        policy.data = DataPolicy::MetadataOnly;
    }
    if let Some((ids, data)) = to_server {
        ids.owners.check()?;
        ids.id_map.check()?;
        if ids.on_id_conflict == OnIdConflict::NewId && ids.id_map.id_map.is_none() {
            return Err(CliError::NoIdMap);
        }
        policy.on_id_conflict = ids.on_id_conflict;
        policy.format_check = data.format_check;
    }
    Ok(policy)
}

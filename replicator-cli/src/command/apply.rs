//! `apply`: does what a plan approves and is still true.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::BoolishValueParser;
use glance_model::{ImageId, Selection, Shard};
use replicator_core::Approved;

use super::planned::dry_run::DryRun;
use super::planned::file::{PlannedEnd, ReadPlan};
use super::replicate::{Targets, copy, is_planned, planning_policy, work_options};
use super::results::{Output, Record};
use super::select::Selected;
use crate::args::{
    PlanningArgs, SideArgs, SourceArgs, StreamArgs, TargetArgs, WayArgs, Worded, WorkArgs, heading,
};
use crate::ends::{End, Sides, Taken};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;

/// The most images that a listing is asked for by their ids; of more, all are listed.
const MOST_IDS: usize = 10_000;

/// Do what a plan approves, as far as it is still true
///
/// Lists the images anew. What has changed since the plan is left alone and told, and
/// the exit code is 5. It may be run again: what is done needs nothing more.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator apply [OPTIONS] <FILE>")]
#[command(after_help = "  \
  glance-replicator plan -o plan.json cloud:prod cloud:dr
  glance-replicator apply --dry-run plan.json   # what of it is still true
  glance-replicator apply --shard 2/8 plan.json")]
pub(crate) struct ApplyArgs {
    /// The file that plan has written
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print what would be done, and change nothing
    #[arg(long, value_parser = BoolishValueParser::new(), help_heading = heading::HOW)]
    pub(super) dry_run: bool,
    /// One share of the plan, as 2/8
    ///
    /// For several machines that divide the work: each takes another K of the same N, from 0 or
    /// from 1. The images are dealt out by their sizes, so that all have as much to do.
    #[arg(long, value_name = "K/N", help_heading = heading::WHICH)]
    shard: Option<Shard>,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    streams: StreamArgs,
    #[command(flatten)]
    way: WayArgs,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    target: TargetArgs,
}

pub(super) async fn run(run: &Run<'_>, args: &ApplyArgs) -> Result<ExitCode, CliError> {
    let dry_run = args.dry_run.then(|| run.sink()).transpose()?;
    let dry_run = dry_run.map(DryRun::new);
    let output = match &dry_run {
        Some(_) => Output::default(),
        None => Output::begin(run, &args.work.report, true)?,
    };
    let plan = ReadPlan::of(&args.file, args.shard)?;
    let read =
        |end: &PlannedEnd| End::parse(OsStr::new(&end.end)).map_err(|error| failed(args, &error));
    let source = read(&plan.head.source)?;
    // At a target that nothing is approved for, nothing is to be done.
    let targets = plan.head.targets.iter().zip(plan.approved);
    let targets = targets.filter(|(_, approved)| approved.ids().len() > 0);
    let (targets, approved): (Vec<_>, Vec<_>) = targets.unzip();
    let ends: Result<Vec<End>, CliError> = targets.iter().map(|target| read(target)).collect();
    let ends = ends?;
    let mut record = Record::begin("apply", source.to_string(), &ends);
    let applied = Applied {
        args,
        planning: Worded::read(&plan.head.options).map_err(|error| failed(args, &error))?,
        source: (&plan.head.source, source),
        targets,
        ends,
    };
    let code = match approved.is_empty() {
        true => {
            run.console
                .summary("apply: nothing to do, the plan approves nothing");
            Ok(ExitCode::Done)
        }
        false => applied.run(run, approved, dry_run, &mut record).await,
    };
    record.of_plan(args.shard);
    output.end(run, &record, code)
}

fn failed(args: &ApplyArgs, problem: &impl ToString) -> CliError {
    CliError::PlanFile {
        path: args.file.clone(),
        problem: problem.to_string(),
    }
}

/// A plan that is applied.
struct Applied<'a> {
    args: &'a ApplyArgs,
    planning: PlanningArgs,
    source: (&'a PlannedEnd, End),
    targets: Vec<&'a PlannedEnd>,
    ends: Vec<End>,
}

impl Applied<'_> {
    async fn run(
        &self,
        run: &Run<'_>,
        approved: Vec<Approved>,
        dry_run: Option<DryRun>,
        record: &mut Record,
    ) -> Result<ExitCode, CliError> {
        let (args, planning) = (self.args, &self.planning);
        let source = SideArgs::from(&args.source).or((&planning.source).into());
        let target = SideArgs::from(&args.target).or((&planning.target).into());
        let policy = planning_policy(planning)?;
        let selected = Selected::only(selection(&approved));
        let names = self.targets.iter().map(|target| target.name.clone());
        let taken = Taken {
            allow_empty: true,
            metadata_only: planning.what.metaonly.metaonly,
        };
        let (planned, end) = &self.source;
        let to = (self.ends.clone(), target);
        let sides = Sides::new(run, (end.clone(), source), taken, to)?;
        let sides = sides.sending(&args.way).into_stores(&planning.data.stores);
        let (source, reached) = sides.open(run).await?;
        is_planned(end, &planned.name, &source.images.to_string())?;
        let to = Targets {
            verb: "apply",
            access: &sides.target_access,
            ends: &sides.targets,
            reached,
            policy,
            options: work_options(run, &args.work, args.streams.streams, self.ends.len()),
            stage: args.way.stage.as_deref(),
            id_map: planning.ids.id_map.id_map.as_deref(),
            owners: Some(&planning.ids.owners),
            // Whoever has left it in the file has looked at it.
            yes: true,
            approved: names.zip(approved.into_iter().map(Arc::new)).collect(),
            dry_run,
        };
        copy(run, source, &selected, to, record).await
    }
}

/// Returns the images that are looked at: those of the plan, or all, which takes fewer requests than
/// a great many of them. Whether images may leave a target depends on all that the ends have.
fn selection(approved: &[Approved]) -> Selection {
    let ids = || approved.iter().flat_map(Approved::ids);
    match approved.iter().any(Approved::removes) || ids().count() > MOST_IDS {
        true => Selection::default(),
        false => Selection::of_ids(ids().collect::<Vec<ImageId>>()),
    }
}

//! `plan`: what a copy would do, shown or written down.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{self, PathBuf};

use clap::builder::BoolishValueParser;
use replicator_core::Side;

use super::dry_run::DryRun;
use super::plan_file::{PlanFile, written};
use super::replicate::{Targets, copy, policy, run_options};
use super::results::Record;
use super::select::select;
use crate::args::{AllowEmpty, PlanningArgs, SelectionArgs, Worded, heading};
use crate::ends::{self, Access, End, Ends, Taken};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::limits::Parallel;
use crate::run::Run;

/// Print or write down what a copy would do
///
/// Changes nothing. The file has each image with what would be done and why, and what
/// is known to fail; apply does it later, as far as it is still true.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator plan [OPTIONS] <SOURCE> <TARGET>...")]
#[command(after_help = "  \
  glance-replicator plan cloud:prod cloud:dr
  glance-replicator plan --exit-code -o plan.json cloud:prod cloud:dr   # 5 if there is work
  glance-replicator apply plan.json")]
pub(crate) struct PlanArgs {
    /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    #[arg(required_unless_present = "source_os_cloud")]
    source: Option<OsString>,
    /// Where they go: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    #[arg(value_name = "TARGET")]
    #[arg(required_unless_present_any = ["source_os_cloud", "target_os_cloud"])]
    targets: Vec<OsString>,
    /// File to write the plan to, as JSON
    ///
    /// It has the ends and the options, and no secret. An image that is taken out of it is not
    /// approved. Only its owner can read it.
    #[arg(short, long, value_name = "FILE", help_heading = heading::OUTPUT)]
    output: Option<PathBuf>,
    /// Exit with 5 if there is work to be done
    #[arg(long, value_parser = BoolishValueParser::new(), help_heading = heading::HOW)]
    exit_code: bool,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    allow_empty: AllowEmpty,
    #[command(flatten)]
    planning: Worded<PlanningArgs>,
}

pub(super) async fn run(run: &Run<'_>, args: &PlanArgs) -> Result<ExitCode, CliError> {
    let Worded {
        args: planning,
        words,
    } = &args.planning;
    let source_access = Access::new(run, Side::Source, &planning.source)?;
    let target_access = Access::new(run, Side::Target, &planning.target)?;
    let mut ends = Ends::new(args.source.iter().chain(&args.targets), &run.env);
    let source = absolute(ends.next("SOURCE", planning.source.source_os_cloud.as_deref())?);
    let targets = ends.rest("TARGET", planning.target.target_os_cloud.as_deref())?;
    let targets: Vec<End> = targets.into_iter().map(|(_, end)| absolute(end)).collect();
    let sink = run.sink()?;
    let file = args.output.as_deref();
    let file = file.map(|path| PlanFile::new(path, written(&source), words.clone()));
    let one = Parallel {
        transfers: NonZeroUsize::MIN,
        small: NonZeroUsize::MIN,
        checkers: NonZeroUsize::MIN,
    };
    let dry_run = DryRun::planning(sink, file.transpose()?, args.exit_code);
    let taken = Taken {
        allow_empty: args.allow_empty.allow_empty,
        metadata_only: planning.what.metaonly.metaonly,
    };
    let target_access = target_access.into_stores(&planning.data.stores);
    let policy = policy(&planning.what, Some((&planning.ids, &planning.data)))?;
    let mut record = Record::begin("plan", source.to_string(), &targets);
    let source = (&source_access, &source, taken);
    let opened = ends::source_and_reach(run, source, &target_access, &targets);
    let (mut source, reached) = opened.await?;
    let to = Targets {
        verb: "plan",
        access: &target_access,
        ends: &targets,
        reached,
        policy,
        options: run_options(run, one, NonZeroUsize::MIN, targets.len()),
        stage: None,
        id_map: planning.ids.id_map.id_map.as_deref(),
        owners: Some(&planning.ids.owners),
        yes: false,
        approved: Vec::new(),
        dry_run: Some(dry_run),
    };
    let details = source.details().cloned();
    let selected = select(run, &args.selection, &mut source.images, details.as_ref()).await?;
    copy(run, source, &selected, to, &mut record).await
}

/// A plan may be applied in another directory.
fn absolute(end: End) -> End {
    match end {
        End::Archive(path) => End::Archive(path::absolute(&path).unwrap_or(path)),
        end => end,
    }
}

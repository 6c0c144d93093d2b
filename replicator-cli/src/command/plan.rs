//! `plan`: what a copy would do, shown or written down.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{self, PathBuf};

use clap::builder::BoolishValueParser;
use replicator_core::TargetPolicy;

use super::planned::Planned;
use super::planned::dry_run::DryRun;
use super::planned::file::{PlanFile, written};
use super::replicate::{Targets, copy, of_share, planning_policy, run_options};
use super::results::Record;
use super::select::select;
use crate::args::{AllowEmpty, PlanningArgs, SelectionArgs, Worded, heading};
use crate::ends::{End, Ends, Sides, Taken};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::limits::Parallel;
use crate::run::Run;
use crate::ui::Sink;

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

/// What is asked for. Nothing is opened yet.
pub(super) struct Asked {
    sink: Sink<Planned>,
    pub(super) sides: Sides,
    policy: TargetPolicy,
}

pub(super) fn asked(run: &Run<'_>, args: &PlanArgs) -> Result<Asked, CliError> {
    let planning = &args.planning.args;
    let mut ends = Ends::new(args.source.iter().chain(&args.targets), &run.env);
    let source = absolute(ends.next("SOURCE", planning.source.source_os_cloud.as_deref())?);
    let targets = ends.rest("TARGET", planning.target.target_os_cloud.as_deref())?;
    let targets = targets.into_iter().map(|(_, end)| absolute(end)).collect();
    let taken = Taken {
        allow_empty: args.allow_empty.allow_empty,
        metadata_only: planning.what.metaonly.metaonly,
    };
    let (from, to) = ((source, &planning.source), (targets, &planning.target));
    let sides = Sides::new(run, from, taken, to)?.comparing(&args.selection);
    let policy = planning_policy(planning)?;
    Ok(Asked {
        sink: run.sink()?,
        sides: sides.into_stores(&planning.data.stores),
        policy,
    })
}

pub(super) async fn run(run: &Run<'_>, args: &PlanArgs) -> Result<ExitCode, CliError> {
    let Asked {
        sink,
        sides,
        policy,
    } = asked(run, args)?;
    let policy = of_share(run, policy, args.selection.shard);
    let Worded {
        args: planning,
        words,
    } = &args.planning;
    let file = args.output.as_deref();
    let file = file.map(|path| PlanFile::new(path, written(&sides.source), words.clone()));
    let dry_run = DryRun::planning(sink, file.transpose()?, args.exit_code);
    let mut record = Record::begin("plan", sides.source.to_string(), &sides.targets);
    let (mut source, reached) = sides.open(run).await?;
    let to = Targets {
        verb: "plan",
        access: &sides.target_access,
        ends: &sides.targets,
        reached,
        policy,
        options: run_options(run, Parallel::ONE, NonZeroUsize::MIN, sides.targets.len()),
        stage: None,
        id_map: planning.ids.id_map.id_map.as_deref(),
        owners: Some(&planning.ids.owners),
        // Nothing is done before somebody has looked at it.
        yes: true,
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

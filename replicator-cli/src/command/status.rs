//! `status`: what each of several targets has of the images of a source.

pub(super) mod standing;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;
use replicator_core::{TargetPolicy, status};

use self::standing::{Overview, StandingRow};
use super::replicate::{Ends as TargetEnds, Targets, run_options};
use super::results::Record;
use super::select::select;
use crate::args::{
    AllowEmpty, IdMapArgs, MetricsArgs, OmitArgs, OwnerArgs, SelectionArgs, SourceArgs, StateArgs,
    TargetArgs, heading,
};
use crate::ends::{Ends, Opening, Sides, Taken};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::limits::Parallel;
use crate::run::Run;
use crate::ui::{MetricsFile, Readers, ReportFile, Sink, counted, duration};

/// Show what each target has of the images of a source
///
/// Prints the images that are not equal everywhere, with a column for each target, and the totals:
/// images by state, names whose newest image is there, and the age of the oldest difference. Every
/// format but text has all images. Nothing is changed, and no data is read.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator status [OPTIONS] <SOURCE> <TARGET>...")]
#[command(mut_arg("metrics_file", |arg| arg.hide_short_help(false)))]
#[command(after_help = "  \
  glance-replicator status cloud:prod cloud:dr cloud:lab
  glance-replicator status --html /var/www/images.html cloud:prod cloud:dr dir:/backup/images
  glance-replicator status --metrics-file /var/lib/node_exporter/images.prom cloud:prod cloud:dr")]
pub(crate) struct StatusArgs {
    /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    #[arg(required_unless_present = "source_os_cloud")]
    source: Option<OsString>,
    /// Where their copies are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    #[arg(value_name = "TARGET")]
    #[arg(required_unless_present_any = ["source_os_cloud", "target_os_cloud"])]
    targets: Vec<OsString>,
    /// Exit with 5 if a target lacks something
    #[arg(long, value_parser = BoolishValueParser::new(), help_heading = heading::HOW)]
    exit_code: bool,
    /// File to write a page for browsers to
    ///
    /// It shows all images, to be searched, filtered and sorted. It is one file, takes nothing from
    /// anywhere else, and everybody can read it. It takes the place of an older one in one step; if no
    /// target can be listed, the older one stays.
    #[arg(long, value_name = "FILE", help_heading = heading::OUTPUT)]
    html: Option<PathBuf>,
    #[command(flatten)]
    metrics: MetricsArgs,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    allow_empty: AllowEmpty,
    #[command(flatten)]
    omit: OmitArgs,
    #[command(flatten)]
    state: StateArgs,
    #[command(flatten)]
    id_map: IdMapArgs,
    #[command(flatten)]
    owners: OwnerArgs,
    #[command(flatten)]
    source_args: SourceArgs,
    #[command(flatten)]
    target_args: TargetArgs,
}

/// What is asked for. Nothing is opened yet.
pub(super) struct Asked {
    sink: Sink<StandingRow>,
    pub(super) sides: Sides,
    policy: TargetPolicy,
}

pub(super) fn asked(run: &Run<'_>, args: &StatusArgs) -> Result<Asked, CliError> {
    let mut ends = Ends::new(args.source.iter().chain(&args.targets), &run.env);
    let source = ends.next("SOURCE", args.source_args.source_os_cloud.as_deref())?;
    let targets = ends.rest("TARGET", args.target_args.target_os_cloud.as_deref())?;
    let targets = targets.into_iter().map(|(_, end)| end).collect();
    let taken = Taken {
        allow_empty: args.allow_empty.allow_empty,
        metadata_only: false,
    };
    let (from, to) = ((source, &args.source_args), (targets, &args.target_args));
    let sides = Sides::new(run, from, taken, to)?.comparing(&args.selection);
    let mut policy = TargetPolicy::default();
    policy.omit = args.omit.filter()?;
    policy.adapt = args.state.adapt(&policy.omit)?;
    args.owners.check()?;
    args.id_map.check()?;
    Ok(Asked {
        sink: run.sink()?,
        sides,
        policy,
    })
}

pub(super) async fn run(run: &Run<'_>, args: &StatusArgs) -> Result<ExitCode, CliError> {
    let Asked {
        sink,
        sides,
        policy,
    } = asked(run, args)?;
    let html = args.html.as_deref();
    let html = html.map(|path| ReportFile::begin(path, Readers::Everybody));
    let html = html.transpose()?;
    let metrics = args.metrics.metrics_file.as_deref();
    let metrics = metrics.map(MetricsFile::begin).transpose()?;
    let targets = &sides.targets;
    // Nothing is copied.
    let options = run_options(run, Parallel::ONE, NonZeroUsize::MIN, targets.len());
    let typed = sides.source.to_string();
    let (mut source, reached) = sides.open(run).await?;
    let details = source.details().cloned();
    let selected = select(run, &args.selection, &mut source.images, details.as_ref()).await?;
    let mut record = Record::begin("status", typed.clone(), targets);
    let mut at = TargetEnds::new(
        run,
        Targets {
            verb: "status",
            access: &sides.target_access,
            ends: targets,
            reached,
            policy,
            options: options.clone(),
            stage: None,
            id_map: args.id_map.id_map.as_deref(),
            owners: Some(&args.owners),
            yes: false,
            approved: Vec::new(),
            dry_run: None,
        },
        &mut record,
    );
    let opened = at.open(&source, Opening::Read).await?;
    let targets_opened: Vec<_> = opened
        .iter()
        .map(|(_, target)| target.end.clone())
        .collect();
    let images = &*source.images;
    let mut status = status(images, &selected.selection, &targets_opened, &options).await;
    if run.ctx.is_cancelled() {
        return Err(run.interrupted());
    }
    let numbers: Vec<usize> = opened.iter().map(|(number, _)| *number).collect();
    let listed = std::mem::take(&mut status.listed);
    for ((number, target), listed) in opened.iter().zip(listed) {
        if let Err(error) = listed {
            let place = format!("{}: ", target.name());
            at.left_out(*number, &place, run.listing_failed(error))?;
        }
    }
    let mut code = at.code;
    let count = status.selected;
    let errors = record
        .errors()
        .map(|(number, error)| (number, error.to_owned()));
    let errors: Vec<_> = errors.collect();
    let names = targets.iter().map(ToString::to_string);
    let overview = Overview::new(typed, names, &numbers, &errors, status);
    if let Some(file) = metrics {
        code = code.and(run.goes_on(file.end(overview.metrics())));
    }
    if overview.listed().next().is_none() {
        // Each is told with its reason.
        return Ok(code);
    }
    code = code.and(selected.tell(run, images, count).await?);
    if let Some(file) = html {
        code = code.and(run.goes_on(file.end(&overview.page())));
    }
    overview.print(sink)?;
    let mut differences = 0;
    for (target, totals) in overview.listed() {
        differences += totals.differences();
        let mut summary = match totals.differences() {
            0 => format!("status: {target}: nothing differs"),
            count => format!("status: {target}: {}", counted(count, "difference")),
        };
        if totals.oldest.is_some() {
            summary += &format!(", the oldest of {} ago", duration(overview.behind(totals)));
        }
        run.console.summary(&summary);
    }
    if let Some(selected) = selected.summary(count) {
        run.console.summary(&selected);
    }
    Ok(code.and(match differences {
        1.. if args.exit_code => ExitCode::Differences,
        _ => ExitCode::Done,
    }))
}

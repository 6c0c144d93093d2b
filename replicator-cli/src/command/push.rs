//! `push`: from a file to ends.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::sync::Arc;

use clap::builder::BoolishValueParser;
use glance_model::{ImageId, ImageMetadata, Selection};
use replicator_core::{FileSource, ImageError, Outcome, Report, Side, TargetPolicy, Verify, Wrong};
use serde::Serialize;

use super::planned::Planned;
use super::planned::dry_run::DryRun;
use super::replicate::{Targets, copy, run_options};
use super::results::{Output, Record};
use super::select::Selected;
use crate::args::{
    BandwidthArgs, NewImageArgs, ReportArgs, RunLimitArgs, SendArgs, TargetArgs, heading, verify,
};
use crate::ends::{self, Access, End, Ends, Source};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::limits::{self, Parallel};
use crate::run::Run;
use crate::ui::{Column, Row, Text, bytes, column, with_short_digests as short};

/// Make an image of a file at servers
///
/// The image has the same id at each of them. The file is read once to know its
/// format and its digests, and then sent to all targets at a time; each copy is
/// proven, and only then shown to others. Run again with the id, the same command
/// completes what is missing.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator push [OPTIONS] <FILE> <TARGET>...")]
#[command(after_help = "  \
  glance-replicator push fedora.qcow2 cloud:prod cloud:dr cloud:lab
  glance-replicator push --visibility public --property os_type=linux disk.raw cloud:prod
  glance-replicator push --id 6d55dd55-053a-4765-b7bc-b30df0ea3861 https://host/a.iso cloud:dr")]
pub(crate) struct PushArgs {
    /// The file: a path, or a URL with http or https
    file: OsString,
    /// Where the image goes: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    #[arg(value_name = "TARGET", required_unless_present = "target_os_cloud")]
    targets: Vec<OsString>,
    /// Print what would be done, and change nothing
    #[arg(long, value_parser = BoolishValueParser::new(), help_heading = heading::HOW)]
    pub(super) dry_run: bool,
    /// Proof of a copy: full, target, read-back or none
    #[arg(long, value_name = "HOW", default_value = "full", help_heading = heading::HOW)]
    #[arg(value_parser = verify(), hide_possible_values = true)]
    verify: Verify,
    #[command(flatten)]
    report: ReportArgs,
    #[command(flatten)]
    bandwidth: BandwidthArgs,
    #[command(flatten)]
    limits: RunLimitArgs,
    #[command(flatten)]
    image: NewImageArgs,
    #[command(flatten)]
    send: SendArgs,
    #[command(flatten)]
    target_args: TargetArgs,
}

/// What is asked for. Nothing is opened yet.
pub(super) struct Asked {
    access: Access,
    pub(super) ends: Vec<(String, End)>,
}

pub(super) fn asked(run: &Run<'_>, args: &PushArgs) -> Result<Asked, CliError> {
    let access = Access::new(run, Side::Target, &args.target_args)?;
    let access = access.sending(&args.send.way);
    let access = access.into_stores(&args.send.data.stores);
    let cloud = args.target_args.target_os_cloud.as_deref();
    let ends = Ends::new(&args.targets, &run.env).rest("TARGET", cloud)?;
    match args.dry_run {
        true => run.sink::<Planned>().map(drop)?,
        false => run.sink::<Pushed>().map(drop)?,
    }
    Ok(Asked { access, ends })
}

pub(super) async fn run(run: &Run<'_>, args: &PushArgs) -> Result<ExitCode, CliError> {
    let Asked { access, ends } = asked(run, args)?;
    limits::keep_to(&args.bandwidth.bwlimit, &run.limits, &run.console);
    let (names, ends): (Vec<String>, Vec<End>) = ends.into_iter().unzip();
    let mut policy = TargetPolicy::default();
    (policy.verify, policy.format_check) = (args.verify, args.send.data.format_check);
    let mut targets = Targets {
        verb: "push",
        access: &access,
        ends: &ends,
        reached: Vec::new(),
        policy,
        options: run_options(run, Parallel::ONE, NonZeroUsize::MIN, ends.len()),
        stage: args.send.way.stage.as_deref(),
        id_map: None,
        owners: None,
        yes: false,
        approved: Vec::new(),
        dry_run: None,
    };
    args.limits.set(&mut targets.options);
    let file = args.file.to_string_lossy().into_owned();
    let mut record = Record::begin("push", file, &ends);
    if args.dry_run {
        targets.dry_run = Some(DryRun::new(run.sink()?));
        let (_, code) = push(run, args, targets, &mut record).await?;
        return Ok(code);
    }
    let mut sink = run.sink()?;
    let output = Output::begin(run, &args.report, false)?;
    let pushed = push(run, args, targets, &mut record).await;
    let (image, code) = match pushed {
        Ok((image, code)) => (Some(image), Ok(exit_code(&record, code))),
        Err(error) => (None, Err(error)),
    };
    let code = output.end(run, &record, code)?;
    if let Some(image) = image {
        for (end, report) in names.iter().zip(record.reports()) {
            sink.row(&Pushed::new(end, &image, report))?;
        }
        sink.end(&())?;
    }
    Ok(code)
}

/// Reads the file and copies it, or prints what would be done.
async fn push(
    run: &Run<'_>,
    args: &PushArgs,
    mut targets: Targets<'_>,
    record: &mut Record,
) -> Result<(ImageMetadata, ExitCode), CliError> {
    let (source, image) = read(run, args, &targets).await?;
    targets.reached = ends::reach(run, targets.access, targets.ends).await;
    let wanted = Selected::only(Selection::of_ids([image.id]));
    let code = copy(run, source, &wanted, targets, record).await?;
    Ok((image, code))
}

/// Reads the file, and describes the image that becomes of it.
async fn read(
    run: &Run<'_>,
    args: &PushArgs,
    targets: &Targets<'_>,
) -> Result<(Source, ImageMetadata), CliError> {
    let named = ends::file(run, &args.file)?;
    let file = named.file.to_string();
    let id = args.image.id().unwrap_or_else(new_id);
    let image = args.image.describe(id, named.name.as_deref())?;
    if args.image.id().is_none() && !args.dry_run {
        let note = format!("the new image is {id}: to go on after an interruption, give --id {id}");
        run.console.note(&note);
    }
    tracing::info!("reading {file} for its digests");
    let options = &targets.options;
    let check = targets.policy.format_check;
    let source = FileSource::read(&run.ctx, named.file, image, check, &options.retry).await;
    let source = source.map_err(|error| match error {
        _ if run.ctx.is_cancelled() => run.interrupted(),
        ImageError::Refused(problem) => CliError::RefusedFile { file, problem },
        ImageError::Content(Wrong::SourceDigest { stated, found }) => CliError::WrongFile {
            problem: short(&format!("it has the {found}, and not {}", stated.as_hex())),
            file,
        },
        source => CliError::File { file, source },
    })?;
    let image = source.image().clone();
    let source = Source {
        images: Arc::new(source),
        place: named.place,
        caller: None,
    };
    Ok((source, image))
}

fn new_id() -> ImageId {
    let id = uuid::Uuid::new_v4().hyphenated().to_string();
    // It is in the form of an id.
    ImageId::parse(&id).unwrap_or_else(|_| new_id())
}

/// An image that lacks at one of several targets has failed there.
fn exit_code(record: &Record, code: ExitCode) -> ExitCode {
    let is_somewhere = record.reports().any(|report| report.is_some());
    let lacks = record.reports().any(|report| report.is_none());
    match is_somewhere && lacks {
        true => code.and(ExitCode::ImagesFailed),
        false => code,
    }
}

/// The image at one target.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Pushed {
    /// The target, as it was named.
    target: String,
    id: String,
    name: Option<String>,
    disk_format: Option<String>,
    /// The length of its data.
    size: Option<u64>,
    /// The SHA-512 of its data.
    sha512: Option<String>,
    /// created, updated, unchanged, failed or not done.
    result: &'static str,
}

impl Pushed {
    fn new(target: &str, image: &ImageMetadata, report: Option<&Report>) -> Self {
        Self {
            target: target.to_owned(),
            id: image.id.to_string(),
            name: image.name.clone(),
            disk_format: image.disk_format.clone(),
            size: image.size,
            sha512: image.hash_value.clone(),
            result: report.map_or("failed", result),
        }
    }
}

fn result(report: &Report) -> &'static str {
    // One that needs nothing has no result of its own.
    let outcome = report.results.iter().next().map(|result| result.outcome);
    match outcome {
        None | Some(Outcome::Unchanged | Outcome::AlreadyThere) => "unchanged",
        Some(Outcome::Copied { .. }) => "created",
        Some(Outcome::MetadataUpdated(_) | Outcome::CopiedToStores) => "updated",
        Some(Outcome::NotDone(_)) => "not done",
        Some(_) => "failed",
    }
}

impl Row for Pushed {
    const SCHEMA: &'static str = "push/1";
    const ITEMS: &'static str = "targets";
    const COLUMNS: &'static [Column] = &[
        column("target"),
        column("id"),
        column("name"),
        column("disk_format").long(),
        bytes("size"),
        column("sha512").long(),
        column("result"),
    ];

    fn text(&self, out: &mut Text) {
        let Self { id, target, .. } = self;
        out.line(format!("{id}  {:<9}  {target}", self.result));
    }
}

//! `livecopy`, `dump` and `load`, which differ in their verb and their ends.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use replicator_core::{
    DataPolicy, Failure, FormatCheck, ImageError, OnIdConflict, ReplicateOptions, Report, Verb,
    Verify, plan, replicate,
};

use super::{Run, dry_run};
use crate::args::{self, DryRun, IdConflict, Options};
use crate::connect::{self, Opening};
use crate::end::End;
use crate::error::CliError;
use crate::exit_code::ExitCode;

pub(crate) async fn run(
    run: &Run<'_>,
    verb: Verb,
    source: &End,
    target: &End,
    &DryRun { dry_run }: &DryRun,
) -> Result<ExitCode, CliError> {
    let mut options = options(run.options)?;
    let opening = if dry_run {
        Opening::DryRun
    } else {
        Opening::Write
    };
    // The source first: if that fails, no directory has been created.
    let source = connect::source(run, source).await?;
    let target = connect::target(run, target, opening).await?;
    options.id_map = target.id_map;
    let target = target.images;
    if let (Some(path), false) = (&run.options.stage, dry_run) {
        options.stage = Some(connect::stage(path)?);
    }
    let started = Instant::now();
    let plan = plan(&run.ctx, verb, &*source, &*target, &options)
        .await
        .map_err(|error| run.listing_failed(error))?;
    if dry_run {
        dry_run::print(run, verb, &plan)?;
        return Ok(exit_code(run, &plan.failures, 0));
    }
    let report = replicate(&run.ctx, source, target, plan, &options).await;
    run.console.report(verb, &report, started.elapsed());
    Ok(code_of(run, &report))
}

fn code_of(run: &Run<'_>, report: &Report) -> ExitCode {
    exit_code(run, &report.failures, report.not_done)
}

fn options(given: &Options) -> Result<ReplicateOptions, CliError> {
    let mut options = ReplicateOptions::default();
    options.on_id_conflict = match given.on_id_conflict {
        IdConflict::Fail => OnIdConflict::Fail,
        IdConflict::Skip => OnIdConflict::Skip,
        IdConflict::NewId if given.id_map.is_none() => return Err(CliError::NoIdMap),
        IdConflict::NewId => OnIdConflict::NewId,
    };
    options.now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    options.do_not_replicate = given.do_not_replicate()?;
    options.transfers = given.transfers;
    options.retry.retries = given.retries;
    options.retry.max_time = given.retry_max_time.map(Duration::from_secs);
    options.verify = match given.verify {
        args::Verify::Full => Verify::Full,
        args::Verify::Target => Verify::Target,
        args::Verify::ReadBack => Verify::ReadBack,
        args::Verify::None => Verify::None,
    };
    options.format_check = match given.format_check {
        args::FormatCheck::Auto => FormatCheck::Auto,
        args::FormatCheck::Off => FormatCheck::Off,
    };
    if given.metaonly {
        options.data = DataPolicy::MetadataOnly;
    }
    Ok(options)
}

fn exit_code(run: &Run<'_>, failures: &[Failure], not_done: u64) -> ExitCode {
    let any = |is_it: fn(&ImageError) -> bool| failures.iter().any(|failure| is_it(&failure.error));
    match run.signal() {
        Some(signal) if not_done > 0 => ExitCode::Interrupted(signal),
        _ if any(ImageError::is_of_content) => ExitCode::WrongContent,
        _ if any(|error| matches!(error, ImageError::Refused(_))) => ExitCode::Refused,
        _ if failures.is_empty() => ExitCode::Done,
        _ => ExitCode::ImagesFailed,
    }
}

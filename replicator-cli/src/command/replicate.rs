//! `livecopy`, `dump` and `load`, which differ in their verb and their ends.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use replicator_core::{
    DataPolicy, Failure, FormatCheck, ImageError, ImageSource, ImageTarget, OnIdConflict, Plan,
    PlanTarget, ReplicateOptions, Report, RunContext, TargetRun, Verb, Verify, plan_for_all,
    replicate_to_all,
};

use super::dry_run;
use crate::args::{self, DryRun, IdConflict, Options};
use crate::ends::{self, End, Opening, Source};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::limits::Parallel;
use crate::run::Run;
use crate::ui;

pub(crate) async fn run(
    run: &Run<'_>,
    verb: Verb,
    source: &End,
    targets: &[End],
    &DryRun { dry_run }: &DryRun,
) -> Result<ExitCode, CliError> {
    let options = options(run.options, run.parallel)?;
    let opening = if dry_run {
        Opening::DryRun
    } else {
        Opening::Write
    };
    // The source first: if that fails, no directory has been created.
    let source = ends::source(run, source).await?;
    let mut ends = Ends {
        run,
        are_several: targets.len() > 1,
        options,
        code: ExitCode::Done,
    };
    let targets = ends.open(&source, targets, opening).await?;
    let source = source.images;
    let started = Instant::now();
    let planned = ends.plan(verb, &*source, targets).await?;
    if dry_run {
        for (target, plan) in &planned {
            if ends.are_several {
                ui::data(&format!("{}:", target.name))?;
            }
            dry_run::print(run, verb, plan)?;
        }
        let failures = planned.iter().flat_map(|(_, plan)| &plan.failures);
        return Ok(ends.exit_code(failures, 0));
    }
    let (names, runs): (Vec<String>, Vec<TargetRun>) = planned
        .into_iter()
        .map(|(target, plan)| {
            let run = TargetRun::new(&target.ctx, target.images, plan, &target.options);
            (target.name, run)
        })
        .unzip();
    let reports = replicate_to_all(&run.ctx, source, runs).await;
    let elapsed = started.elapsed();
    for (name, report) in names.iter().zip(&reports) {
        let name = ends.are_several.then_some(&**name);
        run.console.report(name, verb, report, elapsed);
    }
    let not_done = reports.iter().map(|report| report.not_done).sum();
    let failures = reports.iter().flat_map(Report::all_failures);
    Ok(ends.exit_code(failures, not_done))
}

/// A target that can be reached, and how it is written to.
struct Target {
    name: String,
    images: Arc<dyn ImageTarget>,
    ctx: RunContext,
    options: ReplicateOptions,
}

/// What goes for every target of a run.
struct Ends<'a> {
    run: &'a Run<'a>,
    are_several: bool,
    options: ReplicateOptions,
    /// What the targets that could not be used make of the run.
    code: ExitCode,
}

impl Ends<'_> {
    /// Of several targets, one that cannot be reached does not stop the others.
    async fn open(
        &mut self,
        source: &Source,
        ends: &[End],
        opening: Opening,
    ) -> Result<Vec<Target>, CliError> {
        let mut targets: Vec<Target> = Vec::new();
        let mut places = Vec::new();
        for end in ends {
            let target = match ends::target(self.run, end, opening).await {
                Ok(target) => target,
                Err(error) => {
                    // It names the end.
                    self.left_out("", error)?;
                    continue;
                }
            };
            source.is_another_than(&target)?;
            let name = target.name;
            if places.contains(&target.place) {
                return Err(CliError::SameTarget { name });
            }
            places.push(target.place);
            let mut options = self.options.clone();
            options.id_map = target.id_map;
            if let (Some(path), Opening::Write) = (&self.run.options.stage, opening) {
                options.stage = Some(ends::stage(path, &name)?);
            }
            let ctx = &self.run.ctx;
            targets.push(Target {
                ctx: if self.are_several {
                    ctx.reporting_to(self.run.console.of_target(&name))
                } else {
                    ctx.clone()
                },
                images: target.images,
                options,
                name,
            });
        }
        Ok(targets)
    }

    async fn plan(
        &mut self,
        verb: Verb,
        source: &dyn ImageSource,
        targets: Vec<Target>,
    ) -> Result<Vec<(Target, Plan)>, CliError> {
        let to_plan: Vec<PlanTarget<'_>> = targets
            .iter()
            .map(|target| (&target.ctx, &*target.images, &target.options))
            .collect();
        let plans = plan_for_all(verb, source, &to_plan).await;
        let mut planned = Vec::new();
        for (target, plan) in targets.into_iter().zip(plans) {
            match plan {
                Ok(plan) => planned.push((target, plan)),
                Err(error) => {
                    let place = format!("{}: ", target.name);
                    self.left_out(&place, self.run.listing_failed(error))?;
                }
            }
        }
        Ok(planned)
    }

    /// Goes on without a target, if there are others.
    fn left_out(&mut self, place: &str, error: CliError) -> Result<(), CliError> {
        if !self.are_several || matches!(error, CliError::Interrupted(_)) {
            return Err(error);
        }
        self.run.console.failed(place, &error);
        self.code = self.code.and(error.exit_code());
        Ok(())
    }

    fn exit_code<'a>(
        &self,
        failures: impl Iterator<Item = &'a Failure>,
        not_done: u64,
    ) -> ExitCode {
        let code = failures
            .map(|failure| of_failure(&failure.error))
            .fold(self.code, ExitCode::and);
        match self.run.signal() {
            Some(signal) if not_done > 0 => ExitCode::Interrupted(signal),
            _ => code,
        }
    }
}

fn of_failure(error: &ImageError) -> ExitCode {
    match error {
        error if error.is_of_content() => ExitCode::WrongContent,
        ImageError::Refused(_) => ExitCode::Refused,
        _ => ExitCode::ImagesFailed,
    }
}

fn options(given: &Options, parallel: Parallel) -> Result<ReplicateOptions, CliError> {
    let mut options = ReplicateOptions::default();
    options.on_id_conflict = match given.on_id_conflict {
        IdConflict::Fail => OnIdConflict::Fail,
        IdConflict::Skip => OnIdConflict::Skip,
        IdConflict::NewId if given.id_map.is_none() => return Err(CliError::NoIdMap),
        IdConflict::NewId => OnIdConflict::NewId,
    };
    options.now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    options.do_not_replicate = given.do_not_replicate()?;
    options.transfers = parallel.transfers;
    options.checkers = parallel.checkers;
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

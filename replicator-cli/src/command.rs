//! One module for each command: arguments -> adapters -> use case -> report.

mod apply;
mod archive;
mod check;
mod compare;
mod completion;
mod dump;
mod jobs;
mod list;
mod livecopy;
mod load;
mod metadefs;
mod owners;
mod plan;
mod planned;
mod push;
mod replicate;
mod report;
mod results;
#[cfg(test)]
mod schemas;
mod select;
mod shares;
mod size;
mod status;
mod verified;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};

use self::apply::ApplyArgs;
use self::archive::ArchiveArgs;
use self::check::CheckArgs;
use self::compare::CompareArgs;
use self::completion::{CompleteArgs, CompletionArgs, ManArgs};
use self::dump::DumpArgs;
use self::jobs::JobsArgs;
use self::list::ListArgs;
use self::livecopy::LivecopyArgs;
use self::load::LoadArgs;
use self::metadefs::MetadefsArgs;
use self::plan::PlanArgs;
use self::push::PushArgs;
use self::replicate::run_job;
use self::report::ReportsArgs;
use self::size::SizeArgs;
use self::status::StatusArgs;
use self::verify::VerifyArgs;
use crate::args::CommonArgs;
use crate::args::config_file::{self, Invocation};
use crate::ends::End;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::signals;
use crate::ui::{Console, log};

/// The longest wait at the end for what is still under way: a name that is being looked up cannot
/// be broken off.
const FAREWELL: Duration = Duration::from_secs(2);

/// Threads that read and write files; more would only take turns.
const MOST_BLOCKING_THREADS: usize = 128;

/// Replicate, back up and migrate OpenStack images
///
/// Copies images between Glance servers, and between a Glance server and a
/// directory, and proves every copy. Image ids are kept. After an interruption, the
/// same command, run again, goes on where it was.
///
/// An end is written cloud:NAME or cloud:NAME/REGION (clouds.yaml), env: (the OS_*
/// variables), HOST:PORT, https://HOST, or dir:PATH. Options stand before or after
/// the command; each can also be set as GLANCE_REPLICATOR_<OPTION>, or in a file
/// given as --config-file. The command line comes before the environment, and that
/// before the file.
#[derive(Debug, Parser)]
#[command(
    name = "glance-replicator",
    version,
    subcommand_required = true,
    args_override_self = true,
    subcommand_value_name = "COMMAND",
    max_term_width = 100,
    disable_help_flag = true,
    disable_help_subcommand = true,
    after_help = "  \
  glance-replicator check cloud:prod cloud:dr
  glance-replicator livecopy --dry-run cloud:prod cloud:dr
  glance-replicator dump cloud:prod /backup/images"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    common: CommonArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(CheckArgs),
    List(ListArgs),
    Compare(CompareArgs),
    Status(StatusArgs),
    Livecopy(LivecopyArgs),
    Dump(DumpArgs),
    Load(LoadArgs),
    Plan(PlanArgs),
    Apply(ApplyArgs),
    Push(PushArgs),
    Verify(VerifyArgs),
    Size(SizeArgs),
    Archive(ArchiveArgs),
    Metadefs(MetadefsArgs),
    Report(ReportsArgs),
    Run(JobsArgs),
    Completion(CompletionArgs),
    #[command(hide = true)]
    Complete(CompleteArgs),
    #[command(hide = true)]
    Man(ManArgs),
}

impl Command {
    async fn run(&self, run: &Run<'_>) -> Result<ExitCode, CliError> {
        match self {
            Self::Check(args) => check::run(run, args).await,
            Self::List(args) => list::run(run, args).await,
            Self::Compare(args) => compare::run(run, args).await,
            Self::Status(args) => status::run(run, args).await,
            Self::Livecopy(args) => run_job(run, livecopy::job(run, args)?).await,
            Self::Dump(args) => run_job(run, dump::job(run, args)?).await,
            Self::Load(args) => run_job(run, load::job(run, args)?).await,
            Self::Plan(args) => plan::run(run, args).await,
            Self::Apply(args) => apply::run(run, args).await,
            Self::Push(args) => push::run(run, args).await,
            Self::Verify(args) => verify::run(run, args).await,
            Self::Size(args) => size::run(run, args).await,
            Self::Archive(args) => archive::run(run, args),
            Self::Metadefs(args) => metadefs::run(run, args).await,
            Self::Report(args) => report::run(run, args),
            Self::Run(args) => jobs::run(run, args, understand).await,
            Self::Completion(args) => completion::completion(args),
            Self::Complete(args) => completion::complete(run, args),
            Self::Man(args) => completion::man(args),
        }
    }

    /// Fails where the command would, before it opens anything; else returns the ends that it names.
    fn check(&self, run: &Run<'_>) -> Result<Vec<End>, CliError> {
        let plain = |ends: Vec<(String, End)>| ends.into_iter().map(|(_, end)| end).collect();
        Ok(match self {
            Self::Check(args) => plain(check::asked(run, args)?.ends),
            Self::List(args) => vec![list::asked(run, args)?.end],
            Self::Compare(args) => compare::asked(run, args)?.sides.ends(),
            Self::Status(args) => status::asked(run, args)?.sides.ends(),
            Self::Livecopy(args) => livecopy::job(run, args)?.check(run)?,
            Self::Dump(args) => dump::job(run, args)?.check(run)?,
            Self::Load(args) => load::job(run, args)?.check(run)?,
            Self::Plan(args) => plan::asked(run, args)?.sides.ends(),
            Self::Push(args) => plain(push::asked(run, args)?.ends),
            Self::Verify(args) => verify::asked(run, args)?.sides.ends(),
            Self::Size(args) => vec![size::asked(run, args)?.end],
            Self::Archive(args) => vec![End::Archive(archive::asked(run, args)?.path)],
            Self::Metadefs(args) => {
                let asked = metadefs::asked(run, args)?;
                vec![asked.source.1, asked.target.1]
            }
            // All that these are about is in files.
            Self::Apply(_)
            | Self::Report(_)
            | Self::Run(_)
            | Self::Completion(_)
            | Self::Complete(_)
            | Self::Man(_) => Vec::new(),
        })
    }

    /// Returns whether the command changes a target.
    fn is_writing(&self) -> bool {
        let dry_run = match self {
            Self::Dump(args) => args.copies.dry_run,
            Self::Load(args) => args.copies.dry_run,
            Self::Livecopy(args) => args.copies.dry_run,
            Self::Plan(_) => true,
            Self::Apply(args) => args.dry_run,
            Self::Push(args) => args.dry_run,
            Self::Metadefs(args) => args.dry_run,
            Self::Check(_)
            | Self::List(_)
            | Self::Compare(_)
            | Self::Status(_)
            | Self::Verify(_)
            | Self::Size(_)
            | Self::Archive(_)
            | Self::Report(_)
            // A job says it itself.
            | Self::Run(_)
            | Self::Completion(_)
            | Self::Complete(_)
            | Self::Man(_) => true,
        };
        !dry_run
    }

    /// Returns the directory that `dump` stores images in.
    fn dump_directory(&self) -> Option<PathBuf> {
        match self {
            Self::Dump(args) => args.path(),
            _ => None,
        }
    }
}

/// Reads the command line of a job, as the program that is begun with it does.
fn understand(
    run: &Run<'_>,
    line: &[String],
    variables: &[(String, String)],
) -> Result<Vec<End>, CliError> {
    let of_job = |name: &str| {
        let mut variables = variables.iter();
        let value = variables.find_map(|(variable, value)| (variable == name).then_some(value));
        value.map(Into::into).or_else(|| std::env::var_os(name))
    };
    let line = line.iter().map(Into::into);
    let Invocation { command: job, .. } = config_file::parse::<Cli>(line, &of_job)?;
    job.command.check(&run.of(&job.common, variables))
}

/// Runs a command to its end.
pub(crate) fn run(invocation: &Invocation<Cli>) -> Result<ExitCode, CliError> {
    let Cli { common, command } = &invocation.command;
    // One thread drives any number of requests, at 1.6 GiB/s; hashing, files, the
    // decoding of listings and the terminal have their own. With a second one each
    // chunk changes threads twice, which takes a quarter more of the processor.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        // For steps of files and pages of listings, which never wait for each other.
        .max_blocking_threads(MOST_BLOCKING_THREADS)
        .enable_all()
        .build()
        .map_err(|source| {
            let what = "start";
            CliError::System { what, source }
        })?;
    let console = Arc::new(Console::start(&common.log, command.dump_directory()));
    let result = log::start(&common.log, &console).and_then(|()| {
        for warning in &invocation.warnings {
            console.warning(warning);
        }
        runtime.block_on(async {
            let run = Run::begin(common, &console, command.is_writing())?;
            if !matches!(command, Command::Run(_)) {
                signals::tell_state(&console)?;
            }
            command.run(&run).await
        })
    });
    let code = result.unwrap_or_else(|error| console.failure(&error));
    // While signals are still heard: stderr may be stuck.
    console.finish(code == ExitCode::Done);
    runtime.shutdown_timeout(FAREWELL);
    Ok(code)
}

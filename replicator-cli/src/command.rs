//! One module for each command: arguments -> adapters -> use case -> report.

mod check;
mod compare;
mod dry_run;
mod replicate;
mod size;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use replicator_core::{RunContext, Verb, VerifyBy};

use crate::args::config_file::Invocation;
use crate::args::{Args, Command, Options};
use crate::ends::End;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::limits::{self, Parallel};
use crate::run::Run;
use crate::tokens::Tokens;
use crate::ui::{Console, Look, log};
use crate::{secrets, signals};
use glance_client::cloud::Environment;

/// How long what is under way may take to end when all is done. A name that is
/// being looked up cannot be broken off.
const FAREWELL: Duration = Duration::from_secs(2);

/// How many threads read and write files at a time; more would only take turns.
const MOST_BLOCKING_THREADS: usize = 128;

/// Runs a command to its end.
pub(crate) fn run(invocation: &Invocation) -> Result<ExitCode, CliError> {
    let Args { options, command } = &invocation.args;
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
    let console = Arc::new(Console::start(Look::of(options), dump_directory(command)));
    let result = log::start(options, &console).and_then(|()| {
        for warning in &invocation.warnings {
            console.warning(warning);
        }
        runtime.block_on(begin(options, command, &console))
    });
    // While signals are still heard: stderr may be stuck.
    console.finish();
    runtime.shutdown_timeout(FAREWELL);
    result
}

/// Returns the variables of this process. What is not UTF-8 is left out.
fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

async fn begin(
    options: &Options,
    command: &Command,
    console: &Arc<Console>,
) -> Result<ExitCode, CliError> {
    let ctx = RunContext::new(Arc::clone(console) as _);
    let env = environment();
    env.proxies().for_each(secrets::know_url);
    let asked = Parallel {
        transfers: options.transfers,
        checkers: options.checkers,
    };
    let run = Run {
        options,
        tokens: Tokens::new(options, &env)?,
        env,
        signal: signals::watch(&ctx, console, is_writing(command))?,
        allow_empty: allow_empty(command),
        limits: limits::start(&options.bwlimit, options.tpslimit, console),
        parallel: asked.within_limit(targets(command), console),
        ctx,
        begun: Instant::now(),
        console: Arc::clone(console),
    };
    match command {
        Command::Size { server } => size::run(&run, &End::parse(server)?).await,
        Command::Dump {
            server,
            directory,
            dry_run,
        } => {
            let (source, target) = (End::parse(server)?, End::archive(directory)?);
            replicate::run(&run, Verb::Dump, &source, &[target], dry_run).await
        }
        Command::Load {
            server,
            directory,
            dry_run,
            ..
        } => {
            let (target, source) = (End::parse(server)?, End::archive(directory)?);
            replicate::run(&run, Verb::Load, &source, &[target], dry_run).await
        }
        Command::Livecopy {
            source,
            targets,
            dry_run,
            ..
        } => {
            let source = End::parse(source)?;
            let targets = targets.iter().map(|target| End::parse(target));
            let targets = targets.collect::<Result<Vec<_>, _>>()?;
            replicate::run(&run, Verb::Livecopy, &source, &targets, dry_run).await
        }
        Command::Verify {
            source,
            target,
            read_back,
            ..
        } => {
            let source = End::parse(source)?;
            let target = target.as_ref().map(|target| End::parse(target));
            let by = if *read_back {
                VerifyBy::Reading
            } else {
                VerifyBy::Stated
            };
            verify::run(&run, &source, target.transpose()?.as_ref(), by).await
        }
        Command::Check { ends } => {
            let parsed = ends.iter().map(|end| {
                let name = end.to_string_lossy().into_owned();
                Ok((name, End::parse(end)?))
            });
            check::run(&run, &parsed.collect::<Result<Vec<_>, CliError>>()?).await
        }
        Command::Compare {
            source,
            target,
            exit_code,
            ..
        } => {
            let (source, target) = (End::parse(source)?, End::parse(target)?);
            let code = compare::run(&run, &source, &target).await?;
            Ok(match code {
                ExitCode::Differences if !exit_code => ExitCode::Done,
                code => code,
            })
        }
    }
}

fn targets(command: &Command) -> usize {
    match command {
        Command::Livecopy { targets, .. } => targets.len(),
        _ => 1,
    }
}

fn dump_directory(command: &Command) -> Option<PathBuf> {
    match command {
        Command::Dump { directory, .. } => match End::archive(directory) {
            Ok(End::Archive(path)) => Some(path),
            _ => None,
        },
        _ => None,
    }
}

fn is_writing(command: &Command) -> bool {
    match command {
        Command::Dump { dry_run, .. }
        | Command::Load { dry_run, .. }
        | Command::Livecopy { dry_run, .. } => !dry_run.dry_run,
        _ => false,
    }
}

fn allow_empty(command: &Command) -> bool {
    match command {
        Command::Load { allow_empty, .. }
        | Command::Livecopy { allow_empty, .. }
        | Command::Verify { allow_empty, .. }
        | Command::Compare { allow_empty, .. } => allow_empty.allow_empty,
        _ => false,
    }
}

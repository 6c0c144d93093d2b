//! `run`: jobs of a file, one after the other, each as the command that it stands for, in a process
//! of its own.
//!
//! A job is turned into a command line, which is read by the same grammar as any other: so it has
//! each option that its command has, by the same name, with the same errors.

use std::borrow::Cow;
use std::future::pending;
use std::io::{self, IsTerminal as _};
use std::iter;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use clap::builder::BoolishValueParser;
use clap::error::{ContextKind, ContextValue};
use glance_client::cloud::{AuthError, Cloud, CloudOptions};
use rustix::process::{Pid, kill_process};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use self::file::{Job, JobsFile};
use self::lock::Lock;
use crate::advice::Advised as _;
use crate::args::config_file::variable;
use crate::args::heading;
use crate::ends::End;
use crate::error::CliError;
use crate::exit_code::{ExitCode, Signal};
use crate::near::near;
use crate::run::Run;
use crate::ui::{Column, Row, Text, column, with_cause};

pub(super) mod file;
mod lock;

/// A process takes as long to listen to signals; one that comes before ends it.
const DEAF: Duration = Duration::from_secs(1);
/// The value, in a command line that is checked, of an option whose value stands elsewhere.
const ELSEWHERE: &str = "elsewhere";
/// The largest number of names that are suggested.
const MOST_NEAR: usize = 3;

/// Run jobs of a file: commands with their options, unattended
///
/// A job has the options of its command, by the names that they have here. Jobs run
/// one after the other, those that are named or all of the file; one that fails does
/// not stop the others. While a job runs, no second run begins it. docs/unattended.md
/// has the file, and timers of systemd, cron and Kubernetes.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator run [OPTIONS] <FILE> [JOB]...")]
#[command(after_help = "  \
  glance-replicator run --check /etc/glance-replicator/jobs.yaml
  glance-replicator run /etc/glance-replicator/jobs.yaml
  glance-replicator -q run /etc/glance-replicator/jobs.yaml nightly")]
pub(crate) struct JobsArgs {
    /// The file of jobs, as YAML
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The jobs to run, in this order; without one, all of them
    #[arg(value_name = "JOB")]
    names: Vec<String>,
    /// Check the file, print the command of each job, and run none
    #[arg(long, value_parser = BoolishValueParser::new(), help_heading = heading::HOW)]
    check: bool,
}

/// Reads a command line as the program does that is begun with it, in an environment with these
/// variables; returns the ends that it names.
pub(super) type Understand =
    fn(&Run<'_>, &[String], &[(String, String)]) -> Result<Vec<End>, CliError>;

pub(super) async fn run(
    run: &Run<'_>,
    args: &JobsArgs,
    understand: Understand,
) -> Result<ExitCode, CliError> {
    let file = JobsFile::read(&args.file)?;
    let jobs = named(&file, &args.names)?;
    // All of them before the first one begins.
    let mut code = ExitCode::Done;
    for job in &jobs {
        let problem = match read(run, job, understand) {
            // Another job of the file needs no cloud that is gone.
            Ok(ends) if args.check => unknown_cloud(run, job, ends),
            Ok(_) => None,
            Err(error) => Some(error),
        };
        code = code.and(run.goes_on(problem.map_or(Ok(()), Err)));
    }
    if args.check {
        let mut sink = run.sink()?;
        for job in &jobs {
            sink.row(&Checked::of(job))?;
        }
        sink.end(&())?;
    }
    if args.check || code != ExitCode::Done {
        return Ok(code);
    }
    let locks = file.locks(&args.file);
    for job in jobs {
        if run.ctx.is_cancelled() {
            break;
        }
        let lock = match Lock::take(&locks, &args.file, &job.name) {
            Ok(lock) => lock,
            Err(error) => {
                code = code.and(run.goes_on(Err(error)));
                continue;
            }
        };
        let ended = run_job(run, job, &lock).await;
        let ended = ended.unwrap_or_else(|error| run.goes_on(Err(error)));
        let what = format!("job {}: exit code {}", job.name, ended.number());
        match ended {
            ExitCode::Done => run.console.note(&format!("job {}: done", job.name)),
            _ => run.console.summary(&what),
        }
        code = code.and(ended).and(hook(run, job, ended));
    }
    Ok(match run.signal() {
        Some(signal) => ExitCode::Interrupted(signal),
        None => code,
    })
}

/// Reads the command line of a job, and returns the ends that it names.
fn read(run: &Run<'_>, job: &Job, understand: Understand) -> Result<Vec<End>, CliError> {
    let variables = job.known_variables()?;
    let line = || iter::once("glance-replicator".to_owned()).chain(job.words());
    let hidden = job.elsewhere().map(|name| {
        let mut known = variables.iter();
        let known = known.find(|(variable, _)| *variable == self::variable(name));
        let value = known.map_or(ELSEWHERE, |(_, value)| value);
        format!("--{name}={value}")
    });
    let whole: Vec<String> = line().chain(hidden).collect();
    let read = match understand(run, &whole, &variables) {
        // It is no value of the option; that there is such an option is known by that.
        Err(CliError::Usage(error)) if is_about(&error, ELSEWHERE) => {
            understand(run, &line().collect::<Vec<_>>(), &variables)
        }
        read => read,
    };
    read.map_err(|error| of(job, &error))
}

/// Returns whether an error is about a value of an option.
fn is_about(error: &clap::Error, value: &str) -> bool {
    matches!(error.get(ContextKind::InvalidValue), Some(ContextValue::String(found)) if found == value)
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}

/// Returns the error of a cloud or a region that clouds.yaml lacks, if there is one.
fn unknown_cloud(run: &Run<'_>, job: &Job, ends: Vec<End>) -> Option<CliError> {
    let env = run.of(run.common, &job.known_variables().ok()?).env;
    ends.into_iter().find_map(|end| {
        let End::Cloud(name, region) = end else {
            return None;
        };
        let found = Cloud::named(&name, region.as_deref(), &CloudOptions::default(), &env);
        let error = match found {
            Err(AuthError::UnknownCloud { known, .. }) if known.is_empty() => return None,
            Err(error @ (AuthError::UnknownCloud { .. } | AuthError::UnknownRegion { .. })) => {
                error
            }
            // Options of the job may have what it lacks.
            _ => return None,
        };
        Some(of(job, &CliError::Auth(error)))
    })
}

/// Returns the jobs that are named, or all.
fn named<'a>(file: &'a JobsFile, names: &[String]) -> Result<Vec<&'a Job>, CliError> {
    if names.is_empty() {
        return Ok(file.jobs.iter().collect());
    }
    let known = || file.jobs.iter().map(|job| &*job.name);
    let find = |name: &String| {
        let job = file.jobs.iter().find(|job| job.name == *name);
        job.ok_or_else(|| CliError::NoSuchJob {
            name: name.clone(),
            near: match near(name, known(), MOST_NEAR) {
                near if near.is_empty() => known().map(str::to_owned).collect(),
                near => near.into_iter().map(str::to_owned).collect(),
            },
        })
    };
    names.iter().map(find).collect()
}

/// Runs the command of a job to its end.
async fn run_job(run: &Run<'_>, job: &Job, lock: &Lock) -> Result<ExitCode, CliError> {
    let failed = |source| CliError::JobProcess {
        job: job.name.clone(),
        source,
    };
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.args(job.words()).stdin(Stdio::null());
    for (name, value) in job.variables()? {
        command.env(name, value);
    }
    if run.common.log.quiet {
        command.env("GLANCE_REPLICATOR_QUIET", "true");
    }
    run.console
        .note(&format!("job {}: {}", job.name, job.line()));
    let status = wait_for(run, command, lock).await.map_err(failed)?;
    let number = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(number
        .and_then(ExitCode::of_number)
        // A signal has ended it.
        .unwrap_or(ExitCode::Error))
}

/// Starts a process, and hands on to it the signals that it does not get by itself.
async fn wait_for(run: &Run<'_>, mut command: Command, lock: &Lock) -> io::Result<ExitStatus> {
    let mut child = lock.held_by_children_too(|| command.spawn())?;
    let pid = Pid::from_child(&child);
    lock.tell_holder(child.id());
    let begun = Instant::now();
    let mut ended = tokio::task::spawn_blocking(move || child.wait());
    let mut asked = signal(SignalKind::user_defined1())?;
    let mut is_told = false;
    loop {
        tokio::select! {
            ended = &mut ended => return ended.map_err(io::Error::other)?,
            _ = run.ctx.until_cancelled(pending::<()>()), if !is_told => {
                is_told = true;
                // It is gone already if that fails, here and below.
                let _ = match run.signal() {
                    // A terminal sends it to both.
                    Some(Signal::Interrupt) if io::stdin().is_terminal() => Ok(()),
                    Some(Signal::Interrupt) => kill_process(pid, rustix::process::Signal::INT),
                    _ => kill_process(pid, rustix::process::Signal::TERM),
                };
            }
            _ = asked.recv() => if begun.elapsed() > DEAF {
                let _ = kill_process(pid, rustix::process::Signal::USR1);
            },
        }
    }
}

/// Runs the command that a job names for its end.
fn hook(run: &Run<'_>, job: &Job, ended: ExitCode) -> ExitCode {
    let (words, name) = match ended {
        ExitCode::Done => (&job.on_success, "on-success"),
        _ => (&job.on_failure, "on-failure"),
    };
    let Some((program, words)) = words.split_first() else {
        return ExitCode::Done;
    };
    let mut command = Command::new(program);
    command
        .args(words)
        .stdin(Stdio::null())
        .env("JOB_NAME", &job.name)
        .env("JOB_EXIT_CODE", ended.number().to_string());
    if let Some(report) = job.report() {
        command.env("JOB_REPORT", report);
    }
    let problem = match command.status() {
        Ok(status) if status.success() => return ExitCode::Done,
        Ok(status) => format!("{name}: {program} has ended with {status}"),
        Err(error) => format!("{name}: {program} cannot be run: {error}"),
    };
    run.goes_on(Err(CliError::Hook {
        job: job.name.clone(),
        problem,
    }))
}

/// Returns the error of a job whose command line has one.
fn of(job: &Job, error: &CliError) -> CliError {
    CliError::Job {
        job: job.name.clone(),
        problem: match error {
            CliError::Usage(error) => first_line(error),
            CliError::Setting { source } => first_line(source),
            error => with_cause(error),
        },
        hint: error.hint().map(Cow::into_owned),
    }
}

/// A job, as it would be run.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Checked {
    name: String,
    /// The words of its command line, without those that are secret.
    command: Vec<String>,
}

impl Checked {
    fn of(job: &Job) -> Self {
        let program = iter::once("glance-replicator".to_owned());
        Self {
            name: job.name.clone(),
            command: program.chain(job.words()).collect(),
        }
    }
}

impl Row for Checked {
    const SCHEMA: &'static str = "jobs-check/1";
    const ITEMS: &'static str = "jobs";
    const COLUMNS: &'static [Column] = &[column("name"), column("command")];

    fn text(&self, out: &mut Text) {
        let words = self.command.iter().map(|word| file::quoted(word));
        let line: Vec<String> = words.collect();
        out.line(format!("{}: {}", self.name, line.join(" ")));
    }
}

//! `metadefs`: metadata definitions from one end to another.

use std::ffi::OsString;

use clap::ValueEnum;
use clap::builder::BoolishValueParser;
use glance_model::{Namespace, NamespaceChange};
use replicator_core::Side;
use serde::Serialize;

use crate::args::{SourceArgs, TargetArgs, heading};
use crate::ends::{Access, Definitions, End, Ends, Listed, Opening};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::{Column, Row, Sink, Text, column, counts};

/// Copy metadata definitions between servers and directories
///
/// Namespaces come whole: properties, objects, tags, and types of resources. Each is
/// compared first; what the target lacks of it is added, as of one that was left half
/// made, and what only the target has stays. It takes an administrator's token there.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator metadefs [OPTIONS] <ACTION> <END> <END>")]
#[command(after_help = "  \
  glance-replicator metadefs copy --dry-run cloud:prod cloud:dr
  glance-replicator metadefs dump cloud:prod /backup/metadefs
  glance-replicator metadefs load cloud:dr /backup/metadefs")]
pub(crate) struct MetadefsArgs {
    /// What is done: copy, dump or load
    #[arg(hide_possible_values = true)]
    action: Action,
    /// The source and the target of copy; the server and the directory of dump and load
    #[arg(value_name = "END", num_args = 0..=2)]
    ends: Vec<OsString>,
    /// Print what would be done, and change nothing
    #[arg(long, value_parser = BoolishValueParser::new(), help_heading = heading::HOW)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    target: TargetArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    /// From one end to another
    Copy,
    /// From a server into a directory
    Dump,
    /// From a directory to a server
    Load,
}

/// What is asked for. Nothing is opened yet.
pub(super) struct Asked {
    sink: Sink<Defined>,
    pub(super) source: (Access, End),
    pub(super) target: (Access, End),
}

pub(super) fn asked(run: &Run<'_>, args: &MetadefsArgs) -> Result<Asked, CliError> {
    let mut ends = Ends::new(&args.ends, &run.env);
    let source_cloud = args.source.source_os_cloud.as_deref();
    let target_cloud = args.target.target_os_cloud.as_deref();
    let (source, target) = match args.action {
        Action::Copy => {
            let source = ends.next("SOURCE", source_cloud)?;
            (source, ends.next("TARGET", target_cloud)?)
        }
        Action::Dump => {
            let cloud = source_cloud.or(target_cloud);
            let (server, directory) = ends.server_and_directory(cloud, "metadefs copy")?;
            (server, End::Archive(directory))
        }
        Action::Load => {
            let cloud = target_cloud.or(source_cloud);
            let (server, directory) = ends.server_and_directory(cloud, "metadefs copy")?;
            (End::Archive(directory), server)
        }
    };
    ends.finish()?;
    let from = Access::new(run, Side::Source, &args.source)?;
    let to = Access::new(run, Side::Target, &args.target)?;
    Ok(Asked {
        sink: run.sink()?,
        source: (from, source),
        target: (to, target),
    })
}

pub(super) async fn run(run: &Run<'_>, args: &MetadefsArgs) -> Result<ExitCode, CliError> {
    let Asked {
        mut sink,
        source: (from, source),
        target: (to, target),
    } = asked(run, args)?;
    let opening = match args.dry_run {
        true => Opening::DryRun,
        false => Opening::Write,
    };
    let source = Definitions::open(run, &from, &source, Opening::Read).await?;
    let target = Definitions::open(run, &to, &target, opening).await?;
    if source.place == target.place {
        let name = target.name;
        return Err(CliError::SameEnd { name });
    }
    let mut totals = Totals::default();
    for listed in unless_interrupted(run, source.list()).await? {
        let copied = copy(&source, &target, &listed, args.dry_run);
        match unless_interrupted(run, copied).await {
            Ok(Some(row)) => {
                totals.count(row.result);
                sink.row(&row)?;
            }
            Ok(None) => {}
            Err(CliError::Interrupted(signal)) => return Err(CliError::Interrupted(signal)),
            Err(error) => {
                let namespace = listed.name();
                run.console.failed(&format!("{namespace}: "), &error);
                totals.failed += 1;
                sink.row(&Defined::new(namespace, FAILED, &[]))?;
            }
        }
    }
    sink.end(&Rest {
        source: source.name,
        target: target.name,
        totals,
    })?;
    run.console.summary(&totals.text());
    if args.dry_run {
        run.console.summary("nothing was changed (--dry-run)");
    }
    Ok(match totals.failed {
        0 => ExitCode::Done,
        _ => ExitCode::ImagesFailed,
    })
}

async fn unless_interrupted<T>(
    run: &Run<'_>,
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let done = run.ctx.until_cancelled(work).await;
    done.map_err(|_| run.interrupted())?
}

/// Copies one namespace; `None` if it is gone.
async fn copy(
    source: &Definitions,
    target: &Definitions,
    listed: &Listed,
    dry_run: bool,
) -> Result<Option<Defined>, CliError> {
    let Some(wanted) = source.read(listed).await? else {
        return Ok(None);
    };
    let name = wanted.name().to_owned();
    let found = target.find(&name).await?;
    let changes = found.as_ref().map(|found| wanted.lacking(found));
    let result = match &changes {
        Some(changes) if changes.is_empty() => UNCHANGED,
        Some(_) => UPDATED,
        None => CREATED,
    };
    if result != UNCHANGED && !dry_run {
        target.write(&wanted, found).await?;
        check(&wanted, target.find(&name).await?)?;
    }
    Ok(Some(Defined::new(
        name,
        result,
        &changes.unwrap_or_default(),
    )))
}

/// Looks whether the target says by now what was wanted.
fn check(wanted: &Namespace, found: Option<Namespace>) -> Result<(), CliError> {
    let lacking = match found {
        Some(found) => said(&wanted.lacking(&found)),
        None => vec!["all of it".to_owned()],
    };
    match lacking.is_empty() {
        true => Ok(()),
        false => Err(CliError::NotDefined {
            lacking: lacking.join(", "),
        }),
    }
}

fn said(changes: &[NamespaceChange]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

const CREATED: &str = "created";
const UPDATED: &str = "updated";
const UNCHANGED: &str = "unchanged";
const FAILED: &str = "failed";

/// What became of a namespace.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Defined {
    namespace: String,
    /// created, updated, unchanged or failed.
    result: &'static str,
    /// What the target lacked.
    changes: Vec<String>,
}

impl Defined {
    fn new(namespace: String, result: &'static str, changes: &[NamespaceChange]) -> Self {
        Self {
            namespace,
            result,
            changes: said(changes),
        }
    }
}

impl Row for Defined {
    const SCHEMA: &'static str = "metadefs/1";
    const ITEMS: &'static str = "namespaces";
    const COLUMNS: &'static [Column] = &[column("namespace"), column("result"), column("changes")];

    fn text(&self, out: &mut Text) {
        let Self {
            namespace, result, ..
        } = self;
        match self.changes.join(", ") {
            _ if *result == UNCHANGED || *result == FAILED => {}
            changes if changes.is_empty() => out.line(format!("{namespace}: {result}")),
            changes => out.line(format!("{namespace}: {result}: {changes}")),
        }
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rest {
    source: String,
    target: String,
    totals: Totals,
}

/// The numbers of namespaces.
#[derive(Clone, Copy, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Totals {
    created: u64,
    updated: u64,
    unchanged: u64,
    failed: u64,
}

impl Totals {
    fn count(&mut self, result: &str) {
        match result {
            CREATED => self.created += 1,
            UPDATED => self.updated += 1,
            _ => self.unchanged += 1,
        }
    }

    fn text(&self) -> String {
        let found = counts([
            (self.created, "created"),
            (self.updated, "updated"),
            (self.unchanged, "unchanged"),
            (self.failed, "failed"),
        ]);
        match &*found {
            "" => "metadefs: no namespaces".to_owned(),
            found => format!("metadefs: {found}"),
        }
    }
}

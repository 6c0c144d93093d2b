//! `archive`: directories of snapshots.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;
use replicator_fs::{Snapshot, Snapshots};
use serde::Serialize;

use crate::ends::Ends;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::{Column, Row, Sink, bytes, column};

/// List the snapshots of a directory
///
/// Each snapshot that `dump --snapshot` has made is an archive, and its path is that of an
/// end: load it, verify it, compare it. Their data is shared: what is of one snapshot alone is what its
/// removal gives back. One that is partial has yet to become whole, and the next dump goes on
/// with it.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator archive list [OPTIONS] <DIR>")]
#[command(after_help = "  \
  glance-replicator archive list /backup/nightly
  glance-replicator archive list -f json /backup/nightly
  glance-replicator archive list -f value --column path /backup/nightly")]
pub(crate) struct ArchiveArgs {
    /// What is done: list
    #[arg(hide_possible_values = true)]
    action: Action,
    /// The directory of snapshots
    #[arg(value_name = "DIR")]
    directory: OsString,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    /// The snapshots, the oldest first
    List,
}

/// What is asked for. Nothing is opened yet.
pub(super) struct Asked {
    sink: Sink<Listed>,
    pub(super) path: PathBuf,
}

pub(super) fn asked(run: &Run<'_>, args: &ArchiveArgs) -> Result<Asked, CliError> {
    let path = Ends::new([&args.directory], &run.env).archive()?;
    Ok(Asked {
        sink: run.sink()?,
        path,
    })
}

pub(super) fn run(run: &Run<'_>, args: &ArchiveArgs) -> Result<ExitCode, CliError> {
    let Action::List = args.action;
    let Asked { mut sink, path } = asked(run, args)?;
    let all = Snapshots::open(&path)?.all()?;
    let mut totals = Totals::default();
    for snapshot in &all {
        match snapshot.is_whole {
            true => totals.whole += 1,
            false => totals.partial += 1,
        }
        sink.row(&Listed::of(snapshot)?)?;
    }
    sink.end(&Rest {
        directory: path.display().to_string(),
        totals,
    })?;
    Ok(ExitCode::Done)
}

/// A snapshot.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Listed {
    /// The time of the beginning of the run that has completed it, in RFC 3339.
    time: String,
    /// The path of its archive.
    path: String,
    /// whole, or partial: the next run goes on with it.
    state: &'static str,
    /// The number of its images.
    images: u64,
    /// The length of the data of its images.
    bytes: u64,
    /// The length of the data that no other snapshot shares.
    own_bytes: u64,
}

impl Listed {
    fn of(snapshot: &Snapshot) -> Result<Self, CliError> {
        let usage = snapshot.usage()?;
        Ok(Self {
            time: snapshot.time.to_string(),
            path: snapshot.path.display().to_string(),
            state: match snapshot.is_whole {
                true => "whole",
                false => "partial",
            },
            images: usage.images,
            bytes: usage.bytes,
            own_bytes: usage.own_bytes,
        })
    }
}

impl Row for Listed {
    const SCHEMA: &'static str = "archive-list/1";
    const ITEMS: &'static str = "snapshots";
    const COLUMNS: &'static [Column] = &[
        column("time"),
        column("state"),
        column("images"),
        bytes("bytes"),
        bytes("own_bytes"),
        column("path"),
    ];
    const IS_TABLE: bool = true;
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rest {
    directory: String,
    totals: Totals,
}

/// The numbers of snapshots.
#[derive(Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Totals {
    whole: usize,
    partial: usize,
}

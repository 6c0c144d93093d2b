//! `dump`: from a server into a directory.

use std::ffi::OsString;
use std::path::PathBuf;

use replicator_core::Side;

use super::replicate::{Job, run_job};
use super::snapshot;
use crate::args::{
    CopyArgs, OsCloudArgs, SelectionArgs, SideArgs, SnapshotArgs, SourceArgs, StreamArgs,
};
use crate::ends::{Access, End, Ends, Taken};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;

/// Copy the images of a server into a directory: SERVER -> DIR
///
/// The directory is created if need be. It holds a file ID with the metadata
/// of each image, and ID.img with its data. With --snapshot, it holds such a directory for each run.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator dump [OPTIONS] <SERVER> <DIR>")]
#[command(after_help = "  \
  glance-replicator dump cloud:prod /backup/images
  glance-replicator dump --verify read-back cloud:prod /backup/images   # heals damaged files
  glance-replicator dump --snapshot --keep-daily 14 cloud:prod /backup/nightly")]
pub(crate) struct DumpArgs {
    /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    server: OsString,
    /// The directory that they go to
    #[arg(value_name = "DIR")]
    #[arg(required_unless_present_any = ["os_cloud", "source_os_cloud"])]
    directory: Option<OsString>,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    pub(super) copies: CopyArgs,
    #[command(flatten)]
    snapshots: SnapshotArgs,
    #[command(flatten)]
    streams: StreamArgs,
    #[command(flatten)]
    os_cloud: OsCloudArgs,
    #[command(flatten)]
    source: SourceArgs,
}

impl DumpArgs {
    /// Returns the path of the directory, if it is written like one.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let directory = match self.cloud() {
            Some(_) => &self.server,
            None => self.directory.as_ref()?,
        };
        match End::archive(directory) {
            Ok(End::Archive(path)) => Some(path),
            _ => None,
        }
    }

    /// Returns the cloud that an option names.
    fn cloud(&self) -> Option<&str> {
        let cloud = self.os_cloud.os_cloud.as_deref();
        cloud.or(self.source.source_os_cloud.as_deref())
    }
}

pub(super) async fn run(run: &Run<'_>, args: &DumpArgs) -> Result<ExitCode, CliError> {
    let words = [&args.server].into_iter().chain(&args.directory);
    let mut ends = Ends::new(words, &run.env);
    let server = ends.next("SERVER", args.cloud())?;
    let directory = ends.archive()?;
    ends.finish()?;
    if !args.snapshots.snapshot && args.snapshots.keep().is_some() {
        return Err(CliError::KeepWithoutSnapshot);
    }
    let snapshots = match &directory {
        End::Archive(path) if args.snapshots.snapshot => Some(snapshot::Into {
            path: path.clone(),
            args: &args.snapshots,
        }),
        _ => None,
    };
    let job = Job {
        verb: "dump",
        source_access: Access::new(run, Side::Source, &args.source)?,
        source: server,
        taken: Taken {
            allow_empty: false,
            metadata_only: args.copies.what.metaonly.metaonly,
        },
        target_access: Access::new(run, Side::Target, SideArgs::default())?,
        targets: vec![directory],
        snapshots,
        selection: &args.selection,
        copies: &args.copies,
        streams: args.streams.streams,
        uploads: None,
    };
    run_job(run, &job).await
}

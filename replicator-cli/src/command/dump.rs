//! `dump`: from a server into a directory.

use std::ffi::OsString;
use std::path::PathBuf;

use super::replicate::{Job, copy_policy, snapshot};
use crate::args::{
    CopyArgs, OsCloudArgs, SelectionArgs, SideArgs, SnapshotArgs, SourceArgs, StreamArgs,
};
use crate::ends::{End, Ends, Sides, Taken};
use crate::error::CliError;
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
    /// Returns the path of the directory that the files of images go to, if it is written like one. A
    /// snapshot has another name while it is made.
    pub(super) fn path(&self) -> Option<PathBuf> {
        if self.snapshots.snapshot {
            return None;
        }
        let directory = match self.cloud() {
            Some(_) => &self.server,
            None => self.directory.as_ref()?,
        };
        End::archive(directory).ok()
    }

    /// Returns the cloud that an option names.
    fn cloud(&self) -> Option<&str> {
        let cloud = self.os_cloud.os_cloud.as_deref();
        cloud.or(self.source.source_os_cloud.as_deref())
    }
}

/// Takes the command line; nothing is opened yet.
pub(super) fn job<'a>(run: &Run<'_>, args: &'a DumpArgs) -> Result<Job<'a>, CliError> {
    let words = [&args.server].into_iter().chain(&args.directory);
    let mut ends = Ends::new(words, &run.env);
    let (server, directory) = ends.server_and_directory(args.cloud(), "livecopy")?;
    ends.finish()?;
    if !args.snapshots.snapshot && args.snapshots.keep().is_some() {
        return Err(CliError::KeepWithoutSnapshot);
    }
    let snapshots = args.snapshots.snapshot.then(|| snapshot::Into {
        path: directory.clone(),
        args: &args.snapshots,
    });
    let policy = copy_policy(&args.copies, &args.selection, None)?;
    if policy.delete.is_some() && snapshots.is_some() {
        return Err(CliError::DeleteInSnapshot);
    }
    let taken = Taken {
        allow_empty: false,
        metadata_only: args.copies.what.metaonly.metaonly,
    };
    let target = vec![End::Archive(directory)];
    let (from, to) = ((server, &args.source), (target, SideArgs::default()));
    Ok(Job {
        verb: "dump",
        sides: Sides::new(run, from, taken, to)?.comparing(&args.selection),
        policy,
        snapshots,
        selection: &args.selection,
        copies: &args.copies,
        streams: args.streams.streams,
        uploads: None,
    })
}

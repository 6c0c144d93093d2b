//! `load`: from a directory to a server.

use std::ffi::OsString;
use std::num::NonZeroUsize;

use super::replicate::{Job, copy_policy};
use crate::args::{
    AllowEmpty, CopyArgs, OsCloudArgs, SelectionArgs, SideArgs, TargetArgs, UploadArgs,
};
use crate::ends::{End, Ends, Sides, Taken};
use crate::error::CliError;
use crate::run::Run;

/// Copy the images of a directory to a server: SERVER <- DIR
///
/// Images that the server lacks are created, under their own ids; metadata
/// that differs is updated.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator load [OPTIONS] <SERVER> <DIR>")]
#[command(after_help = "  \
  glance-replicator load --dry-run cloud:dr /backup/images   # what would be done
  glance-replicator load cloud:dr /backup/images
  glance-replicator load --on-id-conflict new-id --id-map ids.json cloud:dr /backup/images")]
pub(crate) struct LoadArgs {
    /// Where the images go: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    server: OsString,
    /// The directory that they come from, as `dump` has filled it
    #[arg(value_name = "DIR")]
    #[arg(required_unless_present_any = ["os_cloud", "target_os_cloud"])]
    directory: Option<OsString>,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    allow_empty: AllowEmpty,
    #[command(flatten)]
    pub(super) copies: CopyArgs,
    #[command(flatten)]
    uploads: UploadArgs,
    #[command(flatten)]
    os_cloud: OsCloudArgs,
    #[command(flatten)]
    target: TargetArgs,
}

/// Takes the command line; nothing is opened yet.
pub(super) fn job<'a>(run: &Run<'_>, args: &'a LoadArgs) -> Result<Job<'a>, CliError> {
    let cloud = args.os_cloud.os_cloud.as_ref();
    let cloud = cloud.or(args.target.target_os_cloud.as_ref());
    let words = [&args.server].into_iter().chain(&args.directory);
    let mut ends = Ends::new(words, &run.env);
    let (server, directory) = ends.server_and_directory(cloud.map(String::as_str), "livecopy")?;
    let directory = End::Archive(directory);
    ends.finish()?;
    let taken = Taken {
        allow_empty: args.allow_empty.allow_empty,
        metadata_only: args.copies.what.metaonly.metaonly,
    };
    let (from, to) = (
        (directory, SideArgs::default()),
        (vec![server], &args.target),
    );
    Ok(Job {
        verb: "load",
        sides: Sides::new(run, from, taken, to)?.comparing(&args.selection),
        policy: copy_policy(&args.copies, &args.selection, Some(&args.uploads))?,
        selection: &args.selection,
        copies: &args.copies,
        snapshots: None,
        streams: NonZeroUsize::MIN,
        uploads: Some(&args.uploads),
    })
}

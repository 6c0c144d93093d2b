//! `livecopy`: from one end to others.

use std::ffi::OsString;

use super::replicate::{Job, copy_policy};
use crate::args::{
    AllowEmpty, CopyArgs, SelectionArgs, SourceArgs, StreamArgs, TargetArgs, UploadArgs,
};
use crate::ends::{Ends, Sides, Taken};
use crate::error::CliError;
use crate::run::Run;

/// Copy the images of one server to others
///
/// Images that a target lacks are created, under their own ids; metadata
/// that differs is updated. Nothing is deleted without --delete. What several
/// targets lack is read from the source once.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator livecopy [OPTIONS] <SOURCE> <TARGET>...")]
#[command(after_help = "  \
  glance-replicator livecopy --dry-run cloud:prod cloud:dr   # what would be done
  glance-replicator livecopy cloud:prod/RegionOne cloud:dr cloud:lab
  glance-replicator livecopy --bwlimit '08:00,20M 19:00,off' cloud:prod cloud:dr")]
pub(crate) struct LivecopyArgs {
    /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    #[arg(required_unless_present = "source_os_cloud")]
    source: Option<OsString>,
    /// Where they go: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    #[arg(value_name = "TARGET")]
    #[arg(required_unless_present_any = ["source_os_cloud", "target_os_cloud"])]
    targets: Vec<OsString>,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    allow_empty: AllowEmpty,
    #[command(flatten)]
    pub(super) copies: CopyArgs,
    #[command(flatten)]
    streams: StreamArgs,
    #[command(flatten)]
    uploads: UploadArgs,
    #[command(flatten)]
    source_args: SourceArgs,
    #[command(flatten)]
    target_args: TargetArgs,
}

/// Takes the command line; nothing is opened yet.
pub(super) fn job<'a>(run: &Run<'_>, args: &'a LivecopyArgs) -> Result<Job<'a>, CliError> {
    let mut ends = Ends::new(args.source.iter().chain(&args.targets), &run.env);
    let source = ends.next("SOURCE", args.source_args.source_os_cloud.as_deref())?;
    let targets = ends.rest("TARGET", args.target_args.target_os_cloud.as_deref())?;
    let targets = targets.into_iter().map(|(_, end)| end).collect();
    let taken = Taken {
        allow_empty: args.allow_empty.allow_empty,
        metadata_only: args.copies.what.metaonly.metaonly,
    };
    let (from, to) = ((source, &args.source_args), (targets, &args.target_args));
    Ok(Job {
        verb: "livecopy",
        sides: Sides::new(run, from, taken, to)?.comparing(&args.selection),
        policy: copy_policy(&args.copies, &args.selection, Some(&args.uploads))?,
        selection: &args.selection,
        copies: &args.copies,
        snapshots: None,
        streams: args.streams.streams,
        uploads: Some(&args.uploads),
    })
}

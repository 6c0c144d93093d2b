//! `load`: from a directory to a server.

use std::ffi::OsString;
use std::num::NonZeroUsize;

use replicator_core::Side;

use super::replicate::{Job, run_job};
use crate::args::{
    AllowEmpty, CopyArgs, OsCloudArgs, SelectionArgs, SideArgs, TargetArgs, UploadArgs,
};
use crate::ends::{Access, Ends, Taken};
use crate::error::CliError;
use crate::exit_code::ExitCode;
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

pub(super) async fn run(run: &Run<'_>, args: &LoadArgs) -> Result<ExitCode, CliError> {
    let target_access = Access::new(run, Side::Target, &args.target)?;
    let cloud = args.os_cloud.os_cloud.as_ref();
    let cloud = cloud.or(args.target.target_os_cloud.as_ref());
    let words = [&args.server].into_iter().chain(&args.directory);
    let mut ends = Ends::new(words, &run.env);
    let server = ends.next("SERVER", cloud.map(String::as_str))?;
    let directory = ends.archive()?;
    ends.finish()?;
    let job = Job {
        verb: "load",
        source_access: Access::new(run, Side::Source, SideArgs::default())?,
        target_access: target_access
            .sending(&args.uploads.send.way)
            .into_stores(&args.uploads.send.data.stores),
        targets: vec![server],
        source: directory,
        taken: Taken {
            allow_empty: args.allow_empty.allow_empty,
            metadata_only: args.copies.what.metaonly.metaonly,
        },
        selection: &args.selection,
        copies: &args.copies,
        snapshots: None,
        streams: NonZeroUsize::MIN,
        uploads: Some(&args.uploads),
    };
    run_job(run, &job).await
}

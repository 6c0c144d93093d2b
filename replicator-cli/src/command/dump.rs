//! `dump`: from a server into a directory.

use std::ffi::OsString;
use std::path::PathBuf;

use replicator_core::Side;

use super::replicate::{Job, run_job};
use crate::args::{CopyArgs, SideArgs, SourceArgs};
use crate::ends::{Access, End, Taken};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;

/// Copy the images of a server into a directory
///
/// The directory is created if need be. It holds a file ID with the metadata
/// of each image, and ID.img with its data.
#[derive(clap::Args, Debug)]
#[command(after_help = "  \
  glance-replicator dump cloud:prod /backup/images
  glance-replicator dump --verify read-back cloud:prod /backup/images   # heals damaged files
  glance-replicator dump --metaonly glance.old:9292 /backup/records")]
pub(crate) struct DumpArgs {
    /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    server: OsString,
    /// The directory
    #[arg(value_name = "DIR")]
    directory: OsString,
    #[command(flatten)]
    pub(super) copies: CopyArgs,
    #[command(flatten)]
    source: SourceArgs,
}

impl DumpArgs {
    /// Returns the path of the directory, if it is written like one.
    pub(super) fn path(&self) -> Option<PathBuf> {
        match End::archive(&self.directory) {
            Ok(End::Archive(path)) => Some(path),
            _ => None,
        }
    }
}

pub(super) async fn run(run: &Run<'_>, args: &DumpArgs) -> Result<ExitCode, CliError> {
    let job = Job {
        verb: "dump",
        source_access: Access::new(run, Side::Source, &args.source)?,
        source: End::parse(&args.server)?,
        taken: Taken {
            allow_empty: false,
            metadata_only: args.copies.metaonly.metaonly,
        },
        target_access: Access::new(run, Side::Target, SideArgs::default())?,
        targets: vec![End::archive(&args.directory)?],
        copies: &args.copies,
        uploads: None,
    };
    run_job(run, &job).await
}

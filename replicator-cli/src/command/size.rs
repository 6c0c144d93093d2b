//! `size`: the sum over the active images of an end.

use std::ffi::OsString;

use replicator_core::{Side, size};

use crate::args::TargetArgs;
use crate::ends::{self, Access, End, Opening};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui;

/// Sum up the active images of a server
///
/// The options and the token of the target are used, as in the Python tool.
#[derive(clap::Args, Debug)]
pub(crate) struct SizeArgs {
    /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    server: OsString,
    #[command(flatten)]
    target: TargetArgs,
}

pub(super) async fn run(run: &Run<'_>, args: &SizeArgs) -> Result<ExitCode, CliError> {
    let access = Access::new(run, Side::Target, &args.target)?;
    let end = End::parse(&args.server)?;
    let end = ends::target(run, &access, &end, Opening::Read, None).await?;
    let total = size(&run.ctx, &*end.images)
        .await
        .map_err(|error| run.listing_failed(error))?;
    ui::data(&format!(
        "Total size is {} bytes ({}) across {} images",
        total.total_bytes,
        ui::human_size(total.total_bytes),
        total.images
    ))?;
    Ok(if total.failed == 0 {
        ExitCode::Done
    } else {
        ExitCode::ImagesFailed
    })
}

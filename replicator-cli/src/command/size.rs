//! `size`: the sum over the active images of an end.

use replicator_core::size;

use crate::ends::{self, End, Opening};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui;

pub(crate) async fn run(run: &Run<'_>, end: &End) -> Result<ExitCode, CliError> {
    // As in the Python tool, it is the target's token that counts.
    let end = ends::target(run, end, Opening::Read).await?;
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

//! `size`: the sum over the active images of an end.

use replicator_core::size;

use super::Run;
use crate::connect::{self, Opening};
use crate::end::End;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::render;

pub(crate) async fn run(run: &Run<'_>, end: &End) -> Result<ExitCode, CliError> {
    // As in the Python tool, it is the target's token that counts.
    let end = connect::target(run, end, Opening::Read).await?;
    let total = size(&run.ctx, &*end.images)
        .await
        .map_err(|error| run.listing_failed(error))?;
    render::data(&format!(
        "Total size is {} bytes ({}) across {} images",
        total.total_bytes,
        render::human_size(total.total_bytes),
        total.images
    ))?;
    Ok(if total.failed == 0 {
        ExitCode::Done
    } else {
        ExitCode::ImagesFailed
    })
}

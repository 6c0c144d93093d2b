//! `size`: the sum over the active images of an end.

use std::ffi::OsString;

use glance_model::Selection;
use replicator_core::{Side, size};
use serde::Serialize;

use crate::args::TargetArgs;
use crate::ends::{self, Access, End, Opening};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::{Row, Text, human_size};

/// Sum up the active images of a server
///
/// The options and the token of the target are used, as in the Python tool.
#[derive(clap::Args, Debug)]
#[command(after_help = "  \
  glance-replicator size cloud:prod
  glance-replicator size glance.old:9292
  glance-replicator size dir:/backup/images")]
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
    let total = size(&run.ctx, &*end.images, &Selection::default())
        .await
        .map_err(|error| run.listing_failed(error))?;
    run.sink.row(&Total {
        bytes: total.total_bytes,
        images: total.images,
    })?;
    Ok(if total.failed == 0 {
        ExitCode::Done
    } else {
        ExitCode::ImagesFailed
    })
}

/// The size of an end.
#[derive(Serialize)]
struct Total {
    bytes: u64,
    images: u64,
}

impl Row for Total {
    fn text(&self, out: &mut Text) {
        let Self { bytes, images } = self;
        let human = human_size(*bytes);
        out.line(format!(
            "Total size is {bytes} bytes ({human}) across {images} images"
        ));
    }
}

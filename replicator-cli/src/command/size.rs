//! `size`: the sum over the active images of an end.

use std::ffi::OsString;
use std::sync::Arc;

use replicator_core::{ImageSource, Side, size};
use serde::Serialize;

use super::select::select;
use crate::args::{OneEndArgs, SelectionArgs};
use crate::ends::{self, Access, End, Ends, Opening};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::{Column, Row, Sink, Text, bytes, column, human_size};

/// Sum up the active images of a server
///
/// The token and the options of either side are used, and those of the target where
/// both are given.
#[derive(clap::Args, Debug)]
#[command(after_help = "  \
  glance-replicator size cloud:prod
  glance-replicator size glance.old:9292
  glance-replicator size dir:/backup/images")]
pub(crate) struct SizeArgs {
    /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    ///
    /// Without it, the cloud of --os-cloud or of the variable OS_CLOUD.
    #[arg(value_name = "END")]
    end: Option<OsString>,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    one: OneEndArgs,
}

/// What is asked for. Nothing is opened yet.
pub(super) struct Asked {
    sink: Sink<Total>,
    access: Access,
    pub(super) end: End,
}

pub(super) fn asked(run: &Run<'_>, args: &SizeArgs) -> Result<Asked, CliError> {
    let access = Access::new(run, Side::Target, &args.one)?;
    let access = access.listing_all(args.selection.lists_all());
    let (_, end) = Ends::new(&args.end, &run.env).only(args.one.cloud())?;
    Ok(Asked {
        sink: run.sink()?,
        access,
        end,
    })
}

pub(super) async fn run(run: &Run<'_>, args: &SizeArgs) -> Result<ExitCode, CliError> {
    let Asked {
        mut sink,
        access,
        end,
    } = asked(run, args)?;
    let end = ends::target(run, &access, &end, None, Opening::Read, None).await?;
    let mut images: Arc<dyn ImageSource> = Arc::clone(&end.end.images) as _;
    let selected = select(run, &args.selection, &mut images, end.details()).await?;
    let total = size(&run.ctx, &*images, &selected.selection)
        .await
        .map_err(|error| run.not_listed(&end.name(), error))?;
    let code = selected.tell(run, &*images, total.selected).await?;
    sink.row(&Total {
        end: end.name(),
        images: total.images,
        bytes: total.total_bytes,
        unusable: total.failed,
    })?;
    sink.end(&())?;
    if let Some(summary) = selected.summary(total.selected) {
        run.console.summary(&summary);
    }
    Ok(if total.failed == 0 {
        code
    } else {
        ExitCode::ImagesFailed
    })
}

/// The size of an end.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Total {
    end: String,
    /// The number of active images.
    images: u64,
    /// The length of their data together.
    bytes: u64,
    /// The number of images that are not counted, since what the end says of them cannot be
    /// used.
    unusable: u64,
}

impl Row for Total {
    const SCHEMA: &'static str = "size/1";
    const ITEMS: &'static str = "ends";
    const COLUMNS: &'static [Column] = &[
        column("end"),
        column("images"),
        bytes("bytes"),
        column("unusable"),
    ];

    fn text(&self, out: &mut Text) {
        let Self { bytes, images, .. } = self;
        let human = human_size(*bytes);
        out.line(format!(
            "Total size is {bytes} bytes ({human}) across {images} images"
        ));
    }
}

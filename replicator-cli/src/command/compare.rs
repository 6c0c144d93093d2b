//! `compare`: what a target lacks of the images of a source.

use std::ffi::OsString;

use clap::builder::BoolishValueParser;
use replicator_core::{Compared, Difference, PortError, Side, compare};
use serde::Serialize;

use super::select::select;
use crate::args::{
    AllowEmpty, IdMapArgs, MetaOnly, OmitArgs, SelectionArgs, SourceArgs, TargetArgs, heading,
};
use crate::ends::{self, Access, Ends, Opening, Taken};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::{Row, Text, named, or_undefined};

/// Print what a target lacks of the images of a source
///
/// What only the target has does not matter.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator compare [OPTIONS] <SOURCE> <TARGET>")]
#[command(after_help = "  \
  glance-replicator compare cloud:prod cloud:dr
  glance-replicator compare --exit-code cloud:prod dir:/backup/images   # 5 if they differ
  glance-replicator compare --drop-property 'os_*' cloud:prod glance.old:9292")]
pub(crate) struct CompareArgs {
    /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    #[arg(required_unless_present = "source_os_cloud")]
    source: Option<OsString>,
    /// Where their copies are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    #[arg(required_unless_present_any = ["source_os_cloud", "target_os_cloud"])]
    target: Option<OsString>,
    /// Exit with 5 if there are differences
    #[arg(long, value_parser = BoolishValueParser::new(), help_heading = heading::HOW)]
    exit_code: bool,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    allow_empty: AllowEmpty,
    #[command(flatten)]
    metaonly: MetaOnly,
    #[command(flatten)]
    omit: OmitArgs,
    #[command(flatten)]
    id_map: IdMapArgs,
    #[command(flatten)]
    source_args: SourceArgs,
    #[command(flatten)]
    target_args: TargetArgs,
}

#[derive(Default)]
struct Counts {
    differ: u64,
    missing: u64,
    damaged: u64,
}

pub(super) async fn run(run: &Run<'_>, args: &CompareArgs) -> Result<ExitCode, CliError> {
    let source_access = Access::new(run, Side::Source, &args.source_args)?;
    let target_access = Access::new(run, Side::Target, &args.target_args)?;
    let mut ends = Ends::new(args.source.iter().chain(&args.target), &run.env);
    let source = ends.next("SOURCE", args.source_args.source_os_cloud.as_deref())?;
    let target = ends.next("TARGET", args.target_args.target_os_cloud.as_deref())?;
    ends.finish()?;
    let filter = args.omit.filter()?;
    let taken = Taken {
        allow_empty: args.allow_empty.allow_empty,
        metadata_only: args.metaonly.metaonly,
    };
    let source = ends::source(run, &source_access, &source, taken).await?;
    let id_map = args.id_map.id_map.as_deref();
    let target = ends::target(run, &target_access, &target, Opening::Read, id_map).await?;
    source.is_another_than(&target)?;
    let selected = select(
        run,
        &args.selection,
        &*source.images,
        source.details.as_ref(),
    )
    .await?;
    let mut comparison = compare(
        &run.ctx,
        &*source.images,
        &*target.images,
        &selected.selection,
        &filter,
        target.ids(),
    );
    let mut counts = Counts::default();
    loop {
        let next = comparison.next().await;
        let Some(found) = next.map_err(|error| run.listing_failed(error))? else {
            break;
        };
        show(run, &mut counts, &found)?;
    }
    let Counts {
        differ,
        missing,
        damaged,
    } = counts;
    let mut summary = format!(
        "{} images compared: {differ} differ, {missing} missing",
        comparison.compared()
    );
    if damaged > 0 {
        summary += &format!(", {damaged} damaged");
    }
    let code = selected
        .tell(run, &*source.images, comparison.selected())
        .await?;
    if let Some(selected) = selected.summary(comparison.selected()) {
        summary += &format!(" ({selected})");
    }
    run.console.summary(&summary);
    Ok(code.and(match (damaged, differ + missing) {
        (1.., _) => ExitCode::ImagesFailed,
        (0, 1..) if args.exit_code => ExitCode::Differences,
        _ => ExitCode::Done,
    }))
}

fn show(run: &Run<'_>, counts: &mut Counts, found: &Compared) -> Result<(), CliError> {
    let id = &found.image.id;
    match &found.difference {
        Difference::Missing => {
            counts.missing += 1;
            let (id, name) = (id.to_string(), found.image.name.clone());
            run.sink.row(&Lacking::Image { id, name })
        }
        Difference::Diff(diff) => {
            counts.differ += 1;
            for change in diff.changes() {
                run.sink.row(&Lacking::Field {
                    id: id.to_string(),
                    field: change.field.to_string(),
                    source: change.source.to_string(),
                    target: change.target.as_ref().map(ToString::to_string),
                })?;
            }
            Ok(())
        }
        Difference::Damaged { side, error } => {
            counts.damaged += 1;
            let image = match error {
                PortError::BadRecord(_) => {
                    format!("image {}: ", named(&found.image))
                }
                // It names the image.
                _ => String::new(),
            };
            run.console
                .failed(&format!("at the {side}, {image}"), error);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The lack of a target: an image, or the right value of a field.
#[derive(Serialize)]
#[serde(tag = "lacking", rename_all = "snake_case")]
enum Lacking {
    Image {
        id: String,
        name: Option<String>,
    },
    Field {
        id: String,
        field: String,
        source: String,
        target: Option<String>,
    },
}

impl Row for Lacking {
    fn text(&self, out: &mut Text) {
        out.line(match self {
            Self::Image { id, name } => {
                let name = name.as_deref().unwrap_or_default();
                format!("Image {id} (\"{name}\") entirely missing from the destination")
            }
            Self::Field {
                id,
                field,
                source,
                target,
            } => {
                let target = or_undefined(target.as_ref());
                format!("{id}: field {field} differs (source is {source}, destination is {target})")
            }
        });
    }
}

//! `compare`: what a target lacks of the images of a source.

use replicator_core::{Compared, Difference, PortError, compare};

use crate::ends::{self, End, Opening};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui;

#[derive(Default)]
struct Counts {
    differ: u64,
    missing: u64,
    damaged: u64,
}

pub(crate) async fn run(run: &Run<'_>, source: &End, target: &End) -> Result<ExitCode, CliError> {
    let filter = run.options.do_not_replicate()?;
    let source = ends::source(run, source).await?;
    let target = ends::target(run, target, Opening::Read).await?;
    source.is_another_than(&target)?;
    let mut comparison = compare(
        &run.ctx,
        &*source.images,
        &*target.images,
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
    run.console.summary(&summary);
    Ok(match (damaged, differ + missing) {
        (0, 0) => ExitCode::Done,
        (0, _) => ExitCode::Differences,
        _ => ExitCode::ImagesFailed,
    })
}

fn show(run: &Run<'_>, counts: &mut Counts, found: &Compared) -> Result<(), CliError> {
    let id = &found.id;
    match &found.difference {
        Difference::Missing => {
            counts.missing += 1;
            let name = found.name.as_deref().unwrap_or_default();
            ui::data(&format!(
                "Image {id} (\"{name}\") entirely missing from the destination"
            ))
        }
        Difference::Diff(diff) => {
            counts.differ += 1;
            for change in diff.changes() {
                let target = change.target.as_ref().map(ToString::to_string);
                ui::data(&format!(
                    "{id}: field {} differs (source is {}, destination is {})",
                    change.field,
                    change.source,
                    target.as_deref().unwrap_or("undefined"),
                ))?;
            }
            Ok(())
        }
        Difference::Damaged { side, error } => {
            counts.damaged += 1;
            let image = match error {
                PortError::BadRecord(_) => {
                    format!("image {}: ", ui::named_as(id, found.name.as_deref()))
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

//! `verify`: whether two ends have the same content, or an archive its own.

use std::sync::Arc;

use replicator_core::{ImageError, TargetIds, VerifyBy, verify};

use crate::ends::{self, End, Opening};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui;

/// Without a target, the source is read and compared with what it states itself.
pub(crate) async fn run(
    run: &Run<'_>,
    source: &End,
    target: Option<&End>,
    by: VerifyBy,
) -> Result<ExitCode, CliError> {
    let source = ends::source(run, source).await?;
    let (target, ids, by) = match target {
        Some(target) => {
            let target = ends::target(run, target, Opening::Read).await?;
            source.is_another_than(&target)?;
            let ids = target.ids();
            (target.images as Arc<_>, ids, by)
        }
        None => (
            Arc::clone(&source.images),
            TargetIds::new(),
            VerifyBy::Reading,
        ),
    };
    let report = verify(
        &run.ctx,
        source.images,
        target,
        ids,
        by,
        run.parallel.transfers,
    )
    .await;
    let report = report.map_err(|error| run.listing_failed(error))?;
    if run.ctx.is_cancelled() {
        return Err(run.interrupted());
    }
    for id in &report.missing {
        ui::data(&format!("{id}: missing"))?;
    }
    for id in &report.unverifiable {
        ui::data(&format!(
            "{id}: unverifiable: no digest that both ends state"
        ))?;
    }
    for failure in &report.failures {
        ui::data(&format!("{}: failed", failure.id))?;
    }
    let how = match by {
        VerifyBy::Stated => "same digest on record",
        VerifyBy::Reading => "verified by reading",
    };
    run.console.summary(&format!(
        "verify: {} {how}, {} unverifiable, {} missing, {} failed",
        report.verified,
        report.unverifiable.len(),
        report.missing.len(),
        report.failures.len()
    ));
    let is_wrong = |error: &ImageError| error.is_of_content() || error.is_of_damage();
    let is_wrong = report.failures.iter().any(|f| is_wrong(&f.error));
    Ok(if is_wrong || !report.missing.is_empty() {
        ExitCode::WrongContent
    } else if report.failures.is_empty() {
        ExitCode::Done
    } else {
        ExitCode::ImagesFailed
    })
}

//! `--dry-run`: prints a plan.

use replicator_core::{Action, Plan, PlannedImage, Reason, TargetId, Verb};

use crate::error::CliError;
use crate::run::Run;
use crate::ui::{self, named};

/// Prints what would be done, an image a line, and the totals.
pub(crate) fn print(run: &Run<'_>, verb: Verb, plan: &Plan) -> Result<(), CliError> {
    for planned in &plan.images {
        if run.ctx.is_cancelled() {
            return Err(run.interrupted());
        }
        ui::data(&line(planned))?;
    }
    let count = |is_it: fn(&Action) -> bool| {
        let planned = plan.images.iter().filter(|planned| is_it(&planned.action));
        planned.count()
    };
    let bytes = plan.total_bytes();
    let left = match plan.left.len() {
        0 => String::new(),
        count => format!(", {count} left to another run"),
    };
    ui::data(&format!(
        "{}: would copy {} ({}), write the metadata of {}, update {}; {} unchanged, {} skipped, {} failed{left}",
        ui::verb(verb),
        count(|action| matches!(action, Action::Copy)),
        ui::human_size(bytes),
        count(|action| matches!(action, Action::CreateRecord)),
        count(|action| matches!(action, Action::UpdateMetadata(_))),
        plan.unchanged + count(|action| matches!(action, Action::Check)) as u64,
        plan.skipped,
        plan.failures.len(),
    ))?;
    run.console.summary("nothing was changed (--dry-run)");
    Ok(())
}

fn line(planned: &PlannedImage) -> String {
    let image = &planned.image;
    let action = match &planned.action {
        Action::Copy => "copy",
        Action::Check => "read",
        Action::CreateRecord => "write metadata",
        Action::UpdateMetadata(_) => "update",
        _ => "write",
    };
    let reason = match planned.reason {
        Reason::Missing => "missing".to_owned(),
        Reason::DataMissing => "data missing".to_owned(),
        Reason::Unread => "to be proven".to_owned(),
        _ => "metadata differs".to_owned(),
    };
    let size = match (&planned.action, image.size) {
        (Action::Copy, Some(size)) => format!(" {size} bytes"),
        (Action::Copy, None) => " of unknown size".to_owned(),
        _ => String::new(),
    };
    let changes = match &planned.action {
        Action::UpdateMetadata(diff) => {
            let changes = diff.changes().iter().map(|change| {
                let target = change.target.as_ref().map(ToString::to_string);
                let target = target.as_deref().unwrap_or("undefined");
                format!("{} from {target} to {}", change.field, change.wanted())
            });
            format!(": {}", changes.collect::<Vec<_>>().join(", "))
        }
        _ => String::new(),
    };
    let id = match &planned.target_id {
        TargetId::Other(id) => format!(" as {id}"),
        TargetId::New(problem) => format!(" under a new id, since {problem}"),
        _ => String::new(),
    };
    format!("{action} ({reason}) {}{id}{size}{changes}", named(image))
}

//! `--dry-run`: prints a plan.

use replicator_core::{Action, ImageRef, Outcome, Plan, PlannedImage, Reason, TargetId};
use serde::Serialize;

use crate::error::CliError;
use crate::run::Run;
use crate::ui::{Row, Text, human_size, named, or_undefined};

/// Prints what would be done, an image a line, and the totals; of one of several targets, its name
/// before that.
pub(super) fn print(
    run: &Run<'_>,
    verb: &'static str,
    target: Option<&str>,
    plan: &Plan,
) -> Result<(), CliError> {
    if let Some(target) = target {
        run.sink.row(&OfTarget { target })?;
    }
    for planned in &plan.images {
        if run.ctx.is_cancelled() {
            return Err(run.interrupted());
        }
        run.sink.row(&Planned::from(planned))?;
    }
    run.sink.row(&Totals::new(verb, plan))?;
    run.console.summary("nothing was changed (--dry-run)");
    Ok(())
}

/// The target that the next rows are about.
#[derive(Serialize)]
struct OfTarget<'a> {
    target: &'a str,
}

impl Row for OfTarget<'_> {
    fn text(&self, out: &mut Text) {
        out.line(format!("{}:", self.target));
    }
}

/// The work that is planned for an image.
#[derive(Serialize)]
struct Planned {
    action: &'static str,
    reason: &'static str,
    #[serde(flatten)]
    image: ImageRef,
    /// Its other id at the target, where it is known.
    target_id: Option<String>,
    /// The reason why it would get a new id there.
    new_id: Option<String>,
    changes: Vec<Change>,
}

#[derive(Serialize)]
struct Change {
    field: String,
    found: Option<String>,
    wanted: String,
}

impl From<&PlannedImage> for Planned {
    fn from(planned: &PlannedImage) -> Self {
        let (target_id, new_id) = match &planned.target_id {
            TargetId::Other(id) => (Some(id.to_string()), None),
            TargetId::New(problem) => (None, Some(problem.to_string())),
            _ => (None, None),
        };
        let changes = match &planned.action {
            Action::UpdateMetadata(diff) => diff.changes(),
            _ => &[],
        };
        let changes = changes.iter().map(|change| Change {
            field: change.field.to_string(),
            found: change.target.as_ref().map(ToString::to_string),
            wanted: change.wanted().to_string(),
        });
        Self {
            action: match &planned.action {
                Action::Copy => COPY,
                Action::Check => "read",
                Action::CreateRecord => "write metadata",
                Action::UpdateMetadata(_) => "update",
                _ => "write",
            },
            reason: match planned.reason {
                Reason::Missing => "missing",
                Reason::DataMissing => "data missing",
                Reason::Unread => "to be proven",
                _ => "metadata differs",
            },
            image: ImageRef::from(&planned.wanted),
            target_id,
            new_id,
            changes: changes.collect(),
        }
    }
}

const COPY: &str = "copy";

impl Row for Planned {
    fn text(&self, out: &mut Text) {
        let id = match (&self.target_id, &self.new_id) {
            (Some(id), _) => format!(" as {id}"),
            (None, Some(problem)) => format!(" under a new id, since {problem}"),
            (None, None) => String::new(),
        };
        let size = match self.image.size {
            _ if self.action != COPY => String::new(),
            Some(size) => format!(" {size} bytes"),
            None => " of unknown size".to_owned(),
        };
        let changes = self.changes.iter().map(|change| {
            let found = or_undefined(change.found.as_ref());
            format!("{} from {found} to {}", change.field, change.wanted)
        });
        let changes = match changes.collect::<Vec<_>>().join(", ") {
            changes if changes.is_empty() => changes,
            changes => format!(": {changes}"),
        };
        let (action, reason) = (self.action, self.reason);
        let image = named(&self.image);
        out.line(format!("{action} ({reason}) {image}{id}{size}{changes}"));
    }
}

/// The totals of a plan.
#[derive(Serialize)]
struct Totals {
    verb: &'static str,
    copied: usize,
    bytes: u64,
    recorded: usize,
    updated: usize,
    unchanged: u64,
    skipped: usize,
    failed: usize,
    left: usize,
}

impl Totals {
    fn new(verb: &'static str, plan: &Plan) -> Self {
        let count = |is_it: fn(&Action) -> bool| {
            let planned = plan.images.iter().filter(|planned| is_it(&planned.action));
            planned.count()
        };
        let settled = |is_it: fn(&Outcome) -> bool| {
            let results = plan.settled.iter();
            results.filter(|result| is_it(&result.outcome)).count()
        };
        Self {
            verb,
            copied: count(|action| matches!(action, Action::Copy)),
            bytes: plan.total_bytes(),
            recorded: count(|action| matches!(action, Action::CreateRecord)),
            updated: count(|action| matches!(action, Action::UpdateMetadata(_))),
            unchanged: plan.unchanged + count(|action| matches!(action, Action::Check)) as u64,
            skipped: settled(|outcome| matches!(outcome, Outcome::Skipped(_))),
            failed: settled(|outcome| matches!(outcome, Outcome::Failed { .. })),
            left: plan.left.len(),
        }
    }
}

impl Row for Totals {
    fn text(&self, out: &mut Text) {
        let left = match self.left {
            0 => String::new(),
            count => format!(", {count} left to another run"),
        };
        out.line(format!(
            "{}: would copy {} ({}), write the metadata of {}, update {}; {} unchanged, {} skipped, {} failed{left}",
            self.verb,
            self.copied,
            human_size(self.bytes),
            self.recorded,
            self.updated,
            self.unchanged,
            self.skipped,
            self.failed,
        ));
    }
}

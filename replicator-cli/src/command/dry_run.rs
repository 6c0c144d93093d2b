//! `--dry-run`: prints a plan.

use glance_model::{FieldValue, MetadataDiff};
use replicator_core::{
    Action, ImageRef, ImageResult, LeftImage, Outcome, Plan, PlannedImage, TargetId,
};
use serde::Serialize;

use crate::error::CliError;
use crate::run::Run;
use crate::ui::{
    Column, Row, Sink, Text, bytes, column, counted, counts, human_size, named, or_undefined,
    reason, reason_word, word,
};

/// Prints what would be done at each target, an image a line, and the totals; of one of several
/// targets, its name before that.
pub(super) fn print(
    run: &Run<'_>,
    mut sink: Sink<Planned>,
    verb: &'static str,
    source: String,
    plans: &[(String, &Plan)],
) -> Result<(), CliError> {
    let mut targets = Vec::new();
    for (target, plan) in plans {
        if plans.len() > 1 {
            sink.only_text(&format!("{target}:"))?;
        }
        let planned = plan.images.iter().map(|image| Planned::of(target, image));
        let left = plan.left.iter().map(|left| Planned::of_left(target, left));
        let settled = plan.settled.iter();
        let settled = settled.map(|result| Planned::of_settled(target, result));
        for row in planned.chain(left).chain(settled) {
            if run.ctx.is_cancelled() {
                return Err(run.interrupted());
            }
            sink.row(&row)?;
        }
        let totals = Totals::new(target, plan);
        sink.only_text(&totals.text(verb))?;
        targets.push(totals);
        let name = (plans.len() > 1).then_some(&**target);
        run.console.would_fail(name, plan);
        run.console.summary("nothing was changed (--dry-run)");
    }
    sink.end(&Rest {
        command: verb,
        source,
        targets,
    })
}

/// The work that is planned for an image at a target, or why there is none.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Planned {
    target: String,
    id: String,
    name: Option<String>,
    action: Work,
    /// The reason, in a word.
    reason: Option<String>,
    /// The reason, in words, where nothing is to be done.
    message: Option<String>,
    /// The length of its data.
    size: Option<u64>,
    /// Its other id at the target, where it is known.
    target_id: Option<String>,
    /// The reason why it would get a new id there.
    new_id: Option<String>,
    changes: Vec<Change>,
}

/// The work on an image.
#[derive(Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Work {
    /// Its data and metadata are copied.
    Copy,
    /// Its data is read, and copied again if it is wrong.
    Check,
    /// Its metadata is written, without data.
    CreateRecord,
    /// Metadata that differs is updated.
    UpdateMetadata,
    /// It is copied to those of the target's stores that lack it, if any does.
    CopyToStores,
    /// It is hidden, since the source does not have it any more.
    Retire,
    /// It is deleted, since it has been retired for long enough.
    Delete,
    /// It is left to another run, which is writing it.
    Leave,
    /// It is left alone.
    Skip,
    /// It fails.
    Fail,
}

/// A field that would be updated.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Change {
    field: String,
    /// The value at the target; null as well if it says nothing.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    found: Option<FieldValue>,
    /// The value that the target is to have.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    wanted: FieldValue,
}

impl Change {
    /// Returns the changes of a difference.
    pub(super) fn all(diff: &MetadataDiff) -> Vec<Self> {
        let changes = diff.changes().iter().map(|change| Self {
            field: change.field.to_string(),
            found: change.target.clone(),
            wanted: change.wanted(),
        });
        changes.collect()
    }
}

impl Planned {
    fn of(target: &str, planned: &PlannedImage) -> Self {
        let (target_id, new_id) = match &planned.target_id {
            TargetId::Other(id) => (Some(id.to_string()), None),
            TargetId::New(problem) => (None, Some(problem.to_string())),
            _ => (None, None),
        };
        Self {
            action: match &planned.action {
                Action::Check => Work::Check,
                Action::CreateRecord => Work::CreateRecord,
                Action::UpdateMetadata(_) => Work::UpdateMetadata,
                Action::CopyToStores => Work::CopyToStores,
                Action::Retire(_) => Work::Retire,
                Action::Delete => Work::Delete,
                _ => Work::Copy,
            },
            reason: word(&planned.reason),
            target_id,
            new_id,
            changes: match &planned.action {
                Action::UpdateMetadata(diff) | Action::Retire(diff) => Change::all(diff),
                _ => Vec::new(),
            },
            ..Self::without_work(target, &ImageRef::from(&planned.wanted))
        }
    }

    fn of_left(target: &str, left: &LeftImage) -> Self {
        Self {
            action: Work::Leave,
            reason: Some("being_written".to_owned()),
            ..Self::of(target, &left.planned)
        }
    }

    fn of_settled(target: &str, result: &ImageResult) -> Self {
        Self {
            action: match result.outcome {
                Outcome::Failed { .. } => Work::Fail,
                _ => Work::Skip,
            },
            reason: reason_word(&result.outcome),
            message: reason(result),
            target_id: result.target_id.map(|id| id.to_string()),
            ..Self::without_work(target, &result.image)
        }
    }

    fn without_work(target: &str, image: &ImageRef) -> Self {
        Self {
            target: target.to_owned(),
            id: image.id.clone(),
            name: image.name.clone(),
            action: Work::Skip,
            reason: None,
            message: None,
            size: image.size,
            target_id: None,
            new_id: None,
            changes: Vec::new(),
        }
    }
}

impl Row for Planned {
    const SCHEMA: &'static str = "dry-run/1";
    const ITEMS: &'static str = "images";
    const COLUMNS: &'static [Column] = &[
        column("target").long(),
        column("id"),
        column("name"),
        column("action"),
        column("reason"),
        column("message").long(),
        bytes("size"),
        column("target_id").long(),
        column("new_id").long(),
        column("changes").long(),
    ];

    fn text(&self, out: &mut Text) {
        let action = match self.action {
            Work::Copy => "copy",
            Work::Check => "read",
            Work::CreateRecord => "write metadata",
            Work::UpdateMetadata => "update",
            Work::CopyToStores => "copy to stores",
            Work::Retire => "retire",
            Work::Delete => "delete",
            // It is told on stderr.
            Work::Leave | Work::Skip | Work::Fail => return,
        };
        let reason = match self.reason.as_deref().unwrap_or_default() {
            "unread" => "to be proven".to_owned(),
            "stores" => "if one lacks it".to_owned(),
            reason => reason.replace('_', " "),
        };
        let id = match (&self.target_id, &self.new_id) {
            (Some(id), _) => format!(" as {id}"),
            (None, Some(problem)) => format!(" under a new id, since {problem}"),
            (None, None) => String::new(),
        };
        let size = match self.size {
            _ if self.action != Work::Copy => String::new(),
            Some(size) => format!(" {}", counted(size, "byte")),
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
        let image = named(&ImageRef {
            id: self.id.clone(),
            name: self.name.clone(),
            size: self.size,
        });
        out.line(format!("{action} ({reason}) {image}{id}{size}{changes}"));
    }
}

/// The totals of a plan. Older documents lack some of them.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Totals {
    target: String,
    /// The number of images that would be copied.
    copy: usize,
    /// The length of their data together.
    bytes: u64,
    create_record: usize,
    update_metadata: usize,
    #[cfg_attr(test, schemars(skip_serializing_if = "is_of_an_older_version"))]
    retire: usize,
    #[cfg_attr(test, schemars(skip_serializing_if = "is_of_an_older_version"))]
    delete: usize,
    /// The number of images that need nothing, those that would be read included.
    unchanged: u64,
    skip: usize,
    fail: usize,
    leave: usize,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rest {
    command: &'static str,
    source: String,
    targets: Vec<Totals>,
}

impl Totals {
    fn new(target: &str, plan: &Plan) -> Self {
        let count = |is_it: fn(&Action) -> bool| {
            let planned = plan.images.iter().filter(|planned| is_it(&planned.action));
            planned.count()
        };
        let settled = |is_it: fn(&Outcome) -> bool| {
            let results = plan.settled.iter();
            results.filter(|result| is_it(&result.outcome)).count()
        };
        Self {
            target: target.to_owned(),
            copy: count(|action| matches!(action, Action::Copy)),
            bytes: plan.total_bytes(),
            create_record: count(|action| matches!(action, Action::CreateRecord)),
            update_metadata: count(|action| matches!(action, Action::UpdateMetadata(_))),
            retire: count(|action| matches!(action, Action::Retire(_))),
            delete: count(|action| matches!(action, Action::Delete)),
            unchanged: plan.unchanged
                + count(|action| matches!(action, Action::Check | Action::CopyToStores)) as u64,
            skip: settled(|outcome| matches!(outcome, Outcome::Skipped(_))),
            fail: settled(|outcome| matches!(outcome, Outcome::Failed { .. })),
            leave: plan.left.len(),
        }
    }

    fn text(&self, verb: &str) -> String {
        let work = [
            (
                self.copy,
                format!("copy {} ({})", self.copy, human_size(self.bytes)),
            ),
            (
                self.create_record,
                format!("write the metadata of {}", self.create_record),
            ),
            (
                self.update_metadata,
                format!("update {}", self.update_metadata),
            ),
            (self.retire, format!("retire {}", self.retire)),
            (self.delete, format!("delete {}", self.delete)),
        ];
        let work = work.into_iter().filter(|(count, _)| *count > 0);
        let work: Vec<String> = work.map(|(_, words)| words).collect();
        let (work, then) = match (&*work, self.fail + self.leave) {
            ([], 0) => ("nothing to do".to_owned(), ", "),
            ([], _) => ("would copy nothing".to_owned(), "; "),
            (work, _) => (format!("would {}", work.join(", ")), "; "),
        };
        let rest = counts([
            (self.unchanged, "unchanged"),
            (self.skip as u64, "skipped"),
            (self.fail as u64, "would fail"),
            (self.leave as u64, "left to another run"),
        ]);
        let then = if rest.is_empty() { "" } else { then };
        format!("{verb}: {work}{then}{rest}")
    }
}

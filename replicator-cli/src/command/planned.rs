//! The rows of a plan: an image each, and its totals.

pub(super) mod dry_run;
pub(super) mod file;

use glance_model::{FieldValue, ImageMetadata, MetadataDiff};
use replicator_core::{
    Action, ImageRef, ImageResult, LeftImage, Outcome, Plan, PlannedImage, TargetId,
};
use serde::Serialize;

use crate::ui::{
    Column, Row, Text, amount, bytes, column, counts, named, or_undefined, reason, reason_word,
    word,
};

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
    /// The digest of its data, as ALGORITHM:VALUE.
    #[cfg_attr(test, schemars(skip_serializing_if = "super::schemas::later"))]
    digest: Option<String>,
    /// The project that is to own it at the target.
    #[cfg_attr(test, schemars(skip_serializing_if = "super::schemas::later"))]
    owner: Option<String>,
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
    /// It needs something else than the plan that is applied approves.
    Stale,
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
    pub(super) fn of(target: &str, planned: &PlannedImage) -> Self {
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
            digest: digest(&planned.wanted),
            owner: planned.wanted.owner.clone(),
            ..Self::without_work(target, &ImageRef::from(&planned.wanted))
        }
    }

    pub(super) fn of_left(target: &str, left: &LeftImage) -> Self {
        Self {
            action: Work::Leave,
            reason: Some("being_written".to_owned()),
            ..Self::of(target, &left.planned)
        }
    }

    pub(super) fn of_settled(target: &str, result: &ImageResult) -> Self {
        Self {
            action: match result.outcome {
                Outcome::Failed { .. } => Work::Fail,
                Outcome::Stale(_) => Work::Stale,
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
            digest: None,
            owner: None,
            target_id: None,
            new_id: None,
            changes: Vec::new(),
        }
    }
}

/// Returns the best digest that is stated for the data of an image.
fn digest(image: &ImageMetadata) -> Option<String> {
    let best = image.hash_algo.as_deref().zip(image.hash_value.as_deref());
    let md5 = image.checksum.as_deref().map(|value| ("md5", value));
    best.or(md5)
        .map(|(algorithm, value)| format!("{algorithm}:{value}"))
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
        column("digest").long(),
        column("owner").long(),
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
            Work::Leave | Work::Skip | Work::Fail | Work::Stale => return,
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
            Some(size) => format!(" {}", amount(size)),
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
pub(super) struct Totals {
    target: String,
    /// The number of images that would be copied.
    copy: usize,
    /// The length of their data together.
    pub(super) bytes: u64,
    create_record: usize,
    update_metadata: usize,
    #[cfg_attr(test, schemars(skip_serializing_if = "super::schemas::later"))]
    retire: usize,
    #[cfg_attr(test, schemars(skip_serializing_if = "super::schemas::later"))]
    delete: usize,
    /// The number of images that need nothing, those that would be read included.
    unchanged: u64,
    skip: usize,
    fail: usize,
    leave: usize,
    /// The number of images that need something else than the plan that is applied approves.
    #[cfg_attr(test, schemars(skip_serializing_if = "super::schemas::later"))]
    stale: usize,
    /// What the target has too little room for, in words.
    #[cfg_attr(test, schemars(skip_serializing_if = "super::schemas::later"))]
    pub(super) too_much: Option<String>,
    /// The number of images that the target has nothing of.
    #[serde(skip)]
    pub(super) new: u64,
}

impl Totals {
    pub(super) fn new(target: &str, plan: &Plan) -> Self {
        let settled = |is_it: fn(&Outcome) -> bool| {
            let results = plan.settled.iter();
            results.filter(|result| is_it(&result.outcome)).count()
        };
        Self {
            target: target.to_owned(),
            copy: 0,
            bytes: plan.total_bytes(),
            create_record: 0,
            update_metadata: 0,
            retire: 0,
            delete: 0,
            unchanged: plan.unchanged,
            skip: settled(|outcome| matches!(outcome, Outcome::Skipped(_))),
            fail: settled(|outcome| matches!(outcome, Outcome::Failed { .. })),
            leave: plan.left.len(),
            stale: settled(|outcome| matches!(outcome, Outcome::Stale(_))),
            too_much: None,
            new: 0,
        }
    }

    /// Counts an image that needs work.
    pub(super) fn count(&mut self, action: &Action) {
        match action {
            Action::CreateRecord => self.create_record += 1,
            Action::UpdateMetadata(_) => self.update_metadata += 1,
            Action::Retire(_) => self.retire += 1,
            Action::Delete => self.delete += 1,
            // Nothing may have to be changed.
            Action::Check | Action::CopyToStores => self.unchanged += 1,
            _ => self.copy += 1,
        }
    }

    pub(super) fn text(&self, verb: &str) -> String {
        let work = [
            (
                self.copy,
                format!("copy {} ({})", self.copy, amount(self.bytes)),
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
        let (work, then) = match (&*work, self.fail + self.leave + self.stale) {
            ([], 0) => ("nothing to do".to_owned(), ", "),
            ([], _) => ("would copy nothing".to_owned(), "; "),
            (work, _) => (format!("would {}", work.join(", ")), "; "),
        };
        let rest = counts([
            (self.unchanged, "unchanged"),
            (self.skip as u64, "skipped"),
            (self.fail as u64, "would fail"),
            (self.leave as u64, "left to another run"),
            (self.stale as u64, "not as planned any more"),
        ]);
        let then = if rest.is_empty() { "" } else { then };
        format!("{verb}: {work}{then}{rest}")
    }
}

//! The words for events and results.

use std::collections::{BTreeSet, HashSet};
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use glance_model::{Excess, ImageMetadata, ImageStatus, MetadataDiff, Visibility};
use replicator_core::{
    Event, ImageError, ImageRef, ImageResult, LeftOut, MembersLeftOut, Outcome, Proof, SkipReason,
    Stale, saving_limit,
};

use super::causes::{Causes, Telling};
use super::escape::escaped;
use super::row::or_undefined;
use super::words::{amount, counted, named, reason, reason_of_image};
use crate::advice::Advised as _;

/// The target of what is shown on the terminal, too. On stderr it would be there
/// twice.
pub(super) const REPORTS: &str = "report";

/// The readers of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Those who watch.
    Info,
    /// Everybody.
    Problem,
    /// Everybody of the first line, and the log of the others.
    Repeated,
    /// The log alone: everybody is told the number at the end.
    Counted,
    /// Everybody, when all is over.
    Summary,
}

/// Lines that belong together.
#[derive(Clone)]
pub(super) struct Lines {
    pub(super) weight: Weight,
    /// The target that they are about, if there are several.
    pub(super) target: Option<Arc<str>>,
    pub(super) lines: Vec<String>,
}

impl Lines {
    pub(super) fn new(weight: Weight, lines: impl Into<Vec<String>>) -> Self {
        Self {
            weight,
            target: None,
            lines: lines.into(),
        }
    }

    /// Puts them into the log.
    pub(super) fn log(&self) {
        for line in &self.lines {
            let line = match &self.target {
                Some(target) => format!("{target}: {line}"),
                None => line.clone(),
            };
            let line = escaped(&line);
            match self.weight {
                Weight::Info | Weight::Summary => tracing::info!(target: REPORTS, "{line}"),
                Weight::Problem | Weight::Repeated | Weight::Counted => {
                    tracing::warn!(target: REPORTS, "{line}");
                }
            }
        }
    }
}

/// Warns about an image; the text goes on from its name.
fn warning(image: &ImageRef, text: &str) -> Lines {
    let line = format!("warning: image {}{text}", named(image));
    Lines::new(Weight::Problem, vec![line])
}

/// Words for events; what has been advised once is not advised again, and a cause is told once.
pub(super) struct Wording {
    causes: Causes,
    dump_directory: Option<PathBuf>,
    advised: HashSet<String>,
}

impl Wording {
    pub(super) fn new(dump_directory: Option<PathBuf>) -> Self {
        Self {
            dump_directory,
            causes: Causes::default(),
            advised: HashSet::new(),
        }
    }

    /// Returns how many images failed of whom nothing was said, by their causes.
    pub(super) fn counts(&mut self) -> Vec<Lines> {
        let counts = self.causes.take_counts().into_iter();
        let lines = counts.map(|(target, line)| {
            let mut lines = Lines::new(Weight::Problem, [line]);
            lines.target = target.map(Into::into);
            lines
        });
        lines.collect()
    }

    /// Returns the words for what has happened, at one of several targets if it has a name.
    pub(super) fn of(&mut self, target: Option<&str>, event: &Event) -> Option<Lines> {
        let info = |line| Lines::new(Weight::Info, vec![line]);
        Some(match event {
            Event::TransferStarted { image, .. } => info(self.started(image)),
            Event::Finished(result) => return self.finished(target, result),
            Event::PutOff { image, since } => Lines::new(
                Weight::Problem,
                vec![format!(
                    "Image {} is put off: {}; it is looked at again at the end",
                    named(image),
                    being_written(image, since.as_deref())
                )],
            ),
            Event::IdAssigned { image, target_id } => {
                warning(image, &format!(" gets the id {target_id} at the target"))
            }
            Event::Repairing { image, error } => {
                let found = on_a_line(error);
                let text = format!(" is damaged at the target, and copied again: {found}");
                warning(image, &text)
            }
            Event::Withheld { image } => warning(
                image,
                " is deactivated at the source, which gives its data to administrators at most: \
                 the archive has its metadata alone",
            ),
            Event::Retrying {
                image,
                attempts,
                error,
            } => info(format!(
                "warning: image {} failed and is tried again (attempt {}): {}",
                named(image),
                attempts + 1,
                on_a_line(error)
            )),
            Event::NoParts => Lines::new(
                Weight::Problem,
                vec![
                    "warning: --streams has no effect: the source gives no parts of image data"
                        .to_owned(),
                ],
            ),
            Event::MetadataNotKept { image, diff } => {
                let text = format!(": the target has not kept {}", not_kept(diff));
                warning(image, &text)
            }
            Event::MembersLeftOut {
                image,
                members,
                reason,
            } => warning(image, &format!(": {}", members_left_out(members, *reason))),
            Event::Excess { image, excess } => {
                let Excess {
                    field,
                    count,
                    usual_most,
                    ..
                } = excess;
                let text = format!(
                    " has {count} {field}, and a server takes {usual_most} unless it is set to take \
                     more: {} leaves some out",
                    match *field {
                        "properties" => "--drop-property NAME",
                        "tags" => "-D tags",
                        _ => "--members skip",
                    }
                );
                warning(image, &text)
            }
            Event::PropertiesLeftOut {
                image,
                names,
                reason,
            } => warning(image, &format!(": {}", left_out(names, *reason))),
            _ => return None,
        })
    }

    fn started(&self, image: &ImageRef) -> String {
        let named = named(image);
        let size = image.size.map(amount);
        let size = size.as_deref().unwrap_or("of unknown size");
        match &self.dump_directory {
            Some(directory) => format!(
                "Storing: {named}, {size}, in {}",
                directory.join(format!("{}.img", image.id)).display()
            ),
            None => format!("Image {named}, {size}, is being synced"),
        }
    }

    /// The lines about the result of an image.
    fn finished(&mut self, target: Option<&str>, result: &ImageResult) -> Option<Lines> {
        let image = &result.image;
        let line = match &result.outcome {
            Outcome::Copied { proof, .. } => format!(
                "Image {} is copied: {}",
                named(image),
                match proof {
                    Proof::Verified => "verified",
                    _ => "unverifiable",
                }
            ),
            Outcome::AlreadyThere => format!(
                "Image {} is already there: another run has stored it",
                named(image)
            ),
            Outcome::CopiedToStores => format!("Copied to more stores: {}", named(image)),
            Outcome::Retired => format!(
                "Retired: {}: the source does not have it any more",
                named(image)
            ),
            Outcome::Deleted => format!("Deleted: {}", named(image)),
            Outcome::RecordCreated => format!("Storing: {}, metadata only", named(image)),
            Outcome::MetadataUpdated(diff) => {
                let fields = diff.changes().iter().map(|change| change.field.to_string());
                let fields = fields.collect::<Vec<_>>().join(", ");
                format!("Image {} metadata has changed: {fields}", named(image))
            }
            Outcome::Skipped(reason) => {
                return Some(Lines::new(
                    weight_of(reason),
                    vec![skipped(image, &why_skipped(image, reason))],
                ));
            }
            Outcome::Stale(stale) => {
                let why = why_stale(image, stale);
                let line = format!("stale: image {}: {why}", named(image));
                let why = [why];
                let [what] = &why;
                let weight = match self.causes.count("stale", target, image, what, &why) {
                    Telling::InFull | Telling::Image => Weight::Problem,
                    Telling::Counted => Weight::Counted,
                };
                return Some(Lines::new(weight, vec![line]));
            }
            Outcome::Failed { error, left_behind } => {
                return Some(self.failed(target, image, error, left_behind.as_deref()));
            }
            _ => return None,
        };
        Some(Lines::new(Weight::Info, vec![line]))
    }

    fn failed(
        &mut self,
        target: Option<&str>,
        image: &ImageRef,
        error: &ImageError,
        left_there: Option<&ImageMetadata>,
    ) -> Lines {
        let head = format!("error: image {}: ", named(image));
        let hint = error
            .hint()
            .filter(|hint| self.advised.insert(hint.to_string()));
        let (what, why) = reason_of_image(error);
        let mut lines = lines(&head, (what.clone(), why), hint.as_deref());
        if let Some(left) = left_there {
            let line = format!("left at the target: {}", left_behind(image, left));
            let place = lines.lines.len() - usize::from(hint.is_some());
            lines.lines.insert(place, line);
        }
        let mut cause = lines.lines.clone();
        cause.truncate(lines.lines.len() - usize::from(hint.is_some()));
        if let Some(first) = cause.first_mut() {
            first.clone_from(&what);
        }
        lines.weight = match self.causes.count("error", target, image, &what, &cause) {
            Telling::InFull => Weight::Problem,
            Telling::Image => Weight::Repeated,
            Telling::Counted => Weight::Counted,
        };
        lines
    }
}

fn skipped(image: &ImageRef, why: &str) -> String {
    format!("Image {} is skipped: {why}", named(image))
}

/// Returns the words for what a failure has left at the target.
fn left_behind(image: &ImageRef, left: &ImageMetadata) -> String {
    let id = left.id.to_string();
    let under = if id == image.id {
        String::new()
    } else {
        format!(" under the id {id}")
    };
    match &left.status {
        _ if left.no_data.is_some() => format!("its metadata{under}, without data"),
        ImageStatus::Queued => format!("its record{under}, queued, without data"),
        ImageStatus::Active => {
            let visibility = left.visibility.map_or("unknown", Visibility::as_str);
            format!("the image{under}, active, its visibility {visibility}")
        }
        status if status.is_burnt() => format!("the id {id}, used up: the image is {status}"),
        status => format!("its record{under}, {status}"),
    }
}

/// An error, its cause and what can be done about it, a line each.
pub(super) fn told(head: &str, error: &dyn Error, hint: Option<&str>) -> Lines {
    lines(head, reason(error), hint)
}

fn lines(head: &str, (what, why): (String, Option<String>), hint: Option<&str>) -> Lines {
    let mut lines = vec![format!("{head}{what}")];
    lines.extend(why.map(|why| format!("caused by: {why}")));
    // What is to be copied stands on lines of its own.
    let hint = hint.map(|hint| format!("hint: {hint}"));
    lines.extend(hint.iter().flat_map(|hint| hint.lines()).map(str::to_owned));
    Lines::new(Weight::Problem, lines)
}

/// What failed of an image and why, on a line.
pub(super) fn on_a_line(error: &ImageError) -> String {
    match reason_of_image(error) {
        (what, Some(why)) => format!("{what}: {why}"),
        (what, None) => what,
    }
}

/// Everybody is told of an image that the target should have whole, and has not.
fn weight_of(reason: &SkipReason) -> Weight {
    match reason {
        SkipReason::BeingWritten { .. }
        | SkipReason::Id(_)
        | SkipReason::IdTaken
        | SkipReason::NoProject(_)
        | SkipReason::Withheld
        | SkipReason::CannotDeactivate => Weight::Problem,
        _ => Weight::Info,
    }
}

/// Returns why the work on an image is not what was approved.
pub(super) fn why_stale(image: &ImageRef, stale: &Stale) -> String {
    let why = match stale {
        Stale::Gone => "the source does not have it any more",
        Stale::Content => "its data at the source is other data by now",
        Stale::Metadata => {
            "its metadata has changed since the plan, at the source or at the target"
        }
        Stale::Action => "something else would have to be done by now",
        Stale::Skipped(reason) => return why_skipped(image, reason),
        _ => "it is not as it was planned",
    };
    why.to_owned()
}

pub(super) fn why_skipped(image: &ImageRef, reason: &SkipReason) -> String {
    match reason {
        SkipReason::BeingWritten { since } => being_written(image, since.as_deref()),
        SkipReason::Id(problem) => problem.to_string(),
        SkipReason::IdTaken => "its id is taken on the target, by an image that was deleted or \
             that this token does not see"
            .to_owned(),
        SkipReason::SourceStatus(status) => format!("it is {status} at the source"),
        SkipReason::TargetStatus(status) => {
            format!("it is {status} at the target, and cannot be updated")
        }
        SkipReason::OnlyStatusDiffers(ImageStatus::Deactivated) => {
            "it is deactivated at the target, and no run activates an image".to_owned()
        }
        SkipReason::OnlyStatusDiffers(status) => {
            format!("only its status differs ({status} at the target), which is never set")
        }
        SkipReason::MetadataOnly => {
            "only metadata was asked for, and the target does not have it".to_owned()
        }
        SkipReason::NoProject(problem) => problem.to_string(),
        SkipReason::Protected => {
            "the source does not have it any more, and it is protected at the target".to_owned()
        }
        SkipReason::Retired { until } => {
            format!("it is retired, and deleted by a run after {until}")
        }
        SkipReason::Changed => {
            "it was to be retired or deleted, and has changed since it was listed".to_owned()
        }
        SkipReason::AtSource => {
            "it was to be retired or deleted, and the source has it after all".to_owned()
        }
        SkipReason::NoData => "there is no data for it".to_owned(),
        SkipReason::Withheld => {
            "it is deactivated at the source, which gives its data to administrators at most"
                .to_owned()
        }
        SkipReason::CannotDeactivate => {
            "it is deactivated at the source, and Images v1 cannot keep its data from anyone at \
             the target"
                .to_owned()
        }
        _ => "it needs nothing".to_owned(),
    }
}

fn being_written(image: &ImageRef, since: Option<&str>) -> String {
    match since {
        Some(since) => {
            let hours = saving_limit(image.size).as_secs().div_ceil(3600);
            format!(
                "another run has been uploading it to the target since {since} (after {} it is \
                 taken for dead)",
                counted(hours, "hour")
            )
        }
        None => "another run is writing it to the target".to_owned(),
    }
}

fn members_left_out(members: &BTreeSet<String>, reason: MembersLeftOut) -> String {
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    let members = members.join(", ");
    match reason {
        MembersLeftOut::Pending => format!(
            "the members {members} have to accept it at the target again: only an administrator \
             may set their status"
        ),
        _ => format!("the target has no projects for the members {members}: left out"),
    }
}

fn left_out(names: &BTreeSet<String>, reason: LeftOut) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let names = names.join(", ");
    match reason {
        LeftOut::NotUpdated => format!(
            "left out: {names}, which the target takes only with a new record, and it has one"
        ),
        _ => format!("left out: {names}, which the target cannot hold"),
    }
}

fn not_kept(diff: &MetadataDiff) -> String {
    let changes = diff.changes().iter().map(|change| {
        let target = or_undefined(change.target.as_ref());
        format!("{} (it is {target}, not {})", change.field, change.source)
    });
    changes.collect::<Vec<_>>().join(", ")
}

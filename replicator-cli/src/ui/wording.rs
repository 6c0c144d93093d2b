//! The words for events and results.

use std::collections::{BTreeSet, HashSet};
use std::error::Error;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use glance_model::{ImageMetadata, ImageStatus, MetadataDiff, Visibility};
use replicator_core::{
    Event, ImageError, ImageRef, ImageResult, LeftOut, Outcome, Proof, Report, SkipReason,
    saving_limit,
};

use super::escape::escaped;
use super::row::or_undefined;
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
    /// Everybody, when all is over.
    Summary,
}

/// Lines that belong together.
pub(super) struct Lines {
    pub(super) weight: Weight,
    pub(super) lines: Vec<String>,
}

impl Lines {
    /// Puts them into the log.
    pub(super) fn log(&self) {
        for line in &self.lines {
            let line = escaped(line);
            match self.weight {
                Weight::Info | Weight::Summary => tracing::info!(target: REPORTS, "{line}"),
                Weight::Problem => tracing::warn!(target: REPORTS, "{line}"),
            }
        }
    }
}

/// Words for events; what has been advised once is not advised again.
pub(super) struct Wording {
    dump_directory: Option<PathBuf>,
    advised: HashSet<String>,
}

impl Wording {
    pub(super) fn new(dump_directory: Option<PathBuf>) -> Self {
        Self {
            dump_directory,
            advised: HashSet::new(),
        }
    }

    pub(super) fn of(&mut self, event: &Event) -> Option<Lines> {
        let info = |line| Lines {
            weight: Weight::Info,
            lines: vec![line],
        };
        Some(match event {
            Event::TransferStarted { image, .. } => info(self.started(image)),
            Event::Finished(result) => return self.finished(result),
            Event::PutOff { image, since } => Lines {
                weight: Weight::Problem,
                lines: vec![skipped(image, &being_written(image, since.as_deref()))],
            },
            Event::IdAssigned { image, target_id } => Lines {
                weight: Weight::Problem,
                lines: vec![format!(
                    "warning: image {} gets the id {target_id} at the target",
                    named(image)
                )],
            },
            Event::Repairing { image, error } => Lines {
                weight: Weight::Problem,
                lines: vec![format!(
                    "warning: image {} is damaged at the target, and copied again: {}",
                    named(image),
                    causes(&**error).join(": ")
                )],
            },
            Event::Withheld { image } => Lines {
                weight: Weight::Problem,
                lines: vec![format!(
                    "warning: image {} is deactivated at the source, which gives its data to \
                     administrators at most: the archive has its metadata alone",
                    named(image)
                )],
            },
            Event::Retrying {
                image,
                attempts,
                error,
            } => info(format!(
                "warning: image {} failed and is tried again (attempt {}): {}",
                image.id,
                attempts + 1,
                causes(&**error).join(": ")
            )),
            Event::MetadataNotKept { image, diff } => Lines {
                weight: Weight::Problem,
                lines: vec![format!(
                    "warning: image {}: the target has not kept {}",
                    image.id,
                    not_kept(diff)
                )],
            },
            Event::PropertiesLeftOut {
                image,
                names,
                reason,
            } => Lines {
                weight: Weight::Problem,
                lines: vec![format!(
                    "warning: image {}: {}",
                    image.id,
                    left_out(names, *reason)
                )],
            },
            _ => return None,
        })
    }

    fn started(&self, image: &ImageRef) -> String {
        let size = match image.size {
            Some(size) => format!("({size} bytes)"),
            None => "(unknown size)".to_owned(),
        };
        match &self.dump_directory {
            Some(directory) => format!(
                "Storing: {} {size} in {}",
                named(image),
                directory.join(format!("{}.img", image.id)).display()
            ),
            None => format!("Image {} {size} is being synced", named(image)),
        }
    }

    /// The lines about the result of an image.
    fn finished(&mut self, result: &ImageResult) -> Option<Lines> {
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
            Outcome::RecordCreated => format!("Storing: {} (metadata only)", image.id),
            Outcome::MetadataUpdated(_) => format!("Image {} metadata has changed", named(image)),
            Outcome::Skipped(reason) => {
                return Some(Lines {
                    weight: weight_of(reason),
                    lines: vec![skipped(image, &why_skipped(image, reason))],
                });
            }
            Outcome::Failed { error, left_behind } => {
                return Some(self.failed(image, error, left_behind.as_deref()));
            }
            _ => return None,
        };
        Some(Lines {
            weight: Weight::Info,
            lines: vec![line],
        })
    }

    fn failed(
        &mut self,
        image: &ImageRef,
        error: &ImageError,
        left_there: Option<&ImageMetadata>,
    ) -> Lines {
        let head = format!("error: image {}: ", named(image));
        let hint = error
            .hint()
            .filter(|hint| self.advised.insert(hint.to_string()));
        let mut lines = chain(&head, error, hint.as_deref());
        if let Some(left) = left_there {
            let line = format!("left at the target: {}", left_behind(left));
            let place = lines.lines.len() - usize::from(hint.is_some());
            lines.lines.insert(place, line);
        }
        lines
    }
}

fn skipped(image: &ImageRef, why: &str) -> String {
    format!("Image {} is skipped: {why}", named(image))
}

/// Returns the words for what a failure has left at the target.
fn left_behind(image: &ImageMetadata) -> String {
    let id = &image.id;
    match &image.status {
        _ if image.no_data.is_some() => format!("the metadata of {id}, without data"),
        ImageStatus::Queued => format!("the record {id}, queued, without data"),
        ImageStatus::Active => {
            let visibility = image.visibility.map_or("unknown", Visibility::as_str);
            format!("the image {id}, active, its visibility {visibility}")
        }
        status if status.is_burnt() => format!("the id {id}, used up: the image is {status}"),
        status => format!("the record {id}, {status}"),
    }
}

/// Puts the name of a target before its lines.
pub(super) fn place(lines: &mut [String], target: &str) {
    for line in lines {
        line.insert_str(0, &format!("{target}: "));
    }
}

/// An error, its causes and what can be done about it, a line each.
pub(super) fn chain(head: &str, error: &dyn Error, hint: Option<&str>) -> Lines {
    let mut lines = causes(error);
    for (index, line) in lines.iter_mut().enumerate() {
        let start = if index == 0 { head } else { "caused by: " };
        line.insert_str(0, start);
    }
    lines.extend(hint.map(|hint| format!("hint: {hint}")));
    Lines {
        weight: Weight::Problem,
        lines,
    }
}

/// The one line that sums up a run, and one for each image that failed.
pub(super) fn summary(verb: &str, report: &Report, elapsed: Duration) -> Vec<String> {
    let mut line = format!("{verb}: {} copied", report.copied());
    if report.copied() > 0 {
        let (bytes, seconds) = (report.copied_bytes(), elapsed.as_secs_f64());
        let _ = write!(
            line,
            " ({} in {seconds:.1} s, {}/s)",
            human_size(bytes),
            human_size(rate(bytes, elapsed)),
        );
    }
    let optional = [
        (report.records_created(), "metadata only"),
        (report.unverified(), "not verified (no digest to compare)"),
        (report.already_there(), "already there"),
        (report.left().count() as u64, "left to another run"),
        (report.not_done(), "not done"),
    ];
    let [records, unverified, there, left, not_done] =
        optional.map(|(count, what)| (count > 0).then(|| format!("{count} {what}")));
    let parts = [
        records,
        unverified,
        there,
        Some(format!("{} updated", report.updated())),
        Some(format!("{} unchanged", report.unchanged())),
        Some(format!("{} skipped", report.skipped())),
        Some(format!("{} failed", report.failures().count())),
        left,
        not_done,
    ];
    for part in parts.into_iter().flatten() {
        let _ = write!(line, ", {part}");
    }
    let mut lines = vec![line];
    let mut name = |what: &str, mut images: Vec<&ImageRef>| {
        images.sort_by(|a, b| a.id.cmp(&b.id));
        let named = images.into_iter().map(named);
        lines.extend(named.map(|image| format!("{what}: {image}")));
    };
    name(
        "failed",
        report
            .failures()
            .map(|(result, _)| &*result.image)
            .collect(),
    );
    name(
        "not at the target yet",
        report.left().map(|(result, _)| &*result.image).collect(),
    );
    lines
}

/// Bytes a second.
pub(super) fn rate(bytes: u64, elapsed: Duration) -> u64 {
    let millis = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    bytes.saturating_mul(1000) / millis.max(1)
}

/// An image's id, as it is written, which may be none, and its name.
pub(crate) fn named(image: &ImageRef) -> String {
    let id = if image.id.is_empty() {
        "without an id"
    } else {
        &image.id
    };
    format!("{id} ({})", image.name.as_deref().unwrap_or("no name"))
}

/// Everybody is told of an image that the target should have whole, and has not.
fn weight_of(reason: &SkipReason) -> Weight {
    match reason {
        SkipReason::BeingWritten { .. } | SkipReason::Id(_) | SkipReason::IdTaken => {
            Weight::Problem
        }
        _ => Weight::Info,
    }
}

fn why_skipped(image: &ImageRef, reason: &SkipReason) -> String {
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
        SkipReason::OnlyStatusDiffers(status) => {
            format!("only its status differs ({status} at the target), which is never set")
        }
        SkipReason::MetadataOnly => {
            "only metadata was asked for, and the target does not have it".to_owned()
        }
        SkipReason::NoData => "there is no data for it".to_owned(),
        _ => "it needs nothing".to_owned(),
    }
}

fn being_written(image: &ImageRef, since: Option<&str>) -> String {
    match since {
        Some(since) => format!(
            "somebody else is uploading it to the target since {since}; what lasts longer than {} \
             hours is taken for dead",
            saving_limit(image.size).as_secs().div_ceil(3600)
        ),
        None => "somebody else is writing it to the target".to_owned(),
    }
}

fn left_out(names: &BTreeSet<String>, reason: LeftOut) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    let names = names.join(", ");
    match reason {
        LeftOut::NotUpdated => format!(
            "the target can be given the properties {names} only with a new record, and has one: \
             left out"
        ),
        _ => format!("the target cannot hold the properties {names}: left out"),
    }
}

fn not_kept(diff: &MetadataDiff) -> String {
    let changes = diff.changes().iter().map(|change| {
        let target = or_undefined(change.target.as_ref());
        format!("{} (it is {target}, not {})", change.field, change.source)
    });
    changes.collect::<Vec<_>>().join(", ")
}

/// A number of bytes as people read it, as `_human_readable_size` in
/// `glance/cmd/replicator.py` has it.
pub(crate) fn human_size(bytes: u64) -> String {
    #[expect(
        clippy::cast_precision_loss,
        reason = "one digit behind the point is shown"
    )]
    let mut number = bytes as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] {
        if number < 1024.0 {
            return format!("{number:.1} {unit}");
        }
        number /= 1024.0;
    }
    format!("{number:.1} EiB")
}

/// The texts of an error and its causes, none twice.
fn causes(error: &dyn Error) -> Vec<String> {
    let mut texts = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !texts.iter().any(|above| above.contains(&text)) {
            texts.push(text);
        }
        next = cause.source();
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_the_python_tool() {
        for (bytes, text) in [
            (0, "0.0 B"),
            (1023, "1023.0 B"),
            (1024, "1.0 KiB"),
            (1_073_741_824, "1.0 GiB"),
            (5_368_709_120, "5.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(human_size(bytes), text);
        }
    }
}

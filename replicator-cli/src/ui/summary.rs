//! The summary of a run: the images that are not as they should be, and the counts.

use std::collections::BTreeMap;
use std::time::Duration;

use replicator_core::{ImageError, ImageResult, Outcome, Report, SkipReason};

use super::words::{amount, named, rate, reason_of_image, time};

/// The most images of a sort that are named at the end; the log has them all.
const MOST_NAMED: usize = 20;

/// Returns the lines that sum up a run. The last one has the counts, without those that are 0.
pub(super) fn summary(verb: &str, report: &Report, elapsed: Duration) -> Vec<String> {
    let mut lines = list("failed", report.failures());
    lines.extend(list("not at the target yet", report.left()));
    lines.push(format!("{verb}: {}", counts(report, elapsed)));
    lines
}

fn counts(report: &Report, elapsed: Duration) -> String {
    let mut parts = Vec::new();
    let mut count = |count: u64, what: &str| {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    };
    count(
        report.copied(),
        &format!("copied ({})", speed(report, elapsed)),
    );
    count(report.records_created(), "metadata only");
    count(report.unverified(), "not verified (no digest to compare)");
    count(report.already_there(), "already there");
    count(report.updated(), "updated");
    let work = report.copied() + report.records_created() + report.updated();
    count(report.unchanged(), "unchanged");
    count(report.skipped(), &format!("skipped ({})", skipped(report)));
    let failed = report.failures().count() as u64;
    count(failed, "failed");
    let left = report.left().count() as u64;
    count(left, "left to another run");
    count(report.not_done(), "not done");
    if work == 0 {
        let begin = match failed + left + report.not_done() {
            0 if parts.is_empty() => "nothing to do, no images",
            0 => "nothing to do",
            _ => "nothing copied",
        };
        parts.insert(0, begin.to_owned());
    }
    parts.join(", ")
}

fn speed(report: &Report, elapsed: Duration) -> String {
    let bytes = report.copied_bytes();
    let time = match elapsed.as_secs() {
        0..60 => format!("{:.1} s", elapsed.as_secs_f64()),
        seconds => time(seconds),
    };
    format!(
        "{} in {time}, {}/s",
        amount(bytes),
        amount(rate(bytes, elapsed))
    )
}

/// The reasons why images were skipped, and how often each of them.
fn skipped(report: &Report) -> String {
    let mut reasons = BTreeMap::<String, u64>::new();
    for result in &report.results {
        if let Outcome::Skipped(reason) = &result.outcome {
            *reasons.entry(in_short(reason)).or_default() += 1;
        }
    }
    let texts: Vec<String> = match reasons.len() {
        1 => reasons.into_keys().collect(),
        _ => reasons
            .into_iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect(),
    };
    texts.join(", ")
}

fn in_short(reason: &SkipReason) -> String {
    match reason {
        SkipReason::SourceStatus(status) => format!("{status} at the source"),
        SkipReason::TargetStatus(status) => format!("{status} at the target"),
        SkipReason::OnlyStatusDiffers(_) => "only the status differs".to_owned(),
        SkipReason::MetadataOnly => "metadata only".to_owned(),
        SkipReason::NoData => "without data".to_owned(),
        SkipReason::Withheld | SkipReason::CannotDeactivate => {
            "deactivated at the source".to_owned()
        }
        SkipReason::BeingWritten { .. } => "written by another run".to_owned(),
        SkipReason::Id(_) | SkipReason::IdTaken => "id not usable".to_owned(),
        SkipReason::NoProject(_) => "no project at the target".to_owned(),
        _ => "needing nothing".to_owned(),
    }
}

fn list<'a>(
    what: &str,
    images: impl Iterator<Item = (&'a ImageResult, &'a ImageError)>,
) -> Vec<String> {
    let mut images: Vec<_> = images.collect();
    images.sort_by(|(a, _), (b, _)| a.image.id.cmp(&b.image.id));
    let more = images.len().saturating_sub(MOST_NAMED);
    images.truncate(MOST_NAMED);
    let lines = images.into_iter().map(|(result, error)| {
        let image = named(&result.image);
        let (why, _) = reason_of_image(error);
        format!("{what}: {image}: {why}")
    });
    let mut lines: Vec<String> = lines.collect();
    if more > 0 {
        lines.push(format!("{what}: {more} more"));
    }
    lines
}

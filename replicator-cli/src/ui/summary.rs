//! The summary of a run: the images that are not as they should be, and the counts.

use std::collections::BTreeMap;
use std::time::Duration;

use replicator_core::{ImageError, ImageRef, ImageResult, Outcome, Plan, Report, SkipReason};

use super::words::{amount, named, rate, reason_of_image, time};

/// The most images of a sort that are named at the end; the log has them all.
const MOST_NAMED: usize = 20;
/// The most images of one cause that each have it in their line.
const FEW: usize = 3;

/// Returns the lines that sum up a run. The last one has the counts, without those that are 0.
pub(super) fn summary(verb: &str, report: &Report, elapsed: Duration) -> Vec<String> {
    let mut lines = list("failed", report.failures());
    lines.extend(list("not at the target yet", report.left()));
    lines.push(format!("{verb}: {}", counts(report, elapsed)));
    lines
}

/// Returns the lines that name the images that a plan knows to fail.
pub(super) fn would_fail(plan: &Plan) -> Vec<String> {
    let settled = plan.settled.iter();
    list(
        "would fail",
        settled.filter_map(|result| Some((result, result.error()?))),
    )
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
    count(report.retired(), "retired");
    count(report.deleted(), "deleted");
    let work = report.copied()
        + report.records_created()
        + report.updated()
        + report.retired()
        + report.deleted();
    count(report.unchanged(), "unchanged");
    count(report.skipped(), &format!("skipped ({})", skipped(report)));
    let failed = report.failures().count() as u64;
    count(failed, "failed");
    let left = report.left().count() as u64;
    count(left, "left to another run");
    count(report.not_done(), "not done");
    count(report.stale(), "not as planned any more");
    if work == 0 {
        let begin = match failed + left + report.not_done() + report.stale() {
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
        SkipReason::Protected => "protected".to_owned(),
        SkipReason::Retired { .. } => "retired".to_owned(),
        SkipReason::Changed => "changed meanwhile".to_owned(),
        SkipReason::AtSource => "at the source after all".to_owned(),
        _ => "needing nothing".to_owned(),
    }
}

/// Names images and their causes; a cause of many images is told once, and they are named below it.
fn list<'a>(
    what: &str,
    images: impl Iterator<Item = (&'a ImageResult, &'a ImageError)>,
) -> Vec<String> {
    let mut causes = BTreeMap::<String, Vec<&ImageRef>>::new();
    for (result, error) in images {
        let (why, _) = reason_of_image(error);
        causes.entry(why).or_default().push(&result.image);
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    for (_, images) in &mut causes {
        images.sort_by(|a, b| a.id.cmp(&b.id));
    }
    causes.sort_by(|(_, a), (_, b)| a.first().map(|a| &a.id).cmp(&b.first().map(|b| &b.id)));
    let mut lines = Vec::new();
    let (mut left, mut more) = (MOST_NAMED, 0);
    for (why, images) in causes {
        let are_many = images.len() > FEW;
        if are_many {
            lines.push(format!("{what}: {} images: {why}", images.len()));
        }
        more += images.len().saturating_sub(left);
        for image in images.iter().take(left).map(|image| named(image)) {
            left -= 1;
            lines.push(match are_many {
                true => format!("{what}: {image}"),
                false => format!("{what}: {image}: {why}"),
            });
        }
    }
    if more > 0 {
        lines.push(format!("{what}: {more} more"));
    }
    lines
}

//! `report`: what can be done with the reports of runs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use glance_model::{Selection, Shard};
use jiff::Timestamp;
use replicator_core::ImageRef;
use serde::Deserialize;

use super::results::{ImageRow, Part, Rest, Selected, Totals, rounded};
use super::shares::{File, Image, ReadAgain, Share, by_share, code, merge, without_report};
use super::verified;
use super::verify::NotVerified;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::{Row as _, human_size, named};

/// Add up the reports of runs that divided the images
///
/// Each file was written by --report, in a run that took another share (--shard K/N)
/// of the same images, or is what verify --format json has printed in such a run. The
/// result is one report of all of them, and the exit code is the one of a run that did
/// it alone. A share of which there is no report is named, and the exit code is at
/// least 1 then.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator report [OPTIONS] merge <FILE>...")]
#[command(after_help = "  \
  glance-replicator report merge report-*.json
  glance-replicator report merge -f json report-*.json > whole.json
  glance-replicator report merge -f csv --column id,name,outcome report-*.json")]
pub(crate) struct ReportsArgs {
    /// What is done: merge
    #[arg(hide_possible_values = true)]
    action: Action,
    /// Reports, each of another share
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Action {
    /// Add reports up
    Merge,
}

pub(super) fn run(run: &Run<'_>, args: &ReportsArgs) -> Result<ExitCode, CliError> {
    let Action::Merge = args.action;
    let mut files = args.files.iter().map(|path| File::read(path)).peekable();
    let is_verified = |file: &File| file.is_of(NotVerified::SCHEMA);
    if files
        .peek()
        .is_some_and(|first| first.as_ref().is_ok_and(is_verified))
    {
        return verified::merge(run, files);
    }
    let mut sink = run.sink()?;
    let reports = files.map(|file| Report::read(file?));
    let reports = reports.collect::<Result<Vec<_>, _>>()?;
    let (reports, missing) = by_share(reports)?;
    are_of_one_work(run, &reports)?;
    if !missing.is_empty() {
        run.console.warning(&without_report(&missing));
    }
    let rest = add_up(&reports, &missing);
    rest.lines()
        .iter()
        .try_for_each(|line| sink.only_text(line))?;
    for image in reports.into_iter().flat_map(|report| report.images) {
        sink.row(&image)?;
    }
    sink.end(&rest)?;
    Ok(code(rest.exit_code))
}

/// The report of a run, as a file has it.
struct Report {
    path: PathBuf,
    images: Vec<Image<ImageRow>>,
    rest: Rest,
}

#[derive(Deserialize)]
struct Document {
    images: Vec<Image<ImageRow>>,
    #[serde(flatten)]
    rest: Rest,
}

impl Report {
    fn read(file: File) -> Result<Self, CliError> {
        let (path, Document { images, rest }) = file.document(ImageRow::SCHEMA)?;
        Ok(Self { path, images, rest })
    }

    /// Returns whether the run has listed its ends, so that their names and the selection are known.
    fn has_listed(&self) -> bool {
        self.rest.selected.is_some()
    }
}

impl Share for Report {
    fn path(&self) -> &Path {
        &self.path
    }

    fn shard(&self) -> Option<Shard> {
        self.rest.selection.shard()
    }
}

impl ReadAgain for ImageRow {
    /// Only an image that is not as it should be has a line.
    fn line(image: &Image<Self>) -> Option<String> {
        let outcome = image.text("outcome")?;
        if !matches!(outcome, "failed" | "not_done") {
            return None;
        }
        let of_image = named(&ImageRef {
            id: image.text("id")?.to_owned(),
            name: image.text("name").map(str::to_owned),
            size: None,
        });
        let (target, message) = (image.text("target")?, image.text("message"));
        let (what, why) = (outcome.replace('_', " "), message.unwrap_or("unknown"));
        Some(format!("{what}: {of_image} at {target}: {why}"))
    }
}

/// Checks that all runs had the same ends, and warns if they did not select alike. A run that did not
/// get so far knows its ends only as they were written.
fn are_of_one_work(run: &Run<'_>, reports: &[Report]) -> Result<(), CliError> {
    let Some(first) = fullest(reports) else {
        return Ok(());
    };
    for report in reports {
        let same_targets = first.rest.targets.iter().zip(&report.rest.targets);
        let mut same_targets = same_targets
            .filter(|(a, b)| report.has_listed() && a.error.is_none() && b.error.is_none());
        let what = if report.rest.command != first.rest.command {
            "are of different commands"
        } else if report.rest.targets.len() != first.rest.targets.len()
            || same_targets.any(|(a, b)| a.target != b.target)
        {
            "have different targets"
        } else if report.has_listed() && report.rest.source != first.rest.source {
            "have different sources"
        } else {
            if report.has_listed() && whole(report) != whole(first) {
                // Ages count from the second in which a run began, and the newest image may be another one.
                run.console.warning(&format!(
                    "{} and {} do not select quite alike: an image may be in neither, or in both",
                    first.named(),
                    report.named()
                ));
            }
            continue;
        };
        return Err(merge(format!(
            "{} and {} {what}",
            first.named(),
            report.named()
        )));
    }
    Ok(())
}

/// Returns the report that says most of what is the same for all runs.
fn fullest(reports: &[Report]) -> Option<&Report> {
    let mut listed = reports.iter().filter(|report| report.has_listed());
    let best = listed.clone().find(|report| {
        let mut targets = report.rest.targets.iter();
        targets.all(|target| target.error.is_none())
    });
    best.or(listed.next()).or(reports.first())
}

/// Returns the selection of which a run took a share.
fn whole(report: &Report) -> Selection {
    report.rest.selection.clone().of_shard(None)
}

fn add_up(reports: &[Report], missing: &[Shard]) -> Rest {
    let mut rest = Rest {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        parts: Some(reports.iter().map(part).collect()),
        ..Rest::default()
    };
    if let Some(first) = fullest(reports) {
        rest.command.clone_from(&first.rest.command);
        rest.source.clone_from(&first.rest.source);
        rest.selection = whole(first);
        let named = first.rest.targets.iter().map(|target| Totals {
            target: target.target.clone(),
            ..Totals::default()
        });
        rest.targets = named.collect();
    }
    let (mut exit_code, mut errors) = (ExitCode::Done, Vec::new());
    for report in reports {
        exit_code = exit_code.and(code(report.rest.exit_code));
        errors.extend(report.rest.error.clone());
        if let Some(selected) = &report.rest.selected {
            let sum = rest.selected.get_or_insert(Selected {
                images: 0,
                of: None,
            });
            sum.images += selected.images;
            sum.of = sum.of.max(selected.of);
        }
        for (sum, totals) in rest.targets.iter_mut().zip(&report.rest.targets) {
            sum.add(totals);
        }
    }
    if !missing.is_empty() {
        exit_code = exit_code.and(ExitCode::Error);
        errors.push(without_report(missing));
    }
    errors.dedup();
    rest.exit_code = exit_code.number();
    rest.error = (!errors.is_empty()).then(|| errors.join("; "));
    (rest.begun, rest.seconds) = time(reports);
    rest
}

fn part(report: &Report) -> Part {
    Part {
        file: report.path.display().to_string(),
        shard: report.shard().map(|shard| shard.to_string()),
        images: report
            .rest
            .selected
            .as_ref()
            .map(|selected| selected.images),
        begun: report.rest.begun.clone(),
        seconds: report.rest.seconds,
        exit_code: report.rest.exit_code,
        error: report.rest.error.clone(),
    }
}

/// Returns when the first run began, and the seconds until the last one ended.
fn time(reports: &[Report]) -> (String, f64) {
    let times = reports.iter().filter_map(|report| {
        let begun: Timestamp = report.rest.begun.parse().ok()?;
        let took = Duration::try_from_secs_f64(report.rest.seconds).ok()?;
        Some((begun, begun.checked_add(took).ok()?))
    });
    let first = times.clone().map(|(begun, _)| begun).min();
    let last = times.map(|(_, ended)| ended).max();
    let Some((first, last)) = first.zip(last) else {
        return (String::new(), 0.0);
    };
    let seconds = last.duration_since(first).as_secs_f64();
    (first.to_string(), rounded(seconds))
}

impl Totals {
    fn add(&mut self, other: &Self) {
        let Self {
            target: _,
            error,
            copied,
            bytes,
            unverified,
            already_there,
            record_created,
            metadata_updated,
            retired,
            deleted,
            unchanged,
            skipped,
            failed,
            left,
            not_done,
            stale,
        } = other;
        self.error = self.error.take().or_else(|| error.clone());
        self.copied += copied;
        self.bytes += bytes;
        self.unverified += unverified;
        self.already_there += already_there;
        self.record_created += record_created;
        self.metadata_updated += metadata_updated;
        self.retired += retired;
        self.deleted += deleted;
        self.unchanged += unchanged;
        self.skipped += skipped;
        self.failed += failed;
        self.left += left;
        self.not_done += not_done;
        self.stale += stale;
    }

    /// Returns the counts that are not 0, in words.
    fn counts(&self) -> String {
        let copied = format!("copied ({})", human_size(self.bytes));
        let counts = [
            (self.copied, &*copied),
            (self.unverified, "not verified"),
            (self.record_created, "metadata only"),
            (self.already_there, "already there"),
            (self.metadata_updated, "updated"),
            (self.retired, "retired"),
            (self.deleted, "deleted"),
            (self.unchanged, "unchanged"),
            (self.skipped, "skipped"),
            (self.failed, "failed"),
            (self.left, "left to another run"),
            (self.not_done, "not done"),
            (self.stale, "not as planned any more"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts = counts.map(|(count, what)| format!("{count} {what}"));
        let mut counts: Vec<String> = counts.collect();
        if counts.is_empty() {
            counts.push("nothing to do".to_owned());
        }
        counts.extend(self.error.clone());
        counts.join(", ")
    }
}

impl Rest {
    /// Returns the lines that people read: the runs together, and each target.
    fn lines(&self) -> Vec<String> {
        let parts = self.parts.iter().flatten().count();
        let images = self.selected.as_ref().map_or(0, |selected| selected.images);
        let mut lines = vec![format!(
            "{} from {}: {parts} reports, {images} images, {:.1} s, exit code {}",
            self.command, self.source, self.seconds, self.exit_code
        )];
        let targets = self.targets.iter();
        lines.extend(targets.map(|target| format!("{}: {}", target.target, target.counts())));
        let failed = self.parts.iter().flatten();
        let failed = failed.filter_map(|part| Some((part, part.error.as_ref()?)));
        lines.extend(failed.map(|(part, error)| format!("{}: {error}", part.file)));
        lines
    }
}

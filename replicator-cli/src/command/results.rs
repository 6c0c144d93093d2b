//! The result of a run: what became of each image at each target, and the totals.

use glance_model::{Selection, Shard};
use jiff::{Timestamp, Unit};
use replicator_core::{ImageResult, Outcome, Report, SelectedCount};
use serde::{Deserialize, Serialize};

use super::planned::Change;
use crate::args::ReportArgs;
use crate::ends::End;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::{
    Column, Gauge, Metrics, MetricsFile, Readers, ReportFile, Row, Sink, bytes, column, document,
    gauge, outcome_word, reason, reason_word, with_cause, word,
};

/// The outcome of an image at a target. What was listed and needs nothing has no row.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ImageRow {
    target: String,
    id: String,
    name: Option<String>,
    /// The outcome, in a word: copied, already_there, record_created, metadata_updated,
    /// copied_to_stores, retired, deleted, unchanged, skipped, failed, stale or not_done. There may be
    /// more of them in time.
    outcome: String,
    /// The reason, in a word, of what was skipped, failed, is stale or was not done.
    reason: Option<String>,
    /// The reason, in words.
    message: Option<String>,
    /// The length of the data that was copied.
    bytes: u64,
    /// The time that the work took; null if there was none.
    seconds: Option<f64>,
    /// The proof of a copy: verified or unverifiable.
    proof: Option<String>,
    /// The length of its data at the source.
    size: Option<u64>,
    /// Its id at the target, if that is another one.
    target_id: Option<String>,
    /// The fields that were updated.
    changes: Vec<Change>,
}

impl ImageRow {
    fn of(target: &str, result: &ImageResult) -> Self {
        let (bytes, proof) = match &result.outcome {
            Outcome::Copied { total_bytes, proof } => (*total_bytes, word(proof)),
            _ => (0, None),
        };
        Self {
            target: target.to_owned(),
            id: result.image.id.clone(),
            name: result.image.name.clone(),
            outcome: outcome_word(&result.outcome),
            reason: reason_word(&result.outcome),
            message: reason(result),
            bytes,
            seconds: result.took.map(|took| rounded(took.as_secs_f64())),
            proof,
            size: result.image.size,
            target_id: result.target_id.map(|id| id.to_string()),
            changes: match &result.outcome {
                Outcome::MetadataUpdated(diff) => Change::all(diff),
                _ => Vec::new(),
            },
        }
    }
}

impl Row for ImageRow {
    const SCHEMA: &'static str = "run/1";
    const ITEMS: &'static str = "images";
    const COLUMNS: &'static [Column] = &[
        column("target").long(),
        column("id"),
        column("name"),
        column("outcome"),
        column("reason"),
        column("message").long(),
        bytes("bytes"),
        column("seconds"),
        column("proof").long(),
        bytes("size").long(),
        column("target_id").long(),
        column("changes").long(),
    ];
}

/// The totals of a run at one target. Older documents lack some of them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(super) struct Totals {
    pub(super) target: String,
    /// The reason why nothing was done there.
    pub(super) error: Option<String>,
    /// The number of images that were copied with their data.
    pub(super) copied: u64,
    /// The length of their data together.
    pub(super) bytes: u64,
    /// The number of those whose content could not be proven.
    pub(super) unverified: u64,
    pub(super) already_there: u64,
    pub(super) record_created: u64,
    pub(super) metadata_updated: u64,
    /// The number of images that the source does not have any more, and that were hidden.
    #[cfg_attr(test, schemars(skip_serializing_if = "super::schemas::later"))]
    pub(super) retired: u64,
    /// The number of images that were retired before, and have been deleted.
    #[cfg_attr(test, schemars(skip_serializing_if = "super::schemas::later"))]
    pub(super) deleted: u64,
    /// The number of images that need nothing.
    pub(super) unchanged: u64,
    pub(super) skipped: u64,
    pub(super) failed: u64,
    /// The number of images that were left to another run, and are not there yet.
    pub(super) left: u64,
    pub(super) not_done: u64,
    /// The number of images of an applied plan that need something else by now.
    #[cfg_attr(test, schemars(skip_serializing_if = "super::schemas::later"))]
    pub(super) stale: u64,
}

impl Totals {
    fn of(target: &TargetRecord) -> Self {
        let named = Self {
            target: target.name.clone(),
            error: target.error.clone(),
            ..Self::default()
        };
        let Some(report) = &target.report else {
            return named;
        };
        Self {
            copied: report.copied(),
            bytes: report.copied_bytes(),
            unverified: report.unverified(),
            already_there: report.already_there(),
            record_created: report.records_created(),
            metadata_updated: report.updated(),
            retired: report.retired(),
            deleted: report.deleted(),
            unchanged: report.unchanged(),
            skipped: report.skipped(),
            failed: report.failures().count() as u64,
            left: report.left().count() as u64,
            not_done: report.not_done(),
            stale: report.stale(),
            ..named
        }
    }
}

/// The number of images that were selected.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Selected {
    pub(super) images: u64,
    /// The number of all images of the source; null where the server left out the others by
    /// itself.
    pub(super) of: Option<u64>,
}

/// The whole of a run, beside its images.
#[derive(Debug, Default, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rest {
    /// The version of the program.
    pub(super) version: String,
    pub(super) command: String,
    pub(super) source: String,
    /// The images that were meant; empty if they are all images.
    #[cfg_attr(test, schemars(with = "serde_json::Value"))]
    pub(super) selection: Selection,
    /// The images of the source that were selected; null if the run did not get so far.
    pub(super) selected: Option<Selected>,
    pub(super) targets: Vec<Totals>,
    /// The time of its beginning, in RFC 3339.
    pub(super) begun: String,
    pub(super) seconds: f64,
    /// The exit status of the program.
    pub(super) exit_code: u8,
    /// The error that ended the run.
    pub(super) error: Option<String>,
    /// The runs that divided the images, if the report was added up of theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parts: Option<Vec<Part>>,
}

/// A run that did one share of the images.
#[derive(Debug, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Part {
    /// The file of its report.
    pub(super) file: String,
    /// The share, as K/N with K from 0; null if the run took all images.
    pub(super) shard: Option<String>,
    /// The number of images of the share; null if the run did not get so far.
    pub(super) images: Option<u64>,
    pub(super) begun: String,
    pub(super) seconds: f64,
    pub(super) exit_code: u8,
    /// The error that ended the run.
    pub(super) error: Option<String>,
}

const RUN_IMAGES: Gauge = gauge(
    "glance_replicator_run_images",
    "Images of the last run, by what became of them.",
);
const RUN_BYTES: Gauge = gauge(
    "glance_replicator_run_copied_bytes",
    "Bytes of image data that the last run has copied.",
);
const RUN_SECONDS: Gauge = gauge(
    "glance_replicator_run_duration_seconds",
    "Time that the last run took.",
);
const RUN_EXIT_CODE: Gauge = gauge(
    "glance_replicator_run_exit_code",
    "Exit code of the last run.",
);

impl Rest {
    /// The numbers of the run, for Prometheus, with the ends as they were written.
    fn metrics(&self, record: &Record) -> Metrics {
        let mut metrics = Metrics::default();
        let of_run = [("command", &*self.command), ("source", &*record.typed)];
        metrics.add(RUN_EXIT_CODE, &of_run, self.exit_code);
        metrics.add(RUN_SECONDS, &of_run, self.seconds);
        for (totals, target) in self.targets.iter().zip(&record.targets) {
            if target.report.is_none() {
                continue;
            }
            let [command, source] = of_run;
            let target = ("target", &*target.typed);
            metrics.add(RUN_BYTES, &[command, source, target], totals.bytes);
            for (outcome, images) in [
                ("copied", totals.copied),
                ("already_there", totals.already_there),
                ("record_created", totals.record_created),
                ("metadata_updated", totals.metadata_updated),
                ("retired", totals.retired),
                ("deleted", totals.deleted),
                ("unchanged", totals.unchanged),
                ("skipped", totals.skipped),
                ("failed", totals.failed),
                ("left", totals.left),
                ("not_done", totals.not_done),
                ("stale", totals.stale),
            ] {
                let labels = [command, source, target, ("outcome", outcome)];
                metrics.add(RUN_IMAGES, &labels, images);
            }
            let missed = totals.failed + totals.left + totals.not_done + totals.stale;
            if missed == 0 && self.error.is_none() {
                metrics.succeeded(&self.command, &record.typed, target.1);
            }
        }
        metrics
    }
}

pub(super) fn rounded(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// What is known of a run so far.
pub(super) struct Record {
    command: &'static str,
    begun: Timestamp,
    pub(super) source: String,
    /// The source, as the user names it.
    typed: String,
    selection: Selection,
    selected: Option<SelectedCount>,
    targets: Vec<TargetRecord>,
}

/// What is known of one target so far: the report, or an error, or neither if the run did not get
/// so far.
struct TargetRecord {
    name: String,
    /// The target, as the user names it.
    typed: String,
    report: Option<Report>,
    error: Option<String>,
}

impl Record {
    /// Begins the record of a run, of ends as the user names them.
    pub(super) fn begin(command: &'static str, source: String, targets: &[End]) -> Self {
        let targets = targets.iter().map(|end| TargetRecord {
            name: end.to_string(),
            typed: end.to_string(),
            report: None,
            error: None,
        });
        Self {
            command,
            begun: Timestamp::now(),
            typed: source.clone(),
            source,
            selection: Selection::default(),
            selected: None,
            targets: targets.collect(),
        }
    }

    /// Takes the images that were meant, and how many these are.
    pub(super) fn selected(&mut self, selection: &Selection, count: Option<SelectedCount>) {
        self.selection = selection.clone();
        self.selected = count;
    }

    /// Says that it is a share of the images of a plan.
    pub(super) fn of_plan(&mut self, shard: Option<Shard>) {
        self.selection = Selection::default().of_shard(shard);
    }

    /// Takes the name under which a target was reached.
    pub(super) fn reached(&mut self, number: usize, name: String) {
        if let Some(target) = self.targets.get_mut(number) {
            target.name = name;
        }
    }

    /// Takes the error of a target without which the run goes on.
    pub(super) fn left_out(&mut self, number: usize, error: &CliError) {
        if let Some(target) = self.targets.get_mut(number) {
            target.error = Some(with_cause(error));
        }
    }

    /// Takes the report of a target.
    pub(super) fn done(&mut self, number: usize, report: Report) {
        if let Some(target) = self.targets.get_mut(number) {
            target.report = Some(report);
        }
    }

    /// Returns the number of each target that could not be used, and why.
    pub(super) fn errors(&self) -> impl Iterator<Item = (usize, &str)> {
        let targets = self.targets.iter().enumerate();
        targets.filter_map(|(number, target)| Some((number, target.error.as_deref()?)))
    }

    /// Returns the report of each target, but for those that could not be used.
    pub(super) fn reports(&self) -> impl Iterator<Item = Option<&Report>> {
        self.targets.iter().map(|target| target.report.as_ref())
    }

    fn rows(&self) -> impl Iterator<Item = ImageRow> {
        self.targets.iter().flat_map(|target| {
            let results = target.report.iter().flat_map(|report| &report.results);
            results.map(|result| ImageRow::of(&target.name, &result))
        })
    }

    fn rest(&self, run: &Run<'_>, ended: Result<ExitCode, &CliError>) -> Rest {
        let begun = self.begun.round(Unit::Second).unwrap_or(self.begun);
        Rest {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: self.command.to_owned(),
            source: self.source.clone(),
            selection: self.selection.clone(),
            selected: self.selected.map(|count| Selected {
                images: count.images,
                of: count.of,
            }),
            targets: self.targets.iter().map(Totals::of).collect(),
            begun: begun.to_string(),
            seconds: rounded(run.begun.elapsed().as_secs_f64()),
            exit_code: ended.unwrap_or_else(CliError::exit_code).number(),
            error: ended.err().map(|error| with_cause(error)),
            parts: None,
        }
    }
}

/// The places that the result of a run goes to; by default there is none. A dry run has none: the files
/// that are set for all runs say what was done.
#[derive(Default)]
pub(super) struct Output {
    sink: Option<Sink<ImageRow>>,
    file: Option<ReportFile>,
    metrics: Option<MetricsFile>,
}

impl Output {
    /// Opens them before anything is done: stdout if it is to have the result in this form, and
    /// the file that was asked for.
    pub(super) fn begin(
        run: &Run<'_>,
        report: &ReportArgs,
        is_on_stdout: bool,
    ) -> Result<Self, CliError> {
        let sink = is_on_stdout.then(|| run.sink()).transpose()?;
        let path = report.report.as_deref();
        let file = path.map(|path| ReportFile::begin(path, Readers::Owner));
        let metrics = report.metrics_file.as_deref().map(MetricsFile::begin);
        Ok(Self {
            sink,
            file: file.transpose()?,
            metrics: metrics.transpose()?,
        })
    }

    /// Writes what became of the run: into the file however it ended, and to stdout if it came
    /// to its end.
    pub(super) fn end(
        self,
        run: &Run<'_>,
        record: &Record,
        ended: Result<ExitCode, CliError>,
    ) -> Result<ExitCode, CliError> {
        let rest = record.rest(run, ended.as_ref().copied());
        let report = |mut file: ReportFile| {
            let mut pieces = document::pieces(record.rows(), &rest);
            pieces.try_for_each(|piece| file.write(&piece))?;
            file.end("")
        };
        let metrics = |file: MetricsFile| file.end(rest.metrics(record));
        let report = run.goes_on(self.file.map_or(Ok(()), report));
        let metrics = run.goes_on(self.metrics.map_or(Ok(()), metrics));
        let code = ended?.and(report).and(metrics);
        if let Some(mut sink) = self.sink {
            record.rows().try_for_each(|row| sink.row(&row))?;
            sink.end(&rest)?;
        }
        Ok(code)
    }
}

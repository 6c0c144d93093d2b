//! `verify`: whether two ends have the same content, or an archive its own.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::sync::Arc;

use clap::builder::BoolishValueParser;
use glance_model::Sample;
use jiff::Timestamp;
use replicator_core::{
    ImageError, ImageRef, ImageResult, TargetIds, VerifyBy, VerifyOptions, verify,
};
use serde::{Deserialize, Serialize};

use super::select::select;
use crate::args::{
    AllowEmpty, IdMapArgs, MetaOnly, MetricsArgs, SelectionArgs, SourceArgs, TargetArgs,
    TransferArgs, heading,
};
use crate::ends::{Ends, Sides, Taken};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::limits::{self, Parallel};
use crate::run::Run;
use crate::ui::{
    Column, Gauge, Metrics, MetricsFile, Row, Sink, Text, column, counts, gauge, reason,
    reason_word,
};

const SECONDS_A_DAY: u64 = 86_400;

/// Compare the content of images, by their digests or by reading them
///
/// Prints each active image of the source that the target does not have, or
/// has with other content, and exits with 6 if there is one. Without a target,
/// the images of the source are read and compared with its own digests: that
/// is how an archive is checked.
#[derive(clap::Args, Debug)]
#[command(override_usage = "glance-replicator verify [OPTIONS] <SOURCE> [TARGET]")]
#[command(after_help = "  \
  glance-replicator verify dir:/backup/images   # reads every file
  glance-replicator verify cloud:prod cloud:dr   # compares digests, reads nothing
  glance-replicator verify --read-back --sample 4% cloud:prod cloud:dr   # all in 25 days")]
pub(crate) struct VerifyArgs {
    /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
    #[arg(required_unless_present = "source_os_cloud")]
    source: Option<OsString>,
    /// Where their copies are, written in the same way
    target: Option<OsString>,
    /// Read each image from the target, instead of trusting its digests
    #[arg(long, value_parser = BoolishValueParser::new(), help_heading = heading::HOW)]
    read_back: bool,
    /// Read a byte of each image, to find those whose data is gone
    ///
    /// It is the last one, which is not there if there is less of the data, and it is read whatever
    /// the target says of its stores. Without a target, the images of the source are looked at.
    #[arg(long, value_parser = BoolishValueParser::new(), help_heading = heading::HOW)]
    #[arg(conflicts_with = "read_back")]
    probe: bool,
    /// The part of the images whose turn it is today, as 4%
    ///
    /// Each day (UTC) it is another part, by a hash of the id: of 4%, each image has its turn once in
    /// 25 days, so that a run a day reads all of them in that time. Days without a run are made up for
    /// in the next round. It is taken of what the other options select.
    #[arg(long, value_name = "P%", help_heading = heading::WHICH)]
    sample: Option<Sample>,
    #[command(flatten)]
    selection: SelectionArgs,
    #[command(flatten)]
    allow_empty: AllowEmpty,
    #[command(flatten)]
    metaonly: MetaOnly,
    #[command(flatten)]
    id_map: IdMapArgs,
    #[command(flatten)]
    transfers: TransferArgs,
    #[command(flatten)]
    metrics: MetricsArgs,
    #[command(flatten)]
    source_args: SourceArgs,
    #[command(flatten)]
    target_args: TargetArgs,
}

/// What is asked for. Nothing is opened yet.
pub(super) struct Asked {
    sink: Sink<NotVerified>,
    pub(super) sides: Sides,
}

pub(super) fn asked(run: &Run<'_>, args: &VerifyArgs) -> Result<Asked, CliError> {
    let mut ends = Ends::new(args.source.iter().chain(&args.target), &run.env);
    let source = ends.next("SOURCE", args.source_args.source_os_cloud.as_deref())?;
    let target = ends.optional(args.target_args.target_os_cloud.as_deref())?;
    ends.finish()?;
    let taken = Taken {
        allow_empty: args.allow_empty.allow_empty,
        metadata_only: args.metaonly.metaonly,
    };
    args.id_map.check()?;
    let targets = target.into_iter().collect();
    let (from, to) = ((source, &args.source_args), (targets, &args.target_args));
    Ok(Asked {
        sink: run.sink()?,
        sides: Sides::new(run, from, taken, to)?.comparing(&args.selection),
    })
}

pub(super) async fn run(run: &Run<'_>, args: &VerifyArgs) -> Result<ExitCode, CliError> {
    let Asked { mut sink, sides } = asked(run, args)?;
    let metrics = args.metrics.metrics_file.as_deref();
    let metrics = metrics.map(MetricsFile::begin).transpose()?;
    let typed = [
        sides.source.to_string(),
        sides.targets.first().unwrap_or(&sides.source).to_string(),
    ];
    limits::keep_to(args.transfers.bwlimit(), &run.limits, &run.console);
    let parallel = Parallel {
        transfers: args.transfers.transfers,
        // Those are read as any other, and no metadata is written.
        small: NonZeroUsize::MIN,
        checkers: NonZeroUsize::MIN,
    };
    let parallel = parallel.within_limit(2, &run.console);
    let (mut source, target) = sides
        .open_to_read(run, args.id_map.id_map.as_deref())
        .await?;
    let source_name = source.images.to_string();
    let (target, target_name, ids, by) = match target {
        Some(target) => {
            let (name, ids) = (target.name(), target.end.target_ids());
            let by = match (args.read_back, args.probe) {
                (true, _) => VerifyBy::Reading,
                (false, true) => VerifyBy::Probing,
                (false, false) => VerifyBy::Stated,
            };
            (target.end.images as Arc<_>, Some(name), ids, by)
        }
        // The source is read and compared with what it states itself.
        None => {
            let by = if args.probe {
                VerifyBy::Probing
            } else {
                VerifyBy::Reading
            };
            (Arc::clone(&source.images), None, TargetIds::new(), by)
        }
    };
    let today = u64::try_from(Timestamp::now().as_second()).unwrap_or(0) / SECONDS_A_DAY;
    let mut options = VerifyOptions::new(by);
    options.transfers = parallel.transfers;
    options.sample = args.sample.map(|sample| sample.on(today));
    let details = source.details().cloned();
    let selected = select(run, &args.selection, &mut source.images, details.as_ref()).await?;
    let report = verify(
        &run.ctx,
        Arc::clone(&source.images),
        target,
        &selected.selection,
        ids,
        options,
    )
    .await;
    let report = report.map_err(|error| run.listing_failed(error))?;
    if run.ctx.is_cancelled() {
        return Err(run.interrupted());
    }
    let missing = report.missing.iter();
    let missing = missing.map(|image| NotVerified::of(image, Problem::Missing));
    let unverifiable = report.unverifiable.iter();
    let unverifiable = unverifiable.map(|image| NotVerified::of(image, Problem::Unverifiable));
    let failed = report.failures.iter();
    let failed = failed.map(|failure| NotVerified {
        reason: reason_word(&failure.outcome),
        message: reason(failure),
        ..NotVerified::of(&failure.image, Problem::Failed)
    });
    for row in missing.chain(unverifiable).chain(failed) {
        sink.row(&row)?;
    }
    let mut rest = Rest {
        source: source_name,
        target: target_name,
        by: match by {
            VerifyBy::Stated => By::Digests,
            VerifyBy::Probing => By::Probe,
            VerifyBy::Reading => By::Reading,
        },
        sample: options.sample.map(|sample| DailySample {
            days: sample.days(),
            turn: today % sample.days(),
        }),
        totals: Totals {
            verified: report.verified,
            unverifiable: report.unverifiable.len(),
            missing: report.missing.len(),
            failed: report.failures.len(),
        },
        shard: args.selection.shard.map(|shard| shard.to_string()),
        exit_code: 0,
        parts: None,
    };
    let code = selected.tell(run, &*source.images, report.selected).await?;
    let is_wrong = |error: &ImageError| error.is_of_content() || error.is_of_damage();
    let mut errors = report.failures.iter().filter_map(ImageResult::error);
    let is_wrong = errors.any(is_wrong);
    let mut code = code.and(if is_wrong || !report.missing.is_empty() {
        ExitCode::WrongContent
    } else if report.failures.is_empty() {
        ExitCode::Done
    } else {
        ExitCode::ImagesFailed
    });
    rest.exit_code = code.number();
    sink.end(&rest)?;
    let selected = selected.summary(report.selected);
    let selected = selected.map_or_else(String::new, |selected| format!(" ({selected})"));
    let due = options
        .sample
        .map(|sample| format!(" (today's part, one of {})", sample.days()));
    let due = due.unwrap_or_default();
    let found = rest.totals.text(rest.by);
    run.console
        .summary(&format!("verify: {found}{selected}{due}"));
    if let Some(file) = metrics {
        code = code.and(run.goes_on(file.end(rest.totals.metrics(&typed))));
    }
    Ok(code)
}

/// An image that is not known to be the same at both ends.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct NotVerified {
    id: String,
    name: Option<String>,
    problem: Problem,
    /// The sort of a failure.
    reason: Option<String>,
    /// The failure, in words.
    message: Option<String>,
}

#[derive(Clone, Copy, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Problem {
    /// The target does not have it with data.
    Missing,
    /// There is no digest that both ends state.
    Unverifiable,
    /// Its content is wrong, or could not be read.
    Failed,
}

/// The numbers of images.
#[derive(Default, Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Totals {
    pub(super) verified: u64,
    pub(super) unverifiable: usize,
    pub(super) missing: usize,
    pub(super) failed: usize,
}

/// The way in which content was compared.
#[derive(Clone, Copy, Deserialize, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    /// By the digests that both ends state.
    Digests,
    /// By these, and by reading a byte.
    Probe,
    /// By reading the data.
    Reading,
}

#[derive(Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rest {
    pub(super) source: String,
    /// The other end; null if the source was compared with its own digests.
    pub(super) target: Option<String>,
    pub(super) by: By,
    /// The part of the selected images whose turn it was, where it was not all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sample: Option<DailySample>,
    pub(super) totals: Totals,
    /// The share of the images that was looked at, as K/N with K from 0, if it was not all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) shard: Option<String>,
    /// The exit status of the program.
    #[cfg_attr(test, schemars(skip_serializing_if = "super::schemas::later"))]
    pub(super) exit_code: u8,
    /// The runs that divided the images, if the document was added up of theirs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) parts: Option<Vec<Part>>,
}

/// A run that looked at one share of the images.
#[derive(Deserialize, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct Part {
    /// The file of its result.
    pub(super) file: String,
    /// The share; null if the run looked at all images.
    pub(super) shard: Option<String>,
    pub(super) exit_code: u8,
}

/// A part of the images that is another one each day.
#[derive(Clone, Copy, Deserialize, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) struct DailySample {
    /// The number of days in which every image has its turn.
    days: u64,
    /// The number of this day in that round, from 0.
    turn: u64,
}

const VERIFY_IMAGES: Gauge = gauge(
    "glance_replicator_verify_images",
    "Images that the last run looked at, by what it found.",
);

impl Totals {
    /// Returns the numbers that are not 0, in words.
    pub(super) fn text(&self, by: By) -> String {
        let how = match by {
            By::Digests => "same digest on record",
            By::Probe => "same digest on record and data that can be read",
            By::Reading => "verified by reading",
        };
        let found = counts([
            (self.verified, how),
            (self.unverifiable as u64, "unverifiable"),
            (self.missing as u64, "missing"),
            (self.failed as u64, "failed"),
        ]);
        match found.is_empty() {
            true => "no images with data".to_owned(),
            false => found,
        }
    }

    /// The numbers of a run between these ends, for Prometheus. A source that is compared with itself
    /// is the target as well.
    fn metrics(&self, [source, target]: &[String; 2]) -> Metrics {
        let mut metrics = Metrics::default();
        let Self {
            verified,
            unverifiable,
            missing,
            failed,
        } = *self;
        for (result, images) in [
            ("verified", verified),
            ("unverifiable", unverifiable as u64),
            ("missing", missing as u64),
            ("failed", failed as u64),
        ] {
            let labels = [
                ("source", &**source),
                ("target", target),
                ("result", result),
            ];
            metrics.add(VERIFY_IMAGES, &labels, images);
        }
        if missing + failed == 0 {
            metrics.succeeded("verify", source, target);
        }
        metrics
    }
}

impl NotVerified {
    fn of(image: &ImageRef, problem: Problem) -> Self {
        Self {
            id: image.id.clone(),
            name: image.name.clone(),
            problem,
            reason: None,
            message: None,
        }
    }
}

impl Row for NotVerified {
    const SCHEMA: &'static str = "verify/1";
    const ITEMS: &'static str = "problems";
    const COLUMNS: &'static [Column] = &[
        column("id"),
        column("name"),
        column("problem"),
        column("reason"),
        column("message").long(),
    ];

    fn text(&self, out: &mut Text) {
        let problem = match self.problem {
            Problem::Missing => "missing",
            Problem::Unverifiable => "unverifiable: no digest that both ends state",
            Problem::Failed => "failed",
        };
        out.line(format!("{}: {problem}", self.id));
    }
}

//! The state of images at targets, as rows, a table, a page and metrics.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use replicator_core::{ImageStanding, Standing, State, Status, StatusTotals, Sum};
use serde::Serialize;

use crate::error::CliError;
use crate::ui::{
    Column, Gauge, Metrics, Row, Sink, bytes, column, duration, gauge, human_size, matrix, named,
    page, reason, reason_word, word,
};

/// What is known of a source and its targets.
pub(super) struct Overview {
    pub(super) source: String,
    pub(super) now: Timestamp,
    pub(super) targets: Vec<TargetOverview>,
    pub(super) images: Vec<ImageStanding>,
}

/// What is known of a target: its totals, or why there are none.
pub(super) struct TargetOverview {
    pub(super) name: String,
    pub(super) totals: Result<StatusTotals, String>,
}

/// The state of an image at a target.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct StandingRow {
    target: String,
    id: String,
    name: Option<String>,
    /// The state, in a word: equal, missing, metadata, members, content, incomplete, burnt, refused,
    /// unusable, only_there, retired or skipped. There may be more of them in time.
    state: String,
    /// The time since when the target is behind, in RFC 3339: of what differs, the last change at the
    /// source; of what is not there, its creation.
    since: Option<String>,
    /// The fields that differ.
    fields: Vec<String>,
    /// The reason, in a word, of what a copy would skip or fail at.
    reason: Option<String>,
    /// The reason, in words.
    message: Option<String>,
    /// The length of its data.
    size: Option<u64>,
    /// The time of its creation, in RFC 3339.
    created: Option<String>,
    /// The time of its last change, in RFC 3339.
    updated: Option<String>,
    /// Whether it is the newest of its name at the source, of those that have data.
    newest: bool,
}

impl StandingRow {
    fn of(target: &str, row: &ImageStanding, standing: &Standing) -> Self {
        let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let result = standing.result.as_ref();
        Self {
            target: target.to_owned(),
            id: row.image.id.clone(),
            name: row.image.name.clone(),
            state: word(&standing.state).unwrap_or_default(),
            since: text(row.since(standing)),
            fields: standing.fields.clone(),
            reason: result.and_then(|result| reason_word(&result.outcome)),
            message: message(standing),
            size: row.image.size,
            created: text(row.created),
            updated: text(row.updated),
            newest: row.is_newest,
        }
    }
}

impl Row for StandingRow {
    const SCHEMA: &'static str = "status/1";
    const ITEMS: &'static str = "images";
    const COLUMNS: &'static [Column] = &[
        column("target"),
        column("id"),
        column("name"),
        column("state"),
        column("since"),
        column("fields"),
        column("reason").long(),
        column("message").long(),
        bytes("size"),
        column("created").long(),
        column("updated").long(),
        column("newest").long(),
    ];
}

/// The images in a state.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Images {
    images: u64,
    /// The length of their data together.
    bytes: u64,
}

/// The totals of a target.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Totals {
    target: String,
    /// The reason why nothing is known of it.
    error: Option<String>,
    /// The images in each state.
    states: BTreeMap<String, Images>,
    /// The number of images that are not as the source wants them.
    differences: u64,
    /// The time since when the target is behind; null if it is not.
    oldest: Option<String>,
    /// The age of that in seconds.
    behind_seconds: u64,
    /// The number of names at the source.
    names: u64,
    /// The number of names whose newest image is equal at the target.
    newest_equal: u64,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rest {
    source: String,
    /// The time of the comparison, in RFC 3339.
    made: String,
    targets: Vec<Totals>,
}

/// The images of a page, in little space: its script knows what stands where.
#[derive(Serialize)]
struct Page<'a> {
    source: &'a str,
    version: &'static str,
    made: i64,
    states: [String; State::ALL.len()],
    targets: Vec<PageTarget<'a>>,
    texts: Vec<String>,
    /// Id, name, size, times of creation and of the last change, whether it is the newest of its
    /// name, the state at each target as a letter, and the numbers of the texts of targets.
    images: Vec<PageImage<'a>>,
}

type PageImage<'a> = (
    &'a str,
    Option<&'a str>,
    Option<u64>,
    Option<i64>,
    Option<i64>,
    u8,
    String,
    BTreeMap<usize, usize>,
);

#[derive(Serialize)]
struct PageTarget<'a> {
    name: &'a str,
    error: Option<&'a str>,
    oldest: Option<i64>,
    names: u64,
    newest: u64,
}

const IMAGES: Gauge = gauge(
    "glance_replicator_status_images",
    "Images by their state at a target.",
);
const BYTES: Gauge = gauge(
    "glance_replicator_status_bytes",
    "Bytes of image data by the state of the images at a target.",
);
const OLDEST: Gauge = gauge(
    "glance_replicator_status_oldest_difference_seconds",
    "Age of the oldest difference at a target; 0 if there is none.",
);
const NAMES: Gauge = gauge(
    "glance_replicator_status_names",
    "Names of images at the source.",
);
const NEWEST: Gauge = gauge(
    "glance_replicator_status_newest_equal",
    "Names whose newest image is equal at a target.",
);
const UP: Gauge = gauge(
    "glance_replicator_status_target_up",
    "Whether a target could be listed.",
);

impl Overview {
    /// Takes what was found out of those targets that could be listed, and why of the others.
    pub(super) fn new(
        source: String,
        names: impl Iterator<Item = String>,
        numbers: &[usize],
        errors: &[(usize, String)],
        status: Status,
    ) -> Self {
        let targets = names.enumerate().map(|(number, name)| {
            let error = errors.iter().find(|(of, _)| *of == number);
            let at = numbers.iter().position(|of| *of == number);
            let totals = match (error, at) {
                (None, Some(at)) => Ok(status.totals(at)),
                (Some((_, error)), _) => Err(error.clone()),
                (None, None) => Err("it was not looked at".to_owned()),
            };
            TargetOverview { name, totals }
        });
        let targets: Vec<_> = targets.collect();
        let mut images = status.images;
        // A column for each target that was named, those that are left out as well.
        for row in &mut images {
            let mut at = vec![None; targets.len()];
            for (number, standing) in numbers.iter().zip(std::mem::take(&mut row.at)) {
                if let Some(at) = at.get_mut(*number) {
                    *at = standing;
                }
            }
            row.at = at;
        }
        Self {
            source,
            now: Timestamp::now(),
            targets,
            images,
        }
    }

    /// The totals of the targets that could be listed, with their names.
    pub(super) fn listed(&self) -> impl Iterator<Item = (&str, &StatusTotals)> {
        let targets = self.targets.iter();
        targets.filter_map(|target| Some((&*target.name, target.totals.as_ref().ok()?)))
    }

    /// The age of the oldest difference of a target in seconds.
    pub(super) fn behind(&self, totals: &StatusTotals) -> u64 {
        self.age(totals.oldest).unwrap_or(0)
    }

    fn age(&self, time: Option<Timestamp>) -> Option<u64> {
        // A clock that is behind makes nothing older than now.
        u64::try_from(self.now.as_second() - time?.as_second()).ok()
    }

    /// Writes the images, one by one at each target; as text, in a table with a column for each
    /// target, and the totals below.
    pub(super) fn print(&self, mut sink: Sink<StandingRow>) -> Result<(), CliError> {
        if sink.is_text() {
            let images = self.differing();
            for line in images
                .into_iter()
                .chain([String::new()])
                .chain(self.totals())
            {
                sink.only_text(&line)?;
            }
            return Ok(());
        }
        for row in &self.images {
            for (target, standing) in self.targets.iter().zip(&row.at) {
                if let Some(standing) = standing {
                    sink.row(&StandingRow::of(&target.name, row, standing))?;
                }
            }
        }
        sink.end(&Rest {
            source: self.source.clone(),
            made: self.now.to_string(),
            targets: self
                .targets
                .iter()
                .map(|target| self.totals_of(target))
                .collect(),
        })
    }

    /// The lines of the images that are not equal at every target.
    fn differing(&self) -> Vec<String> {
        let is_plain =
            |standing: &Standing| matches!(standing.state, State::Equal | State::Skipped);
        let rows = self.images.iter().filter(|row| {
            let mut at = row.at.iter().flatten();
            at.any(|standing| !is_plain(standing))
        });
        let rows: Vec<Vec<String>> = rows
            .map(|row| {
                let states = row.at.iter().map(|standing| match standing {
                    Some(standing) => shown(standing.state),
                    None => "-".to_owned(),
                });
                let size = row.image.size.map(human_size).unwrap_or_default();
                [named(&row.image), size]
                    .into_iter()
                    .chain(states)
                    .collect()
            })
            .collect();
        if rows.is_empty() {
            return vec!["every image is equal at every target".to_owned()];
        }
        let names = self.targets.iter().map(|target| (&*target.name, false));
        let header = [("image", false), ("size", true)].into_iter().chain(names);
        matrix(&header.collect::<Vec<_>>(), &rows)
    }

    /// The lines of the totals, with the states that there are.
    fn totals(&self) -> Vec<String> {
        let states = State::ALL.into_iter().filter(|state| {
            *state == State::Equal
                || self
                    .listed()
                    .any(|(_, totals)| totals.of(*state).images > 0)
        });
        let states: Vec<State> = states.collect();
        let names: Vec<String> = states.iter().map(|state| shown(*state)).collect();
        let states_shown = names.iter().map(|name| (&**name, true));
        let header = [("target", false)].into_iter().chain(states_shown);
        let header = header.chain([("newest of a name", true), ("oldest difference", true)]);
        let rows = self.listed().map(|(name, totals)| {
            let counts = states
                .iter()
                .map(|state| totals.of(*state).images.to_string());
            let newest = format!("{} of {}", totals.newest_equal, totals.names);
            let age = self.age(totals.oldest).map(duration).unwrap_or_default();
            [name.to_owned()]
                .into_iter()
                .chain(counts)
                .chain([newest, age])
                .collect()
        });
        matrix(&header.collect::<Vec<_>>(), &rows.collect::<Vec<_>>())
    }

    fn totals_of(&self, target: &TargetOverview) -> Totals {
        let none = StatusTotals::default();
        let (totals, error) = match &target.totals {
            Ok(totals) => (totals, None),
            Err(error) => (&none, Some(error.clone())),
        };
        let states = State::ALL.into_iter().map(|state| {
            let Sum { images, bytes, .. } = totals.of(state);
            (word(&state).unwrap_or_default(), Images { images, bytes })
        });
        Totals {
            target: target.name.clone(),
            error,
            states: states.collect(),
            differences: totals.differences(),
            oldest: totals.oldest.map(|time| time.to_string()),
            behind_seconds: self.behind(totals),
            names: totals.names,
            newest_equal: totals.newest_equal,
        }
    }

    /// The page that shows all of it in a browser.
    pub(super) fn page(&self) -> String {
        let (mut texts, mut known) = (Vec::new(), HashMap::new());
        let mut number_of = |text: String| {
            *known.entry(text.clone()).or_insert_with(|| {
                texts.push(text);
                texts.len() - 1
            })
        };
        let images = self.images.iter().map(|row| {
            let why = row.at.iter().enumerate().filter_map(|(target, standing)| {
                let standing = standing.as_ref()?;
                let text = match (&standing.result, &*standing.fields) {
                    (None, fields @ [_, ..]) => fields.join(", "),
                    _ => message(standing)?,
                };
                Some((target, number_of(text)))
            });
            let why = why.collect();
            let seconds = |time: Option<Timestamp>| Some(time?.as_second());
            let letters = row.at.iter().map(letter).collect();
            (
                &*row.image.id,
                row.image.name.as_deref(),
                row.image.size,
                seconds(row.created),
                seconds(row.updated),
                u8::from(row.is_newest),
                letters,
                why,
            )
        });
        let images = images.collect();
        let targets = self.targets.iter().map(|target| {
            let totals = target.totals.as_ref();
            PageTarget {
                name: &target.name,
                error: totals.err().map(|error| &**error),
                oldest: totals
                    .ok()
                    .and_then(|totals| Some(totals.oldest?.as_second())),
                names: totals.map_or(0, |totals| totals.names),
                newest: totals.map_or(0, |totals| totals.newest_equal),
            }
        });
        page(&Page {
            source: &self.source,
            version: env!("CARGO_PKG_VERSION"),
            made: self.now.as_second(),
            states: State::ALL.map(shown),
            targets: targets.collect(),
            images,
            texts,
        })
    }

    /// The numbers, for Prometheus.
    pub(super) fn metrics(&self) -> Metrics {
        let mut metrics = Metrics::default();
        for target in &self.targets {
            let labels = [("source", &*self.source), ("target", &*target.name)];
            metrics.add(UP, &labels, u8::from(target.totals.is_ok()));
            let Ok(totals) = &target.totals else { continue };
            let [source, target] = labels;
            for state in State::ALL {
                let name = word(&state).unwrap_or_default();
                let labels = [source, target, ("state", &*name)];
                metrics.add(IMAGES, &labels, totals.of(state).images);
                metrics.add(BYTES, &labels, totals.of(state).bytes);
            }
            metrics.add(OLDEST, &labels, self.behind(totals));
            metrics.add(NAMES, &labels, totals.names);
            metrics.add(NEWEST, &labels, totals.newest_equal);
            metrics.succeeded("status", source.1, target.1);
        }
        metrics
    }
}

/// The reason of a state in words, if there is more to say of it.
fn message(standing: &Standing) -> Option<String> {
    let retired = |since| format!("since {since}, as the source does not have it any more");
    let result = standing.result.as_ref();
    result.and_then(reason).or(standing.retired.map(retired))
}

/// The letter of a state in the data of a page.
fn letter(standing: &Option<Standing>) -> char {
    let state = standing.as_ref().map(|standing| standing.state);
    let number = State::ALL
        .into_iter()
        .position(|known| Some(known) == state);
    number
        .and_then(|number| ('a'..='z').nth(number))
        .unwrap_or('-')
}

/// The state for people.
fn shown(state: State) -> String {
    word(&state).unwrap_or_default().replace('_', " ")
}

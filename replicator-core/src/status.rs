//! The state of every image at every target.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join_all;
use glance_model::{Field, MetadataDiff, Selection};
use jiff::Timestamp;
use serde::Serialize;

use crate::list::pairs::ListingError;
use crate::list::selected::{SelectedCount, is_alone};
use crate::plan::decide::Decision;
use crate::plan::decisions::{Decided, DecidedImage, Decisions, listings};
use crate::plan::{Action, Reason};
use crate::port::{ImageSource, ImageStream, PortError, Side};
use crate::run::context::RunContext;
use crate::run::error::ImageError;
use crate::run::event::{Event, EventSink};
use crate::run::id_problem::IdProblem;
use crate::run::options::RunOptions;
use crate::run::result::{ImageRef, ImageResult, Outcome, SkipReason};
use crate::run::target_end::TargetEnd;

/// The state of an image at a target: what a copy would find there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// The target has all that the source says.
    Equal,
    /// The target does not have it.
    Missing,
    /// Its metadata differs.
    Metadata,
    /// The projects that it is shared with differ, and nothing else.
    Members,
    /// The target has another image of that id.
    Content,
    /// The target has its record, and not its data, or not all of it.
    Incomplete,
    /// Its id cannot be used at the target.
    Burnt,
    /// The target would refuse it.
    Refused,
    /// One of the ends says something of it that cannot be used.
    Unusable,
    /// The target alone has it.
    OnlyThere,
    /// The target alone has it by now: it was a copy, which is hidden and waits for its deletion.
    Retired,
    /// There is nothing to copy of it.
    Skipped,
}

impl State {
    /// Every state, in the order in which they are shown.
    pub const ALL: [Self; 12] = [
        Self::Equal,
        Self::Missing,
        Self::Metadata,
        Self::Members,
        Self::Content,
        Self::Incomplete,
        Self::Burnt,
        Self::Refused,
        Self::Unusable,
        Self::OnlyThere,
        Self::Retired,
        Self::Skipped,
    ];

    /// Returns whether the target is not as the source wants it.
    #[must_use]
    pub fn is_difference(self) -> bool {
        !matches!(
            self,
            Self::Equal | Self::OnlyThere | Self::Retired | Self::Skipped
        )
    }

    /// Returns whether the target has the data of the image, but says something else of it.
    fn is_of_record(self) -> bool {
        matches!(self, Self::Metadata | Self::Members | Self::Content)
    }
}

/// The state of an image at a target, and why it is so.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Standing {
    /// The state.
    pub state: State,
    /// The fields that differ, in order.
    pub fields: Vec<String>,
    /// What would become of it, if it would be skipped or fail.
    pub result: Option<ImageResult>,
    /// The time since when it is retired, if it is.
    pub retired: Option<Timestamp>,
}

/// An image, and its states.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageStanding {
    /// The image, as the source has it; as the target, if that alone has it.
    pub image: ImageRef,
    /// The time of its creation.
    pub created: Option<Timestamp>,
    /// The time of its last change.
    pub updated: Option<Timestamp>,
    /// Whether it is the newest of its name at the source, of those that have data.
    pub is_newest: bool,
    /// Its state at each target, in the order of the targets: `None` where the target does not
    /// have what another target alone has, and where the target could not be listed.
    pub at: Vec<Option<Standing>>,
    has_data: bool,
}

impl ImageStanding {
    /// The time since when a target is behind: what differs, since its last change at the source;
    /// what is not there, since its creation. `None` where nothing differs.
    #[must_use]
    pub fn since(&self, standing: &Standing) -> Option<Timestamp> {
        match standing.state {
            state if state.is_of_record() => self.updated,
            state if state.is_difference() => self.created,
            _ => None,
        }
    }
}

/// The states of all images at all targets.
#[derive(Debug)]
#[non_exhaustive]
pub struct Status {
    /// The images, in order of ids.
    pub images: Vec<ImageStanding>,
    /// Whether each target could be listed, in the order of the targets.
    pub listed: Vec<Result<(), ListingError>>,
    /// The number of images of the source that were selected.
    pub selected: SelectedCount,
}

/// A number of images, and their size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Sum {
    /// The number of images.
    pub images: u64,
    /// The length of their data in bytes, as far as it is known.
    pub bytes: u64,
}

/// The totals of a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusTotals {
    /// The images in each state that there is.
    pub states: BTreeMap<State, Sum>,
    /// The time since when the target is behind.
    pub oldest: Option<Timestamp>,
    /// The number of names at the source.
    pub names: u64,
    /// The number of names whose newest image is equal at the target.
    pub newest_equal: u64,
}

impl StatusTotals {
    /// The images in a state.
    #[must_use]
    pub fn of(&self, state: State) -> Sum {
        self.states.get(&state).copied().unwrap_or_default()
    }

    /// The number of images that are not as the source wants them.
    #[must_use]
    pub fn differences(&self) -> u64 {
        let of = self
            .states
            .iter()
            .filter(|(state, _)| state.is_difference());
        of.map(|(_, sum)| sum.images).sum()
    }
}

impl Status {
    /// The totals of a target, by its number.
    #[must_use]
    pub fn totals(&self, target: usize) -> StatusTotals {
        let mut totals = StatusTotals::default();
        for row in &self.images {
            let Some(Some(standing)) = row.at.get(target) else {
                continue;
            };
            let sum = totals.states.entry(standing.state).or_default();
            sum.images += 1;
            sum.bytes += row.image.size.unwrap_or(0);
            let since = row.since(standing);
            totals.oldest = totals.oldest.into_iter().chain(since).min();
            totals.names += u64::from(row.is_newest);
            let is_equal = standing.state == State::Equal;
            totals.newest_equal += u64::from(row.is_newest && is_equal);
        }
        totals
    }
}

/// Finds out the state of the wanted images of a source at each of several targets, and what the
/// targets alone have. The source is listed once; nothing is changed, and no data is read. Memory
/// grows with the number of images, by about a KiB each at three targets.
///
/// It is what [`plan`](crate::plan) would decide, in other words. A target that cannot be listed
/// does not stop the others.
pub async fn status(
    source: &dyn ImageSource,
    wanted: &Selection,
    targets: &[TargetEnd],
    options: &RunOptions,
) -> Status {
    let targets: Vec<TargetEnd> = targets.iter().map(quiet).collect();
    let (listings, counter) = listings(source, wanted, &targets);
    let table = Mutex::new(Table::default());
    let walks = listings.into_iter().zip(&targets).enumerate();
    let walks = walks.map(|(number, (listing, target))| {
        let walk = Walk {
            number,
            targets: targets.len(),
            wanted,
            table: &table,
        };
        walk.along(source, listing, target, options)
    });
    let listed = join_all(walks).await;
    let Table { rows } = table.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut images: Vec<ImageStanding> = rows.into_values().collect();
    for (number, _) in listed
        .iter()
        .enumerate()
        .filter(|(_, listed)| listed.is_err())
    {
        for at in images.iter_mut().filter_map(|row| row.at.get_mut(number)) {
            *at = None;
        }
    }
    images.retain(|row| row.at.iter().any(Option::is_some));
    mark_newest(&mut images);
    Status {
        images,
        listed,
        selected: counter.count(),
    }
}

/// Marks the newest image of each name, as those see it who take the newest by its name.
fn mark_newest(images: &mut [ImageStanding]) {
    let mut newest = HashMap::<String, (Option<Timestamp>, usize)>::new();
    for (number, row) in images.iter().enumerate().filter(|(_, row)| row.has_data) {
        let Some(name) = &row.image.name else {
            continue;
        };
        let this = (row.created, number);
        let known = newest.entry(name.clone()).or_insert(this);
        *known = this.max(*known);
    }
    let newest: BTreeSet<usize> = newest.into_values().map(|(_, number)| number).collect();
    for (number, row) in images.iter_mut().enumerate() {
        row.is_newest = newest.contains(&number);
    }
}

/// The same target, of which only the progress of its listing is told: all else is a result here.
fn quiet(target: &TargetEnd) -> TargetEnd {
    let mut target = target.clone();
    target.ctx = target
        .ctx
        .reporting_to(Arc::new(Listing(target.ctx.clone())));
    target
}

struct Listing(RunContext);

impl EventSink for Listing {
    fn emit(&self, event: Event) {
        if matches!(event, Event::Listed { .. }) {
            self.0.emit(event);
        }
    }
}

/// The id of an image, which may be any text; records without one are told apart by the target
/// that lists them, 0 for the source, and by a number.
type Key = (String, usize, u64);

#[derive(Default)]
struct Table {
    rows: BTreeMap<Key, ImageStanding>,
}

/// One target, whose states go into the common table.
struct Walk<'a> {
    number: usize,
    targets: usize,
    wanted: &'a Selection,
    table: &'a Mutex<Table>,
}

impl Walk<'_> {
    async fn along(
        self,
        source: &dyn ImageSource,
        listing: ImageStream,
        target: &TargetEnd,
        options: &RunOptions,
    ) -> Result<(), ListingError> {
        let target_ids = target.target_ids();
        let mut decisions =
            Decisions::new(source, listing, (self.wanted, self.wanted), target, options);
        let mut without_id = 0;
        while let Some(decided) = decisions.next().await? {
            match decided {
                Decided::Image(decided) => self.add(&decided),
                Decided::Damaged(damaged) => {
                    let list = match damaged.side {
                        Side::Source => 0,
                        Side::Target => self.number + 1,
                    };
                    let mut key = (damaged.image.id.clone(), 0, 0);
                    if key.0.is_empty() {
                        without_id += 1;
                        (key.1, key.2) = (list, without_id);
                    }
                    let source = damaged.source.as_ref().map(|listed| &listed.image);
                    let row = ImageStanding {
                        created: source.and_then(|image| image.created()),
                        updated: source.and_then(|image| image.updated()),
                        has_data: source.is_some_and(|image| image.has_data()),
                        ..self.row(damaged.image.clone())
                    };
                    let state = match &damaged.error {
                        PortError::Damaged { .. } if damaged.side == Side::Target => {
                            State::Incomplete
                        }
                        _ => State::Unusable,
                    };
                    let result = Some(damaged.into());
                    self.set(
                        key,
                        row,
                        Standing {
                            result,
                            ..state.into()
                        },
                    );
                }
                Decided::Alone(id, found) => {
                    let found = found.as_deref();
                    let is_image = found.is_none_or(|found| !found.status.is_burnt());
                    if is_image && is_alone(&id, found, self.wanted, &target_ids) {
                        let image = found.map_or_else(|| ImageRef::of_id(&id), ImageRef::from);
                        let row = ImageStanding {
                            created: found.and_then(|image| image.created()),
                            updated: found.and_then(|image| image.updated()),
                            ..self.row(image)
                        };
                        let form = target.nature().form;
                        let retired = found.and_then(|found| found.retired_since(form));
                        let state = match retired {
                            Some(_) => State::Retired,
                            None => State::OnlyThere,
                        };
                        let key = (id.to_string(), 0, 0);
                        let standing = Standing {
                            retired,
                            ..state.into()
                        };
                        self.set(key, row, standing);
                    }
                }
            }
        }
        Ok(())
    }

    fn add(&self, decided: &DecidedImage) {
        let time = |text: &Option<String>| text.as_ref()?.parse().ok();
        let row = ImageStanding {
            created: time(&decided.created_at),
            updated: time(&decided.updated_at),
            has_data: decided.has_data,
            ..self.row(decided.image.clone())
        };
        let key = (decided.image.id.clone(), 0, 0);
        self.set(key, row, Standing::of(decided));
    }

    fn row(&self, image: ImageRef) -> ImageStanding {
        ImageStanding {
            image,
            created: None,
            updated: None,
            is_newest: false,
            at: vec![None; self.targets],
            has_data: false,
        }
    }

    fn set(&self, key: Key, row: ImageStanding, standing: Standing) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let row = table.rows.entry(key).or_insert(row);
        if let Some(at) = row.at.get_mut(self.number) {
            *at = Some(standing);
        }
    }
}

impl From<State> for Standing {
    fn from(state: State) -> Self {
        Self {
            state,
            fields: Vec::new(),
            result: None,
            retired: None,
        }
    }
}

impl Standing {
    fn of(decided: &DecidedImage) -> Self {
        match &decided.decision {
            Decision::Unchanged => State::Equal.into(),
            Decision::Leave(..) => State::Incomplete.into(),
            Decision::Do(planned) => match (&planned.action, planned.reason) {
                (Action::UpdateMetadata(diff), _) => Self::of_diff(diff),
                (_, Reason::DataMissing) => State::Incomplete.into(),
                (_, Reason::Missing) if decided.is_damaged => State::Incomplete.into(),
                (_, Reason::Missing) => State::Missing.into(),
                // The data is there, and its metadata is equal.
                _ => State::Equal.into(),
            },
            Decision::Settled(result) => {
                let (state, fields) = match &result.outcome {
                    Outcome::Failed { error, .. } => match &**error {
                        ImageError::DifferentContent(diff)
                        | ImageError::Id(IdProblem::OtherContent(diff)) => {
                            (State::Content, fields(diff))
                        }
                        ImageError::Id(_) => (State::Burnt, Vec::new()),
                        _ => (State::Refused, Vec::new()),
                    },
                    Outcome::Skipped(SkipReason::OnlyStatusDiffers(_)) => {
                        (State::Metadata, vec![Field::Status.to_string()])
                    }
                    Outcome::Skipped(SkipReason::TargetStatus(_)) if decided.has_data => {
                        (State::Incomplete, Vec::new())
                    }
                    _ => (State::Skipped, Vec::new()),
                };
                Self {
                    fields,
                    result: Some(result.clone()),
                    ..state.into()
                }
            }
        }
    }

    fn of_diff(diff: &MetadataDiff) -> Self {
        let mut changes = diff.changes().iter();
        let are_members =
            changes.all(|change| matches!(change.field, Field::Members | Field::Projects));
        let state = match are_members {
            true => State::Members,
            false => State::Metadata,
        };
        Self {
            fields: fields(diff),
            ..state.into()
        }
    }
}

fn fields(diff: &MetadataDiff) -> Vec<String> {
    let changes = diff.changes().iter();
    changes.map(|change| change.field.to_string()).collect()
}

//! The images whose data is to be copied, in the order in which their records are made.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use glance_model::{ImageId, ImageMetadata};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::order::{Order, named_first};
use crate::list::newest::Group;
use crate::plan::PlannedImage;
use crate::port::Nature;

/// An image of fewer bytes is small: its time goes by in round trips, not with its data.
const SMALL_BYTES: u64 = 1 << 20;
/// The images of a queue among which one is looked for that need not wait for others.
const WINDOW: usize = 256;

/// An image whose data is to be copied, and to which targets.
pub(crate) struct Copies {
    pub(crate) bytes: u64,
    pub(crate) planned: Vec<(usize, PlannedImage)>,
    created_at: Option<String>,
    /// Whether a new record is made of it that is to be as new as others are old.
    is_new: bool,
    /// Whether its record is made by sending its data.
    comes_with_data: bool,
    is_small: bool,
    turn: Turn,
}

/// The place of an image in the order of records: they are made one after the other where they
/// share a name or a tag, by which consumers choose the newest.
#[derive(Default)]
struct Turn {
    number: Option<usize>,
    /// The images whose records are to be made before.
    after: Vec<usize>,
}

/// An image whose record is made by now, unless that has failed.
pub(crate) struct Made {
    number: Option<usize>,
    at: Instant,
    /// The image, and the time of its original, if its record is a new one.
    new: Option<(ImageMetadata, String)>,
}

/// Tells, once it is dropped, that the records of an image are made, or never will be.
pub(crate) struct TellMade {
    number: Option<usize>,
    new: Option<Box<(ImageMetadata, String)>>,
    comes_with_data: bool,
    to: UnboundedSender<Made>,
}

impl TellMade {
    /// Tells it now, unless a record is made by the data that is to be sent.
    pub(crate) fn unless_with_data(self) -> Option<Self> {
        self.comes_with_data.then_some(self)
    }
}

impl Drop for TellMade {
    fn drop(&mut self) {
        let made = Made {
            number: self.number,
            at: Instant::now(),
            new: self.new.take().map(|new| *new),
        };
        // Without a run, nobody waits.
        drop(self.to.send(made));
    }
}

/// The number of images that are begun at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Small images go in a lane of their own.
    Lanes,
    /// All go in one lane, whatever their sizes.
    OneLane,
    /// One is begun after the other.
    InTurn,
}

/// The images that have yet to be begun.
pub(crate) struct Queue {
    pace: Pace,
    small: VecDeque<Copies>,
    large: VecDeque<Copies>,
    is_made: Vec<bool>,
    order: Order,
}

impl Queue {
    /// Puts images in order. Where all targets keep records as they are, that is the largest first;
    /// elsewhere the source's order of creation. Images that may get another id come before all that
    /// name them.
    pub(crate) fn new(
        copies: BTreeMap<ImageId, Copies>,
        keep_records: bool,
        have_other_ids: bool,
        pace: Pace,
    ) -> Self {
        let mut copies: Vec<Copies> = copies.into_values().collect();
        if keep_records {
            copies.sort_by_key(|copies| Reverse(copies.bytes));
        } else {
            // Consumers that take the newest image of a name go by the time of its record.
            // Those of one second stay in order of ids.
            copies.sort_by(|a, b| {
                (a.created_at.is_none(), &a.created_at)
                    .cmp(&(b.created_at.is_none(), &b.created_at))
            });
            copies = named_first(copies, Copies::image, |image| match have_other_ids {
                true => image.references().collect(),
                false => image.starts_with().collect(),
            });
        }
        let turns = turns(&copies, keep_records);
        let mut queue = Self {
            pace,
            small: VecDeque::new(),
            large: VecDeque::new(),
            is_made: vec![false; copies.len()],
            order: Order::default(),
        };
        for (copies, turn) in copies.into_iter().zip(turns) {
            queue.push(Copies { turn, ..copies });
        }
        queue
    }

    /// Adds an image whose record need not wait for any other one.
    pub(crate) fn push(&mut self, copies: Copies) {
        match copies.is_small && self.pace == Pace::Lanes {
            true => self.small.push_back(copies),
            false => self.large.push_back(copies),
        }
    }

    /// The number of images that are not small.
    pub(crate) fn large(&self) -> usize {
        self.large.len()
    }

    pub(crate) fn images(&self) -> usize {
        let all = self.small.iter().chain(&self.large);
        all.map(|copies| copies.planned.len()).sum()
    }

    pub(crate) fn bytes(&self) -> u64 {
        let all = self.small.iter().chain(&self.large);
        all.map(|copies| copies.bytes).sum()
    }

    /// Takes out all that is left.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (usize, PlannedImage)> {
        let small = std::mem::take(&mut self.small);
        let all = small.into_iter().chain(std::mem::take(&mut self.large));
        all.flat_map(|copies| copies.planned)
    }

    /// Takes out the next small image whose record can be made now, if there is room for it. If
    /// one has to wait for its time, `wake` becomes that.
    pub(crate) fn next_small(
        &mut self,
        has_room: impl Fn(u64) -> bool,
        wake: &mut Option<Instant>,
    ) -> Option<Copies> {
        let next = self.small.front()?;
        if !has_room(next.bytes) {
            return None;
        }
        let at = self.next(&self.small, wake);
        self.small.remove(at?)
    }

    /// Takes out the next other image whose record can be made now.
    pub(crate) fn next_large(&mut self, wake: &mut Option<Instant>) -> Option<Copies> {
        let at = self.next(&self.large, wake);
        self.large.remove(at?)
    }

    fn next(&self, queue: &VecDeque<Copies>, wake: &mut Option<Instant>) -> Option<usize> {
        let now = Instant::now();
        let window = match self.pace {
            Pace::InTurn => 1,
            Pace::Lanes | Pace::OneLane => WINDOW,
        };
        queue.iter().take(window).position(|copies| {
            let is_made = |number: &usize| self.is_made.get(*number) != Some(&false);
            if !copies.turn.after.iter().all(is_made) {
                return false;
            }
            let new = copies.image().zip(copies.created_at.as_ref());
            let new = new.filter(|_| copies.is_new);
            let not_before = new.and_then(|(image, created_at)| {
                let not_before = self.order.not_before(image, created_at);
                not_before.filter(|at| *at > now)
            });
            if let Some(at) = not_before {
                *wake = Some(wake.map_or(at, |wake| wake.min(at)));
            }
            not_before.is_none()
        })
    }

    /// Lets those begin that had to wait for the record of an image.
    pub(crate) fn made(&mut self, made: Made) {
        if let Some(is_made) = made.number.and_then(|at| self.is_made.get_mut(at)) {
            *is_made = true;
        }
        if let Some((image, created_at)) = made.new {
            self.order.made(&image, &created_at, made.at);
        }
    }
}

impl Copies {
    /// The copies of an image, of which there are none yet.
    pub(crate) fn of(planned: &PlannedImage) -> Self {
        Self {
            bytes: planned.bytes_to_copy(),
            planned: Vec::new(),
            created_at: planned.created_at.clone(),
            is_new: false,
            comes_with_data: false,
            is_small: planned.wanted.size.is_some_and(|size| size < SMALL_BYTES),
            turn: Turn::default(),
        }
    }

    /// Adds a copy at a target of that nature.
    pub(crate) fn add(&mut self, target: usize, planned: PlannedImage, nature: Nature) {
        let is_new = planned.found.is_none() && !nature.keeps_records;
        self.is_new |= is_new;
        self.comes_with_data |= is_new && nature.makes_records_with_data();
        self.planned.push((target, planned));
    }

    /// The image, as the first of the targets is to have it.
    fn image(&self) -> Option<&ImageMetadata> {
        self.planned.first().map(|(_, planned)| &planned.wanted)
    }

    /// Returns the way to tell that its record is made.
    pub(crate) fn tell_made(&self, to: &UnboundedSender<Made>) -> TellMade {
        let new = self.image().cloned().zip(self.created_at.clone());
        TellMade {
            number: self.turn.number,
            new: new.filter(|_| self.is_new).map(Box::new),
            comes_with_data: self.comes_with_data,
            to: to.clone(),
        }
    }
}

/// Numbers images, and has each wait for those before it with which it shares a name or a tag, and
/// for those that it refers to, which may get another id.
fn turns(copies: &[Copies], keep_records: bool) -> Vec<Turn> {
    let mut last: HashMap<Group<'_>, usize> = HashMap::new();
    let images = || copies.iter().filter_map(Copies::image);
    let referred: HashSet<ImageId> = images().flat_map(ImageMetadata::references).collect();
    let mut referred: HashMap<ImageId, Option<usize>> =
        referred.into_iter().map(|id| (id, None)).collect();
    let mut turns = Vec::with_capacity(copies.len());
    for (number, copies) in copies.iter().enumerate() {
        let image = copies.image().filter(|_| !keep_records);
        let mut after: Vec<usize> = Vec::new();
        if let Some(image) = image {
            let of_groups = Group::of(image).filter_map(|group| last.insert(group, number));
            after.extend(of_groups);
            let of_references = image.references().filter_map(|id| *referred.get(&id)?);
            after.extend(of_references);
            if let Some(place) = referred.get_mut(&image.id) {
                *place = Some(number);
            }
        }
        turns.push(Turn {
            number: Some(number),
            after,
        });
    }
    turns
}

//! The images whose data is to be copied, in the order in which their records are made.

use std::collections::{HashMap, VecDeque};

use glance_model::{ImageId, ImageMetadata};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::Instant;

use super::order::Order;
use super::waiting::Waiting;
use crate::list::newest::Group;
use crate::plan::PlannedImage;
use crate::port::Nature;

/// An image of fewer bytes is small: its time goes by in round trips, not with its data.
const SMALL_BYTES: u64 = 1 << 20;
/// The images of a queue among which one is looked for that need not wait for others.
const WINDOW: usize = 256;
/// The most images that are read ahead of their turn, so that there is a choice of small and of large
/// ones. Each takes some 6 KiB.
const MOST_READ: usize = 400;
/// The fewest names and tags that are kept in mind: fewer are not worth a look at which are made.
const KEPT: usize = 1000;

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
    natures: Vec<Nature>,
    /// Whether all targets keep records as they are, in whatever order.
    keep_records: bool,
    waiting: Waiting,
    small: VecDeque<Copies>,
    large: VecDeque<Copies>,
    is_made: Vec<bool>,
    /// The last image that was read of each name and tag.
    last: HashMap<Group<'static>, usize>,
    /// The number of names and tags from which on those are forgotten whose records are made.
    full: usize,
    /// The images that others refer to, and their numbers once they are read.
    referred: HashMap<ImageId, Option<usize>>,
    order: Order,
}

impl Queue {
    /// Takes images, in the order of their records, for targets of these natures.
    pub(crate) fn new(waiting: Waiting, natures: Vec<Nature>, pace: Pace) -> Self {
        let referred = waiting.referred().into_iter().map(|id| (id, None));
        Self {
            pace,
            keep_records: natures.iter().all(|nature| nature.keeps_records),
            natures,
            small: VecDeque::new(),
            large: VecDeque::new(),
            is_made: Vec::new(),
            last: HashMap::new(),
            full: KEPT,
            referred: referred.collect(),
            order: Order::default(),
            waiting,
        }
    }

    /// Reads images until there is a choice in each lane.
    fn read(&mut self) {
        let lacks = |lane: &VecDeque<Copies>| lane.len() < WINDOW;
        while self.small.len() + self.large.len() < MOST_READ
            && (lacks(&self.large) || (self.pace == Pace::Lanes && lacks(&self.small)))
            && let Some(planned) = self.waiting.next_copies()
        {
            let Some((_, first)) = planned.first() else {
                continue;
            };
            let mut copies = Copies::of(first);
            for (target, planned) in planned {
                if let Some(nature) = self.natures.get(target) {
                    copies.add(target, planned, *nature);
                }
            }
            copies.turn = self.turn(&copies);
            self.push(copies);
        }
    }

    /// Numbers an image, and has it wait for those before it with which it shares a name or a tag,
    /// and for those that it refers to, which may get another id.
    fn turn(&mut self, copies: &Copies) -> Turn {
        let number = self.is_made.len();
        self.is_made.push(false);
        let mut after: Vec<usize> = Vec::new();
        if let Some(image) = copies.image().filter(|_| !self.keep_records) {
            for group in Group::of(image) {
                after.extend(self.last.insert(group.owned(), number));
            }
            let of_references = image.references();
            after.extend(of_references.filter_map(|id| *self.referred.get(&id)?));
            if let Some(place) = self.referred.get_mut(&image.id) {
                *place = Some(number);
            }
        }
        if self.last.len() > self.full {
            let is_made = &self.is_made;
            self.last
                .retain(|_, number| is_made.get(*number) == Some(&false));
            self.full = KEPT.max(2 * self.last.len());
        }
        Turn {
            number: Some(number),
            after,
        }
    }

    /// Adds an image whose record need not wait for any other one.
    pub(crate) fn push(&mut self, copies: Copies) {
        match copies.is_small && self.pace == Pace::Lanes {
            true => self.small.push_back(copies),
            false => self.large.push_back(copies),
        }
    }

    /// The number of images that are not small, or not known to be.
    pub(crate) fn large(&self) -> usize {
        self.large.len() + self.waiting.copies()
    }

    /// The number of images that have yet to be begun, those included of which there is only metadata.
    pub(crate) fn images(&self) -> usize {
        self.waiting.copies() + self.waiting.updates()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.waiting.bytes()
    }

    /// Takes out the next image that is left.
    pub(crate) fn take_any(&mut self) -> Option<Vec<(usize, PlannedImage)>> {
        let read = self.small.pop_front().or_else(|| self.large.pop_front());
        let copies = read.map(|copies| copies.planned);
        let copies = copies.or_else(|| self.waiting.next_copies());
        copies.or_else(|| self.next_update().map(|update| vec![update]))
    }

    /// Takes out the next image of which there is only metadata to be written.
    pub(crate) fn next_update(&mut self) -> Option<(usize, PlannedImage)> {
        self.waiting.next_update()
    }

    /// Takes out the next small image whose record can be made now, if there is room for it. If
    /// one has to wait for its time, `wake` becomes that.
    pub(crate) fn next_small(
        &mut self,
        has_room: impl Fn(u64) -> bool,
        wake: &mut Option<Instant>,
    ) -> Option<Copies> {
        self.read();
        let next = self.small.front()?;
        if !has_room(next.bytes) {
            return None;
        }
        let at = self.next(&self.small, wake);
        self.small.remove(at?)
    }

    /// Takes out the next other image whose record can be made now.
    pub(crate) fn next_large(&mut self, wake: &mut Option<Instant>) -> Option<Copies> {
        self.read();
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

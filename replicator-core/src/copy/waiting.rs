//! The images of a run that wait for their turn, packed as their plans have them.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};

use glance_model::ImageId;

use crate::plan::PlannedImage;
use crate::plan::planned_images::{Key, PlannedImages};

/// The place of an image in the plans of the targets.
#[derive(Clone, Copy)]
struct Slot {
    target: usize,
    number: usize,
}

/// The plans of all targets.
struct Plans(Vec<PlannedImages>);

impl Plans {
    fn key(&self, slot: Slot) -> Option<Key> {
        let plan = self.0.get(slot.target)?;
        plan.keys().get(slot.number).copied()
    }

    fn planned(&self, slot: Slot) -> Option<(usize, PlannedImage)> {
        let planned = self.0.get(slot.target)?.get(slot.number)?;
        Some((slot.target, planned))
    }

    /// The images that an image names, if it names any.
    fn named(&self, slot: Slot, have_other_ids: bool) -> Option<Vec<ImageId>> {
        self.key(slot).filter(|key| key.names_others)?;
        let (_, planned) = self.planned(slot)?;
        Some(match have_other_ids {
            true => planned.wanted.references().collect(),
            false => planned.wanted.starts_with().collect(),
        })
    }
}

/// The images of a run that nobody has looked at yet.
pub(crate) struct Waiting {
    plans: Plans,
    /// Those whose data is to be copied, in order: an image for one target behind the same one for
    /// another.
    copies: VecDeque<Slot>,
    /// Those of which there is only metadata to be written.
    updates: VecDeque<Slot>,
}

impl Waiting {
    /// Puts images in order. Where all targets keep records as they are, that is the largest first;
    /// elsewhere the source's order of creation. Images that may get another id come before all that
    /// name them. Returns those as well that are to leave their targets.
    pub(crate) fn new(
        plans: Vec<PlannedImages>,
        keep_records: bool,
        have_other_ids: bool,
    ) -> (Self, Vec<(usize, PlannedImage)>) {
        let plans = Plans(plans);
        let (mut copies, mut updates, mut removals) = (Vec::new(), VecDeque::new(), Vec::new());
        for (target, plan) in plans.0.iter().enumerate() {
            for (number, key) in plan.keys().iter().enumerate() {
                let slot = Slot { target, number };
                if key.is_copy {
                    copies.push(slot);
                } else if key.removes {
                    removals.extend(plans.planned(slot));
                } else {
                    updates.push_back(slot);
                }
            }
        }
        copies.sort_by_key(|slot| {
            let key = plans.key(*slot)?;
            // Consumers that take the newest image of a name go by the time of its record. Those
            // of one second stay in order of ids.
            let (large, early) = match keep_records {
                true => (Reverse(key.bytes), 0),
                false => (Reverse(0), key.created),
            };
            Some((large, early, key.id, slot.target))
        });
        if !keep_records {
            let ids = copies.iter().filter_map(|slot| Some(plans.key(*slot)?.id));
            let ids: Vec<ImageId> = ids.collect();
            let named = |at: usize| plans.named(*copies.get(at)?, have_other_ids);
            let order = named_first(&ids, named);
            let ordered = order.into_iter().filter_map(|at| copies.get(at).copied());
            copies = ordered.collect();
        }
        let waiting = Self {
            plans,
            copies: copies.into(),
            updates,
        };
        (waiting, removals)
    }

    /// The images that others refer to.
    pub(crate) fn referred(&self) -> HashSet<ImageId> {
        let named = self.copies.iter();
        let named = named.filter_map(|slot| self.plans.named(*slot, true));
        named.flatten().collect()
    }

    /// The number of copies.
    pub(crate) fn copies(&self) -> usize {
        self.copies.len()
    }

    /// The number of images of which there is only metadata to be written.
    pub(crate) fn updates(&self) -> usize {
        self.updates.len()
    }

    /// The bytes of data that are read from the source: once for all targets.
    pub(crate) fn bytes(&self) -> u64 {
        let keys = self.copies.iter().filter_map(|slot| self.plans.key(*slot));
        let mut keys: Vec<(ImageId, u64)> = keys.map(|key| (key.id, key.bytes)).collect();
        keys.dedup_by_key(|(id, _)| *id);
        keys.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Takes out the next image whose data is to be copied, for each of its targets.
    pub(crate) fn next_copies(&mut self) -> Option<Vec<(usize, PlannedImage)>> {
        let first = self.copies.pop_front()?;
        let id = self.plans.key(first).map(|key| key.id);
        let mut planned: Vec<_> = self.plans.planned(first).into_iter().collect();
        while let Some(next) = self.copies.front()
            && self.plans.key(*next).map(|key| key.id) == id
        {
            planned.extend(self.plans.planned(*next));
            self.copies.pop_front();
        }
        Some(planned)
    }

    /// Takes out the next image of which there is only metadata to be written.
    pub(crate) fn next_update(&mut self) -> Option<(usize, PlannedImage)> {
        self.plans.planned(self.updates.pop_front()?)
    }
}

/// Puts images before those that name them, and leaves the order of all else as it is. Returns the
/// places of the images, of which those with one id stand together.
fn named_first(ids: &[ImageId], named: impl Fn(usize) -> Option<Vec<ImageId>>) -> Vec<usize> {
    let first: HashMap<usize, Vec<ImageId>> = (0..ids.len())
        .filter_map(|at| Some((at, named(at)?)))
        .collect();
    if first.is_empty() {
        return (0..ids.len()).collect();
    }
    let mut places: HashMap<ImageId, Vec<usize>> = HashMap::new();
    for (at, id) in ids.iter().enumerate() {
        places.entry(*id).or_default().push(at);
    }
    let mut ordered = Vec::with_capacity(ids.len());
    for (at, id) in ids.iter().enumerate() {
        // One that is taken already stands before.
        if places.contains_key(id) {
            for id in first.get(&at).into_iter().flatten().chain([id]) {
                ordered.extend(places.remove(id).into_iter().flatten());
            }
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_and_ramdisks_come_before_the_images_that_start_with_them() {
        let id =
            |number: u32| ImageId::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap();
        // Image 2 goes to two targets, as image 4 does.
        let ids = [0, 1, 2, 2, 3, 4, 4, 5].map(id);
        let named = |at: usize| {
            let named: &[u32] = match at {
                0 => &[0],
                1 => &[4, 3],
                2 | 3 => &[4],
                7 => &[99],
                _ => return None,
            };
            Some(named.iter().map(|number| id(*number)).collect())
        };
        assert_eq!(named_first(&ids, named), [0, 5, 6, 4, 1, 2, 3, 7]);
        assert_eq!(named_first(&ids, |_| None), [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}

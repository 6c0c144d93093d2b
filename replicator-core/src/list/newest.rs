//! The newest image of each name and tag, at two ends.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};

use glance_model::{ImageId, ImageMetadata};

use crate::port::{Side, TargetIds};

/// A name or a tag, by which consumers choose the newest of several images.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group<'a> {
    /// The images of this name.
    Name(Cow<'a, str>),
    /// The images that have this tag.
    Tag(Cow<'a, str>),
}

impl<'a> Group<'a> {
    /// The groups of which the newest image may be chosen.
    pub(crate) fn of(image: &'a ImageMetadata) -> impl Iterator<Item = Self> {
        let name = image.name.iter().map(|name| Self::Name(name.into()));
        name.chain(image.tags.iter().map(|tag| Self::Tag(tag.into())))
    }

    pub(crate) fn owned(self) -> Group<'static> {
        match self {
            Self::Name(name) => Group::Name(name.into_owned().into()),
            Self::Tag(tag) => Group::Tag(tag.into_owned().into()),
        }
    }
}

/// A second at which an image was created, or [`NOT_TAKEN`].
pub(crate) type Second = i64;

/// That consumers take no notice of an image, which is older than any other one then.
const NOT_TAKEN: Second = Second::MIN;

/// Returns when an image was created, if consumers would take it: they ask for those that are
/// active, and are not shown those that are hidden.
pub(crate) fn created(image: &ImageMetadata) -> Second {
    let is_taken = image.is_active() && image.hidden != Some(true);
    let created = image.created().filter(|_| is_taken);
    created.map_or(NOT_TAKEN, |created| created.as_second())
}

/// The newest image of each group at each of two ends. Memory grows with the number of names and
/// tags: ids come in no order of groups, so that any image may turn out to be one of several. As
/// long as it is the only one, the group is its hash alone.
#[derive(Debug, Default)]
pub(crate) struct NewestOfGroups {
    hasher: RandomState,
    groups: HashMap<u64, Images>,
}

/// The images of a group.
#[derive(Debug)]
enum Images {
    One {
        id: ImageId,
        source: Second,
        target: Second,
    },
    Several(Box<Newest>),
}

/// The newest image at each end, as servers sort them: by the second, and those of one second by
/// their ids.
#[derive(Debug)]
struct Newest {
    group: Group<'static>,
    source: (Second, ImageId),
    target: (Second, ImageId),
}

/// A group whose newest image is another one at the target.
#[derive(Debug)]
pub(crate) struct OtherNewest {
    pub(crate) group: Group<'static>,
    pub(crate) source: ImageId,
    pub(crate) target: ImageId,
}

impl NewestOfGroups {
    /// Takes an image of a side into account, whose name and tags are those that the target can
    /// hold. `id` is that of its original.
    pub(crate) fn add(
        &mut self,
        side: Side,
        id: ImageId,
        image: &ImageMetadata,
        created: Second,
        target_ids: &TargetIds,
    ) {
        if created == NOT_TAKEN {
            return;
        }
        let (at_source, at_target) = match side {
            Side::Source => (created, NOT_TAKEN),
            Side::Target => (NOT_TAKEN, created),
        };
        let there = |id: &ImageId| *target_ids.get(id).unwrap_or(id);
        for group in Group::of(image) {
            let hash = self.hasher.hash_one(&group);
            let images = self.groups.entry(hash).or_insert(Images::One {
                id,
                source: NOT_TAKEN,
                target: NOT_TAKEN,
            });
            match images {
                Images::One {
                    id: one,
                    source,
                    target,
                } if *one == id => {
                    *source = at_source.max(*source);
                    *target = at_target.max(*target);
                }
                Images::One {
                    id: one,
                    source,
                    target,
                } => {
                    *images = Images::Several(Box::new(Newest {
                        group: group.owned(),
                        source: (*source, *one).max((at_source, id)),
                        target: (*target, there(one)).max((at_target, there(&id))),
                    }));
                }
                Images::Several(newest) => {
                    newest.source = newest.source.max((at_source, id));
                    newest.target = newest.target.max((at_target, there(&id)));
                }
            }
        }
    }

    /// Returns the groups whose newest image is another one at the target, which has images of
    /// them: where it has none, there is no newest one that anybody could take.
    pub(crate) fn differences(self, target_ids: &TargetIds) -> Vec<OtherNewest> {
        let groups = self.groups.into_values().filter_map(|images| {
            let Images::Several(newest) = images else {
                return None;
            };
            let Newest {
                group,
                source: (at_source, source),
                target: (at_target, target),
            } = *newest;
            let copy = target_ids.get(&source).unwrap_or(&source);
            let is_another = at_source != NOT_TAKEN && at_target != NOT_TAKEN && *copy != target;
            is_another.then_some(OtherNewest {
                group,
                source,
                target,
            })
        });
        let mut groups: Vec<_> = groups.collect();
        groups.sort_by(|a, b| a.group.cmp(&b.group));
        groups
    }
}

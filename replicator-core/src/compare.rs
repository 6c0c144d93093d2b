//! The comparison of the metadata of two ends.

use std::collections::BTreeMap;
use std::vec;

use futures_util::stream::{BoxStream, TryStreamExt as _};
use glance_model::{ImageId, ImageMetadata, MetadataDiff, NoProject, Selection, View};

use crate::list::members::{with_members, with_members_of_target};
use crate::list::newest::{Group, NewestOfGroups, OtherNewest, created};
use crate::list::pairs::{Damaged, ListingError, Pair, Pairs};
use crate::list::selected::{Counter, SelectedCount, at_target, is_alone, selected};
use crate::list::withheld::withholds;
use crate::port::{ImageSource, ImageTarget, PortError, Side, TargetIds};
use crate::run::context::RunContext;
use crate::run::result::ImageRef;

/// The difference of one image.
#[derive(Debug)]
#[non_exhaustive]
pub enum Difference {
    /// The source has it with its data, which this caller may read, and the target does not.
    Missing,
    /// The target has it, and the source does not: of the wanted images, no other ones.
    OnlyAtTarget,
    /// The target has it differently.
    Diff(MetadataDiff),
    /// It is the newest of a name or a tag at the source, and another one is that at the target,
    /// which consumers take there. No run can change that: a server sets the time by itself.
    OtherNewest {
        /// The name or the tag.
        group: Group<'static>,
        /// The id of the newest image at the target.
        target: ImageId,
    },
    /// Its owner, or a member, has no counterpart at the target.
    NoProject(NoProject),
    /// One of the ends holds something that cannot be used.
    Damaged {
        /// The side of it.
        side: Side,
        /// The error.
        error: PortError,
    },
}

/// An image that differs.
#[derive(Debug)]
#[non_exhaustive]
pub struct Compared {
    /// The image, as the source has it; as the target, if that alone has it.
    pub image: ImageRef,
    /// Its additional properties, of an image of both as the target is to have them.
    pub properties: BTreeMap<String, String>,
    /// The difference.
    pub difference: Difference,
}

/// Goes through two ends, from difference to difference, and last through the names and tags
/// whose newest image differs. Memory does not grow with the number of differences; it does with
/// that of names and tags.
#[expect(
    missing_debug_implementations,
    reason = "it is a cursor over two streams"
)]
pub struct Comparison<'a> {
    ctx: &'a RunContext,
    source: &'a dyn ImageSource,
    pairs: BoxStream<'static, Result<Pair, ListingError>>,
    view: View,
    counter: Counter,
    wanted: Selection,
    compared: u64,
    newest: NewestOfGroups,
    /// The groups that differ, once both ends are listed.
    other_newest: Option<vec::IntoIter<OtherNewest>>,
}

/// Compares two ends by what they state of the wanted images. Of an image that both have,
/// what only the target says does not matter. An image that goes by another id at the target is
/// compared with its copy there, after all others. The view is that of the target, as for
/// a copy.
#[must_use]
pub fn compare<'a>(
    ctx: &'a RunContext,
    source: &'a dyn ImageSource,
    target: &dyn ImageTarget,
    wanted: &Selection,
    mut view: View,
    target_ids: TargetIds,
) -> Comparison<'a> {
    let (at_target, _) = selected(target, &at_target(wanted, &target_ids));
    let (images, counter) = selected(source, wanted);
    view.ids.clone_from(&target_ids);
    let listed = with_members(source, images, &view.omit, |_| true);
    let pairs = Pairs::new(listed, at_target, target_ids);
    Comparison {
        ctx,
        source,
        pairs: with_members_of_target(pairs, ctx, target, &view),
        view,
        counter,
        wanted: wanted.clone(),
        compared: 0,
        newest: NewestOfGroups::default(),
        other_newest: None,
    }
}

impl Comparison<'_> {
    /// The number of images of the source that have been compared.
    #[must_use]
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// The number of images of the source that were selected up to now.
    #[must_use]
    pub fn selected(&self) -> SelectedCount {
        self.counter.count()
    }

    /// The next difference.
    ///
    /// # Errors
    ///
    /// [`ListingError`] if one of the ends cannot be listed in whole and in order.
    pub async fn next(&mut self) -> Result<Option<Compared>, ListingError> {
        while self.other_newest.is_none()
            && let Some(pair) = self.pairs.try_next().await?
        {
            let found = match pair {
                Pair::Missing(listed) => {
                    self.compared += 1;
                    let is_missing = !self.is_skipped(&listed.image)
                        && self.could_be_copied(&listed.image).await;
                    is_missing.then(|| Compared {
                        image: ImageRef::from(&listed.image),
                        properties: listed.image.properties,
                        difference: Difference::Missing,
                    })
                }
                Pair::Both(listed, found) => {
                    self.compared += 1;
                    self.diff(listed.image, *found)
                }
                Pair::Alone(id, found) => self.alone(&id, found.map(|found| *found)),
                Pair::Damaged(damaged) => {
                    let is_of_source = damaged.side == Side::Source || damaged.source.is_some();
                    self.compared += u64::from(is_of_source);
                    Some(Compared::damaged(*damaged))
                }
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        let (newest, ids) = (&mut self.newest, &self.view.ids);
        let other_newest = self.other_newest.get_or_insert_with(|| {
            let newest = std::mem::take(newest);
            newest.differences(ids).into_iter()
        });
        Ok(other_newest.next().map(Compared::from))
    }

    fn alone(&mut self, id: &ImageId, found: Option<ImageMetadata>) -> Option<Compared> {
        let image = found
            .as_ref()
            .map_or_else(|| ImageRef::of_id(id), ImageRef::from);
        let is_alone = is_alone(id, found.as_ref(), &self.wanted, &self.view.ids);
        let mut properties = BTreeMap::new();
        // What takes up the id of another image is taken by consumers all the same.
        if let Some(found) = found.filter(|found| self.wanted.matches(found)) {
            properties.clone_from(&found.properties);
            let created = created(&found);
            let found = self.view.found(found);
            self.newest
                .add(Side::Target, *id, &found, created, &self.view.ids);
        }
        is_alone.then_some(Compared {
            image,
            properties,
            difference: Difference::OnlyAtTarget,
        })
    }

    /// Returns whether the target could have an image: what nobody may copy is not missed.
    async fn could_be_copied(&self, image: &ImageMetadata) -> bool {
        image.has_data()
            && self.view.form.can_hold(&image.status)
            && (image.is_active() || !withholds(self.ctx, self.source, image).await)
    }

    /// Returns whether a copy would leave an image alone for its owner.
    fn is_skipped(&mut self, image: &ImageMetadata) -> bool {
        match self.view.wanted(image.clone()) {
            Ok(wanted) => {
                let (wanted, ids) = (&wanted.image, &self.view.ids);
                self.newest
                    .add(Side::Source, image.id, wanted, created(image), ids);
                false
            }
            Err(problem) => self.view.identity.skips(&problem),
        }
    }

    fn diff(&mut self, image: ImageMetadata, found: ImageMetadata) -> Option<Compared> {
        let of_image = ImageRef::from(&image);
        let (id, at_source, at_target) = (image.id, created(&image), created(&found));
        let (newest, ids) = (&mut self.newest, &self.view.ids);
        let found = self.view.found(found);
        newest.add(Side::Target, id, &found, at_target, ids);
        let (difference, properties) = match self.view.wanted(image) {
            Ok(wanted) => {
                newest.add(Side::Source, id, &wanted.image, at_source, ids);
                let diff = self.view.diff(&wanted.image, &found);
                let difference = (!diff.is_empty()).then_some(Difference::Diff(diff));
                (difference, wanted.image.properties)
            }
            Err(problem) if self.view.identity.skips(&problem) => (None, BTreeMap::new()),
            Err(problem) => (Some(Difference::NoProject(problem)), BTreeMap::new()),
        };
        difference.map(|difference| Compared {
            image: of_image,
            properties,
            difference,
        })
    }
}

impl From<OtherNewest> for Compared {
    fn from(other: OtherNewest) -> Self {
        let OtherNewest {
            group,
            source,
            target,
        } = other;
        let mut image = ImageRef::of_id(&source);
        if let Group::Name(name) = &group {
            image.name = Some(name.clone().into_owned());
        }
        Self {
            image,
            properties: BTreeMap::new(),
            difference: Difference::OtherNewest { group, target },
        }
    }
}

impl Compared {
    fn damaged(damaged: Damaged) -> Self {
        let Damaged {
            side, image, error, ..
        } = damaged;
        Self {
            image,
            properties: BTreeMap::new(),
            difference: Difference::Damaged { side, error },
        }
    }
}

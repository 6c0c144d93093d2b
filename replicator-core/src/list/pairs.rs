//! The images of two ends, side by side.

use std::collections::{BTreeMap, HashSet};

use futures_util::TryStreamExt as _;
use glance_model::{BadRecord, ImageId, ImageMetadata};

use crate::port::{ImageStream, PortError, Side, TargetIds};
use crate::run::context::RunContext;
use crate::run::event::Event;
use crate::run::result::{ImageRef, ImageResult};

/// The images of an end could not be listed, so nothing was planned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListingError {
    /// The end failed.
    #[error("the {side} could not be listed")]
    Failed {
        /// The side of the end.
        side: Side,
        /// The failure.
        source: PortError,
    },
    /// The end does not list its images in ascending order of ids, so that
    /// images could be missed.
    #[error("the {side} lists image {id} after image {after}, out of order")]
    OutOfOrder {
        /// The side of the end.
        side: Side,
        /// The image that came too late.
        id: ImageId,
        /// The one before.
        after: ImageId,
    },
}

/// An image, as two ends have it.
#[derive(Debug)]
pub(crate) enum Pair {
    /// The source has it, and the target does not.
    Missing(Box<Listed>),
    /// Both have it.
    Both(Box<Listed>, Box<ImageMetadata>),
    /// The target alone has it; `None` if it has something that cannot be used.
    Alone(ImageId, Option<Box<ImageMetadata>>),
    /// One side has something of it that cannot be used.
    Damaged(Box<Damaged>),
}

/// An image of the source.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) image: ImageMetadata,
    /// Its id at the target, if it is another one.
    pub(crate) target_id: Option<ImageId>,
}

/// An image that one side has, and that cannot be used there.
#[derive(Debug)]
pub(crate) struct Damaged {
    pub(crate) side: Side,
    pub(crate) image: ImageRef,
    pub(crate) error: PortError,
    /// The image of the source, if the damage is at the target.
    pub(crate) source: Option<Listed>,
}

impl From<Box<Damaged>> for ImageResult {
    fn from(damaged: Box<Damaged>) -> Self {
        Self::of_damage(damaged.side, damaged.image, damaged.error)
    }
}

/// An image, or the error that stands for a damaged one.
type Entry = Result<ImageMetadata, PortError>;

/// The entries of one id.
struct Entries {
    id: ImageId,
    target_id: Option<ImageId>,
    source: Option<Entry>,
    target: Option<Entry>,
}

/// The next of two listings.
enum Next {
    Entries(Box<Entries>),
    /// A record whose id is none, so that there is nothing to pair it with.
    NoImage(Side, Box<BadRecord>),
}

/// The images of two ends, side by side, as a sorted merge join has them: constant memory
/// for any number of images. Both are read at the same time.
///
/// Images that go by another id at the target, and those whose ids have capitals,
/// are kept until both listings have ended, and come last.
pub(crate) struct Pairs {
    source: Listing,
    target: Listing,
    target_ids: TargetIds,
    other_ids: HashSet<ImageId>,
    kept_of_source: BTreeMap<ImageId, Entry>,
    kept_of_target: BTreeMap<ImageId, Entry>,
    /// The number of those that have been given out.
    given: u64,
}

/// The images after which it is told how many were listed.
const TOLD_EVERY: u64 = 100;

struct Listing {
    side: Side,
    stream: ImageStream,
    head: Option<(ImageId, Entry)>,
    no_image: Option<Box<BadRecord>>,
    /// Servers differ in where they list them.
    with_capitals: BTreeMap<ImageId, Entry>,
    last: Option<ImageId>,
    is_done: bool,
}

impl Pairs {
    pub(crate) fn new(source: ImageStream, target: ImageStream, target_ids: TargetIds) -> Self {
        Self {
            source: Listing::new(Side::Source, source),
            target: Listing::new(Side::Target, target),
            other_ids: target_ids.values().cloned().collect(),
            target_ids,
            kept_of_source: BTreeMap::new(),
            kept_of_target: BTreeMap::new(),
            given: 0,
        }
    }

    /// The next image that either end has.
    pub(crate) async fn next(&mut self, ctx: &RunContext) -> Result<Option<Pair>, ListingError> {
        if self.given.is_multiple_of(TOLD_EVERY) {
            ctx.emit(Event::Listed { images: self.given });
        }
        let next = self.next_entries(ctx).await?;
        self.given += 1;
        Ok(next.map(|next| match next {
            Next::Entries(entries) => Pair::of(*entries),
            Next::NoImage(side, bad) => Pair::bad(side, bad),
        }))
    }

    async fn next_entries(&mut self, ctx: &RunContext) -> Result<Option<Next>, ListingError> {
        while let Some(next) = self.next_id(ctx).await? {
            let Next::Entries(mut pair) = next else {
                return Ok(Some(next));
            };
            if self.other_ids.contains(&pair.id)
                && let Some(listed) = pair.target.take()
            {
                self.kept_of_target.insert(pair.id, listed);
            }
            if self.target_ids.contains_key(&pair.id)
                && let Some(listed) = pair.source.take()
            {
                self.kept_of_source.insert(pair.id, listed);
            }
            if pair.source.is_some() || pair.target.is_some() {
                return Ok(Some(Next::Entries(pair)));
            }
        }
        if let Some((id, source)) = self.kept_of_source.pop_first() {
            let target_id = self.target_ids.get(&id).cloned();
            let target = target_id
                .as_ref()
                .and_then(|id| self.kept_of_target.remove(id));
            return Ok(Some(Next::Entries(Box::new(Entries {
                id,
                target_id,
                source: Some(source),
                target,
            }))));
        }
        // The source has lost the images that these are copies of.
        let alone = self.kept_of_target.pop_first();
        Ok(alone.map(|(id, target)| {
            Next::Entries(Box::new(Entries {
                id,
                target_id: None,
                source: None,
                target: Some(target),
            }))
        }))
    }

    /// The next id that either end has.
    async fn next_id(&mut self, ctx: &RunContext) -> Result<Option<Next>, ListingError> {
        let (source, target) = tokio::join!(self.source.fill(ctx), self.target.fill(ctx));
        source?;
        target?;
        for listing in [&mut self.source, &mut self.target] {
            if let Some(bad) = listing.no_image.take() {
                return Ok(Some(Next::NoImage(listing.side, bad)));
            }
        }
        if self.source.is_done && self.target.is_done {
            for listing in [&mut self.source, &mut self.target] {
                if listing.head.is_none() {
                    listing.head = listing.with_capitals.pop_first();
                }
            }
        }
        let id = match (&self.source.head, &self.target.head) {
            (Some((source, _)), Some((target, _))) => *source.min(target),
            (Some((id, _)), None) | (None, Some((id, _))) => *id,
            (None, None) => return Ok(None),
        };
        Ok(Some(Next::Entries(Box::new(Entries {
            source: self.source.take(&id),
            target: self.target.take(&id),
            target_id: None,
            id,
        }))))
    }
}

impl Pair {
    /// The id of an image of the source, where one of the source is known.
    pub(crate) fn id_of_source(&self) -> Option<&ImageId> {
        match self {
            Self::Missing(listed) | Self::Both(listed, _) => Some(&listed.image.id),
            Self::Damaged(damaged) => Some(&damaged.source.as_ref()?.image.id),
            Self::Alone(..) => None,
        }
    }

    fn of(entries: Entries) -> Self {
        let Entries {
            id,
            target_id,
            source,
            target,
        } = entries;
        let source = match source {
            Some(Ok(image)) => Listed { image, target_id },
            Some(Err(error)) => return Self::damaged(Side::Source, &id, error, None),
            None => {
                return match target {
                    Some(Err(PortError::BadRecord(bad))) => Self::bad(Side::Target, bad),
                    target => Self::Alone(id, target.and_then(Result::ok).map(Box::new)),
                };
            }
        };
        match target {
            None => Self::Missing(Box::new(source)),
            Some(Ok(found)) => Self::Both(Box::new(source), Box::new(found)),
            Some(Err(error)) => Self::damaged(Side::Target, &id, error, Some(source)),
        }
    }

    fn damaged(side: Side, id: &ImageId, error: PortError, source: Option<Listed>) -> Self {
        let (image, error) = match (error, &source) {
            (PortError::BadRecord(bad), None) => return Self::bad(side, bad),
            (error, Some(source)) => (ImageRef::from(&source.image), error),
            (error, None) => (ImageRef::of_id(id), error),
        };
        Self::Damaged(Box::new(Damaged {
            side,
            image,
            error,
            source,
        }))
    }

    fn bad(side: Side, bad: Box<BadRecord>) -> Self {
        Self::Damaged(Box::new(Damaged {
            side,
            image: ImageRef::from(&*bad),
            error: PortError::BadRecord(bad),
            source: None,
        }))
    }
}

impl Listing {
    fn new(side: Side, stream: ImageStream) -> Self {
        Self {
            side,
            stream,
            head: None,
            no_image: None,
            with_capitals: BTreeMap::new(),
            last: None,
            is_done: false,
        }
    }

    async fn fill(&mut self, ctx: &RunContext) -> Result<(), ListingError> {
        while self.head.is_none() && self.no_image.is_none() && !self.is_done {
            let side = self.side;
            let next = ctx
                .until_cancelled(self.stream.try_next())
                .await
                .and_then(|next| next);
            let of_image = next.as_ref().err().and_then(PortError::listed_id);
            let (id, listed) = match (next, of_image) {
                (Err(error), Some(id)) => (id, Err(error)),
                (Ok(None), _) => {
                    self.is_done = true;
                    break;
                }
                (Ok(Some(image)), _) => (image.id, Ok(image)),
                (Err(PortError::BadRecord(bad)), _) => match bad.image_id() {
                    Some(id) => (id, Err(PortError::BadRecord(bad))),
                    None => {
                        self.no_image = Some(bad);
                        break;
                    }
                },
                (Err(source), _) => return Err(ListingError::Failed { side, source }),
            };
            if id.has_capitals() {
                self.with_capitals.insert(id, listed);
                continue;
            }
            if let Some(after) = self.last.replace(id).filter(|last| *last >= id) {
                return Err(ListingError::OutOfOrder { side, id, after });
            }
            self.head = Some((id, listed));
        }
        Ok(())
    }

    fn take(&mut self, id: &ImageId) -> Option<Entry> {
        self.head
            .take_if(|(head, _)| head == id)
            .map(|(_, listed)| listed)
    }
}

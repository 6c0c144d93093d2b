//! The images that people mean by names, and by being the newest.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use futures_util::TryStreamExt as _;
use glance_model::{ImageId, ImageMetadata, Key, Selection, Test};

use crate::list::pairs::ListingError;
use crate::list::selected::{SelectedCount, selected};
use crate::port::{ImageSource, PortError, Side};
use crate::run::context::RunContext;

/// The newest images of each group.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Newest {
    /// The number of images of a group, at most.
    pub count: NonZeroUsize,
    /// The values in which the images of a group agree. Without any, all images are one group.
    pub per: Vec<Key>,
}

impl Newest {
    /// Takes that many of each group.
    #[must_use]
    pub fn new(count: NonZeroUsize, per: Vec<Key>) -> Self {
        Self { count, per }
    }
}

/// The images of an end that were looked for by an id or a name.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Named {
    /// Their ids.
    pub ids: BTreeSet<ImageId>,
    /// The number of images that each name, or id, was found to be one of.
    pub found: BTreeMap<String, u64>,
}

/// Looks for images by their ids and names: a text that is written as an id is one.
///
/// A server that filters by name is asked for these images alone.
///
/// # Errors
///
/// [`ListingError`] if the end cannot be listed.
pub async fn find_named(
    ctx: &RunContext,
    source: &dyn ImageSource,
    named: &BTreeSet<String>,
) -> Result<Named, ListingError> {
    let mut found = Named {
        ids: BTreeSet::new(),
        found: named.iter().map(|name| (name.clone(), 0)).collect(),
    };
    let (ids, names): (Vec<_>, Vec<_>) = named
        .iter()
        .map(|name| (ImageId::parse(name).ok(), name))
        .partition(|(id, _)| id.is_some());
    let ids: Vec<ImageId> = ids.into_iter().filter_map(|(id, _)| id).collect();
    if !ids.is_empty() {
        let wanted = Selection::of_ids(ids);
        each(ctx, source, &wanted, |id, _| {
            found.add(id, id.as_str());
        })
        .await?;
    }
    if !names.is_empty() {
        let names = names.into_iter().map(|(_, name)| name);
        let wanted = Selection::default().with(Test::is_one_of(Key::Name, names));
        each(ctx, source, &wanted, |id, image| {
            if let Some(name) = image.and_then(|image| image.name.as_deref()) {
                found.add(id, name);
            }
        })
        .await?;
    }
    Ok(found)
}

impl Named {
    fn add(&mut self, id: &ImageId, name: &str) {
        if let Some(count) = self.found.get_mut(name) {
            *count += u64::from(self.ids.insert(*id));
        }
    }
}

/// Selects of the selected images of an end the newest of each group, by the time of their
/// creation; of images of one second, those with the greatest ids, as servers sort them. One whose
/// time is not known is the oldest.
///
/// # Errors
///
/// [`ListingError`] if the end cannot be listed.
pub async fn select_newest(
    ctx: &RunContext,
    source: &dyn ImageSource,
    wanted: &Selection,
    newest: &Newest,
) -> Result<(BTreeSet<ImageId>, SelectedCount), ListingError> {
    type Group = BTreeSet<(Option<i128>, ImageId)>;
    let mut groups: BTreeMap<Vec<Option<String>>, Group> = BTreeMap::new();
    let count = each(ctx, source, wanted, |id, image| {
        // One whose record cannot be used has no group: nobody knows whether it is meant.
        let Some(image) = image else { return };
        let values = newest.per.iter().map(|key| key.value(image));
        let group = groups.entry(values.collect()).or_default();
        let created = image.created().map(|time| time.as_nanosecond());
        group.insert((created, *id));
        if group.len() > newest.count.get() {
            group.pop_first();
        }
    })
    .await?;
    let ids: BTreeSet<ImageId> = groups.into_values().flatten().map(|(_, id)| id).collect();
    let count = SelectedCount {
        images: ids.len() as u64,
        ..count
    };
    Ok((ids, count))
}

/// Goes through the selected images of an end, those whose records cannot be used included.
async fn each(
    ctx: &RunContext,
    source: &dyn ImageSource,
    wanted: &Selection,
    mut take: impl FnMut(&ImageId, Option<&ImageMetadata>),
) -> Result<SelectedCount, ListingError> {
    let (mut images, counter) = selected(source, wanted);
    loop {
        let next = ctx.until_cancelled(images.try_next()).await;
        match next.and_then(|next| next) {
            Ok(None) => return Ok(counter.count()),
            Ok(Some(image)) => take(&image.id, Some(&image)),
            Err(PortError::Damaged { id, .. }) => take(&id, None),
            Err(PortError::BadRecord(bad)) => {
                if let Some(id) = bad.image_id() {
                    take(&id, None);
                }
            }
            Err(source) => {
                let side = Side::Source;
                return Err(ListingError::Failed { side, source });
            }
        }
    }
}

//! The images of an end that are selected.

use std::future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use glance_model::{ImageId, ImageMetadata, Selection};
use serde::{Deserialize, Serialize};

use crate::port::{ImageSource, ImageStream, PortError, TargetIds};

/// The number of images that were selected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SelectedCount {
    /// The selected images.
    pub images: u64,
    /// All images of the end, if that is known: a server that leaves out the others by itself
    /// does not say how many these are.
    pub of: Option<u64>,
}

/// Counts what a listing brings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter {
    listed: Arc<AtomicU64>,
    selected: Arc<AtomicU64>,
    leaves_out: bool,
}

impl Counter {
    /// Returns the numbers up to now, which are those of the end once it is listed.
    pub(crate) fn count(&self) -> SelectedCount {
        let listed = self.listed.load(Ordering::Relaxed);
        SelectedCount {
            images: self.selected.load(Ordering::Relaxed),
            of: (!self.leaves_out).then_some(listed),
        }
    }
}

/// Lists the selected images of an end, and counts them. What cannot be used of an end is listed
/// if it may be of a selected image.
pub(crate) fn selected(
    end: &(impl ImageSource + ?Sized),
    wanted: &Selection,
) -> (ImageStream, Counter) {
    selected_and_meant(end, wanted, |_| true)
}

/// The same, and counts of the selected images those alone that are meant.
pub(crate) fn selected_and_meant(
    end: &(impl ImageSource + ?Sized),
    wanted: &Selection,
    is_meant: impl Fn(&ImageId) -> bool + Send + 'static,
) -> (ImageStream, Counter) {
    let counter = Counter {
        leaves_out: end.leaves_out(wanted),
        ..Counter::default()
    };
    let (all, kept) = (counter.listed.clone(), counter.selected.clone());
    let images = end.images(wanted).inspect(move |_| {
        all.fetch_add(1, Ordering::Relaxed);
    });
    let images = only(images.boxed(), wanted).inspect(move |listed| {
        let is_counted = listed.as_ref().map_or(true, |image| is_meant(&image.id));
        kept.fetch_add(u64::from(is_counted), Ordering::Relaxed);
    });
    (images.boxed(), counter)
}

/// Leaves out of a listing what is not selected.
pub(crate) fn only(listed: ImageStream, wanted: &Selection) -> ImageStream {
    if wanted.is_all() {
        return listed;
    }
    let wanted = wanted.clone();
    let is_selected = move |listed: &Result<_, PortError>| match listed {
        Ok(image) => wanted.matches(image),
        Err(PortError::Damaged { id, .. }) => wanted.matches_id(id),
        Err(PortError::BadRecord(bad)) => bad.image_id().is_none_or(|id| wanted.matches_id(&id)),
        Err(_) => true,
    };
    listed
        .filter(move |listed| future::ready(is_selected(listed)))
        .boxed()
}

/// Returns whether what a target alone has is an image that the source is to be compared with: what
/// takes up the id of an image that goes by another one there is no image of its own.
pub(crate) fn is_alone(
    id: &ImageId,
    found: Option<&ImageMetadata>,
    wanted: &Selection,
    target_ids: &TargetIds,
) -> bool {
    !target_ids.contains_key(id) && found.is_none_or(|found| wanted.matches(found))
}

/// Returns the images of a target that the selected ones of a source are compared with.
pub(crate) fn at_target(wanted: &Selection, target_ids: &TargetIds) -> Selection {
    match wanted.ids() {
        // A copy that goes by another id is of the share of its image.
        None if !target_ids.is_empty() => Selection::default(),
        None => Selection::default().of_shard(wanted.shard()),
        Some(ids) => {
            let others = ids.iter().filter_map(|id| target_ids.get(id));
            Selection::of_ids(ids.iter().chain(others).copied())
        }
    }
}

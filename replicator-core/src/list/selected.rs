//! The images of an end that are selected.

use std::future;

use futures_util::StreamExt as _;
use glance_model::Selection;

use crate::port::{ImageSource, ImageStream, PortError, TargetIds};

/// Lists the selected images of an end. What cannot be used of an end is listed if it may be
/// of a selected image.
pub(crate) fn selected(end: &(impl ImageSource + ?Sized), wanted: &Selection) -> ImageStream {
    only(end.images(wanted), wanted)
}

/// Leaves out of a listing what is not selected.
pub(crate) fn only(listed: ImageStream, wanted: &Selection) -> ImageStream {
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

/// Returns the images of a target that the selected ones of a source are compared with.
pub(crate) fn at_target(wanted: &Selection, target_ids: &TargetIds) -> Selection {
    match wanted.ids() {
        None => Selection::default(),
        Some(ids) => {
            let others = ids.iter().filter_map(|id| target_ids.get(id));
            Selection::of_ids(ids.iter().chain(others).copied())
        }
    }
}

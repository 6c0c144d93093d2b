//! The size of the image data of an end.

use glance_model::Selection;

use crate::list::image_list::list_images;
use crate::list::pairs::ListingError;
use crate::list::selected::SelectedCount;
use crate::port::ImageSource;
use crate::run::context::RunContext;

/// The sum over the active images of an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TotalSize {
    /// The number of images.
    pub images: u64,
    /// The length of their data together, in bytes.
    pub total_bytes: u64,
    /// The number of images that are not counted, since what the end says of them cannot be
    /// used; an [`Event::Finished`](crate::Event::Finished) named each.
    pub failed: u64,
    /// The number of images that were selected, active or not.
    pub selected: SelectedCount,
}

/// Sums up the wanted, active images of an end.
///
/// # Errors
///
/// [`ListingError`] if it cannot be listed.
pub async fn size(
    ctx: &RunContext,
    source: &dyn ImageSource,
    wanted: &Selection,
) -> Result<TotalSize, ListingError> {
    let mut total = TotalSize::default();
    let mut images = list_images(ctx, source, wanted);
    while let Some(image) = images.next().await? {
        if image.is_active() {
            total.images += 1;
            total.total_bytes += image.size.unwrap_or(0);
        }
    }
    (total.failed, total.selected) = (images.failed(), images.selected());
    Ok(total)
}

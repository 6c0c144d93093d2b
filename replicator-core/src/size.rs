//! The size of the image data of an end.

use futures_util::TryStreamExt as _;
use glance_model::Selection;

use crate::list::pairs::ListingError;
use crate::list::selected::{SelectedCount, selected};
use crate::port::{ImageSource, PortError, Side};
use crate::run::context::RunContext;
use crate::run::event::Event;
use crate::run::result::{ImageRef, ImageResult};

/// The sum over the active images of an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TotalSize {
    /// The number of images.
    pub images: u64,
    /// The length of their data together, in bytes.
    pub total_bytes: u64,
    /// The number of images that are not counted, since what the end says of them cannot be
    /// used; an [`Event::Finished`] named each.
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
    let (mut images, counter) = selected(source, wanted);
    loop {
        let next = ctx.until_cancelled(images.try_next()).await;
        match next.and_then(|next| next) {
            Ok(None) => {
                total.selected = counter.count();
                return Ok(total);
            }
            Ok(Some(image)) if image.is_active() => {
                total.images += 1;
                total.total_bytes += image.size.unwrap_or(0);
            }
            Ok(Some(_)) => {}
            Err(PortError::BadRecord(bad)) => {
                let image = ImageRef::from(&*bad);
                total.fail(ctx, image, PortError::BadRecord(bad));
            }
            Err(PortError::Damaged { id, source }) => {
                let image = ImageRef::of_id(&id);
                total.fail(ctx, image, PortError::Damaged { id, source });
            }
            Err(source) => {
                let side = Side::Source;
                return Err(ListingError::Failed { side, source });
            }
        }
    }
}

impl TotalSize {
    fn fail(&mut self, ctx: &RunContext, image: ImageRef, error: PortError) {
        self.failed += 1;
        let failed = ImageResult::of_damage(Side::Source, image, error);
        ctx.emit(Event::Finished(failed));
    }
}

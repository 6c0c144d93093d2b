//! How much image data an end has.

use futures_util::TryStreamExt as _;

use crate::list::pairs::ListingError;
use crate::port::{ImageSource, PortError, Side};
use crate::run::context::RunContext;
use crate::run::error::{Failure, ImageError};
use crate::run::event::Event;

/// The sum over the active images of an end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TotalSize {
    /// How many there are.
    pub images: u64,
    /// How long their data is together.
    pub total_bytes: u64,
    /// How many images cannot be counted, since what the end says of them cannot be
    /// used; an [`Event::Failed`] named each.
    pub failed: u64,
}

/// Sums up the active images of an end.
///
/// # Errors
///
/// [`ListingError`] if it cannot be listed.
pub async fn size(ctx: &RunContext, source: &dyn ImageSource) -> Result<TotalSize, ListingError> {
    let mut total = TotalSize::default();
    let mut images = source.images();
    loop {
        let next = ctx.until_cancelled(images.try_next()).await;
        match next.and_then(|next| next) {
            Ok(None) => return Ok(total),
            Ok(Some(image)) if image.is_active() => {
                total.images += 1;
                total.total_bytes += image.size.unwrap_or(0);
            }
            Ok(Some(_)) => {}
            Err(PortError::BadRecord(bad)) => {
                total.failed += 1;
                ctx.emit(Event::Failed(Failure::of_record(Side::Source, bad)));
            }
            Err(PortError::Damaged { id, source }) => {
                total.failed += 1;
                let error = PortError::Damaged { id, source };
                let failure = Failure::new(&id, None, ImageError::Source(error));
                ctx.emit(Event::Failed(failure));
            }
            Err(source) => {
                let side = Side::Source;
                return Err(ListingError::Failed { side, source });
            }
        }
    }
}

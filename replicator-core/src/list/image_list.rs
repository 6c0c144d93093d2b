//! The images of one end.

use futures_util::TryStreamExt as _;
use glance_model::{ImageMetadata, Selection};

use super::pairs::ListingError;
use super::selected::{Counter, SelectedCount, selected};
use crate::port::{ImageSource, ImageStream, PortError, Side};
use crate::run::context::RunContext;
use crate::run::event::Event;
use crate::run::result::{ImageRef, ImageResult};

/// Goes through the images of an end, in order of ids. Memory does not grow with their number.
#[expect(missing_debug_implementations, reason = "it is a cursor over a stream")]
pub struct ImageList<'a> {
    ctx: &'a RunContext,
    images: ImageStream,
    counter: Counter,
    failed: u64,
}

/// Lists the wanted images of an end.
#[must_use]
pub fn list_images<'a>(
    ctx: &'a RunContext,
    source: &dyn ImageSource,
    wanted: &Selection,
) -> ImageList<'a> {
    let (images, counter) = selected(source, wanted);
    ImageList {
        ctx,
        images,
        counter,
        failed: 0,
    }
}

impl ImageList<'_> {
    /// The next image. One that cannot be used is counted and left out; an
    /// [`Event::Finished`] names it.
    ///
    /// # Errors
    ///
    /// [`ListingError`] if the end cannot be listed.
    pub async fn next(&mut self) -> Result<Option<ImageMetadata>, ListingError> {
        loop {
            let next = self.ctx.until_cancelled(self.images.try_next()).await;
            match next.and_then(|next| next) {
                Ok(next) => return Ok(next),
                Err(PortError::BadRecord(bad)) => {
                    let image = ImageRef::from(&*bad);
                    self.fail(image, PortError::BadRecord(bad));
                }
                Err(PortError::Damaged { id, source }) => {
                    let image = ImageRef::of_id(&id);
                    self.fail(image, PortError::Damaged { id, source });
                }
                Err(source) => {
                    let side = Side::Source;
                    return Err(ListingError::Failed { side, source });
                }
            }
        }
    }

    /// The number of images that were left out, since what the end says of them cannot be used.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// The number of images that are selected, once all are listed.
    #[must_use]
    pub fn selected(&self) -> SelectedCount {
        self.counter.count()
    }

    fn fail(&mut self, image: ImageRef, error: PortError) {
        self.failed += 1;
        let failed = ImageResult::of_damage(Side::Source, image, error);
        self.ctx.emit(Event::Finished(failed));
    }
}

//! The source of images.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use glance_model::{ImageId, ImageMetadata, Members, Selection};

use super::{ImageData, PortError};

/// The images of an end. After an error the stream ends, unless the error is
/// [`PortError::Damaged`] or [`PortError::BadRecord`], which concern one image.
pub type ImageStream = BoxStream<'static, Result<ImageMetadata, PortError>>;

/// Reads images: a Glance endpoint, or an image archive on disk. Its `Display` form is its
/// name for people: a URL, or a path.
#[async_trait]
pub trait ImageSource: fmt::Debug + fmt::Display + Send + Sync {
    /// Lists the metadata of the selected images that are visible to the caller, each once, in
    /// ascending order of ids. Those with capital letters may come anywhere, since
    /// servers sort them in two ways.
    ///
    /// The selection is a hint: a source that cannot leave out the others lists them, too, and
    /// whoever reads tests each image again.
    ///
    /// Pages are fetched as the stream is polled. Ids that are out of order end
    /// it with an error.
    fn images(&self, wanted: &Selection) -> ImageStream;

    /// Returns whether [`images`](Self::images) leaves out images that are not selected, so that
    /// nobody learns how many there are.
    fn leaves_out(&self, wanted: &Selection) -> bool {
        wanted.ids().is_some() || wanted.shard().is_some()
    }

    /// Returns the reader of members, if a listing leaves them out since each image that is
    /// shared takes a request.
    fn members(&self) -> Option<Arc<dyn ReadMembers>> {
        None
    }

    /// Returns whether there is an image of that id, in whatever state. It is asked before a copy
    /// of it is removed, since a listing may have missed it.
    ///
    /// # Errors
    ///
    /// [`PortError::Adapter`] if the source cannot say.
    async fn has_image(&self, id: &ImageId) -> Result<bool, PortError> {
        let mut images = self.images(&Selection::of_ids([*id]));
        while let Some(image) = images.try_next().await? {
            if image.id == *id {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Opens the data of image `id` at a byte, or returns `None` if the source
    /// knows the image but holds no data for it (a `queued` image).
    ///
    /// A source that cannot start there starts at the beginning:
    /// [`ImageData::offset_bytes`] says which it is.
    ///
    /// # Errors
    ///
    /// [`PortError::NotFound`] if the image is gone, or is not visible.
    async fn image_data(
        &self,
        id: &ImageId,
        offset_bytes: u64,
    ) -> Result<Option<ImageData>, PortError>;

    /// Opens a part of the data of an image: `len_bytes` bytes from `offset_bytes` on. A source that
    /// cannot give a part alone gives more, as [`image_data`](Self::image_data) does.
    ///
    /// # Errors
    ///
    /// Those of [`image_data`](Self::image_data).
    async fn image_part(
        &self,
        id: &ImageId,
        offset_bytes: u64,
        _len_bytes: u64,
    ) -> Result<Option<ImageData>, PortError> {
        self.image_data(id, offset_bytes).await
    }

    /// Returns whether there is data for an image that is listed as active, at the price of a
    /// small request: servers list images whose data is gone as any other.
    ///
    /// # Errors
    ///
    /// [`PortError::Adapter`] if the source cannot say.
    async fn has_data(&self, image: &ImageMetadata) -> Result<bool, PortError> {
        gives_last_byte(self, image).await
    }
}

/// Reads the members of images.
#[async_trait]
pub trait ReadMembers: fmt::Debug + Send + Sync {
    /// Reads the members of an image that is shared, or returns `None` if they are not told.
    ///
    /// # Errors
    ///
    /// [`PortError::Adapter`] if the end cannot say, with
    /// [`Operation::ReadMembers`](super::Operation::ReadMembers): the failure of one image.
    async fn members_of(&self, id: &ImageId) -> Result<Option<Members>, PortError>;
}

/// Reads the last byte of an image, or as much as a source sends at once that cannot start
/// there. Of no bytes there is always enough.
///
/// # Errors
///
/// [`PortError::Adapter`] if they cannot be read.
pub async fn gives_last_byte<S: ImageSource + ?Sized>(
    source: &S,
    image: &ImageMetadata,
) -> Result<bool, PortError> {
    let Some(last) = image.size.unwrap_or(1).checked_sub(1) else {
        return Ok(true);
    };
    let data = match source.image_data(&image.id, last).await {
        // Of an image that was listed a moment ago, v1 says so when its data is gone.
        Err(PortError::NotFound { .. }) => return Ok(false),
        data => data?,
    };
    let Some(mut data) = data else {
        return Ok(false);
    };
    while let Some(chunk) = data.chunks.next().await {
        if !chunk?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

//! Where images come from.

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use glance_model::{ImageId, ImageMetadata};

use super::{ImageData, PortError};

/// The images of an end. After an error the stream ends, unless the error is
/// [`PortError::Damaged`] or [`PortError::BadRecord`], which concern one image.
pub type ImageStream = BoxStream<'static, Result<ImageMetadata, PortError>>;

/// Reads images: a Glance endpoint, or an image archive on disk.
#[async_trait]
pub trait ImageSource: Send + Sync {
    /// Lists the metadata of every image visible to the caller, each once, in
    /// ascending order of ids. Those with capital letters may come anywhere, since
    /// servers sort them in two ways.
    ///
    /// Pages are fetched as the stream is polled. Ids that are out of order end
    /// it with an error.
    fn images(&self) -> ImageStream;

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
}

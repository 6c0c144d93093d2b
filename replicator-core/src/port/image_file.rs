//! Image data without metadata.

use std::fmt;

use async_trait::async_trait;
use glance_model::ImageId;

use super::{ImageData, PortError};

/// Holds the data of one image, and says nothing else of it: a file on disk, or behind a URL.
/// Its `Display` form is its name for people.
#[async_trait]
pub trait ImageFile: fmt::Debug + fmt::Display + Send + Sync {
    /// Opens it at a byte, or at its beginning, where it cannot start there:
    /// [`ImageData::offset_bytes`] says which it is. `id` is the image that it becomes, for errors.
    ///
    /// # Errors
    ///
    /// [`PortError::Adapter`] if it cannot be read.
    async fn open(&self, id: &ImageId, offset_bytes: u64) -> Result<ImageData, PortError>;
}

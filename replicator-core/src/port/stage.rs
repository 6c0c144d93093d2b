//! The place where images are proven before they are sent.

use std::fmt;

use async_trait::async_trait;
use glance_model::ImageId;

use super::{ImageTarget, PortError};

/// Keeps images on local disk until they are proven, for targets on which an
/// upload that breaks off uses up the id.
#[async_trait]
pub trait Stage: ImageTarget + fmt::Debug {
    /// The images of which it keeps anything.
    ///
    /// # Errors
    ///
    /// [`PortError::Adapter`] if it cannot say.
    async fn staged_ids(&self) -> Result<Vec<ImageId>, PortError>;

    /// Removes an image; one that is not there is no error.
    ///
    /// # Errors
    ///
    /// [`PortError::Busy`] if somebody else is writing it, [`PortError::Adapter`]
    /// if it is there and stays.
    async fn remove_image(&self, id: &ImageId) -> Result<(), PortError>;
}

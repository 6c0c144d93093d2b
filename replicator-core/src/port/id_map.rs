//! Which images go by another id at the target.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use glance_model::ImageId;

use super::PortError;

/// The ids at the target of images that go by another one there, by their ids at
/// the source.
pub type TargetIds = BTreeMap<ImageId, ImageId>;

/// Keeps, beyond a run, which images go by another id at the target.
#[async_trait]
pub trait IdMap: Send + Sync + fmt::Debug {
    /// All that is kept.
    fn target_ids(&self) -> TargetIds;

    /// Chooses a new id for an image, in place of its own or of one that was
    /// chosen before, and keeps it: once this has returned, no crash loses it.
    ///
    /// # Errors
    ///
    /// [`PortError::Adapter`] if it cannot be kept. Then it must not be used.
    async fn assign(&self, source: &ImageId) -> Result<ImageId, PortError>;
}

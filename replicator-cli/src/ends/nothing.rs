//! The target of a dry run whose archive does not exist yet.

use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use glance_model::{ImageId, ImageMetadata, MetadataDiff, Selection};
use replicator_core::{ImageData, ImageSource, ImageStream, ImageTarget, Nature, PortError, Room};
use replicator_fs::free_bytes;

/// An archive with nothing in it, which takes nothing either.
#[derive(Debug)]
pub(super) struct Nothing {
    pub(super) path: PathBuf,
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

#[async_trait]
impl ImageSource for Nothing {
    fn images(&self, _: &Selection) -> ImageStream {
        stream::empty().boxed()
    }

    async fn image_data(&self, id: &ImageId, _: u64) -> Result<Option<ImageData>, PortError> {
        Err(not_there(id))
    }
}

#[async_trait]
impl ImageTarget for Nothing {
    fn nature(&self) -> Nature {
        Nature::archive()
    }

    async fn room(&self) -> Result<Room, PortError> {
        Ok(Room {
            bytes: free_bytes(&self.path),
            images: None,
        })
    }

    async fn find_image(&self, _: &ImageId) -> Result<Option<ImageMetadata>, PortError> {
        Ok(None)
    }

    async fn partial_data(&self, _: &ImageMetadata) -> Result<Option<ImageData>, PortError> {
        Ok(None)
    }

    async fn write_image(
        &self,
        metadata: &ImageMetadata,
        _: Option<&ImageMetadata>,
        _: ImageData,
    ) -> Result<ImageMetadata, PortError> {
        Err(not_there(&metadata.id))
    }

    async fn create_record(&self, metadata: &ImageMetadata) -> Result<(), PortError> {
        Err(not_there(&metadata.id))
    }

    async fn update_metadata(
        &self,
        current: &ImageMetadata,
        _: &MetadataDiff,
    ) -> Result<ImageMetadata, PortError> {
        Err(not_there(&current.id))
    }

    async fn delete_image(&self, image: &ImageMetadata) -> Result<(), PortError> {
        Err(not_there(&image.id))
    }
}

fn not_there(id: &ImageId) -> PortError {
    PortError::NotFound { id: *id }
}

//! A source of which the listing is another one, and all else is as it is.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use glance_model::{ImageId, ImageMetadata, Selection};
use replicator_core::{ImageData, ImageSource, ImageStream, PortError, ReadMembers};

/// Changes the listing of a source, or looks at it.
pub(super) fn relisted(
    images: &Arc<dyn ImageSource>,
    relist: impl Fn(ImageStream, &Selection) -> ImageStream + Send + Sync + 'static,
) -> Arc<dyn ImageSource> {
    Arc::new(Relisted {
        images: Arc::clone(images),
        relist: Box::new(relist),
    })
}

type Relist = dyn Fn(ImageStream, &Selection) -> ImageStream + Send + Sync;

struct Relisted {
    images: Arc<dyn ImageSource>,
    relist: Box<Relist>,
}

impl fmt::Debug for Relisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fields = f.debug_struct("Relisted");
        fields.field("images", &self.images).finish_non_exhaustive()
    }
}

impl fmt::Display for Relisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.images.fmt(f)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ImageSource for Relisted {
    fn images(&self, wanted: &Selection) -> ImageStream {
        (self.relist)(self.images.images(wanted), wanted)
    }

    fn leaves_out(&self, wanted: &Selection) -> bool {
        self.images.leaves_out(wanted)
    }

    fn members(&self) -> Option<Arc<dyn ReadMembers>> {
        self.images.members()
    }

    async fn has_image(&self, id: &ImageId) -> Result<bool, PortError> {
        self.images.has_image(id).await
    }

    async fn image_data(
        &self,
        id: &ImageId,
        offset_bytes: u64,
    ) -> Result<Option<ImageData>, PortError> {
        self.images.image_data(id, offset_bytes).await
    }

    async fn image_part(
        &self,
        id: &ImageId,
        offset_bytes: u64,
        len_bytes: u64,
    ) -> Result<Option<ImageData>, PortError> {
        self.images.image_part(id, offset_bytes, len_bytes).await
    }

    async fn has_data(&self, image: &ImageMetadata) -> Result<bool, PortError> {
        self.images.has_data(image).await
    }
}

//! A source whose images are noted as they are listed.

use std::collections::BTreeSet;
use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::StreamExt as _;
use glance_model::{ImageId, ImageMetadata, Selection};
use replicator_core::{ImageData, ImageSource, ImageStream, PortError, ReadMembers};

/// The ids of the selected images that a source has listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted(Arc<Mutex<BTreeSet<ImageId>>>);

impl Noted {
    /// Takes the ids that were noted up to now.
    pub(crate) fn take(&self) -> BTreeSet<ImageId> {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes the images of a source from now on.
    pub(crate) fn of(images: &mut Arc<dyn ImageSource>) -> Self {
        let noted = Self::default();
        *images = Arc::new(NotedImages {
            images: Arc::clone(images),
            noted: noted.clone(),
        });
        noted
    }
}

#[derive(Debug)]
struct NotedImages {
    images: Arc<dyn ImageSource>,
    noted: Noted,
}

impl fmt::Display for NotedImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.images.fmt(f)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ImageSource for NotedImages {
    fn images(&self, wanted: &Selection) -> ImageStream {
        let (noted, tested) = (self.noted.clone(), wanted.clone());
        let images = self.images.images(wanted).inspect(move |listed| {
            if let Ok(image) = listed
                && tested.matches(image)
            {
                let mut noted = noted.0.lock().unwrap_or_else(PoisonError::into_inner);
                noted.insert(image.id);
            }
        });
        images.boxed()
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

//! The images of one project, of all that a token sees.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use glance_model::{ImageId, ImageMetadata, Selection};
use replicator_core::{ImageData, ImageSource, ImageStream, PortError, ReadMembers};

use crate::ui::{Console, counted};

/// A source of which only the images of one project are taken. How many others would have been
/// selected is said once, when they have been listed.
struct OwnImages {
    images: Arc<dyn ImageSource>,
    project: String,
    console: Arc<Console>,
    is_told: Arc<AtomicBool>,
}

/// Takes the images of one project alone.
pub(crate) fn own(
    images: &Arc<dyn ImageSource>,
    project: &str,
    console: &Arc<Console>,
) -> Arc<dyn ImageSource> {
    Arc::new(OwnImages {
        images: Arc::clone(images),
        project: project.to_owned(),
        console: Arc::clone(console),
        is_told: Arc::default(),
    })
}

fn told(left_out: u64) -> String {
    let images = counted(left_out, "image");
    format!(
        "{images} of other projects left out, since the token is no administrator's; --all-visible \
         takes what it sees"
    )
}

impl fmt::Debug for OwnImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnImages")
            .field("images", &self.images)
            .field("project", &self.project)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for OwnImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.images.fmt(f)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl ImageSource for OwnImages {
    fn images(&self, wanted: &Selection) -> ImageStream {
        let (project, wanted_here) = (self.project.clone(), wanted.clone());
        let (console, is_told) = (Arc::clone(&self.console), Arc::clone(&self.is_told));
        let mut listed = self.images.images(wanted).fuse();
        let mut left_out = 0;
        let own = stream::poll_fn(move |cx| {
            loop {
                match listed.poll_next_unpin(cx) {
                    Poll::Ready(Some(Ok(image))) if image.owner.as_ref() != Some(&project) => {
                        left_out += u64::from(wanted_here.matches(&image));
                    }
                    Poll::Ready(None) => {
                        if left_out > 0 && !is_told.swap(true, Ordering::Relaxed) {
                            console.note(&told(left_out));
                        }
                        return Poll::Ready(None);
                    }
                    next => return next,
                }
            }
        });
        own.boxed()
    }

    fn leaves_out(&self, wanted: &Selection) -> bool {
        self.images.leaves_out(wanted)
    }

    fn members(&self) -> Option<Arc<dyn ReadMembers>> {
        self.images.members()
    }

    /// One of another project is there, too.
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

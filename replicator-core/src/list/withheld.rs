//! Deactivated images, whose data servers give to administrators at most.

use glance_model::ImageMetadata;

use crate::port::{FailureKind, ImageSource, gives_last_byte};
use crate::run::context::RunContext;

/// Returns whether the source does not give the data of a deactivated image to this caller:
/// through v2 administrators get it, and through v1 nobody does.
pub(crate) async fn withholds(
    ctx: &RunContext,
    source: &dyn ImageSource,
    image: &ImageMetadata,
) -> bool {
    match ctx.until_cancelled(gives_last_byte(source, image)).await {
        Ok(Err(error)) => error.kind() == FailureKind::Denied,
        // What else is wrong with it is seen when it is copied.
        Ok(Ok(_)) | Err(_) => false,
    }
}

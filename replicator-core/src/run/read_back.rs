//! The copy of an image, read from its end.

use glance_model::ImageMetadata;

use crate::content::proof::{Proof, compare_stated, read_data, stated_digest};
use crate::content::wrong::Wrong;
use crate::port::ImageSource;
use crate::run::error::ImageError;

/// Reads the copy of an image, and compares it with what the image should be.
pub(crate) async fn read_back(
    target: &dyn ImageSource,
    image: &ImageMetadata,
    copy: &ImageMetadata,
) -> Result<Proof, ImageError> {
    let size = image.size.or(copy.size).unwrap_or(0);
    compare_stated(image, copy, size)?;
    let Some(wanted) = stated_digest(image).or_else(|| stated_digest(copy)) else {
        return Ok(Proof::Unverifiable);
    };
    let found = read_data(target, &copy.id, wanted.algorithm()).await;
    let found = found.map_err(ImageError::Target)?;
    if found.is_nothing() && size > 0 {
        return Err(Wrong::Hollow.into());
    }
    Ok(found.check(size, &wanted)?)
}

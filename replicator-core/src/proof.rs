//! Whether two ends have the same content, by what they state.

use glance_model::ImageMetadata;

use crate::digest::DigestAlgorithm;
use crate::report::ImageError;

/// How the content of a copy is known to be right.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// A digest agrees all the way: that of the data on its way with what the
    /// source states, and with what the target states, where it states any.
    Verified,
    /// The source states no digest that could be compared.
    Unverifiable,
}

/// The strongest digest that an end states of an image, if we can compute it.
pub(crate) fn stated_digest(image: &ImageMetadata) -> Option<(DigestAlgorithm, &str, &str)> {
    let strong = image.hash_algo.as_deref().zip(image.hash_value.as_deref());
    let md5 = image.checksum.as_deref().map(|md5| ("md5", md5));
    [strong, md5]
        .into_iter()
        .flatten()
        .find_map(|(name, value)| {
            DigestAlgorithm::from_name(name).map(|algorithm| (algorithm, name, value))
        })
}

/// Compares what the target states of its copy with what the source states, and
/// with the length of what was sent.
pub(crate) fn compare_stated(
    source: &ImageMetadata,
    target: &ImageMetadata,
    sent_bytes: u64,
) -> Result<(), ImageError> {
    let differs = |property: &str, source: String, target: String| {
        Err(ImageError::TargetDiffers {
            property: property.to_owned(),
            source_value: source,
            target,
        })
    };
    if target.size.is_some_and(|size| size != sent_bytes) {
        let size = target.size.unwrap_or_default();
        return differs("size", sent_bytes.to_string(), size.to_string());
    }
    let strong = (
        source
            .hash_algo
            .as_deref()
            .zip(source.hash_value.as_deref()),
        target
            .hash_algo
            .as_deref()
            .zip(target.hash_value.as_deref()),
    );
    if let (Some((algorithm, of_source)), Some((same, of_target))) = strong
        && algorithm.eq_ignore_ascii_case(same)
    {
        if !of_source.eq_ignore_ascii_case(of_target) {
            return differs(algorithm, of_source.to_owned(), of_target.to_owned());
        }
        return Ok(());
    }
    match (&source.checksum, &target.checksum) {
        (Some(of_source), Some(of_target)) if !of_source.eq_ignore_ascii_case(of_target) => {
            differs("checksum", of_source.clone(), of_target.clone())
        }
        _ => Ok(()),
    }
}

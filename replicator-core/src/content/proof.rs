//! Whether two ends have the same content, by what they state.

use glance_model::{ImageId, ImageMetadata};

use crate::content::digest::DigestAlgorithm;
use crate::content::hashing::{Hashing, take_in};
use crate::content::wrong::Wrong;
use crate::port::{ImageSource, PortError};

/// How the content of a copy is known to be right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// A digest agrees: of the data on its way, or of the copy, with what the
    /// source states, and with what the target states, where it states any.
    Verified,
    /// There is no digest that could be compared, or none was asked for.
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

/// Returns whether an image has no bytes at all, by what its end states of it.
pub(crate) fn is_empty(image: &ImageMetadata) -> bool {
    match (image.size, stated_digest(image)) {
        (Some(size), _) => size == 0,
        // Of a length that nobody knows, as an image may be that is kept elsewhere.
        (None, Some((algorithm, _, value))) => {
            let nothing = algorithm.digester().finish();
            value.eq_ignore_ascii_case(&nothing)
        }
        (None, None) => false,
    }
}

/// Compares what the target states of its copy with what the source states, and
/// with the length of what was sent. Says whether a digest was compared.
pub(crate) fn compare_stated(
    source: &ImageMetadata,
    target: &ImageMetadata,
    sent_bytes: u64,
) -> Result<Proof, Wrong> {
    let differs = |property: &str, source: String, target: String| {
        Err(Wrong::TargetDiffers {
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
        return Ok(Proof::Verified);
    }
    match (&source.checksum, &target.checksum) {
        (Some(of_source), Some(of_target)) if !of_source.eq_ignore_ascii_case(of_target) => {
            differs("checksum", of_source.clone(), of_target.clone())
        }
        (Some(_), Some(_)) => Ok(Proof::Verified),
        _ => Ok(Proof::Unverifiable),
    }
}

/// What an end holds of an image, by reading all of it.
pub(crate) struct ReadDigest {
    algorithm: DigestAlgorithm,
    len_bytes: u64,
    digest: String,
}

pub(crate) async fn read_digest<E: ImageSource + ?Sized>(
    end: &E,
    id: &ImageId,
    algorithm: DigestAlgorithm,
) -> Result<ReadDigest, PortError> {
    let data = end.image_data(id, 0).await?;
    let len_bytes = data.as_ref().and_then(|data| data.len_bytes);
    let mut hashing = Hashing::start(algorithm, len_bytes);
    let len_bytes = match data {
        Some(data) => take_in(data, Some(&mut hashing)).await?,
        None => 0,
    };
    Ok(ReadDigest {
        algorithm,
        len_bytes,
        digest: hashing.so_far().await,
    })
}

impl ReadDigest {
    /// Returns whether there was nothing to read.
    pub(crate) fn is_nothing(&self) -> bool {
        self.len_bytes == 0
    }

    pub(crate) fn check(&self, len_bytes: u64, digest: &str) -> Result<Proof, Wrong> {
        if self.len_bytes == len_bytes && self.digest.eq_ignore_ascii_case(digest) {
            return Ok(Proof::Verified);
        }
        Err(Wrong::ReadBack {
            algorithm: self.algorithm,
            wanted: digest.to_owned(),
            found: self.digest.clone(),
            wanted_bytes: len_bytes,
            found_bytes: self.len_bytes,
        })
    }
}

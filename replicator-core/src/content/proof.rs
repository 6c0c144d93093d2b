//! The proof that two ends have the same content.

use glance_model::{ImageId, ImageMetadata};
use serde::{Deserialize, Serialize};

use crate::content::digest::{Digest, DigestAlgorithm};
use crate::content::hashing::{Hashing, take_in};
use crate::content::wrong::Wrong;
use crate::port::{FailureKind, ImageSource, Operation, PortError};

/// The proof of the content of a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Proof {
    /// A digest agrees: of the data on its way, or of the copy, with what the
    /// source states, and with what the target states, where it states any.
    Verified,
    /// There is no digest that could be compared, or none was asked for.
    Unverifiable,
}

/// The strongest digest that an end states of an image, if we can compute it.
pub(crate) fn stated_digest(image: &ImageMetadata) -> Option<Digest> {
    let strong = image.hash_algo.as_deref().zip(image.hash_value.as_deref());
    let md5 = image.checksum.as_deref().map(|md5| ("md5", md5));
    let stated = [strong, md5].into_iter().flatten();
    stated
        .filter_map(|(name, hex)| Some(Digest::new(DigestAlgorithm::from_name(name)?, hex)))
        .next()
}

/// Returns whether an image has no bytes at all, by what its end states of it.
pub(crate) fn is_empty(image: &ImageMetadata) -> bool {
    match (image.size, stated_digest(image)) {
        (Some(size), _) => size == 0,
        // Of a length that nobody knows, as an image may be that is kept elsewhere.
        (None, Some(stated)) => stated == stated.algorithm().digester().finish(),
        (None, None) => false,
    }
}

/// Compares what the target states of its copy with what the source states, and
/// with the length of what was sent. Returns whether a digest was compared.
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

/// The data that an end holds of an image, by reading all of it.
pub(crate) struct ReadData {
    len_bytes: u64,
    digest: Digest,
}

/// Reads all of an image's data, and hashes it.
pub(crate) async fn read_data<E: ImageSource + ?Sized>(
    end: &E,
    id: &ImageId,
    algorithm: DigestAlgorithm,
) -> Result<ReadData, PortError> {
    let data = end.image_data(id, 0).await?;
    let len_bytes = data.as_ref().and_then(|data| data.len_bytes);
    let mut hashing = Hashing::start(algorithm, len_bytes);
    let len_bytes = match data {
        Some(data) => take_in(data, Some(&mut hashing)).await?,
        None => 0,
    };
    let digest = hashing.so_far().await.ok_or_else(|| hash_lost(id))?;
    Ok(ReadData { len_bytes, digest })
}

/// The error of an image whose hash was lost with its thread.
pub(crate) fn hash_lost(id: &ImageId) -> PortError {
    let operation = Operation::ReadData(*id);
    PortError::adapter(operation, FailureKind::Refused, "its hash was lost")
}

impl ReadData {
    /// Returns whether there was nothing to read.
    pub(crate) fn is_nothing(&self) -> bool {
        self.len_bytes == 0
    }

    pub(crate) fn check(&self, len_bytes: u64, wanted: &Digest) -> Result<Proof, Wrong> {
        if self.len_bytes == len_bytes && self.digest == *wanted {
            return Ok(Proof::Verified);
        }
        Err(Wrong::ReadBack {
            wanted: wanted.clone(),
            found: self.digest.clone(),
            wanted_bytes: len_bytes,
            found_bytes: self.len_bytes,
        })
    }
}

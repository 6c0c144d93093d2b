//! The ways in which the content of an image is wrong.

use super::digest::Digest;

/// The content of an image is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// The source's data is not as long as the source says.
    #[error("the source gives {found} bytes, and its record says {stated}")]
    Length {
        /// The length in the record, in bytes.
        stated: u64,
        /// The bytes that were read, at least.
        found: u64,
    },
    /// The source's data does not have the digest that the source states.
    #[error("the data from the source has the {found}, and its record says {}", .stated.as_hex())]
    SourceDigest {
        /// The digest in the record.
        stated: Digest,
        /// The digest of what was read, of the same algorithm.
        found: Digest,
    },
    /// The source was opened again, and what it gave before is another data now.
    #[error(
        "the data from the source changed while it was read: the digest of the part read before \
         was {before}, and is {}",
        .now.as_hex()
    )]
    SourceChanged {
        /// The digest of what was read first.
        before: Digest,
        /// The digest of the same part when it was read again.
        now: Digest,
    },
    /// The target does not say of its copy what the source says.
    #[error("the target states the {property} {target}, and the source {source_value}")]
    TargetDiffers {
        /// The value that is compared: `size`, `checksum`, or the name of an algorithm.
        property: String,
        /// The value that the source states.
        source_value: String,
        /// The value that the target states.
        target: String,
    },
    /// The data that was read from an end is not what it should be.
    #[error(
        "{found_bytes} bytes with the {found} were read, and not {wanted_bytes} bytes with {}",
        .wanted.as_hex()
    )]
    ReadBack {
        /// The digest that the data should have.
        wanted: Digest,
        /// The digest that the data has, of the same algorithm.
        found: Digest,
        /// The length that the data should have.
        wanted_bytes: u64,
        /// The length that the data has.
        found_bytes: u64,
    },
    /// The target says that it has the image, and has none of its data.
    #[error("the target has no data for the image, though its record is active and has a digest")]
    Hollow,
}

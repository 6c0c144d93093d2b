//! Image data on its way.

use std::fmt;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::{self, BoxStream, Stream};

use super::PortError;

/// Chunks of image data, in order. After an error the stream ends.
pub type ImageDataStream = BoxStream<'static, Result<Bytes, PortError>>;

/// Image data that has yet to be read.
///
/// The data is whole if the stream ends without an error: a reader that can tell
/// that it was cut short (fewer bytes than [`len_bytes`](Self::len_bytes)) makes
/// the stream end in one.
pub struct ImageData {
    /// The byte of the image at which the stream begins.
    pub offset_bytes: u64,
    /// The number of bytes that the stream will give, where that is known.
    pub len_bytes: Option<u64>,
    /// The data.
    pub chunks: ImageDataStream,
}

impl ImageData {
    /// Wraps a stream that begins at the image's first byte.
    pub fn new(
        len_bytes: Option<u64>,
        chunks: impl Stream<Item = Result<Bytes, PortError>> + Send + 'static,
    ) -> Self {
        Self {
            offset_bytes: 0,
            len_bytes,
            chunks: chunks.boxed(),
        }
    }

    /// Data that is in memory already.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::new(
            Some(bytes.len() as u64),
            stream::iter((!bytes.is_empty()).then_some(Ok(bytes))),
        )
    }

    /// The same data as a stream that begins at a byte of the image.
    #[must_use]
    pub fn with_offset(mut self, offset_bytes: u64) -> Self {
        self.offset_bytes = offset_bytes;
        self
    }
}

impl fmt::Debug for ImageData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImageData")
            .field("offset_bytes", &self.offset_bytes)
            .field("len_bytes", &self.len_bytes)
            .finish_non_exhaustive()
    }
}

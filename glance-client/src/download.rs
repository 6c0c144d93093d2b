//! Image data as it arrives.

use std::fmt;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use crate::http::Answer;
use crate::{Error, ErrorKind, Limits};

/// Image data as it arrives. It is whole if it ends without an error.
pub struct Download {
    /// The byte of the image at which it begins.
    pub offset_bytes: u64,
    /// The number of bytes from there to the end, if the server says it.
    pub len_bytes: Option<u64>,
    /// The data. Per stall timeout, at least 1024 bytes have to come. After an error the stream
    /// ends.
    pub chunks: BoxStream<'static, Result<Bytes, Error>>,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("offset_bytes", &self.offset_bytes)
            .field("len_bytes", &self.len_bytes)
            .finish_non_exhaustive()
    }
}

impl Download {
    pub(crate) fn new(offset_bytes: u64, answer: Answer, limits: &Limits) -> Self {
        let len_bytes = answer.response.content_length();
        let chunks = stream::try_unfold((answer, 0), move |(mut answer, seen)| async move {
            let broken = |answer: &Answer| {
                Error::new(ErrorKind::BrokenBody, &answer.method, &answer.url).with_message(
                    format!("{seen} bytes came of {}", len_bytes.unwrap_or_default()),
                )
            };
            match answer.chunk().await {
                Ok(Some(chunk)) => {
                    let seen = seen + chunk.len() as u64;
                    if len_bytes.is_some_and(|len| seen > len) {
                        return Err(broken(&answer));
                    }
                    Ok(Some((chunk, (answer, seen))))
                }
                Ok(None) if len_bytes.is_some_and(|len| seen < len) => Err(broken(&answer)),
                Ok(None) => Ok(None),
                Err(error) => Err(match error.kind() {
                    ErrorKind::Stalled => error,
                    _ => error.with_kind(ErrorKind::BrokenBody),
                }),
            }
        });
        Self {
            offset_bytes,
            len_bytes,
            chunks: limits.download.clone().pace(chunks.boxed()).boxed(),
        }
    }
}

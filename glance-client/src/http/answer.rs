//! Answers, whose bodies are read up to a limit, and given up when they stall.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use glance_model::valid_unicode;
use http::{Method, header};
use serde::de::DeserializeOwned;

use crate::error::BoxError;
use crate::{Error, ErrorKind};

/// The most bytes that an answer takes in memory, decoded.
pub(crate) const ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// The most bytes that a page of several images takes in memory, decoded: some are held at a time.
/// One that takes more is asked for again by halves.
pub(crate) const PAGE_BYTES: usize = 16 * 1024 * 1024;
/// The bytes that a field takes in memory beside its text, at most. It has four quotation marks in
/// a body.
const FIELD_BYTES: usize = 150;
/// The most bytes that are read of the body of an error; the rest is ignored.
const ERROR_BYTES: usize = 16 * 1024;
/// A body of more bytes is decoded on a blocking thread, off the thread that drives the requests.
const LONG_JSON_BYTES: usize = 64 * 1024;
/// The fewest bytes that a body must deliver per stall timeout; a server that drips a byte now and
/// then would hold us for ever.
const LEAST_BYTES: u64 = 1024;

/// An answer whose body has yet to be read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) response: reqwest::Response,
    signed_in: bool,
    stall_timeout: Duration,
    /// The time for which the body was waited for, and the bytes that came, since the last
    /// [`LEAST_BYTES`].
    waited: Duration,
    came_bytes: u64,
}

impl Answer {
    pub(super) fn new(
        method: Method,
        url: String,
        response: reqwest::Response,
        stall_timeout: Duration,
    ) -> Self {
        Self {
            method,
            url,
            response,
            signed_in: false,
            stall_timeout,
            waited: Duration::ZERO,
            came_bytes: 0,
        }
    }

    /// Records whether the token of the request was obtained by signing in.
    pub(super) fn signed_in(self, signed_in: bool) -> Self {
        Self { signed_in, ..self }
    }

    pub(crate) fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, &self.method, &self.url)
            .with_answer(self.response.status(), self.response.headers())
            .with_message(message)
    }

    /// Returns the first byte that a partial answer holds (`Content-Range: bytes 5-9/10`).
    pub(crate) fn first_byte(&self) -> Option<u64> {
        let range = self.response.headers().get(header::CONTENT_RANGE)?;
        let range = range.to_str().ok()?.strip_prefix("bytes ")?;
        range.split('-').next()?.trim().parse().ok()
    }

    pub(crate) async fn successful(mut self) -> Result<Self, Error> {
        let status = self.response.status();
        if status.is_success() {
            return Ok(self);
        }
        // The status counts, even if the connection breaks after it.
        let mut body = BytesMut::new();
        while body.len() < ERROR_BYTES {
            match self.chunk().await {
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) | Err(_) => break,
            }
        }
        body.truncate(ERROR_BYTES);
        let headers = self.response.headers();
        let error = Error::of_answer(&self.method, &self.url, status, headers, &body);
        Err(error.with_signed_in(self.signed_in))
    }

    /// Reads a JSON body.
    pub(crate) async fn json<T>(self) -> Result<T, Error>
    where
        T: DeserializeOwned + Send + 'static,
    {
        self.decoded(ANSWER_BYTES, |body| {
            serde_json::from_slice(body).or_else(|_| serde_json::from_str(&valid_unicode(body)))
        })
        .await
    }

    /// Reads a body and decodes it, unless that would take more than `most_bytes` of memory.
    pub(crate) async fn decoded<T: Send + 'static>(
        mut self,
        most_bytes: usize,
        decode: impl FnOnce(&[u8]) -> Result<T, serde_json::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (mut body, mut quotes) = (BytesMut::new(), 0);
        while let Some(chunk) = self.chunk().await? {
            quotes += chunk.iter().filter(|byte| **byte == b'"').count();
            if body.len() + chunk.len() + quotes / 4 * FIELD_BYTES > most_bytes {
                let what = format!("it takes more than {} MiB", most_bytes >> 20);
                return Err(self.error(ErrorKind::TooLong, what));
            }
            body.extend_from_slice(&chunk);
        }
        let body_bytes = body.len();
        let decode = move || decode(&body).map_err(BoxError::from);
        let decoded = if body_bytes > LONG_JSON_BYTES {
            let decoded = tokio::task::spawn_blocking(decode).await;
            decoded.unwrap_or_else(|panicked| Err(panicked.into()))
        } else {
            decode()
        };
        decoded.map_err(|source| {
            let what = "this is no answer of an Image API";
            self.error(ErrorKind::InvalidAnswer, what)
                .with_source(source)
        })
    }

    /// Returns the next part of the body. Only the time that it is waited for counts: the reader
    /// may pause between two parts.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let begun = Instant::now();
        let chunk = tokio::time::timeout(self.stall_timeout, self.response.chunk()).await;
        let failed = |kind| Error::new(kind, &self.method, &self.url);
        let chunk = match chunk {
            Ok(Ok(chunk)) => chunk,
            Ok(Err(error)) => return Err(Error::of_http(&self.method, &self.url, error)),
            Err(elapsed) => {
                return Err(failed(ErrorKind::Stalled).with_source(BoxError::from(elapsed)));
            }
        };
        self.waited += begun.elapsed();
        self.came_bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.waited >= self.stall_timeout && chunk.is_some() {
            if self.came_bytes < LEAST_BYTES {
                let what = format!("only {} bytes came in {:?}", self.came_bytes, self.waited);
                return Err(failed(ErrorKind::Stalled).with_message(what));
            }
            (self.waited, self.came_bytes) = (Duration::ZERO, 0);
        }
        Ok(chunk)
    }
}

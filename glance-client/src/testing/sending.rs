//! The body of an answer, sent in chunks, with the faults that befall it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http_body::{Body, Frame};

use super::content::{CHUNK_BYTES, ImageContent};
use super::fault::FaultAction;
use super::pace::{rest, time_for};

/// Time for what was sent to leave before the connection is closed on it.
pub(super) const FLUSH_TIME: Duration = Duration::from_millis(30);

/// A response body.
pub(super) struct DataBody(BoxStream<'static, io::Result<Frame<Bytes>>>);

impl DataBody {
    pub(super) fn empty() -> Self {
        Self(stream::empty().boxed())
    }
}

impl Body for DataBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.0.poll_next_unpin(cx)
    }
}

/// The rest of a body that is still to be sent.
#[derive(Debug)]
pub(super) struct Sending {
    content: ImageContent,
    at: u64,
    end: u64,
    /// Bytes appended after the content.
    extra: u64,
    sent: u64,
    cut: Option<u64>,
    stall: Option<(u64, Option<Duration>)>,
    flip: Option<u64>,
    throttle: Option<u64>,
}

impl Sending {
    pub(super) fn new(content: ImageContent, start: u64, len: u64, throttle: Option<u64>) -> Self {
        Self {
            content,
            at: start,
            end: start + len,
            extra: 0,
            sent: 0,
            cut: None,
            stall: None,
            flip: None,
            throttle,
        }
    }

    /// The length for `Content-Length`.
    pub(super) fn declared(&self) -> u64 {
        self.end - self.at + self.extra
    }

    pub(super) fn befall(&mut self, fault: &FaultAction) {
        let len = self.declared();
        match *fault {
            FaultAction::CutResponse(at) | FaultAction::ResetResponse(at) => {
                self.cut = Some(at.of(len));
            }
            FaultAction::ShortenResponse(at) => self.end = self.end.min(self.at + at.of(len)),
            FaultAction::ExtendResponse(by) => self.extra = by,
            FaultAction::FlipByte(at) => self.flip = Some(at),
            FaultAction::ThrottleResponse(rate) => self.throttle = Some(rate),
            FaultAction::StallResponse(at, pause) => self.stall = Some((at.of(len), pause)),
            _ => {}
        }
    }

    pub(super) fn into_body(self) -> DataBody {
        let chunks = stream::try_unfold(self, |mut sending| async move {
            Ok::<_, io::Error>(sending.next().await?.map(|chunk| (chunk, sending)))
        });
        DataBody(chunks.map_ok(Frame::data).boxed())
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some((_, pause)) = self.stall.take_if(|(at, _)| self.sent >= *at) {
            rest(pause).await;
        }
        if self.cut.is_some_and(|at| self.sent >= at) {
            return self.break_off().await.map(|never| match never {});
        }
        let bounds = [self.cut, self.stall.map(|(at, _)| at)];
        let left = bounds.into_iter().flatten().map(|at| at - self.sent).min();
        let mut most = left.unwrap_or(u64::MAX).min(CHUNK_BYTES as u64);
        if let Some(rate) = self.throttle {
            most = most.min((rate / 20).max(1));
        }
        let chunk = if self.at < self.end {
            let chunk = self
                .content
                .read_at(self.at, most.min(self.end - self.at))?;
            self.at += chunk.len() as u64;
            chunk
        } else if self.extra > 0 {
            let chunk = ImageContent::pattern(1, self.extra).read_at(0, most)?;
            self.extra -= chunk.len() as u64;
            chunk
        } else {
            return Ok(None);
        };
        if chunk.is_empty() {
            // There is less data in the store than the record says.
            return self.break_off().await.map(|never| match never {});
        }
        let flip = self.flip.and_then(|at| at.checked_sub(self.sent));
        self.sent += chunk.len() as u64;
        if let Some(rate) = self.throttle {
            tokio::time::sleep(time_for(chunk.len(), rate)).await;
        }
        Ok(Some(
            match flip
                .and_then(|at| usize::try_from(at).ok())
                .filter(|at| *at < chunk.len())
            {
                Some(at) => {
                    let mut changed = chunk.to_vec();
                    if let Some(byte) = changed.get_mut(at) {
                        *byte ^= 1;
                    }
                    changed.into()
                }
                None => chunk,
            },
        ))
    }

    async fn break_off(&self) -> io::Result<Infallible> {
        tokio::time::sleep(FLUSH_TIME).await;
        Err(io::ErrorKind::ConnectionAborted.into())
    }
}

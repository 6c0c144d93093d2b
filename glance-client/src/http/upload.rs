//! Image data in the bodies of requests.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, Stream, StreamExt as _, TryStreamExt as _};
use futures_util::task::AtomicWaker;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::error::BoxError;
use crate::{ErrorKind, Limits};

/// The most bytes of a chunk; servers have been seen to fail on chunks of 1 MiB.
const CHUNK_BYTES: usize = 512 * 1024;
/// Chunks are smaller until [`EARLY_BYTES`] are sent, since a server that refuses an upload mostly
/// does so early.
const FIRST_CHUNK_BYTES: usize = 64 * 1024;
const EARLY_BYTES: usize = 8 * 1024 * 1024;

/// Image data to be sent.
///
/// If the stream ends in an error, or gives more or fewer bytes than announced,
/// the request is broken off before its last byte: the server never takes what
/// there is for the whole image.
pub struct Upload {
    len_bytes: Option<u64>,
    store: Option<String>,
    chunks: BoxStream<'static, Result<Bytes, BoxError>>,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("len_bytes", &self.len_bytes)
            .finish_non_exhaustive()
    }
}

impl Upload {
    /// Takes image data of `len_bytes` bytes; where that is not known, it is
    /// sent chunked, which some servers do not count against a quota in time.
    pub fn new<E: Into<BoxError> + 'static>(
        len_bytes: Option<u64>,
        chunks: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
    ) -> Self {
        Self {
            len_bytes,
            store: None,
            chunks: chunks.map_err(E::into).boxed(),
        }
    }

    /// Takes image data that is in memory.
    #[must_use]
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let len_bytes = Some(bytes.len() as u64);
        Self::new(len_bytes, stream::iter([Ok::<_, BoxError>(bytes)]))
    }

    /// Puts the data into this store of the server, through v2.
    #[must_use]
    pub fn into_store(mut self, store: impl Into<String>) -> Self {
        self.store = Some(store.into());
        self
    }

    pub(crate) fn store(&self) -> Option<&str> {
        self.store.as_deref()
    }

    /// The length of the data, where it is known.
    #[must_use]
    pub fn len_bytes(&self) -> Option<u64> {
        self.len_bytes
    }

    pub(crate) fn limited(mut self, limits: &Limits) -> Self {
        self.chunks = limits.upload.clone().pace(self.chunks).boxed();
        self
    }

    /// Begins to send it.
    ///
    /// Data of no bytes is read here: an empty body is never asked for a chunk, so an error at its
    /// end would go unnoticed.
    pub(crate) async fn into_body(mut self) -> Result<(UploadBody, UploadWatch), BoxError> {
        let is_empty = self.len_bytes == Some(0);
        while is_empty && let Some(chunk) = self.chunks.try_next().await? {
            if !chunk.is_empty() {
                return Err(WrongLength("longer").into());
            }
        }
        let progress = Arc::new(Mutex::new(Progress {
            // Connecting has a timeout of its own.
            state: if is_empty {
                State::Sent
            } else {
                State::Reading
            },
            since: Instant::now(),
            error: None,
        }));
        let body = UploadBody {
            chunks: Mutex::new(self.chunks),
            left: self.len_bytes,
            held: Bytes::new(),
            ended: is_empty,
            given_bytes: 0,
            turn: None,
            progress: Arc::clone(&progress),
        };
        Ok((body, UploadWatch(progress)))
    }
}

/// The progress of an upload, shared by its body and its watch.
struct Progress {
    state: State,
    since: Instant,
    error: Option<BoxError>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The server has a chunk to take.
    Sending,
    /// The next chunk has yet to come from where the data is read, or is not yet
    /// allowed by the limit.
    Reading,
    /// All of it was handed to the connection.
    Sent,
}

/// The body of an upload.
pub(crate) struct UploadBody {
    /// The lock makes it `Sync`, which the HTTP library wants; it is never taken.
    chunks: Mutex<BoxStream<'static, Result<Bytes, BoxError>>>,
    left: Option<u64>,
    /// The last bytes are held until the stream has ended well.
    held: Bytes,
    ended: bool,
    given_bytes: usize,
    /// The look at the connections that comes before the next chunk.
    turn: Option<Arc<Turn>>,
    progress: Arc<Mutex<Progress>>,
}

/// A look of the runtime at its connections, before the next chunk.
///
/// A server that refuses an upload may close at once, and then a write breaks. The HTTP library
/// gives up on that, and does not read what was answered before, unless it knew already that there
/// is something to read.
#[derive(Default)]
struct Turn {
    is_over: AtomicBool,
    waker: AtomicWaker,
}

impl Turn {
    fn begin() -> Arc<Self> {
        let turn = Arc::new(Self::default());
        let waker = Waker::from(Arc::clone(&turn));
        // `yield_now` wakes its waker once the runtime has looked at its connections.
        let looked = pin!(tokio::task::yield_now());
        let _ = looked.poll(&mut Context::from_waker(&waker));
        turn
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        if self.is_over.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.is_over.store(true, Ordering::Release);
        self.waker.wake();
    }
}

/// The data does not have the length that was announced.
#[derive(Debug, thiserror::Error)]
#[error("the image data is {0} than announced")]
struct WrongLength(&'static str);

impl UploadBody {
    /// Gives out at most [`CHUNK_BYTES`] of what is held.
    fn give(&mut self) -> Option<Bytes> {
        if self.held.is_empty() {
            return None;
        }
        let most = if self.given_bytes < EARLY_BYTES {
            FIRST_CHUNK_BYTES
        } else {
            CHUNK_BYTES
        };
        let len = self.held.len().min(most);
        self.given_bytes = self.given_bytes.saturating_add(len);
        Some(self.held.split_to(len))
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            if (self.left != Some(0) || self.ended)
                && let Some(chunk) = self.give()
            {
                return Poll::Ready(Some(Ok(chunk)));
            }
            if self.ended {
                return Poll::Ready(None);
            }
            let chunks = self
                .chunks
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner);
            let next = ready!(chunks.poll_next_unpin(cx));
            match next {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    if let Some(left) = &mut self.left {
                        let Some(rest) = left.checked_sub(chunk.len() as u64) else {
                            return self.fail(WrongLength("longer").into());
                        };
                        *left = rest;
                    }
                    self.held = chunk;
                }
                Some(Err(error)) => return self.fail(error),
                None if self.left.is_some_and(|left| left > 0) => {
                    return self.fail(WrongLength("shorter").into());
                }
                None => self.ended = true,
            }
        }
    }

    fn fail(&mut self, error: BoxError) -> Poll<Option<Result<Bytes, BoxError>>> {
        self.ended = true;
        self.held = Bytes::new();
        Poll::Ready(Some(Err(error)))
    }
}

impl http_body::Body for UploadBody {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        let this = self.get_mut();
        if let Some(turn) = &this.turn {
            ready!(turn.poll(cx));
            this.turn = None;
        }
        let polled = this.poll_chunk(cx);
        if let Poll::Ready(Some(Ok(_))) = polled {
            this.turn = Some(Turn::begin());
        }
        let mut progress = lock(&this.progress);
        progress.since = Instant::now();
        progress.state = match &polled {
            Poll::Pending => State::Reading,
            Poll::Ready(Some(Err(_))) => State::Sending,
            Poll::Ready(_) if this.ended && this.held.is_empty() => State::Sent,
            Poll::Ready(_) => State::Sending,
        };
        polled.map(|chunk| {
            Some(match chunk? {
                Ok(chunk) => Ok(Frame::data(chunk)),
                Err(error) => {
                    progress.error = Some(error);
                    Err(BrokenOff)
                }
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.held.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            Some(left) => SizeHint::with_exact(left + self.held.len() as u64),
            None => SizeHint::default(),
        }
    }
}

/// Tells the HTTP library to break the request off; the cause is in [`Progress`].
#[derive(Debug, thiserror::Error)]
#[error("the image data ended in an error")]
pub(crate) struct BrokenOff;

/// The reason for giving up an upload.
pub(crate) struct StalledUpload {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

/// Watches the upload of a body.
pub(crate) struct UploadWatch(Arc<Mutex<Progress>>);

impl UploadWatch {
    /// Waits until the server has taken nothing for `stall`, though there was
    /// something to take, or has not answered for `answer` after all of it.
    pub(crate) async fn stalled(&self, stall: Duration, answer: Duration) -> StalledUpload {
        loop {
            let deadline = {
                let progress = lock(&self.0);
                match progress.state {
                    State::Sending => progress.since + stall,
                    State::Reading => Instant::now() + stall,
                    State::Sent => progress.since + answer,
                }
            };
            if deadline <= Instant::now() {
                break;
            }
            // The state may change meanwhile, and another deadline count.
            let next_look = Instant::now() + stall.min(answer);
            tokio::time::sleep_until(deadline.min(next_look)).await;
        }
        let (kind, message) = match lock(&self.0).state {
            State::Sent => (
                ErrorKind::Unanswered,
                format!("it had all of the image data for {answer:?} without an answer"),
            ),
            _ => (
                ErrorKind::Stalled,
                format!("it took none of the image data for {stall:?}"),
            ),
        };
        StalledUpload { kind, message }
    }

    /// The error in which the image data ended.
    pub(crate) fn take_error(&self) -> Option<BoxError> {
        lock(&self.0).error.take()
    }

    pub(crate) fn is_all_sent(&self) -> bool {
        lock(&self.0).state == State::Sent
    }
}

fn lock(progress: &Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

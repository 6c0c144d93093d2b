//! Faults on demand: which requests they befall, and what happens to those.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::log::RequestKind;

/// Selects the requests that a fault befalls: all, unless narrowed.
#[derive(Clone, Debug, Default)]
pub struct FaultOn {
    kind: Option<RequestKind>,
    method: Option<String>,
    image: Option<String>,
    path: Option<String>,
    skip: u64,
    times: Option<u64>,
}

impl FaultOn {
    /// Selects every request.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Selects the requests of one kind.
    #[must_use]
    pub fn kind(kind: RequestKind) -> Self {
        Self {
            kind: Some(kind),
            ..Self::default()
        }
    }

    /// Keeps those with this method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Keeps those for this image; a v1 POST names it in a header.
    #[must_use]
    pub fn image(mut self, id: &str) -> Self {
        self.image = Some(id.to_owned());
        self
    }

    /// Keeps those whose path and query contain this text.
    #[must_use]
    pub fn path(mut self, part: &str) -> Self {
        self.path = Some(part.to_owned());
        self
    }

    /// Lets the first `count` of them pass.
    #[must_use]
    pub fn skip(mut self, count: u64) -> Self {
        self.skip = count;
        self
    }

    /// Ends the fault after it occurred `count` times.
    #[must_use]
    pub fn times(mut self, count: u64) -> Self {
        self.times = Some(count);
        self
    }
}

/// A place in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// After so many bytes.
    Byte(u64),
    /// After so many hundredths of the body.
    Percent(u8),
}

impl At {
    pub(super) fn of(self, len: u64) -> u64 {
        match self {
            Self::Byte(count) => count,
            Self::Percent(percent) => {
                len / 100 * u64::from(percent) + len % 100 * u64::from(percent) / 100
            }
        }
    }
}

/// The action of a fault on a request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FaultAction {
    /// Answers this instead of processing the request.
    Answer {
        /// The status code.
        status: u16,
        /// Headers, such as `Retry-After`.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// Closes the connection without an answer, without processing.
    Close,
    /// Resets the connection without an answer, without processing.
    Reset,
    /// Processes the request, then resets the connection instead of answering.
    LoseAnswer,
    /// Processes the request, then answers this status, as if it had failed.
    FailAfterwards(u16),
    /// Writes these bytes as they are instead of an HTTP answer, and closes. Without `Connection: close`
    /// in them, a client may use the connection once more, in vain.
    Raw(Bytes),
    /// Writes `start`, then `repeated` until the other side hangs up.
    RawForever {
        /// Written once.
        start: Bytes,
        /// Written for ever.
        repeated: Bytes,
    },
    /// Closes the connection in the answer's body; its `Content-Length` promises all.
    CutResponse(At),
    /// Resets the connection in the answer's body, or right behind it.
    ResetResponse(At),
    /// Ends the answer's body early, with a `Content-Length` that fits.
    ShortenResponse(At),
    /// Appends bytes to the answer's body, with a `Content-Length` that fits.
    ExtendResponse(u64),
    /// Changes one bit in the byte at this offset of the answer's body.
    FlipByte(u64),
    /// Stops sending the answer's body for a while, or for ever.
    StallResponse(At, Option<Duration>),
    /// Sends the answer's body at so many bytes a second.
    ThrottleResponse(u64),
    /// Resets the connection after so many bytes of the request's body.
    CutRequest(u64),
    /// Stops reading the request's body after so many bytes, for a while, or for ever.
    StallRequest(u64, Option<Duration>),
}

impl FaultAction {
    /// Answers a status with a short text.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: Bytes::from_static(b"a fault on demand\n"),
        }
    }

    /// Answers a status with `Retry-After`.
    #[must_use]
    pub fn retry_after(status: u16, seconds: u64) -> Self {
        let headers = vec![("retry-after".to_owned(), seconds.to_string())];
        Self::Answer {
            status,
            headers,
            body: Bytes::new(),
        }
    }

    /// Answers 200 with this JSON, whatever was asked.
    #[must_use]
    pub fn json(body: &Value) -> Self {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        Self::Answer {
            status: 200,
            headers,
            body: body.to_string().into(),
        }
    }

    /// Answers 200 with an HTML page, as a server that is not Glance does.
    #[must_use]
    pub fn html(page: &str) -> Self {
        let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
        Self::Answer {
            status: 200,
            headers,
            body: page.to_owned().into(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<(FaultOn, FaultAction)>>);

impl Faults {
    pub(super) fn add(&self, on: FaultOn, action: FaultAction) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((on, action));
    }

    pub(super) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Returns what befalls this request: the oldest fault that applies to it.
    pub(super) fn strike(&self, request: &Struck<'_>) -> Option<FaultAction> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.retain(|(on, _)| on.times != Some(0));
        for (on, action) in faults
            .iter_mut()
            .filter(|(on, _)| request.is_selected_by(on))
        {
            if let Some(left) = on.skip.checked_sub(1) {
                on.skip = left;
                continue;
            }
            on.times = on.times.map(|times| times - 1);
            return Some(action.clone());
        }
        None
    }
}

/// The sides of a request that faults select by.
pub(super) struct Struck<'a> {
    pub(super) kind: RequestKind,
    pub(super) method: &'a str,
    pub(super) target: &'a str,
    pub(super) image: Option<&'a str>,
}

impl Struck<'_> {
    fn is_selected_by(&self, on: &FaultOn) -> bool {
        on.kind.is_none_or(|kind| kind == self.kind)
            && on
                .method
                .as_deref()
                .is_none_or(|method| method == self.method)
            && on
                .image
                .as_deref()
                .is_none_or(|image| Some(image) == self.image)
            && on
                .path
                .as_deref()
                .is_none_or(|path| self.target.contains(path))
    }
}

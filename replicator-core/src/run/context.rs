//! The context that every part of a run shares: its events, and its cancellation.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::port::PortError;
use crate::run::event::{Event, EventSink, NoEvents};

/// The events and the cancellation of one run. Clones belong to the same run.
#[derive(Clone)]
pub struct RunContext {
    events: Arc<dyn EventSink>,
    cancellation: CancellationToken,
    begun: Instant,
    /// Whether the source was seen to give no parts of images.
    gives_no_parts: Arc<AtomicBool>,
}

impl RunContext {
    /// Starts a run that reports to `events`.
    #[must_use]
    pub fn new(events: Arc<dyn EventSink>) -> Self {
        Self {
            events,
            cancellation: CancellationToken::new(),
            begun: Instant::now(),
            gives_no_parts: Arc::default(),
        }
    }

    /// Starts a run that nobody watches.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(Arc::new(NoEvents))
    }

    /// The same run, reporting to somebody else.
    #[must_use]
    pub fn reporting_to(&self, events: Arc<dyn EventSink>) -> Self {
        Self {
            events,
            ..self.clone()
        }
    }

    /// Ends the run: what is under way is broken off, nothing new begins.
    pub fn cancel(&self) {
        self.cancellation.cancel();
    }

    /// Returns whether the run was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.cancellation.is_cancelled()
    }

    /// The time since the run began.
    #[must_use]
    pub fn run_time(&self) -> Duration {
        self.begun.elapsed()
    }

    pub(crate) fn gives_no_parts(&self) -> bool {
        self.gives_no_parts.load(Ordering::Relaxed)
    }

    /// Keeps in mind that the source gives no parts of images, and tells it once.
    pub(crate) fn found_no_parts(&self) {
        if !self.gives_no_parts.swap(true, Ordering::Relaxed) {
            self.emit(Event::NoParts);
        }
    }

    /// Reports an event.
    pub fn emit(&self, event: Event) {
        self.events.emit(event);
    }

    /// Waits for a future, unless the run is cancelled first.
    ///
    /// # Errors
    ///
    /// [`PortError::Cancelled`] if it was.
    pub async fn until_cancelled<F: Future>(&self, future: F) -> Result<F::Output, PortError> {
        self.cancellation
            .run_until_cancelled(future)
            .await
            .ok_or(PortError::Cancelled)
    }
}

impl fmt::Debug for RunContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunContext")
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

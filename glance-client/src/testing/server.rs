//! The server itself: start and stop, and what tests ask of it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::caller::Caller;
use super::connection::{Turn, accept};
use super::fault::{FaultAction, FaultOn, Faults};
use super::line::Line;
use super::log::{RequestKind, RequestLog, RequestRecord};
use super::settings::EmbeddedGlanceBuilder;
use super::shared::Shared;
use super::spec::{ImageSpec, ImageView, SpecDigests};

impl EmbeddedGlanceBuilder {
    /// Starts the server on 127.0.0.1, on a thread and runtime of its own.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if the port is taken or no thread can be had.
    pub fn start_blocking(self) -> io::Result<EmbeddedGlance> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))?;
        listener.set_nonblocking(true)?;
        let mut address = listener.local_addr()?;
        let is_far = !self.round_trip.is_zero();
        let line = is_far.then(|| Line::before(address, self.round_trip));
        let line = line.transpose()?;
        if let Some(line) = &line {
            address = line.address;
        }
        let host_port = address.to_string();
        let shared = Arc::new(Shared {
            tokens: Mutex::new(self.tokens.clone()),
            url: format!("http://{host_port}"),
            settings: self,
            state: Mutex::default(),
            log: RequestLog::default(),
            faults: Faults::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (turns, taken) = mpsc::unbounded_channel();
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("embedded-glance".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    tokio::select! {
                        _ = stopped => {}
                        _ = accept(listener, serving, taken) => {}
                    }
                });
                runtime.shutdown_background();
            })?;
        Ok(EmbeddedGlance {
            shared,
            host_port,
            turns,
            _line: line,
            _stop: stop,
            thread: Some(thread),
        })
    }

    /// Starts the server as [`start_blocking`](Self::start_blocking) does, for use in tests.
    ///
    /// # Panics
    ///
    /// If the server cannot be started.
    #[expect(clippy::expect_used, reason = "a test can do nothing about it")]
    pub async fn start(self) -> EmbeddedGlance {
        self.start_blocking().expect("the embedded Glance starts")
    }
}

/// A running server; dropping it closes its port and all connections.
#[derive(Debug)]
pub struct EmbeddedGlance {
    shared: Arc<Shared>,
    host_port: String,
    turns: mpsc::UnboundedSender<Turn>,
    _line: Option<Line>,
    _stop: oneshot::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedGlance {
    /// Settings of a Glance of today on a free port, with 2 images a page.
    #[must_use]
    pub fn builder() -> EmbeddedGlanceBuilder {
        EmbeddedGlanceBuilder::default()
    }

    /// The endpoint, such as `http://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// Host and port, such as `127.0.0.1:40123`.
    #[must_use]
    pub fn host_port(&self) -> &str {
        &self.host_port
    }

    /// Puts an image there, replacing one of the same id. Hashes its data, on this thread.
    ///
    /// # Panics
    ///
    /// If data of an earlier upload cannot be read.
    #[expect(clippy::expect_used, reason = "a test can do nothing about it")]
    pub fn add_image(&self, spec: ImageSpec) {
        let ImageSpec {
            mut image, digests, ..
        } = spec;
        let digests = match (digests, &image.content) {
            (SpecDigests::Given(digests), _) => digests,
            (SpecDigests::Computed, Some(content)) => Some(
                content
                    .digests(self.shared.settings.algorithm)
                    .expect("readable image data"),
            ),
            (SpecDigests::Computed, None) => None,
        };
        image.set_digests(digests);
        self.shared.state().put(image);
    }

    /// Returns the state of an image, deleted ones included; `None` for an id never used.
    #[must_use]
    pub fn image(&self, id: &str) -> Option<ImageView> {
        self.shared.state().images.get(id).map(ImageView::of)
    }

    /// Returns the state of all images that are not deleted, by id.
    #[must_use]
    pub fn images(&self) -> Vec<ImageView> {
        let state = self.shared.state();
        state
            .images
            .values()
            .filter(|image| !image.deleted)
            .map(ImageView::of)
            .collect()
    }

    /// Puts a namespace of metadata definitions there, as the body of a POST describes it.
    pub fn add_metadefs(&self, namespace: &Value) {
        let name = namespace["namespace"].as_str().unwrap_or_default();
        let fields = namespace.as_object().cloned().unwrap_or_default();
        self.shared.state().metadefs.insert(name.to_owned(), fields);
    }

    /// Returns the namespaces of metadata definitions by name, without what the server sets.
    #[must_use]
    pub fn metadefs(&self) -> Vec<Value> {
        let state = self.shared.state();
        state
            .metadefs
            .values()
            .cloned()
            .map(Value::Object)
            .collect()
    }

    /// Deletes an image, or uses an id up that was never there.
    pub fn burn(&self, id: &str) {
        self.shared.state().delete(id);
    }

    /// Lets a token in from now on.
    pub fn add_token(&self, token: &str, caller: Caller) {
        let mut tokens = self
            .shared
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tokens
            .get_or_insert_default()
            .insert(token.to_owned(), caller);
    }

    /// Answers 401 to this token from now on.
    pub fn revoke_token(&self, token: &str) {
        let mut tokens = self
            .shared
            .tokens
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        tokens.get_or_insert_default().remove(token);
    }

    /// Closes all connections, and refuses new ones until [`come_back`](Self::come_back). The images
    /// stay: it is as if the server was restarted.
    ///
    /// # Panics
    ///
    /// If somebody else takes the port in that moment.
    pub fn go_away(&self) {
        self.take_turn();
    }

    /// Serves again, on the same port, after [`go_away`](Self::go_away).
    ///
    /// # Panics
    ///
    /// If the operating system does not let it.
    pub fn come_back(&self) {
        self.take_turn();
    }

    #[expect(clippy::expect_used, reason = "a test can do nothing about it")]
    fn take_turn(&self) {
        let (turn, taken) = std::sync::mpsc::channel();
        self.turns.send(turn).expect("the server runs");
        taken.recv().expect("the server runs on");
    }

    /// Adds a fault; of several that apply to a request the oldest befalls it.
    pub fn fault(&self, on: FaultOn, action: FaultAction) {
        self.shared.faults.add(on, action);
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Returns the requests so far (the last 20,000), the oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.log.all()
    }

    /// Counts the requests of one kind.
    #[must_use]
    pub fn count(&self, kind: RequestKind) -> u64 {
        self.shared.log.count(kind)
    }

    /// Counts all requests.
    #[must_use]
    pub fn total_requests(&self) -> u64 {
        self.shared.log.total()
    }

    /// Empties the log and sets the counts to zero.
    pub fn clear_requests(&self) {
        self.shared.log.clear();
    }
}

impl Drop for EmbeddedGlance {
    fn drop(&mut self) {
        let (never_used, _) = oneshot::channel();
        // Dropping the sender is the signal, and has to come before the thread is joined.
        drop(std::mem::replace(&mut self._stop, never_used));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

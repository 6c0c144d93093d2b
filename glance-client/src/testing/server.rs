//! The server itself: settings, start and stop, connections, and what tests ask of it.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::content::{HashAlgorithm, Keeping};
use super::exchange::{Ending, EndingSlot, answer};
use super::fault::{FaultAction, FaultOn, Faults};
use super::log::{RequestKind, RequestLog, RequestRecord};
use super::state::{Caller, ImageSpec, ImageView, SpecDigests, State};

/// How long the server reads on after an early answer, so that the answer is not lost.
const LINGER: Duration = Duration::from_secs(2);

/// Which Glance is embedded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// v2 up to 2.17; v1 answers 300 with the list of versions.
    #[default]
    Today,
    /// The Glance of 2017: v1 beside v2.5.
    Legacy,
    /// The Glance of 2017 with v1 alone.
    V1Only,
}

impl Profile {
    fn version_ids(self) -> Vec<(String, &'static str)> {
        let listed = |major: u8, minors: &[u8], current: u8, rest| {
            let status = move |minor| if minor == current { "CURRENT" } else { rest };
            minors
                .iter()
                .rev()
                .map(|&minor| (format!("v{major}.{minor}"), status(minor)))
                .collect::<Vec<_>>()
        };
        let v1 = listed(1, &[0, 1], u8::MAX, "DEPRECATED");
        match self {
            Self::Today => {
                let minors: Vec<u8> = (0..=17).filter(|minor| *minor != 14).collect();
                listed(2, &minors, 17, "SUPPORTED")
            }
            Self::Legacy => [listed(2, &[0, 1, 2, 3, 4, 5], 5, "SUPPORTED"), v1].concat(),
            Self::V1Only => v1,
        }
    }

    /// The body of `/versions`.
    pub(super) fn versions(self, url: &str) -> Value {
        let entry = |(id, status): (String, &str)| {
            let major: String = id.chars().take(2).collect();
            let links = json!([{ "rel": "self", "href": format!("{url}/{major}/") }]);
            json!({ "id": id, "status": status, "links": links })
        };
        json!({ "versions": self.version_ids().into_iter().map(entry).collect::<Vec<_>>() })
    }

    /// Whether a path that begins with this segment leads to an API.
    pub(super) fn serves(self, segment: &str) -> bool {
        let known = self.version_ids();
        known
            .iter()
            .any(|(id, _)| id == segment || (id.starts_with(segment) && segment.len() == 2))
    }
}

/// What the server makes of `Range`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangeSupport {
    /// Honours it, as the file store does (v1 never does).
    #[default]
    Honoured,
    /// Answers 400, as stores without random access do.
    Refused,
    /// Answers 200 with everything.
    Ignored,
}

/// The settings of an [`EmbeddedGlance`].
#[derive(Clone, Debug)]
pub struct EmbeddedGlanceBuilder {
    profile: Profile,
    port: u16,
    page_size: usize,
    tokens: Option<BTreeMap<String, Caller>>,
    size_cap: u64,
    quota: Option<u64>,
    algorithm: HashAlgorithm,
    keeping: Option<Keeping>,
    range: RangeSupport,
    stores: Vec<String>,
    throttle: Option<u64>,
    latency: Duration,
    keep_alive: bool,
}

impl EmbeddedGlanceBuilder {
    /// Sets which Glance this is; today's by default.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Sets the port; any free one by default.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Sets the most images on a page, whatever is asked for; 2 by default, 1000 on real servers.
    #[must_use]
    pub fn page_size(mut self, images: usize) -> Self {
        self.page_size = images;
        self
    }

    /// Asks for a token, and lets this one in. Without any, everybody is an admin.
    #[must_use]
    pub fn token(mut self, token: &str, caller: Caller) -> Self {
        self.tokens
            .get_or_insert_default()
            .insert(token.to_owned(), caller);
        self
    }

    /// Sets `image_size_cap`; 1 TiB by default.
    #[must_use]
    pub fn size_cap(mut self, bytes: u64) -> Self {
        self.size_cap = bytes;
        self
    }

    /// Sets `user_storage_quota`, the bytes of each owner; off by default.
    #[must_use]
    pub fn quota(mut self, bytes: u64) -> Self {
        self.quota = Some(bytes);
        self
    }

    /// Sets `hashing_algorithm`; SHA-512 by default.
    #[must_use]
    pub fn hashing_algorithm(mut self, algorithm: HashAlgorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// Counts uploaded bytes and forgets them: no hashes are stated, downloads are zeros.
    #[must_use]
    pub fn without_digests(mut self) -> Self {
        self.keeping = Some(Keeping::LengthOnly);
        self
    }

    /// Sets what becomes of `Range`.
    #[must_use]
    pub fn range(mut self, range: RangeSupport) -> Self {
        self.range = range;
        self
    }

    /// Names the stores, the default one first; `main` and `spare` by default.
    #[must_use]
    pub fn stores(mut self, names: &[&str]) -> Self {
        self.stores = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// Limits each transfer to so many bytes a second.
    #[must_use]
    pub fn throttle(mut self, bytes_per_second: u64) -> Self {
        self.throttle = Some(bytes_per_second);
        self
    }

    /// Delays each answer.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// Closes the connection after each answer.
    #[must_use]
    pub fn without_keep_alive(mut self) -> Self {
        self.keep_alive = false;
        self
    }

    /// Starts the server on 127.0.0.1, on a thread and runtime of its own.
    ///
    /// # Errors
    ///
    /// [`io::Error`] if the port is taken or no thread can be had.
    pub fn start_blocking(self) -> io::Result<EmbeddedGlance> {
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))?;
        listener.set_nonblocking(true)?;
        let host_port = listener.local_addr()?.to_string();
        let shared = Arc::new(Shared {
            profile: self.profile,
            page_size: self.page_size,
            tokens: Mutex::new(self.tokens),
            size_cap: self.size_cap,
            quota: self.quota,
            algorithm: self.algorithm,
            keeping: self.keeping.unwrap_or(Keeping::Whole(self.algorithm)),
            range: self.range,
            stores: self.stores,
            throttle: self.throttle,
            latency: self.latency,
            keep_alive: self.keep_alive,
            url: format!("http://{host_port}"),
            state: Mutex::default(),
            log: RequestLog::default(),
            faults: Faults::default(),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("embedded-glance".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    tokio::select! {
                        _ = stopped => {}
                        _ = accept(listener, serving) => {}
                    }
                });
                runtime.shutdown_background();
            })?;
        Ok(EmbeddedGlance {
            shared,
            host_port,
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
    _stop: oneshot::Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedGlance {
    /// Settings of a Glance of today on a free port, with 2 images a page.
    #[must_use]
    pub fn builder() -> EmbeddedGlanceBuilder {
        EmbeddedGlanceBuilder {
            profile: Profile::Today,
            port: 0,
            page_size: 2,
            tokens: None,
            size_cap: 1 << 40,
            quota: None,
            algorithm: HashAlgorithm::Sha512,
            keeping: None,
            range: RangeSupport::Honoured,
            stores: vec!["main".to_owned(), "spare".to_owned()],
            throttle: None,
            latency: Duration::ZERO,
            keep_alive: true,
        }
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
                    .digests(self.shared.algorithm)
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

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) profile: Profile,
    pub(super) page_size: usize,
    pub(super) tokens: Mutex<Option<BTreeMap<String, Caller>>>,
    pub(super) size_cap: u64,
    pub(super) quota: Option<u64>,
    pub(super) algorithm: HashAlgorithm,
    pub(super) keeping: Keeping,
    pub(super) range: RangeSupport,
    pub(super) stores: Vec<String>,
    pub(super) throttle: Option<u64>,
    pub(super) latency: Duration,
    keep_alive: bool,
    pub(super) url: String,
    state: Mutex<State>,
    pub(super) log: RequestLog,
    pub(super) faults: Faults,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        // Running out of descriptors passes; a listener that is gone does not come back.
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, Arc::clone(&shared)))),
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let ending = EndingSlot::default();
    let for_requests = Arc::clone(&ending);
    let keep_alive = shared.keep_alive;
    // The server of 2017 capitalises the names of headers.
    let title_case = shared.profile != Profile::Today;
    let service = service_fn(move |request| {
        // On a task of its own, so that an upload that breaks off still ends in a state.
        let answering = tokio::spawn(answer(
            request,
            Arc::clone(&shared),
            Arc::clone(&for_requests),
        ));
        Box::pin(async move {
            answering
                .await
                .unwrap_or_else(|error| Err(io::Error::other(error)))
        })
    });
    let mut connection = http1::Builder::new()
        .keep_alive(keep_alive)
        .title_case_headers(title_case)
        .max_buf_size(512 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    let served = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)).await;
    let mut stream = connection.into_parts().io.into_inner();
    let how = ending.lock().unwrap_or_else(PoisonError::into_inner).take();
    match how {
        Some(Ending::Reset) => {
            let _ = stream.set_zero_linger();
            return;
        }
        Some(Ending::Raw(bytes)) => {
            let _ = stream.write_all(&bytes).await;
        }
        Some(Ending::RawForever(start, repeated)) => {
            let _ = write_forever(&mut stream, start, &repeated).await;
        }
        // A cut answer must not be followed by anything that looks like its end.
        None if served.is_err() => return,
        None => {}
    }
    let _ = stream.shutdown().await;
    let _ = tokio::time::timeout(LINGER, drain(&mut stream)).await;
}

async fn write_forever(stream: &mut TcpStream, start: Bytes, repeated: &[u8]) -> io::Result<()> {
    stream.write_all(&start).await?;
    loop {
        stream.write_all(repeated).await?;
        tokio::task::yield_now().await;
    }
}

async fn drain(stream: &mut TcpStream) -> io::Result<()> {
    let mut sink = vec![0; 64 * 1024];
    while stream.read(&mut sink).await? > 0 {}
    Ok(())
}

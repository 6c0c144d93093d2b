//! The one place where requests are sent: token, tracing, status to [`Error`].

mod answer;
mod request;
mod upload;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::{self, Either};
use futures_util::pin_mut;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use reqwest::redirect;
use tokio::task::JoinHandle;

pub(crate) use self::answer::{ANSWER_BYTES, Answer, PAGE_BYTES};
pub(crate) use self::request::Request;
pub use self::upload::Upload;
use crate::error::BoxError;
use crate::limit::Rate;
use crate::proxy::Proxy;
use crate::tls;
use crate::{AuthToken, ClientConfig, Endpoint, Error, ErrorKind, Limits, TokenError, TokenSource};

/// A token must stay valid for an upload at this speed, and for at least [`SHORTEST_UPLOAD`].
const SLOW_UPLOAD_BYTES_PER_SECOND: f64 = 10.0 * 1024.0 * 1024.0;
const SHORTEST_UPLOAD: Duration = Duration::from_secs(300);
/// The most headers of an answer. v1 sends one for each property, of which servers allow 128 by
/// default; an answer with more than the HTTP library's default of 100 would fail.
const MAX_HEADERS: usize = 2048;
/// The longest time for which an idle connection is kept. Servers keep theirs for longer, so few
/// connections are closed just as they are used again.
const KEPT_IDLE: Duration = Duration::from_secs(1);

/// Sends requests to one Glance.
pub(crate) struct Http {
    endpoint: Endpoint,
    /// It has no read timeout: that of reqwest counts while an upload is still being sent, and
    /// while the reader of an answer pauses.
    client: reqwest::Client,
    /// The proxy between us and the server.
    proxy: Option<Proxy>,
    /// Whether the server was seen to close a connection without notice, as some do after each
    /// answer. A request that cannot be repeated would be lost on such a connection, so none is
    /// kept from then on.
    closes_silently: AtomicBool,
    tokens: Option<Arc<dyn TokenSource>>,
    stall_timeout: Duration,
    answer_timeout: Duration,
    listing_retries: u32,
    retry_until: Option<Instant>,
    limits: Limits,
    ahead: Mutex<SentAhead>,
}

/// The answers to requests that were sent ahead, by their paths.
type SentAhead = HashMap<String, JoinHandle<Result<Answer, Error>>>;

impl Http {
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let builder = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(concat!("glance-client/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            // v1 writes properties into headers as they are, with line breaks and with blanks in
            // names.
            .http1_ignore_invalid_headers_in_responses(true)
            .http1_max_headers(MAX_HEADERS)
            .tcp_nodelay(true)
            .pool_idle_timeout(KEPT_IDLE)
            .connect_timeout(config.connect_timeout);
        // A server that takes nothing for a while, as its store is slow, is
        // given as long as any other: reqwest's default is 30 s.
        #[cfg(target_os = "linux")]
        let builder = builder.tcp_user_timeout(config.stall_timeout);
        let failed = |source: BoxError| {
            Error::new(
                ErrorKind::InvalidRequest,
                &Method::GET,
                config.endpoint.as_str(),
            )
            .with_source(source)
        };
        let proxy = Proxy::of_process(config.endpoint.as_str());
        let proxy = proxy.map_err(|error| failed(error.into()))?;
        let builder =
            Proxy::apply(proxy.as_ref(), builder).map_err(|error| failed(error.into()))?;
        // Reading the system's roots takes longer than many a request, and plain HTTP needs none.
        let is_tls = config.endpoint.as_str().starts_with("https:");
        let builder = if is_tls || proxy.as_ref().is_some_and(Proxy::is_tls) {
            config
                .tls
                .apply(builder)
                .map_err(|error| failed(error.into()))?
        } else {
            builder.tls_certs_only([])
        };
        Ok(Self {
            endpoint: config.endpoint.clone(),
            client: builder
                .build()
                .map_err(|error| failed(error.without_url().into()))?,
            proxy,
            closes_silently: AtomicBool::new(false),
            tokens: config.tokens.clone(),
            stall_timeout: config.stall_timeout,
            answer_timeout: config.answer_timeout,
            listing_retries: config.listing_retries,
            retry_until: config.retry_until,
            limits: config.limits.clone(),
            ahead: Mutex::default(),
        })
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn answer_timeout(&self) -> Duration {
        self.answer_timeout
    }

    pub(crate) fn error(&self, kind: ErrorKind, request: &Request) -> Error {
        Error::new(kind, &request.method, &self.endpoint.join(&request.path))
    }

    /// Waits before the next try of something that has failed `failed` times. Returns the error if
    /// there is to be no next try.
    pub(crate) async fn before_retry(&self, failed: u32, error: Error) -> Result<(), Error> {
        if failed > self.listing_retries || !error.is_transient() {
            return Err(error);
        }
        let delay = Duration::from_secs(1 << failed.saturating_sub(1).min(6));
        let delay = error.retry_after().unwrap_or(delay);
        let is_too_late = |until| {
            Instant::now()
                .checked_add(delay)
                .is_none_or(|at| at > until)
        };
        if self.retry_until.is_some_and(is_too_late) {
            return Err(error);
        }
        tracing::warn!(%error, ?delay, "trying again");
        tokio::time::sleep(delay).await;
        Ok(())
    }

    /// Returns whether an error of the first request comes from speaking plainly to a server that
    /// wants TLS: such servers answer 400, an alert of TLS, or nothing.
    pub(crate) async fn wants_tls(&self, error: &Error) -> bool {
        use ErrorKind::{Disconnected, InvalidAnswer, Rejected};
        let is_likely = matches!(error.kind(), Disconnected | InvalidAnswer | Rejected);
        is_likely && tls::is_spoken_at(self.endpoint.as_str()).await
    }

    async fn token(&self, request: &Request, life: Duration) -> Result<Option<AuthToken>, Error> {
        let Some(tokens) = &self.tokens else {
            return Ok(None);
        };
        let token = tokens.token(life).await;
        let token = token.map_err(|error| self.no_token(request, error))?;
        Ok(Some(token))
    }

    /// Returns another token than one that was rejected, if there is one.
    async fn renewed(
        &self,
        request: &Request,
        rejected: Option<&AuthToken>,
    ) -> Result<Option<AuthToken>, Error> {
        let (Some(tokens), Some(rejected)) = (&self.tokens, rejected) else {
            return Ok(None);
        };
        let token = tokens.renew(rejected).await;
        token.map_err(|error| self.no_token(request, error))
    }

    fn no_token(&self, request: &Request, error: TokenError) -> Error {
        self.error(error.kind, request)
            .with_message("there is no token for it")
            .with_source(error.source)
    }

    /// Sends a GET before it is known that it is needed. Whoever sends the same one later gets
    /// its answer.
    pub(crate) fn send_ahead(self: &Arc<Self>, request: Request) {
        let (http, path) = (Arc::clone(self), request.path.clone());
        let answer = async move { http.send_for_any(&request).await?.successful().await };
        self.ahead().insert(path, tokio::spawn(answer));
    }

    /// Breaks off what was sent ahead and is not needed.
    pub(crate) fn forget_ahead(&self) {
        self.ahead().drain().for_each(|(_, answer)| answer.abort());
    }

    fn ahead(&self) -> MutexGuard<'_, SentAhead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request; every status but 2xx is an error.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, Error> {
        let ahead = match request.method {
            Method::GET => self.ahead().remove(&request.path),
            _ => None,
        };
        if let Some(ahead) = ahead
            && let Ok(answer) = ahead.await
        {
            return answer;
        }
        self.send_for_any(request).await?.successful().await
    }

    /// Sends a request and returns the answer, whatever its status.
    pub(crate) async fn send_for_any(&self, request: &Request) -> Result<Answer, Error> {
        let token = self.token(request, Duration::ZERO).await?;
        let answer = self.send_with(request, token.as_ref()).await?;
        if answer.response.status() == StatusCode::UNAUTHORIZED
            && let Some(token) = self.renewed(request, token.as_ref()).await?
        {
            return self.send_with(request, Some(&token)).await;
        }
        Ok(answer)
    }

    async fn send_with(
        &self,
        request: &Request,
        token: Option<&AuthToken>,
    ) -> Result<Answer, Error> {
        let attempt = async || {
            self.limits.requests.take(1).await;
            let sent = self.builder(request, token);
            let answer = self.answer(request, sent.body(request.body.clone()));
            let answer = tokio::time::timeout(self.stall_timeout, answer);
            self.traced(request, async {
                let stalled = |elapsed| {
                    self.error(ErrorKind::Stalled, request)
                        .with_source(BoxError::from(elapsed))
                };
                answer.await.map_err(stalled)?
            })
            .await
        };
        match attempt().await {
            // The server may have closed a kept connection at that moment.
            Err(error) if request.is_repeatable() && error.kind() == ErrorKind::Disconnected => {
                let again = attempt().await;
                let closes_silently = again.is_ok();
                self.closes_silently
                    .fetch_or(closes_silently, Ordering::Relaxed);
                again
            }
            result => result,
        }
    }

    /// Sends image data along with a request, which is never repeated.
    pub(crate) async fn upload(&self, request: &Request, data: Upload) -> Result<Answer, Error> {
        let broken = |source| {
            self.error(ErrorKind::UploadSource, request)
                .with_source(source)
        };
        self.limits.requests.take(1).await;
        let len_bytes = data.len_bytes();
        let life = upload_time(len_bytes, self.limits.upload.rate());
        let token = self.token(request, life).await?;
        let (body, watch) = data
            .limited(&self.limits)
            .into_body()
            .await
            .map_err(broken)?;
        let mut sent = self.builder(request, token.as_ref());
        if let Some(len_bytes) = len_bytes {
            sent = sent.header(header::CONTENT_LENGTH, len_bytes);
        }
        let answer = self.answer(request, sent.body(reqwest::Body::wrap(body)));
        let answer = self.traced(request, answer);
        let stall = watch.stalled(self.stall_timeout, self.answer_timeout);
        pin_mut!(answer, stall);
        let answer = match future::select(answer, stall).await {
            Either::Left((Ok(answer), _)) => answer.successful().await,
            Either::Left((Err(error), _)) => Err(error),
            Either::Right((stalled, _)) => Err(self
                .error(stalled.kind, request)
                .with_message(stalled.message)),
        };
        if let Err(error) = &answer
            && error.kind() == ErrorKind::Unauthorized
            && self.renewed(request, token.as_ref()).await?.is_some()
        {
            // The data is used up, so only the caller can send it again.
            return answer.map_err(|error| error.with_new_token());
        }
        match (answer, watch.take_error()) {
            // The server had refused it already.
            (Err(error), _) if error.status().is_some() => Err(error),
            (_, Some(source)) => Err(broken(source)),
            (Ok(answer), None) if !watch.is_all_sent() => {
                let what = "it came before all of the image data was sent";
                Err(answer.error(ErrorKind::InvalidAnswer, what))
            }
            (answer, None) => answer,
        }
    }

    fn builder(&self, request: &Request, token: Option<&AuthToken>) -> reqwest::RequestBuilder {
        let mut builder = self
            .client
            .request(request.method.clone(), self.endpoint.join(&request.path))
            .headers(request.headers.clone());
        if let Some(token) = token {
            builder = builder.header("x-auth-token", token.header_value());
        }
        if self.closes_silently.load(Ordering::Relaxed) {
            builder = builder.header(header::CONNECTION, "close");
        }
        builder
    }

    async fn answer(
        &self,
        request: &Request,
        sent: reqwest::RequestBuilder,
    ) -> Result<Answer, Error> {
        let url = self.endpoint.join(&request.path);
        let method = request.method.clone();
        match sent.send().await {
            Ok(response) => {
                let answer = Answer::new(method, url, response, self.stall_timeout);
                Ok(answer.signed_in(self.tokens.as_ref().is_some_and(|tokens| tokens.signs_in())))
            }
            Err(error) => {
                let error = Error::of_http(&method, &url, error);
                match &self.proxy {
                    Some(proxy) if error.kind() == ErrorKind::Connect => {
                        let part = proxy.part_in(&error);
                        Err(error.of_proxy(part))
                    }
                    _ => Err(error),
                }
            }
        }
    }

    async fn traced(
        &self,
        request: &Request,
        answer: impl Future<Output = Result<Answer, Error>>,
    ) -> Result<Answer, Error> {
        let url = self.endpoint.join(&request.path);
        let method = &request.method;
        let started = Instant::now();
        let answer = answer.await;
        let elapsed = started.elapsed();
        match &answer {
            Ok(answer) => {
                let request_id = answer.response.headers().get("x-openstack-request-id");
                let status = answer.response.status().as_u16();
                tracing::debug!(%method, url, status, ?elapsed, ?request_id, "answered");
            }
            Err(error) => {
                tracing::debug!(%method, url, kind = ?error.kind(), ?elapsed, "not answered");
            }
        }
        answer
    }
}

/// Returns for how long an upload may need its token: some stores use it to the end.
fn upload_time(len_bytes: Option<u64>, limit: Option<Rate>) -> Duration {
    let limit = limit.map_or(f64::INFINITY, Rate::amount);
    let bytes_per_second = SLOW_UPLOAD_BYTES_PER_SECOND.min(limit);
    let by_size = len_bytes.unwrap_or(0) as f64 / bytes_per_second;
    Duration::from_secs(by_size as u64).max(SHORTEST_UPLOAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_and_slower_an_upload_the_longer_its_token_has_to_live() {
        const GIB: u64 = 1 << 30;
        let limit = |mib: f64| Rate::per_second(mib * 1024.0 * 1024.0);
        for (len_bytes, limit, seconds) in [
            (None, None, 300),
            (Some(0), limit(1.0), 300),
            (Some(100 * GIB), None, 10_240),
            (Some(100 * GIB), limit(50.0), 10_240),
            (Some(100 * GIB), limit(1.0), 102_400),
        ] {
            let time = upload_time(len_bytes, limit);
            assert_eq!(time.as_secs(), seconds, "{len_bytes:?} {limit:?}");
        }
    }
}

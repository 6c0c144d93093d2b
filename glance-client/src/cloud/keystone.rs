//! Speaks to Keystone v3.

use std::time::{Duration, Instant, SystemTime};

use http::{HeaderMap, HeaderValue, StatusCode, header};
use reqwest::redirect;
use serde::Deserialize;
use serde_json::Value;

use super::CloudOptions;
use super::credentials::Credentials;
use super::details::Details;
use super::env::Environment;
use super::error::AuthError;
use super::secret::Secret;
use crate::proxy::Proxy;
use crate::{AuthToken, InvalidToken, Tls, TlsFailure};

/// The most bytes of an answer, catalog included; a longer one is an error.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;
const MESSAGE_BYTES: usize = 500;
/// The pauses before the second, third and fourth try.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// The longest wait for an answer, unless the options say another.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Signs in at one Keystone, always as the same one.
#[derive(Debug)]
pub(super) struct Keystone {
    client: reqwest::Client,
    cloud: String,
    /// The URL of tokens, `.../v3/auth/tokens`.
    url: String,
    credentials: Credentials,
    stall_timeout: Duration,
    retry_until: Option<Instant>,
    clock: Option<fn() -> SystemTime>,
    learn_secret: Option<fn(&str)>,
    /// The proxy between us and Keystone.
    proxy: Option<Proxy>,
}

/// A token, and what came with it.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) token: AuthToken,
    pub(super) obtained_at: Instant,
    /// Its life from then on, if Keystone says it.
    pub(super) life: Option<Duration>,
    pub(super) details: Details,
}

#[derive(Deserialize)]
struct Answer {
    token: Details,
}

impl Keystone {
    pub(super) fn new(
        cloud: &str,
        auth_url: &str,
        credentials: Credentials,
        tls: &Tls,
        options: &CloudOptions,
        env: &Environment,
    ) -> Result<Self, AuthError> {
        let wrong = |problem: String| AuthError::Setting {
            cloud: cloud.to_owned(),
            problem,
        };
        let url = tokens_url(auth_url).ok_or_else(|| {
            wrong("auth_url is no http or https URL, or has a password in it".to_owned())
        })?;
        let client = reqwest::Client::builder()
            .user_agent(concat!("glance-client/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .pool_max_idle_per_host(0)
            .connect_timeout(Duration::from_secs(10));
        let proxy = Proxy::find(&url, |name| env.even_empty(name).map(str::to_owned))
            .map_err(|error| wrong(error.to_string()))?;
        let client = Proxy::apply(proxy.as_ref(), client);
        let client = client.map_err(|error| wrong(error.to_string()))?;
        let client = tls
            .apply(client)
            .map_err(|error| wrong(error.to_string()))?;
        let client = client
            .build()
            .map_err(|error| wrong(format!("no HTTP client can be made: {error}")))?;
        Ok(Self {
            client,
            cloud: cloud.to_owned(),
            url,
            credentials,
            stall_timeout: options.stall_timeout.unwrap_or(STALL_TIMEOUT),
            retry_until: options.retry_until,
            clock: options.clock,
            learn_secret: options.learn_secret,
            proxy,
        })
    }

    /// The URL of tokens.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn cloud(&self) -> &str {
        &self.cloud
    }

    /// Returns whether signing in again gives a token that lives longer.
    pub(super) fn can_renew(&self) -> bool {
        self.credentials.are_lasting()
    }

    /// Signs in. A Keystone that fails is asked four times.
    pub(super) async fn sign_in(&self) -> Result<Grant, AuthError> {
        let mut pauses = PAUSES.iter();
        loop {
            let (error, retry_after) = match self.attempt().await {
                Ok(grant) => return Ok(grant),
                Err(failed) => failed,
            };
            if may_want_tls(&error) && crate::tls::is_spoken_at(&self.url).await {
                return Err(AuthError::Setting {
                    cloud: self.cloud.clone(),
                    problem: format!(
                        "auth_url is http://, and the server speaks TLS at {}: write https://",
                        self.url
                    ),
                });
            }
            let Some(pause) = pauses.next().filter(|_| is_passing(&error)) else {
                return Err(error);
            };
            let pause = retry_after.map_or(*pause, |wanted| wanted.min(LONGEST_PAUSE));
            let is_too_late = |until| Instant::now() + pause > until;
            if self.retry_until.is_some_and(is_too_late) {
                return Err(error);
            }
            tracing::info!(%error, ?pause, "signing in failed; it is tried again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&self) -> Result<Grant, (AuthError, Option<Duration>)> {
        let obtained_at = Instant::now();
        let request = match self.credentials.bare_token() {
            Some(token) => {
                let token = self.sensitive(token).map_err(at_once)?;
                let request = self.client.get(&self.url);
                let request = request.header("x-auth-token", token.clone());
                request.header("x-subject-token", token)
            }
            None => {
                let request = self.client.post(&self.url);
                let body = self.credentials.request().to_string();
                request
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(body)
            }
        };
        let request = request
            .header(header::ACCEPT, "application/json")
            .timeout(self.stall_timeout);
        let answer = request
            .send()
            .await
            .map_err(|error| at_once(self.unreachable(error)))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        tracing::debug!(
            url = self.url,
            methods = self.credentials.methods(),
            status = status.as_u16(),
            elapsed = ?obtained_at.elapsed(),
            request_id = ?headers.get("x-openstack-request-id"),
            "Keystone answered"
        );
        let body = self.body_of(answer, ANSWER_BYTES).await.map_err(at_once)?;
        if !status.is_success() {
            let retry_after = headers.get(header::RETRY_AFTER);
            let retry_after =
                retry_after.and_then(|seconds| seconds.to_str().ok()?.trim().parse().ok());
            return Err((
                self.refused(status, &headers, &body),
                retry_after.map(Duration::from_secs),
            ));
        }
        self.grant(&headers, &body, obtained_at).map_err(at_once)
    }

    /// Asks for something else than a token, at a path below `/v3`.
    pub(super) fn get(&self, path: &str, token: &AuthToken) -> reqwest::RequestBuilder {
        let base = self.url.strip_suffix("/auth/tokens").unwrap_or(&self.url);
        self.client
            .get(format!("{base}{path}"))
            .header("x-auth-token", token.header_value())
            .header(header::ACCEPT, "application/json")
            .timeout(self.stall_timeout)
    }

    /// Reads the body of an answer.
    pub(super) async fn body_of(
        &self,
        mut answer: reqwest::Response,
        most_bytes: usize,
    ) -> Result<Vec<u8>, AuthError> {
        let mut body = Vec::new();
        let mut next = answer.chunk().await;
        while let Some(chunk) = next.map_err(|error| self.unreachable(error))? {
            if body.len() + chunk.len() > most_bytes {
                let mib = most_bytes >> 20;
                return Err(self.unusable(format!("it is longer than {mib} MiB")));
            }
            body.extend_from_slice(&chunk);
            next = answer.chunk().await;
        }
        Ok(body)
    }

    fn grant(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        obtained_at: Instant,
    ) -> Result<Grant, AuthError> {
        let token = headers
            .get("x-subject-token")
            .and_then(|token| token.to_str().ok());
        let token = token.ok_or_else(|| self.no_keystone("there is no token in its answer"))?;
        if let Some(learn) = self.learn_secret {
            learn(token);
        }
        let token = AuthToken::new(token).map_err(|error| self.unusable(error.to_string()))?;
        // The error would have parts of the body in it.
        let answer: Answer = serde_json::from_slice(body).map_err(|_| {
            let answer = serde_json::from_slice::<Value>(body).unwrap_or_default();
            match answer.get("token") {
                Some(_) => self.unusable("what it says of the token is not as Keystone v3 says it"),
                None => self.no_keystone("its answer is not that of Keystone v3"),
            }
        })?;
        let details = answer.token;
        // A new token was issued just now, whatever the clocks say.
        let issued_at = details.issued_at().filter(|_| self.can_renew());
        let now = issued_at.or_else(|| self.clock?().try_into().ok());
        let life = details.expires_at().zip(now).map(|(expires_at, now)| {
            Duration::try_from(expires_at.duration_since(now)).unwrap_or_default()
        });
        Ok(Grant {
            token,
            obtained_at,
            life,
            details,
        })
    }

    fn sensitive(&self, token: &Secret) -> Result<HeaderValue, AuthError> {
        let value = HeaderValue::from_str(token.expose());
        let mut value = value.map_err(|_| AuthError::Setting {
            cloud: self.cloud.clone(),
            problem: InvalidToken.to_string(),
        })?;
        value.set_sensitive(true);
        Ok(value)
    }

    pub(super) fn unreachable(&self, error: reqwest::Error) -> AuthError {
        AuthError::Unreachable {
            cloud: self.cloud.clone(),
            url: self.url.clone(),
            proxy: self.proxy.as_ref().map(|proxy| proxy.part_in(&error)),
            source: error.without_url(),
        }
    }

    pub(super) fn unusable(&self, problem: impl Into<String>) -> AuthError {
        AuthError::Answer {
            cloud: self.cloud.clone(),
            url: self.url.clone(),
            problem: problem.into(),
        }
    }

    fn no_keystone(&self, problem: impl Into<String>) -> AuthError {
        AuthError::NotKeystone {
            cloud: self.cloud.clone(),
            url: self.url.clone(),
            problem: problem.into(),
        }
    }

    pub(super) fn refused(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> AuthError {
        let cloud = self.cloud.clone();
        let url = self.url.clone();
        let message = message(body);
        // An unknown application credential and a token that is no longer valid
        // are 404 to Keystone; another server has no such page.
        let is_keystone = message.is_some();
        match status.as_u16() {
            401 | 403 => {}
            404 if is_keystone => {}
            // 413 means too much at once, if it says when to come again.
            413 if !headers.contains_key(header::RETRY_AFTER) && is_keystone => {
                return self.not_taken(status, message);
            }
            413 | 429 | 500..=599 => {
                return AuthError::Failed {
                    cloud,
                    url,
                    status: status.as_u16(),
                    message,
                };
            }
            300..=399 => {
                let to = headers
                    .get(header::LOCATION)
                    .and_then(|to| to.to_str().ok());
                let to = to.map_or_else(String::new, |to| format!(" to {to}"));
                return self.no_keystone(format!("it redirects{to}, and passwords do not follow"));
            }
            _ if is_keystone => return self.not_taken(status, message),
            status => {
                let message = message.map_or_else(String::new, |text| format!(": {text}"));
                return self.no_keystone(format!("{status}{message}"));
            }
        }
        if self.credentials.bare_token().is_some() && status != StatusCode::FORBIDDEN {
            return AuthError::TokenExpired { cloud };
        }
        let methods = self.credentials.methods();
        match more_wanted(body) {
            Some(wanted) => AuthError::MoreWanted {
                cloud,
                url,
                methods,
                wanted,
            },
            None => AuthError::Refused {
                cloud,
                url,
                methods,
                status: status.as_u16(),
                message,
            },
        }
    }

    fn not_taken(&self, status: StatusCode, message: Option<String>) -> AuthError {
        AuthError::NotTaken {
            cloud: self.cloud.clone(),
            url: self.url.clone(),
            status: status.as_u16(),
            message,
        }
    }
}

fn at_once(error: AuthError) -> (AuthError, Option<Duration>) {
    (error, None)
}

/// Returns whether a server that wants TLS may answer plain HTTP like this.
fn may_want_tls(error: &AuthError) -> bool {
    match error {
        AuthError::NotKeystone { .. } => true,
        AuthError::Unreachable { source, .. } => !source.is_connect() && !source.is_timeout(),
        _ => false,
    }
}

/// Returns whether another try may succeed.
fn is_passing(error: &AuthError) -> bool {
    match error {
        AuthError::Failed { status, .. } => *status != 501,
        AuthError::Unreachable { source, .. } => TlsFailure::find(source).is_none(),
        _ => false,
    }
}

/// Returns the URL of tokens, for an `auth_url` with or without a version.
fn tokens_url(auth_url: &str) -> Option<String> {
    let url = reqwest::Url::parse(auth_url).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none() && url.has_host();
    if !matches!(url.scheme(), "http" | "https") || !is_plain {
        return None;
    }
    let base = auth_url.split(['?', '#']).next()?.trim_end_matches('/');
    let base = base.strip_suffix("/auth/tokens").unwrap_or(base);
    let base = ["/v3", "/v2.0"]
        .iter()
        .find_map(|version| base.strip_suffix(version))
        .unwrap_or(base);
    Some(format!("{}/v3/auth/tokens", base.trim_end_matches('/')))
}

/// Returns the methods that Keystone wants together, if it has given a receipt for the first ones.
fn more_wanted(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Receipt {
        required_auth_methods: Vec<Vec<String>>,
    }
    let receipt: Receipt = serde_json::from_slice(body).ok()?;
    let ways = receipt.required_auth_methods.iter();
    let ways: Vec<_> = ways.map(|methods| methods.join(" and ")).collect();
    let mut text = ways.join(", or ");
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES));
    Some(text).filter(|text| !text.is_empty())
}

/// Keystone's words.
fn message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Failed {
        error: Message,
    }
    #[derive(Deserialize)]
    struct Message {
        message: String,
    }
    let failed: Failed = serde_json::from_slice(body).ok()?;
    let mut text = failed.error.message;
    text.truncate(text.floor_char_boundary(MESSAGE_BYTES));
    Some(text)
}

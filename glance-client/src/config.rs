//! The configuration of a client.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::{AuthToken, Endpoint, Limits, Tls, TokenSource};

/// The choice of the version of the Image API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiChoice {
    /// v2 where the server offers it, else v1.
    #[default]
    Auto,
    /// v1; an error where the server does not offer it.
    V1,
    /// v2; an error where the server does not offer it.
    V2,
}

/// The configuration of a client.
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The address of the Glance.
    pub endpoint: Endpoint,
    /// The source of the token of each request; without one, requests have no token.
    pub tokens: Option<Arc<dyn TokenSource>>,
    /// The certificates that the client trusts and shows.
    pub tls: Tls,
    /// The choice of the version of the API.
    pub api: ApiChoice,
    /// Whether all images are listed first. The first page is asked for while it is found out which
    /// versions of the API the server has, as one of today is asked: that saves two round trips. Any
    /// other server is asked again.
    pub lists_all_first: bool,
    /// The longest time to connect, TLS included.
    pub connect_timeout: Duration,
    /// The longest time in which the server neither sends nor takes a byte, and the longest wait
    /// for its answer to a request without image data.
    pub stall_timeout: Duration,
    /// The longest wait for an answer once the server has all of an upload.
    pub answer_timeout: Duration,
    /// The bytes and requests per second. Clients that are given clones of one value share it.
    pub limits: Limits,
    /// The most images in a page of a listing. Servers cut it to their own limit, mostly 1000.
    pub page_limit: u32,
    /// The number of retries of connecting and of each page of a listing, for failures that may
    /// pass ([`Error::is_transient`](crate::Error::is_transient)). The pauses are 1, 2, 4, ...
    /// seconds, or what the server asks for. A server that is not reached at all on connecting is
    /// given up at once. Other operations are not retried: their caller knows better what a retry
    /// costs.
    pub listing_retries: u32,
    /// The moment after which no retry begins.
    pub retry_until: Option<Instant>,
}

impl ClientConfig {
    /// Starts from the defaults: no token, v2 or else v1, no limits, 10 s to connect, 60 s for a
    /// stall, 10 minutes for the answer to an upload.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            tokens: None,
            tls: Tls::default(),
            api: ApiChoice::Auto,
            lists_all_first: false,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(600),
            limits: Limits::default(),
            page_limit: 1000,
            listing_retries: 0,
            retry_until: None,
        }
    }

    /// Sends every request with this token.
    #[must_use]
    pub fn with_token(mut self, token: AuthToken) -> Self {
        self.tokens = Some(Arc::new(token));
        self
    }

    /// Speaks this version of the API.
    #[must_use]
    pub fn with_api(mut self, api: ApiChoice) -> Self {
        self.api = api;
        self
    }
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("endpoint", &self.endpoint)
            .field("tls", &self.tls)
            .field("api", &self.api)
            .field("lists_all_first", &self.lists_all_first)
            .field("connect_timeout", &self.connect_timeout)
            .field("stall_timeout", &self.stall_timeout)
            .field("answer_timeout", &self.answer_timeout)
            .field("limits", &self.limits)
            .field("page_limit", &self.page_limit)
            .field("listing_retries", &self.listing_retries)
            .field("retry_until", &self.retry_until)
            .finish_non_exhaustive()
    }
}

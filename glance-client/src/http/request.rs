//! Requests, before they are given a token.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// A request without its token.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn header(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.append(name, value.into());
        self
    }

    pub(crate) fn json(self, media_type: &'static str, body: &serde_json::Value) -> Self {
        let mut request = self.header(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        request.body = body.to_string().into();
        request
    }

    /// Creating is not repeatable, since the first try may have reached the server.
    pub(super) fn is_repeatable(&self) -> bool {
        self.method != Method::POST
    }
}

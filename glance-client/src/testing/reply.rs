//! Answers and refusals, before faults are applied.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::json;

use super::content::ImageContent;

/// The words of the real server for its own mistakes.
pub(super) const FAILED: &str =
    "The server has either erred or is incapable of performing the requested operation.";

/// The reason why a request is not done.
#[derive(Debug)]
pub(super) enum Stop {
    Refuse(u16, String),
    /// Refused with a reason behind the general sentence of the status.
    Detailed(u16, String),
    /// Refused with headers that say more.
    RefuseWith(u16, String, &'static str, String),
    /// The connection closes without an answer, as on some errors of the real server.
    HangUp,
}

pub(super) fn refuse<T>(status: u16, text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Refuse(status, text.into()))
}

pub(super) fn refuse_in_detail<T>(status: u16, detail: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Detailed(status, detail.into()))
}

/// The general sentence of a status.
fn explanation(status: u16) -> &'static str {
    match status {
        403 => "Access was denied to this resource.",
        404 => "The resource could not be found.",
        409 => "There was a conflict when trying to complete your request.",
        415 => "The request media type is not supported by this server.",
        416 => "The Range requested is not available.",
        _ => {
            "The server could not comply with the request since it is either malformed or otherwise incorrect."
        }
    }
}

/// An answer before faults are applied.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, Vec<u8>)>,
    pub(super) content: ImageContent,
    pub(super) start: u64,
    /// The length that is declared and, as far as there is content, sent.
    pub(super) len: u64,
}

impl Reply {
    pub(super) fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content: ImageContent::zeros(0),
            start: 0,
            len: 0,
        }
    }

    pub(super) fn text(status: u16, content_type: &str, text: impl Into<Bytes>) -> Self {
        let content = ImageContent::bytes(text);
        let len = content.len_bytes();
        Self {
            content,
            len,
            ..Self::empty(status)
        }
        .header("content-type", content_type)
    }

    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        // Nothing that is shown here fails to be written.
        let body = serde_json::to_vec(body).unwrap_or_default();
        Self::text(status, "application/json", body)
    }

    pub(super) fn data(content: ImageContent, len: u64) -> Self {
        Self {
            content,
            len,
            ..Self::empty(200)
        }
        .header("content-type", "application/octet-stream")
    }

    pub(super) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Returns whether a header is invalid: a line break in its value, a blank in its name.
    pub(super) fn has_broken_head(&self) -> bool {
        self.headers.iter().any(|(name, value)| {
            HeaderName::try_from(name).is_err() || HeaderValue::from_bytes(value).is_err()
        })
    }

    /// Writes the head as the server of 2017 does: whatever the headers hold.
    pub(super) fn broken_head(&self) -> Vec<u8> {
        let mut head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n".to_vec();
        for (name, value) in &self.headers {
            let words = name.split('-').map(|word| {
                let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
                first.to_ascii_uppercase() + &rest.to_ascii_lowercase()
            });
            head.extend(words.collect::<Vec<_>>().join("-").into_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value);
            head.extend_from_slice(b"\r\n");
        }
        head.extend(format!("Content-Length: {}\r\n\r\n", self.len).into_bytes());
        head
    }

    /// An error in the form that `Accept` asks for, with a detail behind the general sentence.
    pub(super) fn detailed_error(status: u16, detail: &str, accept: &str) -> Self {
        Self::error_of(status, explanation(status), detail, accept)
    }

    /// An error in the form that `Accept` asks for.
    pub(super) fn error(status: u16, text: &str, accept: &str) -> Self {
        Self::error_of(status, text, "", accept)
    }

    fn error_of(status: u16, text: &str, detail: &str, accept: &str) -> Self {
        let title = StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason());
        let title = title.unwrap_or("Unknown");
        let code = format!("{status} {title}");
        if accept.contains("application/json") {
            let message = format!("{text}<br /><br />\n{detail}\n\n");
            return Self::json(
                status,
                &json!({ "message": message, "code": code, "title": title }),
            );
        }
        if accept.contains("html") || accept.contains("*/*") {
            let page = format!(
                "<html>\n <head>\n  <title>{code}</title>\n </head>\n <body>\n  <h1>{code}</h1>\n  \
                 {text}<br /><br />\n{detail}\n\n\n </body>\n</html>"
            );
            return Self::text(status, "text/html; charset=UTF-8", page);
        }
        let page = format!("{code}\n\n{text}\n\n {detail}  ");
        Self::text(status, "text/plain; charset=UTF-8", page)
    }
}

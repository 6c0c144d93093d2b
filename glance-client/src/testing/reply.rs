//! Answers and refusals, before faults are applied.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::content::ImageContent;

/// Why a request is not done.
#[derive(Debug)]
pub(super) enum Stop {
    Refuse(u16, String),
    /// Refused with headers that say more.
    RefuseWith(u16, String, &'static str, String),
    /// The connection closes without an answer, as on some errors of the real server.
    HangUp,
}

pub(super) fn refuse<T>(status: u16, text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Refuse(status, text.into()))
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

    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
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

    /// An error in the form that `Accept` asks for.
    pub(super) fn error(status: u16, text: &str, accept: &str) -> Self {
        let title = StatusCode::from_u16(status)
            .ok()
            .and_then(|status| status.canonical_reason());
        let title = title.unwrap_or("Unknown");
        let code = format!("{status} {title}");
        if accept.contains("application/json") {
            // Glance puts these reasons behind a general sentence.
            let message = match status {
                403 => format!("Access was denied to this resource.<br /><br />\n{text}\n\n"),
                _ => format!("{text}<br /><br />\n\n\n"),
            };
            return Self::json(
                status,
                &json!({ "message": message, "code": code, "title": title }),
            );
        }
        if accept.contains("html") || accept.contains("*/*") {
            let page = format!(
                "<html>\n <head>\n  <title>{code}</title>\n </head>\n <body>\n  <h1>{code}</h1>\n  \
                 {text}<br /><br />\n\n\n\n </body>\n</html>"
            );
            return Self::text(status, "text/html; charset=UTF-8", page);
        }
        Self::text(
            status,
            "text/plain; charset=UTF-8",
            format!("{code}\n\n{text}\n\n   "),
        )
    }
}

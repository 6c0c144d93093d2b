//! Failures between a client and its Glance.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use glance_model::{BadRecord, ImageId};
use http::{HeaderMap, Method, StatusCode, header};
use serde::Deserialize;

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// A server's words are cut to this many bytes.
const MESSAGE_BYTES: usize = 2048;

/// A request that failed, and all that the server said of it.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    method: Method,
    url: String,
    status: Option<StatusCode>,
    message: Option<String>,
    request_id: Option<String>,
    retry_after: Option<Duration>,
    through_proxy: bool,
    signed_in: bool,
    has_new_token: bool,
    source: Option<BoxError>,
}

/// The sort of the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The server was not reached: no such host, refused, TLS failed, too slow.
    Connect,
    /// The connection broke.
    Disconnected,
    /// The server neither sent nor took anything for too long.
    Stalled,
    /// The server has all of an upload, and did not answer for too long: it may have the image.
    Unanswered,
    /// The server speaks TLS, and the URL is an `http://` one.
    SpeaksTls,
    /// Image data ended early, or did not fit what was announced.
    BrokenBody,
    /// The image data given to an upload ended in an error, the source of this.
    UploadSource,
    /// The request cannot be sent as HTTP, such as a line break in a header.
    InvalidRequest,
    /// No Image API is there, or not the version that was asked for.
    NotGlance,
    /// The answer is not what the Image API answers.
    InvalidAnswer,
    /// The answer is longer than what is held in memory.
    TooLong,
    /// A record of a listing describes no image that could be used; the
    /// [`BadRecord`](glance_model::BadRecord) is the source of this. The listing
    /// goes on.
    BadRecord,
    /// 400, and 4xx that have no kind of their own.
    Rejected,
    /// 401: no token, or one that is not valid.
    Unauthorized,
    /// 403: the caller may not do this.
    Forbidden,
    /// 404: it does not exist, or the caller does not see it.
    NotFound,
    /// 409 to the creation of an image: the id is taken.
    DuplicateId,
    /// 409 for any other reason: the state of the image forbids it.
    Conflict,
    /// 410: the image was deleted meanwhile.
    Gone,
    /// 413: over a quota or a limit.
    TooLarge,
    /// 415: the data does not match `disk_format`, or looks unsafe.
    UnsupportedContent,
    /// 429: too many requests.
    RateLimited,
    /// 5xx: the server failed.
    Server,
}

impl ErrorKind {
    fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            401 => Self::Unauthorized,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            408 => Self::Stalled,
            409 => Self::Conflict,
            410 => Self::Gone,
            413 => Self::TooLarge,
            415 => Self::UnsupportedContent,
            429 => Self::RateLimited,
            300..=399 => Self::NotGlance,
            500..=599 => Self::Server,
            400..=499 => Self::Rejected,
            _ => Self::InvalidAnswer,
        }
    }

    /// The text of an error that has no status.
    fn text(self) -> &'static str {
        match self {
            Self::Connect => "cannot connect",
            Self::Disconnected => "the connection broke",
            Self::Stalled => "no progress for too long",
            Self::Unanswered => "no answer for too long",
            Self::SpeaksTls => "the server speaks TLS there",
            Self::BrokenBody => "the image data is not whole",
            Self::UploadSource => "the image data to be sent could not be read",
            Self::InvalidRequest => "the request cannot be sent",
            Self::NotGlance => "no Image API here",
            Self::InvalidAnswer => "this is no answer of an Image API",
            Self::BadRecord => "a record cannot be used",
            _ => "failed",
        }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, method: &Method, url: &str) -> Self {
        Self(Box::new(Inner {
            kind,
            method: method.clone(),
            url: url.to_owned(),
            status: None,
            message: None,
            request_id: None,
            retry_after: None,
            through_proxy: false,
            signed_in: false,
            has_new_token: false,
            source: None,
        }))
    }

    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.0.message = Some(message.into());
        self
    }

    pub(crate) fn with_answer(mut self, status: StatusCode, headers: &HeaderMap) -> Self {
        let text = |name: &str| {
            let value = headers.get(name)?.as_bytes();
            Some(String::from_utf8_lossy(value.get(..200).unwrap_or(value)).into_owned())
        };
        self.0.status = Some(status);
        self.0.request_id = text("x-openstack-request-id");
        // The other form, a date, is of no use without a clock that agrees with the server's.
        self.0.retry_after = text(header::RETRY_AFTER.as_str())
            .and_then(|seconds| seconds.trim().parse().ok())
            .map(Duration::from_secs);
        self
    }

    /// An answer whose status says that the request failed.
    pub(crate) fn of_answer(
        method: &Method,
        url: &str,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let mut error = Self::new(ErrorKind::of_status(status), method, url);
        let location = headers.get(header::LOCATION);
        let location = location.and_then(|location| location.to_str().ok());
        error.0.message = match location {
            // If it were followed, the token would go to another server.
            Some(location) if status.is_redirection() => Some(format!(
                "it redirects to {}, and is not followed",
                location.chars().take(200).collect::<String>()
            )),
            None if status.is_redirection() => {
                Some("this version of the Image API is not served here".to_owned())
            }
            _ => message(body),
        };
        error.with_answer(status, headers)
    }

    pub(crate) fn of_http(method: &Method, url: &str, error: reqwest::Error) -> Self {
        let kind = kind_of_http(&error);
        Self::new(kind, method, url).with_source(error.without_url())
    }

    /// Leaves out of the URL what may be a secret: a signature.
    pub(crate) fn without_query(mut self) -> Self {
        if let Some(at) = self.0.url.find('?') {
            self.0.url.truncate(at);
        }
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Adds what a proxy has to do with it.
    pub(crate) fn of_proxy(mut self, part: String) -> Self {
        self.0.through_proxy = true;
        self.with_message(part)
    }

    /// Records whether the token was obtained by signing in.
    pub(crate) fn with_signed_in(mut self, signed_in: bool) -> Self {
        self.0.signed_in = signed_in;
        self
    }

    /// Records that the next try has another token.
    pub(crate) fn with_new_token(mut self) -> Self {
        self.0.has_new_token = true;
        self
    }

    /// Returns whether the connection that failed was one through a proxy.
    #[must_use]
    pub fn is_through_proxy(&self) -> bool {
        self.0.through_proxy
    }

    /// Returns whether the token of the request was obtained by signing in, and not given.
    #[must_use]
    pub fn is_signed_in(&self) -> bool {
        self.0.signed_in
    }

    /// Takes out the error that this one comes from: for
    /// [`ErrorKind::UploadSource`] the one that the image data ended in.
    #[must_use]
    pub fn into_source(self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.0.source
    }

    /// The sort of the failure.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The image of a record that cannot be used.
    pub(crate) fn bad_id(&self) -> Option<ImageId> {
        let bad = self.0.source.as_ref()?.downcast_ref::<BadRecord>()?;
        bad.image_id()
    }

    /// The method of the request.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.0.method
    }

    /// The URL of the request.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// The status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The words of the server, or what is wrong with its answer. The text comes from the server:
    /// escape it before it goes to a terminal.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.0.message.as_deref()
    }

    /// The id of the request in the server's log.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// Returns whether the same request may succeed later: the connection broke, the server is
    /// busy, restarting or out of order, or the token of an upload was rejected and there is a new
    /// one by now.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self.0.kind {
            ErrorKind::Connect
            | ErrorKind::Disconnected
            | ErrorKind::Stalled
            | ErrorKind::Unanswered
            | ErrorKind::BrokenBody
            | ErrorKind::RateLimited => true,
            ErrorKind::Unauthorized => self.0.has_new_token,
            ErrorKind::Server => self
                .0
                .status
                .is_some_and(|status| matches!(status.as_u16(), 500 | 502 | 503 | 504)),
            _ => false,
        }
    }

    /// The pause before the next try that the server asks for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        write!(f, "{} {}: ", inner.method, inner.url)?;
        match inner.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str(inner.kind.text())?,
        }
        if let Some(delay) = inner.retry_after {
            write!(f, ", to be asked again after {} s", delay.as_secs())?;
        }
        if let Some(message) = &inner.message {
            write!(f, ": {message}")?;
        }
        if let Some(request_id) = &inner.request_id {
            write!(f, " (request {request_id})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("method", &self.0.method)
            .field("url", &self.0.url)
            .field("status", &self.0.status)
            .field("message", &self.0.message)
            .field("request_id", &self.0.request_id)
            .field("retry_after", &self.0.retry_after)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.0.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

fn kind_of_http(error: &reqwest::Error) -> ErrorKind {
    if error.is_connect() {
        return ErrorKind::Connect;
    }
    if error.is_timeout() {
        return ErrorKind::Stalled;
    }
    if error.is_builder() {
        return ErrorKind::InvalidRequest;
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>()
            && error.is_parse()
        {
            return ErrorKind::InvalidAnswer;
        }
        // TLS 1.3: a server that demands a certificate says so only after the
        // handshake.
        if error.to_string().contains("received fatal alert") {
            return ErrorKind::Connect;
        }
        cause = error.source();
    }
    ErrorKind::Disconnected
}

/// Finds the words of a server in the body of an error: JSON, plain text or HTML.
fn message(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Glance {
        message: String,
    }
    #[derive(Deserialize)]
    struct Keystone {
        error: Glance,
    }
    let json = serde_json::from_slice::<Glance>(body)
        .or_else(|_| serde_json::from_slice::<Keystone>(body).map(|keystone| keystone.error));
    let text = String::from_utf8_lossy(body);
    let text = match &json {
        Ok(json) => of_json(&json.message),
        Err(_) if text.trim_start().starts_with('<') => return html_title(&text),
        // `404 Not Found\n\nNo image found ...\n\n   `
        Err(_) => text.split_once("\n\n").map_or(&*text, |(_, text)| text),
    };
    // Behind the first paragraph of a schema error stands the schema.
    let text = text.trim().split("\n\n").next().unwrap_or_default();
    let end = text.floor_char_boundary(MESSAGE_BYTES);
    text.get(..end)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

/// Glance's messages are `explanation<br /><br />\ndetail`. Where there is a
/// detail, the explanation is a commonplace of HTTP ("The resource could not be
/// found.").
fn of_json(message: &str) -> &str {
    let mut parts = message.split("<br />").map(str::trim);
    let explanation = parts.next().unwrap_or_default();
    parts.find(|part| !part.is_empty()).unwrap_or(explanation)
}

fn html_title(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("<title>")?;
    let (title, _) = rest.split_once("</title>")?;
    let title = title.trim();
    let end = title.floor_char_boundary(200);
    title.get(..end).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_server_are_found_in_every_form() {
        for (name, body, found) in [
            (
                "json",
                r#"{"message": "No image found with ID x<br /><br />\n\n\n", "code": "404 Not Found", "title": "Not Found"}"#,
                Some("No image found with ID x"),
            ),
            (
                "json whose reason stands behind",
                r#"{"message": "Access was denied to this resource.<br /><br />\nAttribute 'size' is read-only.\n\n", "code": "403 Forbidden"}"#,
                Some("Attribute 'size' is read-only."),
            ),
            (
                "v1",
                r#"{"message": "The resource could not be found.<br /><br />\nImage x is not active\n\n"}"#,
                Some("Image x is not active"),
            ),
            (
                "a conflict",
                r#"{"message": "There was a conflict when trying to complete your request.<br /><br />\nImage ID x already exists!\n\n"}"#,
                Some("Image ID x already exists!"),
            ),
            (
                "no reason behind",
                r#"{"message": "Access was denied to this resource.<br /><br />\n\n\n"}"#,
                Some("Access was denied to this resource."),
            ),
            (
                "a schema error",
                r#"{"message": "'floppy' is not one of [None]\n\nFailed validating 'enum' in schema<br /><br />\n\n\n"}"#,
                Some("'floppy' is not one of [None]"),
            ),
            (
                "keystonemiddleware",
                r#"{"error": {"message": "The request you have made requires authentication.", "code": 401, "title": "Unauthorized"}}"#,
                Some("The request you have made requires authentication."),
            ),
            (
                "text",
                "404 Not Found\n\nNo image found with ID x\n\n   ",
                Some("No image found with ID x"),
            ),
            (
                "a page",
                "<html><head><title>502 Bad Gateway</title></head></html>",
                Some("502 Bad Gateway"),
            ),
            ("a page without a title", "<html></html>", None),
            ("nothing", "", None),
        ] {
            assert_eq!(message(body.as_bytes()).as_deref(), found, "{name}");
        }
    }

    #[test]
    fn the_words_of_a_server_are_cut_between_characters() {
        let long = "\u{e4}".repeat(5000);
        let found = message(format!("x{long}").as_bytes()).unwrap();
        assert!((2000..=MESSAGE_BYTES).contains(&found.len()));
    }
}

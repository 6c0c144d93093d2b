//! The versions of the Image API, and what differs between them.

use std::fmt::{self, Write as _};

use glance_model::{BadRecord, ImageMetadata, read_record, valid_unicode};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::http::{Http, Request};
use crate::{ApiChoice, Error, ErrorKind};

pub(crate) mod v1;
pub(crate) mod v2;

/// The version of the Image API that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiVersion {
    /// Images v1.
    V1,
    /// Images v2, and the highest minor version that the server offers.
    V2 {
        /// 15 in `v2.15`.
        minor: u32,
    },
}

impl ApiVersion {
    /// Says whether images can be hidden (`os_hidden`, v2.7).
    #[must_use]
    pub fn has_hidden(self) -> bool {
        matches!(self, Self::V2 { minor: 7.. })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V1 => f.write_str("v1"),
            Self::V2 { minor } => write!(f, "v2.{minor}"),
        }
    }
}

/// An image of a listing, or the record that describes none.
pub(crate) type Listed = Result<ImageMetadata, BadRecord>;

/// One page of a listing.
pub(crate) struct Page {
    pub(crate) images: Vec<Listed>,
    pub(crate) next: Next,
}

/// What a page says of the one behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// There is none.
    Nothing,
    /// Nothing: v1 has no such link, and a short page proves nothing.
    Unsaid,
    /// There is one, which begins behind this id, where the link says so. It is as
    /// a query holds it.
    Behind(Option<String>),
}

#[derive(Deserialize)]
struct Listing<R> {
    images: Vec<R>,
    next: Option<Value>,
}

impl Page {
    /// Reads a page, each record of it by itself if one of them is odd.
    pub(crate) fn read<R>(version: ApiVersion, body: &[u8]) -> Result<Self, serde_json::Error>
    where
        R: DeserializeOwned + Into<ImageMetadata>,
    {
        let (images, next) = match serde_json::from_slice::<Listing<R>>(body) {
            Ok(page) => {
                let images = page.images.into_iter().map(|record| Ok(record.into()));
                (images.collect(), page.next)
            }
            Err(_) => {
                let body = valid_unicode(body);
                let page: Listing<Box<RawValue>> = serde_json::from_str(&body)?;
                let images = page.images.iter();
                let images = images.map(|record| read_record::<R>(record.get()));
                (images.collect(), page.next)
            }
        };
        let next = match (version, next) {
            (ApiVersion::V1, _) => Next::Unsaid,
            (_, None) => Next::Nothing,
            (_, Some(link)) => Next::Behind(link.as_str().and_then(marker).map(str::to_owned)),
        };
        Ok(Self { images, next })
    }
}

/// The marker of a link to the next page, if nothing in it could end a query.
fn marker(link: &str) -> Option<&str> {
    let (_, query) = link.split_once('?')?;
    let marker = query
        .split('&')
        .find_map(|part| part.strip_prefix("marker="))?;
    let is_harmless = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
    (!marker.is_empty() && marker.bytes().all(is_harmless)).then_some(marker)
}

/// The id of an image, be it any text, as a query holds it.
pub(crate) fn as_marker(id: &str) -> String {
    let as_written = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let mut marker = String::with_capacity(id.len());
    for byte in id.bytes() {
        if as_written(byte) {
            marker.push(char::from(byte));
        } else {
            let _ = write!(marker, "%{byte:02X}");
        }
    }
    marker
}

#[derive(Deserialize)]
pub(crate) struct Versions {
    pub(crate) versions: Vec<VersionEntry>,
}

#[derive(Deserialize)]
pub(crate) struct VersionEntry {
    pub(crate) id: String,
}

/// Finds out which version to speak.
pub(crate) async fn discover(http: &Http, choice: ApiChoice) -> Result<ApiVersion, Error> {
    let request = Request::get("/versions");
    let mut failed = 0;
    let offered = loop {
        let mut offered = offered_at(http, &request).await;
        if offered.as_ref().is_err_and(is_elsewhere) {
            offered = offered_at(http, &Request::get("/")).await;
        }
        match offered {
            Ok(offered) => break offered,
            // A wrong address is more likely than a server that comes back.
            Err(error) if error.kind() == ErrorKind::Connect => return Err(error),
            Err(error) => {
                failed += 1;
                let waited = http.before_retry(failed, error).await;
                waited.map_err(as_no_glance)?;
            }
        }
    };
    let minor = |entry: &VersionEntry| entry.id.strip_prefix("v2.")?.parse().ok();
    let v2 = offered.versions.iter().filter_map(minor).max();
    let has_v1 = offered.versions.iter().any(|v| v.id.starts_with("v1"));
    let version = match (choice, v2) {
        (ApiChoice::Auto | ApiChoice::V2, Some(minor)) => Some(ApiVersion::V2 { minor }),
        (ApiChoice::Auto | ApiChoice::V1, _) if has_v1 => Some(ApiVersion::V1),
        _ => None,
    };
    version.ok_or_else(|| {
        let ids: Vec<&str> = offered.versions.iter().map(|v| &*v.id).collect();
        let wanted = match choice {
            ApiChoice::Auto => "neither v2 nor v1",
            ApiChoice::V1 => "no v1",
            ApiChoice::V2 => "no v2",
        };
        http.error(ErrorKind::NotGlance, &request)
            .with_message(format!("{wanted} among its versions: {}", ids.join(", ")))
    })
}

async fn offered_at(http: &Http, request: &Request) -> Result<Versions, Error> {
    let answer = http.send_for_any(request).await?;
    match answer.response.status() {
        // A server answers 300 to every path that it does not know.
        StatusCode::MULTIPLE_CHOICES => answer.json().await,
        _ => answer.successful().await?.json().await,
    }
}

fn is_elsewhere(error: &Error) -> bool {
    error
        .status()
        .is_some_and(|status| !status.is_server_error())
}

/// What is no list of versions is no Glance.
fn as_no_glance(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Rejected | ErrorKind::InvalidAnswer => {
            error.with_kind(ErrorKind::NotGlance)
        }
        _ => error,
    }
}

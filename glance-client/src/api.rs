//! The versions of the Image API, and what differs between them.

use std::fmt::{self, Write as _};

use glance_model::{BadRecord, ImageMetadata, read_record, valid_unicode};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::http::{Http, Request};
use crate::{ApiChoice, Endpoint, Error, ErrorKind};

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
pub(crate) async fn discover(
    http: &Http,
    endpoint: &Endpoint,
    choice: ApiChoice,
) -> Result<ApiVersion, Error> {
    let request = Request::get("/versions");
    let is_for_v2 = endpoint.names_v2() && choice != ApiChoice::V1;
    let offered = match offered(http, &request).await {
        Ok(offered) => offered,
        // Whoever said that v2 is there may know it better than what stands above it, which need
        // not be Glance's, nor be open to us.
        Err(error) if error.status().is_some() && (is_for_v2 || choice == ApiChoice::V2) => {
            tracing::info!(%error, "no list of versions; v2 is used");
            return Ok(v2_by_schema(http).await);
        }
        Err(error) => return Err(as_no_glance(error)),
    };
    let v2 = offered
        .versions
        .iter()
        .filter_map(VersionEntry::minor_of_v2);
    let v2 = v2.max();
    let has_v1 = offered.versions.iter().any(|v| v.id.starts_with("v1"));
    match (choice, v2) {
        (ApiChoice::Auto | ApiChoice::V2, Some(Some(minor))) => Ok(ApiVersion::V2 { minor }),
        (ApiChoice::Auto | ApiChoice::V2, Some(None)) => Ok(v2_by_schema(http).await),
        (ApiChoice::Auto | ApiChoice::V1, _) if has_v1 => Ok(ApiVersion::V1),
        // A list of another service's.
        _ if is_for_v2 => Ok(v2_by_schema(http).await),
        _ => {
            let ids: Vec<&str> = offered.versions.iter().map(|v| &*v.id).collect();
            let wanted = match choice {
                ApiChoice::Auto => "neither v2 nor v1",
                ApiChoice::V1 => "no v1",
                ApiChoice::V2 => "no v2",
            };
            let message = format!("{wanted} among its versions: {}", ids.join(", "));
            let error = http.error(ErrorKind::NotGlance, &request);
            Err(error.with_message(message))
        }
    }
}

impl VersionEntry {
    /// Returns the minor version of a v2, as far as it is said: there is none in `v2`.
    fn minor_of_v2(&self) -> Option<Option<u32>> {
        match self.id.strip_prefix("v2")? {
            "" => Some(None),
            minor => Some(Some(minor.strip_prefix('.')?.parse().ok()?)),
        }
    }
}

/// Returns the v2 of a server that does not say which minor version it is: what matters of it is
/// in the schema of images. A server without one is taken for the oldest.
async fn v2_by_schema(http: &Http) -> ApiVersion {
    #[derive(Deserialize)]
    struct Schema {
        properties: Properties,
    }
    #[derive(Deserialize)]
    struct Properties {
        os_hidden: Option<serde::de::IgnoredAny>,
    }
    let schema = async {
        let answer = http.send(&Request::get("/v2/schemas/image")).await.ok()?;
        answer.json::<Schema>().await.ok()
    };
    let has_hidden = schema
        .await
        .is_some_and(|schema| schema.properties.os_hidden.is_some());
    ApiVersion::V2 {
        minor: if has_hidden { 7 } else { 0 },
    }
}

/// Asks for the list of versions until there is one, or the error is no longer one that passes.
async fn offered(http: &Http, request: &Request) -> Result<Versions, Error> {
    let mut failed = 0;
    loop {
        let mut offered = offered_at(http, request).await;
        if offered.as_ref().is_err_and(is_elsewhere) {
            offered = offered_at(http, &Request::get("/")).await;
        }
        match offered {
            // A wrong address is more likely than a server that comes back.
            Err(error) if error.kind() != ErrorKind::Connect => {
                if failed == 0 && http.wants_tls(&error).await {
                    return Err(http.error(ErrorKind::SpeaksTls, request));
                }
                failed += 1;
                http.before_retry(failed, error).await?;
            }
            offered => return offered,
        }
    }
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

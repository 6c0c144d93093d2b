//! Images v1: paths and coding.

use glance_model::{
    ImageId, ImageMetadata, MetadataDiff, RecordError, V1Record, from_headers, to_headers,
    update_headers,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Deserialize;

use crate::http::Request;

/// Keeps the properties that an update does not name.
const PURGE: HeaderName = HeaderName::from_static("x-glance-registry-purge-props");

const META: &str = "x-image-meta-";

/// A header that cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("the header {name:?} cannot be sent")]
pub(crate) struct InvalidHeader {
    name: String,
}

/// The answer to a POST or PUT.
#[derive(Deserialize)]
pub(crate) struct Written {
    pub(crate) image: V1Record,
}

/// What v1 says of every image that it gives out, in any order.
const OF_EVERY_IMAGE: [&str; 5] = ["id", "status", "size", "is_public", "updated_at"];

/// Returns whether a part of the headers has got into the body: v1 writes the values of
/// properties as they are, and an empty line ends the headers.
pub(crate) fn lost_headers(headers: &HeaderMap) -> bool {
    let prefix = "x-image-meta-";
    let says_anything = headers.keys().any(|name| name.as_str().starts_with(prefix));
    let is_lost = |field: &&str| !headers.contains_key(format!("{prefix}{field}"));
    says_anything && OF_EVERY_IMAGE.iter().any(is_lost)
}

/// `marker` is an id as a query holds it.
pub(crate) fn list(limit: u32, filter: &str, marker: Option<&str>) -> Request {
    let mut path = format!("/v1/images/detail?limit={limit}&sort_key=id&sort_dir=asc{filter}");
    if let Some(marker) = marker {
        path.push_str("&marker=");
        path.push_str(marker);
    }
    Request::get(path)
}

pub(crate) fn show(id: &ImageId) -> Request {
    Request::new(Method::HEAD, format!("/v1/images/{id}"))
}

/// Reads what HEAD answers. Bytes that are not UTF-8 become replacement
/// characters.
pub(crate) fn shown(headers: &HeaderMap) -> Result<ImageMetadata, RecordError> {
    let texts: Vec<_> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(META))
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    from_headers(texts.iter().map(|(name, value)| (*name, &**value)))
}

/// Creates an image with its data.
pub(crate) fn create(metadata: &ImageMetadata) -> Result<Request, InvalidHeader> {
    let request = Request::new(Method::POST, "/v1/images").header(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    with_headers(request, to_headers(metadata))
}

/// Reserves an image. Without a size: with size 0 the server would take it for
/// whole.
pub(crate) fn reserve(metadata: &ImageMetadata) -> Result<Request, InvalidHeader> {
    let mut headers = to_headers(metadata);
    headers.retain(|(name, _)| {
        let field = name.strip_prefix(META).unwrap_or_default();
        !matches!(field, "status" | "deleted" | "size" | "checksum")
    });
    with_headers(
        without_data(Request::new(Method::POST, "/v1/images")),
        headers,
    )
}

/// Puts data into an image that was reserved.
pub(crate) fn fill(metadata: &ImageMetadata) -> Result<Request, InvalidHeader> {
    let mut headers = to_headers(metadata);
    headers.retain(|(name, _)| {
        let field = name.strip_prefix(META).unwrap_or_default();
        !matches!(field, "id" | "status" | "deleted")
    });
    let request = Request::new(Method::PUT, format!("/v1/images/{}", metadata.id)).header(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    with_headers(request, headers)
}

pub(crate) fn update(id: &ImageId, diff: &MetadataDiff) -> Result<Request, InvalidHeader> {
    let request = Request::new(Method::PUT, format!("/v1/images/{id}"))
        .header(PURGE, HeaderValue::from_static("False"));
    with_headers(without_data(request), update_headers(diff))
}

pub(crate) fn download(id: &ImageId) -> Request {
    Request::get(format!("/v1/images/{id}"))
}

/// An empty chunked body would count as data.
fn without_data(request: Request) -> Request {
    request.header(header::CONTENT_LENGTH, 0_u64)
}

fn with_headers(
    request: Request,
    headers: Vec<(String, String)>,
) -> Result<Request, InvalidHeader> {
    headers
        .into_iter()
        .try_fold(request, |request, (name, value)| {
            let header = HeaderName::from_bytes(name.as_bytes()).ok();
            let value = HeaderValue::from_bytes(value.as_bytes()).ok();
            let (Some(header), Some(value)) = (header, value) else {
                return Err(InvalidHeader { name });
            };
            Ok(request.header(header, value))
        })
}

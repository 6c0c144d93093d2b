//! Images v2: paths and coding.

use glance_model::{ImageId, ImageMetadata, MetadataDiff, json_patch, to_v2_record};
use http::{HeaderName, HeaderValue, Method, header};

use crate::Upload;
use crate::http::Request;

/// Says how long an upload is, so that the server counts it against quotas in
/// time (since Glance 31; before, it is ignored).
const IMAGE_SIZE: HeaderName = HeaderName::from_static("x-openstack-image-size");

/// Names the store that image data is to go to.
const STORE: HeaderName = HeaderName::from_static("x-image-meta-store");

/// `marker` is an id as a query holds it.
pub(crate) fn list(limit: u32, filter: &str, marker: Option<&str>) -> Request {
    let mut path = format!("/v2/images?limit={limit}&sort_key=id&sort_dir=asc{filter}");
    if let Some(marker) = marker {
        path.push_str("&marker=");
        path.push_str(marker);
    }
    Request::get(path)
}

pub(crate) fn show(id: &ImageId) -> Request {
    Request::get(format!("/v2/images/{id}"))
}

pub(crate) fn create(metadata: &ImageMetadata) -> Request {
    Request::new(Method::POST, "/v2/images").json("application/json", &to_v2_record(metadata))
}

pub(crate) fn update(id: &ImageId, diff: &MetadataDiff) -> Request {
    Request::new(Method::PATCH, format!("/v2/images/{id}")).json(
        "application/openstack-images-v2.1-json-patch",
        &json_patch(diff),
    )
}

pub(crate) fn download(id: &ImageId) -> Request {
    Request::get(format!("/v2/images/{id}/file"))
}

pub(crate) fn upload(id: &ImageId, data: &Upload) -> Request {
    let mut request = Request::new(Method::PUT, format!("/v2/images/{id}/file")).header(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    if let Some(len_bytes) = data.len_bytes() {
        request = request.header(IMAGE_SIZE, len_bytes);
    }
    // Names of stores are the server's own, which it could not serve otherwise.
    if let Some(store) = data
        .store()
        .and_then(|name| HeaderValue::from_str(name).ok())
    {
        request = request.header(STORE, store);
    }
    request
}

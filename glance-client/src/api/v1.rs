//! Images v1.

use async_trait::async_trait;
use glance_model::{
    ImageId, ImageMetadata, MemberStatus, Members, MetadataDiff, RecordError, Selection,
    TargetForm, v1,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use serde::Deserialize;

use super::dialect::{ApiVersion, Dialect, UsedIds, Views, about, duplicate};
use super::filters;
use super::page::{Next, Page, encoded};
use crate::http::{Answer, Http, Request};
use crate::{Error, ErrorKind, Upload};

/// Keeps the properties that an update does not name.
const PURGE: HeaderName = HeaderName::from_static("x-glance-registry-purge-props");

const META: &str = "x-image-meta-";

/// The fields that v1 sends with the data of every image, in any order.
const OF_EVERY_IMAGE: [&str; 5] = ["id", "status", "size", "is_public", "updated_at"];

/// Images v1: metadata in headers, and an image and its data in one request.
#[derive(Debug)]
pub(super) struct V1;

/// A header that cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("the header {name:?} cannot be sent")]
struct InvalidHeader {
    name: String,
}

/// The answer to a POST or PUT.
#[derive(Deserialize)]
struct Written {
    image: v1::Record,
}

#[async_trait]
impl Dialect for V1 {
    fn version(&self) -> ApiVersion {
        ApiVersion::V1
    }

    fn form(&self) -> TargetForm {
        TargetForm::V1
    }

    fn makes_records_first(&self) -> bool {
        false
    }

    fn listing(&self) -> &'static str {
        "/v1/images/detail"
    }

    fn views(&self, used_ids: UsedIds) -> Views {
        let query = match used_ids {
            UsedIds::LeftOut => "&is_public=None",
            // The only query that shows them.
            UsedIds::Listed => "&is_public=None&changes-since=1970-01-01T00:00:00Z",
        };
        Views {
            queries: vec![query],
            fallback: Vec::new(),
        }
    }

    fn parts(&self, wanted: &Selection) -> Vec<String> {
        filters::of_v1(wanted)
    }

    fn page(&self, body: &[u8]) -> Result<Page, serde_json::Error> {
        let page = Page::read::<v1::Record>(body)?;
        // There is no link to the next page, and a short page proves nothing.
        Ok(Page {
            next: Next::Unsaid,
            ..page
        })
    }

    fn show(&self, id: &ImageId) -> Request {
        Request::new(Method::HEAD, path(id))
    }

    fn info(&self, _: &str) -> Option<Request> {
        None
    }

    fn schema(&self) -> Option<Request> {
        None
    }

    async fn find(&self, http: &Http, id: &ImageId) -> Result<ImageMetadata, Error> {
        let request = self.show(id);
        let answer = http.send(&request).await?;
        let shown = shown(answer.response.headers()).map_err(|source| {
            let error = http.error(ErrorKind::InvalidAnswer, &request);
            error.with_source(source)
        });
        about(http, &request, id, shown?)
    }

    /// Data always begins at its first byte.
    async fn download(
        &self,
        http: &Http,
        id: &ImageId,
        _: u64,
        _: Option<u64>,
    ) -> Result<Option<(u64, Answer)>, Error> {
        let answer = match http.send(&Request::get(path(id))).await {
            Err(error) if is_not_active(&error) => return Ok(None),
            Err(error) if is_of_store(&error) => {
                return match self.find(http, id).await {
                    Ok(found) if found.is_active() => Ok(None),
                    Err(other) if other.kind() != ErrorKind::NotFound => Err(other),
                    _ => Err(error),
                };
            }
            answer => answer?,
        };
        if lost_headers(answer.response.headers()) {
            let what = "its headers end too early: a property of the image has an empty line in its \
                        value, which Images v1 writes as it is; read the image through v2, or \
                        correct the property";
            return Err(answer.error(ErrorKind::InvalidAnswer, what));
        }
        Ok(Some((0, answer)))
    }

    /// Sends no size: with size 0, the server would take the image for whole.
    async fn create_record(
        &self,
        http: &Http,
        metadata: &ImageMetadata,
    ) -> Result<ImageMetadata, Error> {
        let request = without_data(Request::new(Method::POST, "/v1/images"));
        let left_out = ["status", "deleted", "size", "checksum"];
        let headers = without(&left_out, v1::headers(metadata));
        let request = with_headers(http, request, headers)?;
        let answer = http.send(&request).await.map_err(duplicate)?;
        written(http, &request, &metadata.id, answer).await
    }

    async fn create_image(
        &self,
        http: &Http,
        metadata: &ImageMetadata,
        data: Upload,
    ) -> Result<ImageMetadata, Error> {
        let request = with_data(Request::new(Method::POST, "/v1/images"));
        let request = with_headers(http, request, v1::headers(metadata))?;
        let answer = http.upload(&request, data).await.map_err(duplicate)?;
        written(http, &request, &metadata.id, answer).await
    }

    async fn upload(
        &self,
        http: &Http,
        metadata: &ImageMetadata,
        data: Upload,
    ) -> Result<ImageMetadata, Error> {
        let request = with_data(Request::new(Method::PUT, path(&metadata.id)));
        let headers = without(&["id", "status", "deleted"], v1::headers(metadata));
        let request = with_headers(http, request, headers)?;
        let answer = http.upload(&request, data).await?;
        written(http, &request, &metadata.id, answer).await
    }

    async fn update(
        &self,
        http: &Http,
        id: &ImageId,
        diff: &MetadataDiff,
    ) -> Result<ImageMetadata, Error> {
        let request = without_data(Request::new(Method::PUT, path(id)));
        let request = request.header(PURGE, HeaderValue::from_static("False"));
        let request = with_headers(http, request, v1::update_headers(diff))?;
        let answer = http.send(&request).await?;
        written(http, &request, id, answer).await
    }

    /// It is one request an image. `shared-images/{project}` would be one a project; but nobody knows
    /// all projects: v1 takes any text for one, and Keystone tells its own, to administrators, today's.
    async fn members(&self, http: &Http, id: &ImageId) -> Result<Members, Error> {
        let request = Request::get(format!("{}/members", path(id)));
        let MemberList { members } = http.send(&request).await?.json().await?;
        let members = members.into_iter();
        Ok(members
            .map(|member| (member.member_id, MemberStatus::Unsaid))
            .collect())
    }

    async fn add_member(&self, http: &Http, id: &ImageId, project: &str) -> Result<(), Error> {
        let path = format!("{}/members/{}", path(id), encoded(project));
        let request = without_data(Request::new(Method::PUT, path));
        http.send(&request).await.map(drop)
    }

    async fn remove_member(&self, http: &Http, id: &ImageId, project: &str) -> Result<(), Error> {
        let path = format!("{}/members/{}", path(id), encoded(project));
        let removed = http.send(&Request::new(Method::DELETE, path)).await;
        removed.map(drop)
    }

    async fn set_member_status(
        &self,
        _: &Http,
        _: &ImageId,
        _: &str,
        _: MemberStatus,
    ) -> Result<(), Error> {
        Ok(())
    }
}

#[derive(Deserialize)]
struct MemberList {
    members: Vec<MemberEntry>,
}

#[derive(Deserialize)]
struct MemberEntry {
    member_id: String,
}

fn path(id: &ImageId) -> String {
    format!("/v1/images/{id}")
}

/// Reads the answer to HEAD. Bytes that are not UTF-8 become replacement characters.
fn shown(headers: &HeaderMap) -> Result<ImageMetadata, RecordError> {
    let texts: Vec<_> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with(META))
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .collect();
    v1::from_headers(texts.iter().map(|(name, value)| (*name, &**value)))
}

async fn written(
    http: &Http,
    request: &Request,
    id: &ImageId,
    answer: Answer,
) -> Result<ImageMetadata, Error> {
    let written: Written = answer.json().await?;
    about(http, request, id, written.image.into())
}

/// Returns whether a part of the headers has got into the body: v1 writes the values of
/// properties as they are, and an empty line ends the headers.
fn lost_headers(headers: &HeaderMap) -> bool {
    let says_anything = headers.keys().any(|name| name.as_str().starts_with(META));
    let is_lost = |field: &&str| !headers.contains_key(format!("{META}{field}"));
    says_anything && OF_EVERY_IMAGE.iter().any(is_lost)
}

/// 404 is the answer both to an image without data and to no image.
fn is_not_active(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
        && error
            .message()
            .is_some_and(|text| text.contains("is not active"))
}

/// 404 is the answer to an image whose data is gone as well, in the words of its store
/// (`Image /var/lib/glance/images/... not found`).
fn is_of_store(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
        && error.message().is_some_and(|text| {
            let place = text.strip_prefix("Image ");
            place.is_some_and(|place| place.ends_with(" not found") && !place.starts_with("with "))
        })
}

fn with_data(request: Request) -> Request {
    let binary = HeaderValue::from_static("application/octet-stream");
    request.header(header::CONTENT_TYPE, binary)
}

/// An empty chunked body would count as data.
fn without_data(request: Request) -> Request {
    request.header(header::CONTENT_LENGTH, 0_u64)
}

fn without(fields: &[&str], mut headers: Vec<(String, String)>) -> Vec<(String, String)> {
    headers.retain(|(name, _)| {
        let field = name.strip_prefix(META);
        !field.is_some_and(|field| fields.contains(&field))
    });
    headers
}

fn with_headers(
    http: &Http,
    mut request: Request,
    headers: Vec<(String, String)>,
) -> Result<Request, Error> {
    for (name, value) in headers {
        let header = HeaderName::from_bytes(name.as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        let (Ok(header), Ok(value)) = (header, value) else {
            let error = http.error(ErrorKind::InvalidRequest, &request);
            return Err(error.with_source(InvalidHeader { name }));
        };
        request = request.header(header, value);
    }
    Ok(request)
}

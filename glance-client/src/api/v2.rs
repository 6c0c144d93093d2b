//! Images v2.

use async_trait::async_trait;
use glance_model::{
    ImageId, ImageMetadata, MemberStatus, Members, MetadataDiff, Selection, TargetForm, v2,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Deserialize;
use serde_json::json;

use super::dialect::{ApiVersion, Dialect, UsedIds, Views, about, duplicate};
use super::filters;
use super::page::{Page, encoded};
use crate::http::{Answer, Http, Request};
use crate::{Error, ErrorKind, Upload};

/// States the length of an upload, so that the server counts it against quotas in time (since
/// Glance 31; before, it is ignored).
const IMAGE_SIZE: HeaderName = HeaderName::from_static("x-openstack-image-size");

/// The path of the schema of images.
pub(super) const SCHEMA: &str = "/v2/schemas/image";

/// The media type of updates.
pub(crate) const PATCH_TYPE: &str = "application/openstack-images-v2.1-json-patch";

/// Names the store that image data is to go to.
const STORE: HeaderName = HeaderName::from_static("x-image-meta-store");

/// Images v2: metadata as JSON, and records into which data is put.
#[derive(Debug)]
pub(super) struct V2 {
    pub(super) minor: u32,
}

impl V2 {
    fn has_hidden(&self) -> bool {
        self.version().has_hidden()
    }

    /// Reads a record. Its minor version decides what a name means.
    async fn record(
        &self,
        http: &Http,
        request: &Request,
        id: &ImageId,
        answer: Answer,
    ) -> Result<ImageMetadata, Error> {
        let image = if self.has_hidden() {
            answer.json::<v2::Record>().await?.into()
        } else {
            answer.json::<v2::EarlyRecord>().await?.into()
        };
        about(http, request, id, image)
    }
}

#[async_trait]
impl Dialect for V2 {
    fn version(&self) -> ApiVersion {
        ApiVersion::V2 { minor: self.minor }
    }

    fn form(&self) -> TargetForm {
        TargetForm::V2 {
            hidden: self.has_hidden(),
        }
    }

    fn makes_records_first(&self) -> bool {
        true
    }

    fn listing(&self) -> &'static str {
        "/v2/images"
    }

    /// No single query shows everything: hidden images are asked for by themselves. Servers
    /// before 2019 refuse `visibility=all`, and no version number tells: there, community images
    /// are asked for by themselves, too.
    fn views(&self, _: UsedIds) -> Views {
        let mut queries = vec!["&visibility=all"];
        let mut fallback = vec!["", "&visibility=community"];
        if self.has_hidden() {
            queries.push("&visibility=all&os_hidden=true");
            fallback.extend(["&os_hidden=true", "&visibility=community&os_hidden=true"]);
        }
        Views { queries, fallback }
    }

    /// Servers before 2.7 were not seen to filter rightly.
    fn parts(&self, wanted: &Selection) -> Vec<String> {
        if self.has_hidden() {
            filters::of_v2(wanted)
        } else {
            vec![String::new()]
        }
    }

    fn page(&self, body: &[u8]) -> Result<Page, serde_json::Error> {
        if self.has_hidden() {
            Page::read::<v2::Record>(body)
        } else {
            Page::read::<v2::EarlyRecord>(body)
        }
    }

    fn show(&self, id: &ImageId) -> Request {
        Request::get(path(id))
    }

    fn info(&self, what: &str) -> Option<Request> {
        Some(Request::get(format!("/v2/info/{what}")))
    }

    fn schema(&self) -> Option<Request> {
        Some(Request::get(SCHEMA))
    }

    async fn find(&self, http: &Http, id: &ImageId) -> Result<ImageMetadata, Error> {
        let request = self.show(id);
        let answer = http.send(&request).await?;
        self.record(http, &request, id, answer).await
    }

    /// Some stores cannot start in the middle (400), and no server can at or
    /// behind the end (416).
    async fn download(
        &self,
        http: &Http,
        id: &ImageId,
        offset_bytes: u64,
        len_bytes: Option<u64>,
    ) -> Result<Option<(u64, Answer)>, Error> {
        let request = Request::get(file(id));
        let last = len_bytes.map(|len| (offset_bytes + len).saturating_sub(1).to_string());
        let range = format!("bytes={offset_bytes}-{}", last.unwrap_or_default());
        let range = HeaderValue::from_str(&range).ok();
        let mut answer = None;
        if let Some(range) = range.filter(|_| offset_bytes > 0 || len_bytes.is_some()) {
            let ranged = request.clone().header(header::RANGE, range);
            answer = match http.send(&ranged).await {
                Err(error) if error.status().is_some_and(is_of_range) => None,
                answer => Some(answer?),
            };
        }
        let answer = match answer {
            Some(answer) => answer,
            None => http.send(&request).await?,
        };
        match answer.response.status() {
            StatusCode::NO_CONTENT => Ok(None),
            StatusCode::PARTIAL_CONTENT if answer.first_byte() != Some(offset_bytes) => {
                let what = "it begins at another byte than asked for";
                Err(answer.error(ErrorKind::InvalidAnswer, what))
            }
            StatusCode::PARTIAL_CONTENT => Ok(Some((offset_bytes, answer))),
            _ => Ok(Some((0, answer))),
        }
    }

    async fn create_record(
        &self,
        http: &Http,
        metadata: &ImageMetadata,
    ) -> Result<ImageMetadata, Error> {
        let request = Request::new(Method::POST, self.listing());
        let request = request.json("application/json", &v2::record(metadata));
        let answer = http.send(&request).await.map_err(duplicate)?;
        self.record(http, &request, &metadata.id, answer).await
    }

    async fn create_image(
        &self,
        http: &Http,
        metadata: &ImageMetadata,
        data: Upload,
    ) -> Result<ImageMetadata, Error> {
        self.create_record(http, metadata).await?;
        self.upload(http, metadata, data).await
    }

    async fn upload(
        &self,
        http: &Http,
        metadata: &ImageMetadata,
        data: Upload,
    ) -> Result<ImageMetadata, Error> {
        let binary = HeaderValue::from_static("application/octet-stream");
        let mut request = Request::new(Method::PUT, file(&metadata.id));
        request = request.header(header::CONTENT_TYPE, binary);
        if let Some(len_bytes) = data.len_bytes() {
            request = request.header(IMAGE_SIZE, len_bytes);
        }
        // Names of stores are the server's own, which it could not serve otherwise.
        let store = data.store().map(HeaderValue::from_str);
        if let Some(Ok(store)) = store {
            request = request.header(STORE, store);
        }
        http.upload(&request, data).await?;
        self.find(http, &metadata.id).await
    }

    async fn update(
        &self,
        http: &Http,
        id: &ImageId,
        diff: &MetadataDiff,
    ) -> Result<ImageMetadata, Error> {
        let request = Request::new(Method::PATCH, path(id)).json(PATCH_TYPE, &v2::patch(diff));
        let answer = http.send(&request).await?;
        self.record(http, &request, id, answer).await
    }

    async fn members(&self, http: &Http, id: &ImageId) -> Result<Members, Error> {
        let answer = http.send(&Request::get(members(id))).await?;
        let MemberList { members } = answer.json().await?;
        let status = |status: &str| MemberStatus::parse(status).unwrap_or(MemberStatus::Unsaid);
        let members = members.into_iter();
        Ok(members
            .map(|member| (member.member_id, status(&member.status)))
            .collect())
    }

    async fn add_member(&self, http: &Http, id: &ImageId, project: &str) -> Result<(), Error> {
        let request = Request::new(Method::POST, members(id));
        let request = request.json("application/json", &json!({ "member": project }));
        match http.send(&request).await {
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            added => added.map(drop),
        }
    }

    async fn remove_member(&self, http: &Http, id: &ImageId, project: &str) -> Result<(), Error> {
        let path = format!("{}/{}", members(id), encoded(project));
        let removed = http.send(&Request::new(Method::DELETE, path)).await;
        removed.map(drop)
    }

    async fn set_member_status(
        &self,
        http: &Http,
        id: &ImageId,
        project: &str,
        status: MemberStatus,
    ) -> Result<(), Error> {
        let path = format!("{}/{}", members(id), encoded(project));
        let request = Request::new(Method::PUT, path);
        let body = json!({ "status": status.as_str() });
        let set = http.send(&request.json("application/json", &body)).await;
        set.map(drop)
    }
}

#[derive(Deserialize)]
struct MemberList {
    members: Vec<MemberEntry>,
}

#[derive(Deserialize)]
struct MemberEntry {
    member_id: String,
    status: String,
}

fn members(id: &ImageId) -> String {
    format!("/v2/images/{id}/members")
}

fn path(id: &ImageId) -> String {
    format!("/v2/images/{id}")
}

fn file(id: &ImageId) -> String {
    format!("/v2/images/{id}/file")
}

fn is_of_range(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 416)
}

//! The differences between the versions of the Image API.

use std::fmt;

use async_trait::async_trait;
use glance_model::{
    ImageId, ImageMetadata, MemberStatus, Members, MetadataDiff, Selection, TargetForm,
};
use http::Method;

use super::page::Page;
use crate::http::{Answer, Http, Request};
use crate::{Error, ErrorKind, Upload};

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
    /// Returns whether images can be hidden (`os_hidden`, v2.7).
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

/// The choice whether v1 lists the images whose ids are used up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UsedIds {
    LeftOut,
    Listed,
}

/// The queries of which a listing of all images is made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Views {
    pub(crate) queries: Vec<&'static str>,
    /// Those for a server that answers 400 to the first one, if there are such.
    pub(crate) fallback: Vec<&'static str>,
}

/// One version of the Image API: its paths, its coding, and how it is used. Whatever depends on
/// the version is asked here.
#[async_trait]
pub(crate) trait Dialect: Send + Sync {
    fn version(&self) -> ApiVersion;

    /// Returns the form of metadata that a server of this version can hold.
    fn form(&self) -> TargetForm;

    /// Returns whether a record is made first and its data put into it, and not both in one
    /// request.
    fn makes_records_first(&self) -> bool;

    /// The path of listings.
    fn listing(&self) -> &'static str;

    fn views(&self, used_ids: UsedIds) -> Views;

    /// Returns the ends of the queries that list a selection, one behind the other. What they
    /// list may have other images in it, too.
    fn parts(&self, wanted: &Selection) -> Vec<String>;

    fn page(&self, body: &[u8]) -> Result<Page, serde_json::Error>;

    /// Asks for the record of an image.
    fn show(&self, id: &ImageId) -> Request;

    /// Asks the server about itself, if it can be asked.
    fn info(&self, what: &str) -> Option<Request>;

    /// Asks for the schema of images, if the version has one.
    fn schema(&self) -> Option<Request>;

    /// Reads the record of an image.
    async fn find(&self, http: &Http, id: &ImageId) -> Result<ImageMetadata, Error>;

    /// Opens image data at a byte, or at an earlier one, which is returned; `None` if there is
    /// none. It goes on for `len_bytes`, or to the end if they are not given or not heeded.
    async fn download(
        &self,
        http: &Http,
        id: &ImageId,
        offset_bytes: u64,
        len_bytes: Option<u64>,
    ) -> Result<Option<(u64, Answer)>, Error>;

    /// Creates an image without data.
    async fn create_record(
        &self,
        http: &Http,
        metadata: &ImageMetadata,
    ) -> Result<ImageMetadata, Error>;

    /// Creates an image with its data.
    async fn create_image(
        &self,
        http: &Http,
        metadata: &ImageMetadata,
        data: Upload,
    ) -> Result<ImageMetadata, Error>;

    /// Puts data into an image that has none.
    async fn upload(
        &self,
        http: &Http,
        metadata: &ImageMetadata,
        data: Upload,
    ) -> Result<ImageMetadata, Error>;

    async fn update(
        &self,
        http: &Http,
        id: &ImageId,
        diff: &MetadataDiff,
    ) -> Result<ImageMetadata, Error>;

    /// Deletes an image, whose id is used up then.
    async fn delete(&self, http: &Http, id: &ImageId) -> Result<(), Error> {
        let Request { path, .. } = self.show(id);
        let deleted = http.send(&Request::new(Method::DELETE, path)).await;
        deleted.map(drop)
    }

    /// Lists the members of an image that is for members.
    async fn members(&self, http: &Http, id: &ImageId) -> Result<Members, Error>;

    /// Makes a project a member of an image. One that is a member stays what it is.
    async fn add_member(&self, http: &Http, id: &ImageId, project: &str) -> Result<(), Error>;

    /// Takes an image from a member. That of one that is none fails with
    /// [`ErrorKind::NotFound`].
    async fn remove_member(&self, http: &Http, id: &ImageId, project: &str) -> Result<(), Error>;

    /// Sets the status of a member, where the version has such.
    async fn set_member_status(
        &self,
        http: &Http,
        id: &ImageId,
        project: &str,
        status: MemberStatus,
    ) -> Result<(), Error>;

    /// Asks for a page of a listing. `marker` is an id as a query holds it.
    fn list(&self, limit: u32, filter: &str, marker: Option<&str>) -> Request {
        let path = self.listing();
        let marker = marker.map_or_else(String::new, |marker| format!("&marker={marker}"));
        Request::get(format!(
            "{path}?limit={limit}&sort_key=id&sort_dir=asc{filter}{marker}"
        ))
    }
}

/// An answer about another image is no answer.
pub(super) fn about(
    http: &Http,
    request: &Request,
    id: &ImageId,
    image: ImageMetadata,
) -> Result<ImageMetadata, Error> {
    if image.id == *id {
        return Ok(image);
    }
    let error = http.error(ErrorKind::InvalidAnswer, request);
    Err(error.with_message(format!("it is about image {}", image.id)))
}

/// 409 to a creation means the id; anything else keeps its kind.
pub(super) fn duplicate(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Conflict => error.with_kind(ErrorKind::DuplicateId),
        _ => error,
    }
}

//! The operations, free of differences between API versions.

use std::fmt;
use std::sync::{Arc, OnceLock};

use futures_util::stream::{self, BoxStream, StreamExt as _};
use glance_model::{EarlyV2Record, ImageId, ImageMetadata, MetadataDiff, TargetForm, V2Record};
use http::{HeaderValue, StatusCode, header};

use crate::api::{self, v1, v2};
use crate::http::{Answer, Http, Request};
use crate::paging::{Listing, UsedIds};
use crate::session::Session;
use crate::{ApiVersion, ClientConfig, Download, Endpoint, Error, ErrorKind, Upload};

/// A client of one Glance. Clones share their connections.
#[derive(Clone)]
pub struct GlanceClient(Arc<Session>);

impl GlanceClient {
    /// Finds out which version of the Image API the server speaks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotGlance`] if it speaks none, or not the one asked for.
    pub async fn connect(config: &ClientConfig) -> Result<Self, Error> {
        let http = Http::new(config)?;
        let version = api::discover(&http, &config.endpoint, config.api).await?;
        Ok(Self(Arc::new(Session {
            http,
            version,
            page_limit: config.page_limit,
            knows_visibility_all: OnceLock::new(),
            names_stores: OnceLock::new(),
            endpoint: config.endpoint.clone(),
        })))
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.0
    }

    /// Where the Glance is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Which version of the API is spoken.
    #[must_use]
    pub fn version(&self) -> ApiVersion {
        self.0.version
    }

    /// What the server can hold of an image's metadata. Metadata that is to be
    /// written has to be put into this form first.
    #[must_use]
    pub fn form(&self) -> TargetForm {
        match self.0.version {
            ApiVersion::V1 => TargetForm::V1,
            version @ ApiVersion::V2 { .. } => TargetForm::V2 {
                hidden: version.has_hidden(),
            },
        }
    }

    /// Lists all images that the token may see (community and hidden ones, too,
    /// and to an administrator those of all projects), each once, ascending by
    /// id. Deleted ones are never among them, nor are v1's killed ones.
    ///
    /// Ids with capital letters may stand anywhere, as servers sort them in two ways.
    ///
    /// While one page is read, the next one is fetched. After an error the stream
    /// ends, unless the error is of one record ([`ErrorKind::BadRecord`]), which
    /// stands for that image. It needs a runtime of Tokio.
    #[must_use]
    pub fn images(&self) -> BoxStream<'static, Result<ImageMetadata, Error>> {
        self.listing(UsedIds::LeftOut)
    }

    /// Lists what [`images`](Self::images) lists, and through v1 also images that
    /// are `killed` or `deleted`, whose ids can never be used again. v2 does not
    /// tell which these are.
    #[must_use]
    pub fn taken_ids(&self) -> BoxStream<'static, Result<ImageMetadata, Error>> {
        self.listing(UsedIds::Listed)
    }

    fn listing(&self, used_ids: UsedIds) -> BoxStream<'static, Result<ImageMetadata, Error>> {
        enum State {
            Begin(Arc<Session>),
            Under(Arc<Session>, Listing),
        }
        async fn next(
            state: State,
            used_ids: UsedIds,
        ) -> Result<Option<(Result<ImageMetadata, Error>, State)>, Error> {
            let (session, mut listing) = match state {
                State::Begin(session) => {
                    let listing = Listing::begin(&session, used_ids).await?;
                    (session, listing)
                }
                State::Under(session, listing) => (session, listing),
            };
            let listed = listing.next().await?;
            let listed = listed.map(|listed| listed.map_err(|bad| session.bad_record(bad)));
            Ok(listed.map(|listed| (listed, State::Under(session, listing))))
        }
        let begin = Some(State::Begin(Arc::clone(&self.0)));
        stream::unfold(begin, move |state| async move {
            match next(state?, used_ids).await {
                Ok(next) => next.map(|(listed, state)| (listed, Some(state))),
                Err(error) => Some((Err(error), None)),
            }
        })
        .boxed()
    }

    /// Finds one image; `None` if there is none, or the token does not see it.
    ///
    /// Through v1 an administrator also finds deleted images, with that status,
    /// and some metadata is lost that the listing has: capitals in the names of
    /// properties, null properties, blanks.
    ///
    /// # Errors
    ///
    /// [`Error`] for every answer other than 200 and 404.
    pub async fn find_image(&self, id: &ImageId) -> Result<Option<ImageMetadata>, Error> {
        let request = match self.0.version {
            ApiVersion::V1 => v1::show(id),
            ApiVersion::V2 { .. } => v2::show(id),
        };
        let answer = match self.0.http.send(&request).await {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            result => result?,
        };
        let image = match self.0.version {
            ApiVersion::V1 => v1::shown(answer.response.headers()).map_err(|source| {
                self.0
                    .http
                    .error(ErrorKind::InvalidAnswer, &request)
                    .with_source(source)
            })?,
            ApiVersion::V2 { .. } => self.v2_record(answer).await?,
        };
        self.of(id, image, &request).map(Some)
    }

    /// Opens the data of an image at a byte; `None` if the server knows the
    /// image but has no data for it (or, through v2, no longer has it).
    ///
    /// A server that cannot start there starts at the beginning:
    /// [`Download::offset_bytes`] says which it is. v1 never can.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the image is gone, or is not visible.
    pub async fn image_data(
        &self,
        id: &ImageId,
        offset_bytes: u64,
    ) -> Result<Option<Download>, Error> {
        let limits = self.0.http.limits();
        match self.0.version {
            ApiVersion::V1 => {
                let answer = match self.0.http.send(&v1::download(id)).await {
                    Err(error) if is_not_active(&error) => return Ok(None),
                    Err(error) if is_of_store(&error) => {
                        let found = self.find_image(id).await?;
                        let is_there = found.is_some_and(|found| found.is_active());
                        return if is_there { Ok(None) } else { Err(error) };
                    }
                    result => result?,
                };
                if v1::lost_headers(answer.response.headers()) {
                    let what = "its headers end too early: a property of the image has an empty line \
                                in its value, which Images v1 writes as it is; read the image \
                                through v2, or correct the property";
                    return Err(answer.error(ErrorKind::InvalidAnswer, what));
                }
                Ok(Some(Download::new(0, answer, limits)))
            }
            ApiVersion::V2 { .. } => {
                let answer = self.download_from(v2::download(id), offset_bytes).await?;
                match answer.response.status() {
                    StatusCode::NO_CONTENT => Ok(None),
                    StatusCode::PARTIAL_CONTENT => {
                        let found = first_byte(&answer);
                        if found != Some(offset_bytes) {
                            let what = "it begins at another byte than asked for";
                            return Err(answer.error(ErrorKind::InvalidAnswer, what));
                        }
                        Ok(Some(Download::new(offset_bytes, answer, limits)))
                    }
                    _ => Ok(Some(Download::new(0, answer, limits))),
                }
            }
        }
    }

    /// Some stores cannot start in the middle (400), and no server can at or
    /// behind the end (416).
    async fn download_from(&self, request: Request, offset_bytes: u64) -> Result<Answer, Error> {
        if offset_bytes > 0 {
            let range = HeaderValue::from_str(&format!("bytes={offset_bytes}-"));
            if let Ok(range) = range {
                let ranged = request.clone().header(header::RANGE, range);
                match self.0.http.send(&ranged).await {
                    Err(error) if matches!(error.status(), Some(status) if matches!(status.as_u16(), 400 | 416)) =>
                        {}
                    result => return result,
                }
            }
        }
        self.0.http.send(&request).await
    }

    /// Creates an image without data (`queued`), under its own id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::DuplicateId`] if the id is taken, be it by an image that
    /// the token does not see, or by one that was deleted.
    pub async fn create_record(&self, metadata: &ImageMetadata) -> Result<ImageMetadata, Error> {
        let id = &metadata.id;
        let http = &self.0.http;
        let (request, image) = match self.0.version {
            ApiVersion::V1 => {
                let request = self.sendable(v1::reserve(metadata), "POST", "/v1/images")?;
                let answer = http.send(&request).await.map_err(duplicate)?;
                let written: v1::Written = answer.json().await?;
                (request, written.image.into())
            }
            ApiVersion::V2 { .. } => {
                let request = v2::create(metadata);
                let answer = http.send(&request).await.map_err(duplicate)?;
                (request, self.v2_record(answer).await?)
            }
        };
        self.of(id, image, &request)
    }

    /// Creates an image with its data, and returns what the server says of it
    /// then.
    ///
    /// Through v1 this is one request, and an upload that breaks uses up the id
    /// for good. Through v2 it leaves a `queued` record, which
    /// [`upload`](Self::upload) can fill.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::DuplicateId`] if the id is taken;
    /// [`ErrorKind::UploadSource`] if `data` ends in an error.
    pub async fn create_image(
        &self,
        metadata: &ImageMetadata,
        data: Upload,
    ) -> Result<ImageMetadata, Error> {
        if self.0.version != ApiVersion::V1 {
            self.create_record(metadata).await?;
            return self.upload(metadata, data).await;
        }
        let request = self.sendable(v1::create(metadata), "POST", "/v1/images")?;
        let answer = self
            .0
            .http
            .upload(&request, data)
            .await
            .map_err(duplicate)?;
        let written: v1::Written = answer.json().await?;
        self.of(&metadata.id, written.image.into(), &request)
    }

    /// Puts data into an image that is `queued`, and returns what the server
    /// says of it then: whether it is `active` is to be looked at.
    ///
    /// Through v1 the metadata is sent along. v2 takes nothing but the id of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Conflict`] if the image is not queued;
    /// [`ErrorKind::UploadSource`] if `data` ends in an error.
    pub async fn upload(
        &self,
        metadata: &ImageMetadata,
        data: Upload,
    ) -> Result<ImageMetadata, Error> {
        let id = &metadata.id;
        match self.0.version {
            ApiVersion::V1 => {
                let request = self.sendable(v1::fill(metadata), "PUT", "/v1/images")?;
                let answer = self.0.http.upload(&request, data).await?;
                let written: v1::Written = answer.json().await?;
                self.of(id, written.image.into(), &request)
            }
            ApiVersion::V2 { .. } => {
                let request = v2::upload(id, &data);
                self.0.http.upload(&request, data).await?;
                self.show(id).await
            }
        }
    }

    /// Makes the writable changes of a diff, and returns what the server says
    /// of the image then.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the image is gone.
    pub async fn update(&self, id: &ImageId, diff: &MetadataDiff) -> Result<ImageMetadata, Error> {
        let http = &self.0.http;
        let (request, image) = match self.0.version {
            ApiVersion::V1 => {
                let request = self.sendable(v1::update(id, diff), "PUT", "/v1/images")?;
                let written: v1::Written = http.send(&request).await?.json().await?;
                (request, written.image.into())
            }
            ApiVersion::V2 { .. } => {
                let request = v2::update(id, diff);
                let answer = http.send(&request).await?;
                (request, self.v2_record(answer).await?)
            }
        };
        self.of(id, image, &request)
    }

    async fn show(&self, id: &ImageId) -> Result<ImageMetadata, Error> {
        let request = v2::show(id);
        let answer = self.0.http.send(&request).await?;
        self.of(id, self.v2_record(answer).await?, &request)
    }

    /// What a name means depends on the version of the server.
    async fn v2_record(&self, answer: Answer) -> Result<ImageMetadata, Error> {
        Ok(if self.0.version.has_hidden() {
            answer.json::<V2Record>().await?.into()
        } else {
            answer.json::<EarlyV2Record>().await?.into()
        })
    }

    /// An answer about another image is no answer.
    fn of(
        &self,
        id: &ImageId,
        image: ImageMetadata,
        request: &Request,
    ) -> Result<ImageMetadata, Error> {
        if image.id == *id {
            return Ok(image);
        }
        Err(self
            .0
            .http
            .error(ErrorKind::InvalidAnswer, request)
            .with_message(format!("it is about image {}", image.id)))
    }

    fn sendable(
        &self,
        request: Result<Request, v1::InvalidHeader>,
        method: &str,
        path: &str,
    ) -> Result<Request, Error> {
        request.map_err(|source| {
            let method = method.parse().unwrap_or_default();
            self.0
                .http
                .error(ErrorKind::InvalidRequest, &Request::new(method, path))
                .with_source(source)
        })
    }
}

impl fmt::Debug for GlanceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlanceClient")
            .field("endpoint", &self.0.endpoint)
            .field("version", &self.0.version)
            .finish_non_exhaustive()
    }
}

/// 409 to a creation means the id; anything else keeps its kind.
fn duplicate(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Conflict => error.with_kind(ErrorKind::DuplicateId),
        _ => error,
    }
}

/// v1 answers 404 both to an image without data and to no image.
fn is_not_active(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
        && error
            .message()
            .is_some_and(|text| text.contains("is not active"))
}

/// v1 answers 404 to an image whose data is gone as well, in the words of its store
/// (`Image /var/lib/glance/images/... not found`).
fn is_of_store(error: &Error) -> bool {
    error.kind() == ErrorKind::NotFound
        && error.message().is_some_and(|text| {
            let place = text.strip_prefix("Image ");
            place.is_some_and(|place| place.ends_with(" not found") && !place.starts_with("with "))
        })
}

/// The first byte that a partial answer holds (`Content-Range: bytes 5-9/10`).
fn first_byte(answer: &Answer) -> Option<u64> {
    let range = answer.response.headers().get(header::CONTENT_RANGE)?;
    let range = range.to_str().ok()?.strip_prefix("bytes ")?;
    range.split('-').next()?.trim().parse().ok()
}

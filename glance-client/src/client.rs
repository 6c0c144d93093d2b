//! The operations, the same for each version of the API.

use std::fmt;
use std::sync::Arc;

use futures_util::future;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use glance_model::{
    ImageId, ImageMetadata, MemberStatus, Members, MetadataDiff, Requirements, Selection,
    TargetForm,
};
use http::Method;

use crate::api::UsedIds;
use crate::http::Request;
use crate::paging::Listing;
use crate::session::Session;
use crate::survey::{Quota, quotas, survey};
use crate::{
    ApiVersion, ClientConfig, Download, Endpoint, Error, ErrorKind, Store, Survey, Upload,
};

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
        Ok(Self(Arc::new(Session::begin(config).await?)))
    }

    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.0
    }

    /// Returns the address of the Glance.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// Returns the version of the API that is spoken.
    #[must_use]
    pub fn version(&self) -> ApiVersion {
        self.0.dialect.version()
    }

    /// Returns the form of metadata that the server can hold. Put metadata into this form before
    /// you write it.
    #[must_use]
    pub fn form(&self) -> TargetForm {
        self.0.dialect.form()
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
        self.listing(UsedIds::LeftOut, vec![String::new()])
    }

    /// Lists the images of a selection as [`images`](Self::images) does. The server is asked for
    /// as few others as it can leave out; ids cost a page for each 500 through v2.
    ///
    /// A record that cannot be used is listed if its id may be one of the selection.
    #[must_use]
    pub fn selected_images(
        &self,
        wanted: &Selection,
    ) -> BoxStream<'static, Result<ImageMetadata, Error>> {
        self.selected(UsedIds::LeftOut, wanted)
    }

    /// Lists the images that the server does not leave out by itself, selected or not.
    #[cfg(feature = "replicator")]
    pub(crate) fn candidates(
        &self,
        wanted: &Selection,
    ) -> BoxStream<'static, Result<ImageMetadata, Error>> {
        self.listing(UsedIds::LeftOut, self.0.dialect.parts(wanted))
    }

    /// Returns whether the server is asked for some of its images alone.
    #[cfg(feature = "replicator")]
    pub(crate) fn leaves_out(&self, wanted: &Selection) -> bool {
        self.0.dialect.parts(wanted) != [""]
    }

    fn selected(
        &self,
        used_ids: UsedIds,
        wanted: &Selection,
    ) -> BoxStream<'static, Result<ImageMetadata, Error>> {
        let listed = self.listing(used_ids, self.0.dialect.parts(wanted));
        let wanted = wanted.clone();
        let is_wanted = move |listed: &Result<ImageMetadata, Error>| match listed {
            Ok(image) => wanted.matches(image),
            Err(error) => error.bad_id().is_none_or(|id| wanted.matches_id(&id)),
        };
        listed
            .filter(move |listed| future::ready(is_wanted(listed)))
            .boxed()
    }

    /// Lists what [`selected_images`](Self::selected_images) lists, and through v1 also images that
    /// are `killed` or `deleted`, whose ids can never be used again. v2 does not
    /// tell which these are.
    #[must_use]
    pub fn taken_ids(
        &self,
        wanted: &Selection,
    ) -> BoxStream<'static, Result<ImageMetadata, Error>> {
        self.selected(UsedIds::Listed, wanted)
    }

    fn listing(
        &self,
        used_ids: UsedIds,
        parts: Vec<String>,
    ) -> BoxStream<'static, Result<ImageMetadata, Error>> {
        let listing = Listing::new(Arc::clone(&self.0), used_ids, parts);
        let session = Arc::clone(&self.0);
        let listed = stream::unfold(Some(listing), |listing| async move {
            let mut listing = listing?;
            match listing.next().await {
                Ok(listed) => listed.map(|listed| (Ok(listed), Some(listing))),
                Err(error) => Some((Err(error), None)),
            }
        });
        listed
            .map(move |listed| listed?.map_err(|bad| session.bad_record(bad)))
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
        match self.0.dialect.find(&self.0.http, id).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
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
    pub async fn download(
        &self,
        id: &ImageId,
        offset_bytes: u64,
    ) -> Result<Option<Download>, Error> {
        self.download_from(id, offset_bytes, None).await
    }

    /// Opens a part of the data of an image, of `len_bytes` bytes. A server that cannot give a part
    /// alone gives more, as for [`download`](Self::download): [`Download::len_bytes`] says how much.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the image is gone, or is not visible.
    pub async fn download_part(
        &self,
        id: &ImageId,
        offset_bytes: u64,
        len_bytes: u64,
    ) -> Result<Option<Download>, Error> {
        self.download_from(id, offset_bytes, Some(len_bytes)).await
    }

    async fn download_from(
        &self,
        id: &ImageId,
        offset_bytes: u64,
        len_bytes: Option<u64>,
    ) -> Result<Option<Download>, Error> {
        let Session { http, dialect, .. } = &*self.0;
        let opened = dialect.download(http, id, offset_bytes, len_bytes).await?;
        Ok(opened.map(|(offset_bytes, answer)| Download::new(offset_bytes, answer, http.limits())))
    }

    /// Creates an image without data (`queued`), under its own id.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::DuplicateId`] if the id is taken, be it by an image that
    /// the token does not see, or by one that was deleted.
    pub async fn create_record(&self, metadata: &ImageMetadata) -> Result<ImageMetadata, Error> {
        self.0.dialect.create_record(&self.0.http, metadata).await
    }

    /// Creates an image with its data, and returns its record after that.
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
        self.0
            .dialect
            .create_image(&self.0.http, metadata, data)
            .await
    }

    /// Puts data into an image that is `queued`, and returns its record after that. Check that it
    /// is `active`: a server may take the data and fail to store it.
    ///
    /// Through v1 the metadata is sent along; v2 uses the id alone.
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
        self.0.dialect.upload(&self.0.http, metadata, data).await
    }

    /// Makes the writable changes of a diff, and returns the record after that.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] if the image is gone.
    pub async fn update(&self, id: &ImageId, diff: &MetadataDiff) -> Result<ImageMetadata, Error> {
        self.0.dialect.update(&self.0.http, id, diff).await
    }

    /// Lists the projects that an image is shared with; `None` if they are not told: the image
    /// is gone, or not shared, or they are not for this token.
    ///
    /// # Errors
    ///
    /// [`Error`] for every answer other than 200, 403 and 404. One that may pass is asked for
    /// again, as pages of a listing are.
    pub async fn members(&self, id: &ImageId) -> Result<Option<Members>, Error> {
        let Session { http, dialect, .. } = &*self.0;
        let mut failed = 0;
        loop {
            let error = match dialect.members(http, id).await {
                Ok(members) => return Ok(Some(members)),
                Err(error) => error,
            };
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Forbidden) {
                tracing::info!(%error, "the members of image {id} are not told");
                return Ok(None);
            }
            failed += 1;
            http.before_retry(failed, error).await?;
        }
    }

    /// Makes a project a member of an image that is shared. The project has yet to accept it. One
    /// that is a member already stays what it is. That there is such a project is not checked.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] if the image is not shared, or not the caller's.
    pub async fn add_member(&self, id: &ImageId, project: &str) -> Result<(), Error> {
        self.0.dialect.add_member(&self.0.http, id, project).await
    }

    /// Takes an image from a project that is a member of it. One that is none is no error.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] if the image is not shared, or not the caller's.
    pub async fn remove_member(&self, id: &ImageId, project: &str) -> Result<(), Error> {
        let Session { http, dialect, .. } = &*self.0;
        match dialect.remove_member(http, id, project).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Deletes an image for good: no server ever gives its id back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] if it is protected, or not the caller's; [`ErrorKind::Conflict`] if
    /// it is in use; [`ErrorKind::NotFound`] if it is gone.
    pub async fn delete(&self, id: &ImageId) -> Result<(), Error> {
        self.0.dialect.delete(&self.0.http, id).await
    }

    /// Sets the status of a member, which the member may do, and an administrator. Through v1
    /// there is none, and nothing is done.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] if the caller may not.
    pub async fn set_member_status(
        &self,
        id: &ImageId,
        project: &str,
        status: MemberStatus,
    ) -> Result<(), Error> {
        let Session { http, dialect, .. } = &*self.0;
        dialect.set_member_status(http, id, project, status).await
    }

    /// Withdraws the data of an active image from all but administrators, through v2 (since
    /// v2.3). The owner may do it, on older servers an administrator alone. An image that is
    /// deactivated already stays so.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Forbidden`] if the caller may not, or the image has no data.
    pub async fn deactivate(&self, id: &ImageId) -> Result<(), Error> {
        let path = format!("/v2/images/{id}/actions/deactivate");
        let request = Request::new(Method::POST, path);
        self.0.http.send(&request).await.map(drop)
    }

    /// Asks for what the server requires of the metadata of images, and refuses in it: through v2,
    /// for its schema of images. What it does not answer is not known.
    pub async fn requirements(&self) -> Requirements {
        self.0.requirements().await
    }

    /// Asks for the stores that the server has names for, through v2; `None` if
    /// it has none, or does not say.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthorized`].
    pub async fn stores(&self) -> Result<Option<Vec<Store>>, Error> {
        self.0.stores().await
    }

    /// Asks for the ways in which the server imports images, through v2; `None` if it does not say.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthorized`].
    pub async fn import_methods(&self) -> Result<Option<Vec<String>>, Error> {
        self.0.import_methods().await
    }

    /// Asks for the limits of the token's project, and what is in use of them, through v2; empty if
    /// the server keeps none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unauthorized`].
    pub async fn quotas(&self) -> Result<Vec<Quota>, Error> {
        quotas(&self.0).await
    }

    /// Asks the server about itself. Nothing is changed.
    ///
    /// # Errors
    ///
    /// [`Error`] if images cannot be listed. Other questions that it does not answer are left out.
    #[doc(hidden)]
    pub async fn survey(&self) -> Result<Survey, Error> {
        survey(&self.0).await
    }
}

impl fmt::Debug for GlanceClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GlanceClient")
            .field("endpoint", &self.0.endpoint)
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

//! The ports of replicator-core, implemented by [`GlanceEnd`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use glance_model::{
    Field, FieldValue, ImageId, ImageMetadata, ImageStatus, MemberStatus, Members, MembersChange,
    MetadataDiff, Requirements, Selection, TargetForm, Visibility,
};
use replicator_core::{
    FailureKind, ImageData, ImageSource, ImageStream, ImageTarget, Nature, Operation, PortError,
    ReadMembers, Room, gives_last_byte,
};

use crate::failure::port_error;
use crate::{Download, Error, ErrorKind, GlanceClient, StoreChoice, Upload};

/// A Glance as an end of a replication: the ports of replicator-core over a client.
#[derive(Clone, Debug)]
pub struct GlanceEnd(GlanceClient, StoreChoice);

impl GlanceEnd {
    /// Makes a Glance an end.
    #[must_use]
    pub fn new(client: GlanceClient) -> Self {
        Self(client, StoreChoice::default())
    }

    /// Puts image data into these of its stores.
    #[must_use]
    pub fn with_stores(self, stores: StoreChoice) -> Self {
        Self(self.0, stores)
    }

    /// Returns the client of the Glance.
    #[must_use]
    pub fn client(&self) -> &GlanceClient {
        &self.0
    }
}

impl From<GlanceClient> for GlanceEnd {
    fn from(client: GlanceClient) -> Self {
        Self::new(client)
    }
}

/// The endpoint of the Glance.
impl fmt::Display for GlanceEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.endpoint().fmt(f)
    }
}

#[async_trait]
impl ImageSource for GlanceEnd {
    fn images(&self, wanted: &Selection) -> ImageStream {
        self.0
            .candidates(wanted)
            .map_err(|error| port_error(error, Operation::ListImages))
            .boxed()
    }

    fn leaves_out(&self, wanted: &Selection) -> bool {
        self.0.leaves_out(wanted)
    }

    /// v1 shows administrators those that were deleted.
    async fn has_image(&self, id: &ImageId) -> Result<bool, PortError> {
        let found = self.find_image(id).await?;
        let is_gone = |status| matches!(status, ImageStatus::Deleted | ImageStatus::PendingDelete);
        Ok(found.is_some_and(|found| !is_gone(found.status)))
    }

    async fn image_data(
        &self,
        id: &ImageId,
        offset_bytes: u64,
    ) -> Result<Option<ImageData>, PortError> {
        data_of(*id, self.0.download(id, offset_bytes).await)
    }

    async fn image_part(
        &self,
        id: &ImageId,
        offset_bytes: u64,
        len_bytes: u64,
    ) -> Result<Option<ImageData>, PortError> {
        let part = self.0.download_part(id, offset_bytes, len_bytes);
        data_of(*id, part.await)
    }

    fn members(&self) -> Option<Arc<dyn ReadMembers>> {
        Some(Arc::new(self.clone()))
    }

    /// A server whose stores have names says which of them have the data; of any other, a
    /// byte is read.
    async fn has_data(&self, image: &ImageMetadata) -> Result<bool, PortError> {
        let stored = self.0.session().is_in_named_store(&image.id).await;
        let stored = stored.map_err(|error| port_error(error, Operation::ReadData(image.id)))?;
        Ok(stored || gives_last_byte(self, image).await?)
    }
}

fn data_of(
    id: ImageId,
    download: Result<Option<Download>, Error>,
) -> Result<Option<ImageData>, PortError> {
    let failed = move |error| port_error(error, Operation::ReadData(id));
    Ok(download.map_err(failed)?.map(|download| {
        ImageData::new(download.len_bytes, download.chunks.map_err(failed))
            .with_offset(download.offset_bytes)
    }))
}

#[async_trait]
impl ReadMembers for GlanceEnd {
    async fn members_of(&self, id: &ImageId) -> Result<Option<Members>, PortError> {
        let members = self.0.members(id).await;
        members.map_err(|error| port_error(error, Operation::ReadMembers(*id)))
    }
}

#[async_trait]
impl ImageTarget for GlanceEnd {
    fn nature(&self) -> Nature {
        let mut nature = Nature::glance(self.0.form());
        nature.copies_to_stores = !self.1.copies.is_empty();
        nature
    }

    async fn requirements(&self) -> Requirements {
        self.0.requirements().await
    }

    fn taken_ids(&self, wanted: &Selection) -> ImageStream {
        self.0
            .taken_ids(wanted)
            .map_err(|error| port_error(error, Operation::ListImages))
            .boxed()
    }

    /// What the project of the token has left; the quotas of other projects do not count.
    async fn room(&self) -> Result<Room, PortError> {
        let quotas = self.0.quotas().await;
        let quotas = quotas.map_err(|error| port_error(error, Operation::ListImages))?;
        let left = |resource: &str| {
            let quota = quotas.iter().find(|quota| quota.resource == resource)?;
            Some(quota.limit?.saturating_sub(quota.usage))
        };
        Ok(Room {
            bytes: left("image_size_total").map(|mib| mib.saturating_mul(1 << 20)),
            images: left("image_count_total"),
        })
    }

    async fn find_image(&self, id: &ImageId) -> Result<Option<ImageMetadata>, PortError> {
        let found = self.0.find_image(id).await;
        found.map_err(|error| port_error(error, Operation::FindImage(*id)))
    }

    /// Glance keeps nothing of a broken upload.
    async fn partial_data(&self, _: &ImageMetadata) -> Result<Option<ImageData>, PortError> {
        Ok(None)
    }

    async fn prepare_record(
        &self,
        metadata: &ImageMetadata,
        existing: Option<&ImageMetadata>,
    ) -> Result<Option<ImageMetadata>, PortError> {
        if !self.makes_records_first() {
            return Ok(existing.cloned());
        }
        let prepared = self.prepare(&unpublished(metadata), existing).await;
        prepared.map(Some)
    }

    async fn write_image(
        &self,
        metadata: &ImageMetadata,
        existing: Option<&ImageMetadata>,
        data: ImageData,
    ) -> Result<ImageMetadata, PortError> {
        let id = &metadata.id;
        let mut data = Upload::new(data.len_bytes, data.chunks);
        if let Some(store) = &self.1.upload {
            data = data.into_store(store);
        }
        let written = match (self.makes_records_first(), existing) {
            (true, existing) => {
                match existing {
                    Some(existing) if existing.has_leftovers() => {
                        data = data.into_store(self.store_for_leftovers(id).await?);
                    }
                    Some(_) => {}
                    None => drop(self.prepare_record(metadata, None).await?),
                }
                self.0.upload(metadata, data).await
            }
            (false, None) => self.0.create_image(metadata, data).await,
            (false, Some(existing)) => {
                self.ensure_untouched(id).await?;
                let metadata = with_nulls_for_surplus(metadata, existing.clone());
                self.0.upload(&metadata, data).await
            }
        };
        let written = match written {
            Ok(written) => written,
            // Of two uploads that begin at once, one is answered 410.
            Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Gone) => {
                return Err(self.conflict(id, error).await);
            }
            Err(error) => return Err(port_error(error, Operation::WriteData(*id))),
        };
        if written.is_active() {
            return Ok(written);
        }
        Err(PortError::adapter(
            Operation::WriteData(*id),
            FailureKind::Transient { retry_after: None },
            NotActive(written.status),
        ))
    }

    async fn copy_to_stores(&self, image: &ImageMetadata) -> Result<bool, PortError> {
        let (session, stores) = (self.0.session(), &self.1.copies);
        let copied = session.copy_to_stores(&image.id, image.size, stores).await;
        copied.map_err(|error| port_error(error, Operation::CopyToStores(image.id)))
    }

    async fn create_record(&self, metadata: &ImageMetadata) -> Result<(), PortError> {
        let created = self.0.create_record(metadata).await;
        created.map_err(|error| port_error(error, Operation::CreateImage(metadata.id)))?;
        Ok(())
    }

    async fn update_metadata(
        &self,
        current: &ImageMetadata,
        diff: &MetadataDiff,
    ) -> Result<ImageMetadata, PortError> {
        let failed = |error| port_error(error, Operation::UpdateMetadata(current.id));
        let (mut diff, _) = diff.clone().updatable(self.0.form());
        let members = diff.take_members();
        let mut updated = current.clone();
        // Before more people may see it.
        if diff.deactivates() {
            self.0.deactivate(&current.id).await.map_err(failed)?;
            let found = self.find_image(&current.id).await?;
            updated = found.ok_or(PortError::NotFound { id: current.id })?;
            updated.members.clone_from(&current.members);
        }
        let diff = diff.writable();
        if !diff.is_empty() {
            updated = self.0.update(&current.id, &diff).await.map_err(failed)?;
            updated.members.clone_from(&current.members);
        }
        if let Some(change) = members {
            let written = self.write_members(&current.id, change).await;
            updated.members = written.map_err(failed)?;
        }
        Ok(updated)
    }

    async fn delete_image(&self, image: &ImageMetadata) -> Result<(), PortError> {
        let deleted = self.0.delete(&image.id).await;
        deleted.map_err(|error| port_error(error, Operation::DeleteImage(image.id)))
    }
}

/// The server has all of the data, and the image is still not whole.
#[derive(Debug, thiserror::Error)]
#[error("the image is {0} after its upload, not active")]
struct NotActive(ImageStatus);

impl GlanceEnd {
    fn makes_records_first(&self) -> bool {
        self.0.session().dialect.makes_records_first()
    }

    /// Adds the members that are lacking, sets their statuses as far as the caller may, and removes
    /// those that are too many. Returns those that the image has then.
    async fn write_members(
        &self,
        id: &ImageId,
        change: MembersChange,
    ) -> Result<Option<Members>, Error> {
        let found = change.found.unwrap_or_default();
        for project in &change.surplus {
            self.0.remove_member(id, project).await?;
        }
        for (project, status) in &change.wanted {
            match found.get(project) {
                Some(found) if status.agrees_with(*found) => continue,
                Some(_) => {}
                None => self.0.add_member(id, project).await?,
            }
            // What is new is pending. What was thought to be new may be there, with any status.
            let set = match status {
                MemberStatus::Unsaid => Ok(()),
                MemberStatus::Pending if !found.contains_key(project) => Ok(()),
                status => self.0.set_member_status(id, project, *status).await,
            };
            match set {
                // The answer shows that it has not been set.
                Err(error) if error.kind() == ErrorKind::Forbidden => {}
                set => set?,
            }
        }
        self.0.members(id).await
    }

    async fn store_for_leftovers(&self, id: &ImageId) -> Result<String, PortError> {
        let store = self.0.session().store_without(id).await;
        let store = store.map_err(|error| port_error(error, Operation::WriteData(*id)))?;
        store.ok_or_else(|| PortError::Damaged {
            id: *id,
            source: NoOtherStore.into(),
        })
    }

    /// Waits until it is certain that nobody else is sending an image of v1.
    ///
    /// An image that comes with its data is `queued` until the server looks at the
    /// data, as is a record whose data never came. Glance 15.0.2 takes other data
    /// meanwhile, and may leave the image in `saving` for ever then.
    async fn ensure_untouched(&self, id: &ImageId) -> Result<(), PortError> {
        tokio::time::sleep(LONGEST_QUEUED).await;
        let found = self.find_image(id).await?;
        found.as_ref().and_then(taken).map_or(Ok(()), Err)
    }

    /// Returns why an image takes no data: it has some by now, or is or was being written.
    async fn conflict(&self, id: &ImageId, error: Error) -> PortError {
        let found = self.find_image(id).await.ok().flatten();
        if let Some(taken) = found.as_ref().and_then(taken) {
            return taken;
        }
        let operation = Operation::WriteData(*id);
        // An earlier upload, which broke off, was still there, and is gone by now.
        if found.is_some_and(|found| found.status == ImageStatus::Queued) {
            let kind = FailureKind::Transient { retry_after: None };
            return PortError::adapter(operation, kind, error);
        }
        port_error(error, operation)
    }

    /// Makes a record that says what `wanted` says and no more, and that nobody else sees, or makes
    /// an existing one so. Returns it.
    async fn prepare(
        &self,
        wanted: &ImageMetadata,
        existing: Option<&ImageMetadata>,
    ) -> Result<ImageMetadata, PortError> {
        let id = &wanted.id;
        let created = match existing {
            Some(existing) => Err(existing.clone()),
            None => match self.0.create_record(wanted).await {
                Ok(created) => Ok(created),
                Err(error) if error.kind() == ErrorKind::DuplicateId => {
                    let found = self.find_image(id).await?;
                    let Some(found) = found.filter(is_unwritten) else {
                        return Err(PortError::AlreadyExists { id: *id });
                    };
                    Err(found)
                }
                Err(error) => {
                    return Err(port_error(error, Operation::CreateImage(*id)));
                }
            },
        };
        let prepared = match created {
            Ok(created) => created,
            Err(existing) => {
                let existing = self.0.form().of(existing);
                let diff = MetadataDiff::to_make_equal(wanted, &existing);
                self.update_metadata(&existing, &diff).await?
            }
        };
        match prepared.visibility {
            Some(visibility @ (Visibility::Public | Visibility::Community))
                if wanted.visibility.is_some() =>
            {
                Err(PortError::adapter(
                    Operation::WriteData(*id),
                    FailureKind::Refused,
                    Seen(visibility),
                ))
            }
            _ => Ok(prepared),
        }
    }
}

/// The target has answered that it hides the record, and shows it.
#[derive(Debug, thiserror::Error)]
#[error("the target shows the record to others, as {}, before it has its data", .0.as_str())]
struct Seen(Visibility);

/// Returns the metadata for an upload into a record of v1. A property that the record has and that
/// is not wanted is made null, since an upload keeps the properties that it does not name.
fn with_nulls_for_surplus(wanted: &ImageMetadata, existing: ImageMetadata) -> ImageMetadata {
    let mut wanted = wanted.clone();
    let diff = MetadataDiff::to_make_equal(&wanted, &TargetForm::V1.of(existing));
    for change in diff.changes() {
        if let (Field::Property(name), FieldValue::Null) = (&change.field, &change.source) {
            wanted.null_properties.insert(name.clone());
        }
    }
    wanted
}

/// Data that was refused once can only go to a store that does not have it.
#[derive(Debug, thiserror::Error)]
#[error(
    "the data was refused after an earlier upload, is still in the store, and there is no other \
     store that it could go to"
)]
struct NoOtherStore;

/// The longest time for which an image of v1 that comes with its data is `queued`. On a busy server
/// it was 0.3 s.
const LONGEST_QUEUED: Duration = Duration::from_secs(3);

/// Returns the error for another writer of an image that has data by now, or is being written.
fn taken(image: &ImageMetadata) -> Option<PortError> {
    let id = image.id;
    match &image.status {
        ImageStatus::Active => Some(PortError::AlreadyExists { id }),
        status if status.is_being_written() => Some(PortError::Busy {
            id,
            since: image.updated_at.clone(),
        }),
        _ => None,
    }
}

/// Returns whether the data of a record never came: it is that of an earlier try, most likely.
fn is_unwritten(image: &ImageMetadata) -> bool {
    image.status == ImageStatus::Queued && image.size.is_none() && !image.has_leftovers()
}

/// Returns the metadata that an image has until its content is proven: nobody else sees it, and it
/// can be deleted. Without members, a shared image is as hidden as a private one.
fn unpublished(metadata: &ImageMetadata) -> ImageMetadata {
    let mut metadata = metadata.clone();
    if let Some(Visibility::Public | Visibility::Community) = metadata.visibility {
        metadata.visibility = Some(Visibility::Private);
    }
    metadata.protected = None;
    metadata.hidden = None;
    metadata.members = None;
    metadata
}

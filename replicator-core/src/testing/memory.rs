//! Images in memory.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use glance_model::{
    ImageId, ImageMetadata, ImageStatus, Members, MetadataDiff, Selection, TargetForm, Visibility,
};

use crate::content::digest::DigestAlgorithm;
use crate::port::{
    ImageData, ImageSource, ImageStream, ImageTarget, Nature, PortError, ReadMembers, Stage,
};

/// Metadata, and data where there is any.
type Image = (ImageMetadata, Option<Bytes>);

/// A source and a target in memory, as strict as a Glance with Images v2. Clones
/// share their images.
#[derive(Clone, Debug)]
pub struct MemoryImages {
    images: Arc<Mutex<BTreeMap<ImageId, Image>>>,
    form: TargetForm,
    member_reads: Arc<AtomicU32>,
}

impl Default for MemoryImages {
    fn default() -> Self {
        Self {
            images: Arc::default(),
            form: TargetForm::V2 { hidden: true },
            member_reads: Arc::default(),
        }
    }
}

impl MemoryImages {
    /// Holds metadata in another form than that of v2.
    #[must_use]
    pub fn with_form(mut self, form: TargetForm) -> Self {
        self.form = form;
        self
    }

    /// Puts an image there as it is.
    pub fn insert(&self, image: ImageMetadata, data: Option<Bytes>) {
        self.lock().insert(image.id, (image, data));
    }

    /// The images that are there, in order of ids.
    #[must_use]
    pub fn all(&self) -> Vec<ImageMetadata> {
        self.lock()
            .values()
            .map(|(image, _)| image.clone())
            .collect()
    }

    /// The number of times that the members of an image were read.
    #[must_use]
    pub fn member_reads(&self) -> u32 {
        self.member_reads.load(Ordering::Relaxed)
    }

    /// The data of an image.
    #[must_use]
    pub fn data(&self, id: &ImageId) -> Option<Bytes> {
        self.lock().get(id).and_then(|(_, data)| data.clone())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ImageId, Image>> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn create(&self, metadata: &ImageMetadata) -> Result<ImageMetadata, PortError> {
        let mut images = self.lock();
        if images.contains_key(&metadata.id) {
            let id = metadata.id;
            return Err(PortError::AlreadyExists { id });
        }
        let mut record = metadata.clone();
        if self.form != TargetForm::Whole {
            // They are added to what is there.
            record.members = None;
        }
        record.status = ImageStatus::Queued;
        (record.size, record.checksum) = (None, None);
        (record.hash_algo, record.hash_value) = (None, None);
        images.insert(record.id, (record.clone(), None));
        Ok(record)
    }
}

impl fmt::Display for MemoryImages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("images in memory")
    }
}

#[async_trait]
impl ImageSource for MemoryImages {
    fn images(&self, wanted: &Selection) -> ImageStream {
        let mut images = self.all();
        images.retain(|image| wanted.matches_id(&image.id));
        if self.form != TargetForm::Whole {
            for image in &mut images {
                image.members = None;
            }
        }
        stream::iter(images.into_iter().map(Ok)).boxed()
    }

    fn members(&self) -> Option<Arc<dyn ReadMembers>> {
        (self.form != TargetForm::Whole).then(|| Arc::new(self.clone()) as _)
    }

    async fn image_data(
        &self,
        id: &ImageId,
        offset_bytes: u64,
    ) -> Result<Option<ImageData>, PortError> {
        self.image_part(id, offset_bytes, u64::MAX).await
    }

    async fn image_part(
        &self,
        id: &ImageId,
        offset_bytes: u64,
        len_bytes: u64,
    ) -> Result<Option<ImageData>, PortError> {
        let images = self.lock();
        let Some((_, data)) = images.get(id) else {
            return Err(PortError::NotFound { id: *id });
        };
        let from = usize::try_from(offset_bytes).unwrap_or(usize::MAX);
        Ok(data.clone().map(|data| {
            let mut rest = data.slice(from.min(data.len())..);
            rest.truncate(usize::try_from(len_bytes).unwrap_or(usize::MAX));
            let chunks: Vec<_> = rest.chunks(4096).map(|c| Ok(rest.slice_ref(c))).collect();
            ImageData::new(Some(rest.len() as u64), stream::iter(chunks)).with_offset(offset_bytes)
        }))
    }
}

#[async_trait]
impl ReadMembers for MemoryImages {
    async fn members_of(&self, id: &ImageId) -> Result<Option<Members>, PortError> {
        self.member_reads.fetch_add(1, Ordering::Relaxed);
        let images = self.lock();
        let image = images.get(id).map(|(image, _)| image);
        let is_shared = |image: &&ImageMetadata| {
            let visibility = image.visibility;
            visibility.is_none_or(Visibility::is_for_members)
        };
        let image = image.filter(is_shared);
        Ok(image.map(|image| image.members.clone().unwrap_or_default()))
    }
}

#[async_trait]
impl ImageTarget for MemoryImages {
    fn nature(&self) -> Nature {
        match self.form {
            TargetForm::Whole => Nature::archive(),
            form => Nature::glance(form),
        }
    }

    async fn find_image(&self, id: &ImageId) -> Result<Option<ImageMetadata>, PortError> {
        let found = self.lock().get(id).map(|(image, _)| image.clone());
        Ok(found.map(|mut image| {
            if self.form != TargetForm::Whole {
                image.members = None;
            }
            image
        }))
    }

    async fn partial_data(&self, _: &ImageMetadata) -> Result<Option<ImageData>, PortError> {
        Ok(None)
    }

    async fn prepare_record(
        &self,
        metadata: &ImageMetadata,
        existing: Option<&ImageMetadata>,
    ) -> Result<Option<ImageMetadata>, PortError> {
        if existing.is_some() || !matches!(self.form, TargetForm::V2 { .. }) {
            return Ok(existing.cloned());
        }
        let mut unpublished = metadata.clone();
        if unpublished.visibility == Some(Visibility::Public) {
            unpublished.visibility = Some(Visibility::Private);
        }
        self.create(&unpublished).map(Some)
    }

    async fn write_image(
        &self,
        metadata: &ImageMetadata,
        existing: Option<&ImageMetadata>,
        data: ImageData,
    ) -> Result<ImageMetadata, PortError> {
        if existing.is_none() {
            let mut unpublished = metadata.clone();
            if unpublished.visibility == Some(Visibility::Public) {
                unpublished.visibility = Some(Visibility::Private);
            }
            self.create(&unpublished)?;
        }
        let chunks: Vec<Bytes> = data.chunks.try_collect().await?;
        let data = Bytes::from(chunks.concat());
        let mut md5 = DigestAlgorithm::Md5.digester();
        md5.update(&data);
        let mut images = self.lock();
        let Some((image, place)) = images.get_mut(&metadata.id) else {
            let id = metadata.id;
            return Err(PortError::NotFound { id });
        };
        if place.is_some() {
            let id = metadata.id;
            return Err(PortError::AlreadyExists { id });
        }
        image.status = match (self.form, &metadata.status) {
            (TargetForm::Whole, ImageStatus::Deactivated) => ImageStatus::Deactivated,
            _ => ImageStatus::Active,
        };
        image.size = Some(data.len() as u64);
        image.checksum = Some(md5.finish().as_hex().to_owned());
        *place = Some(data);
        Ok(image.clone())
    }

    async fn create_record(&self, metadata: &ImageMetadata) -> Result<(), PortError> {
        self.create(metadata).map(drop)
    }

    async fn update_metadata(
        &self,
        current: &ImageMetadata,
        diff: &MetadataDiff,
    ) -> Result<ImageMetadata, PortError> {
        let mut images = self.lock();
        let Some((image, _)) = images.get_mut(&current.id) else {
            let id = current.id;
            return Err(PortError::NotFound { id });
        };
        // What is asleep comes back with what is added.
        let mut members = image.members.clone();
        if let Some(change) = diff.clone().take_members() {
            let members = members.get_or_insert_default();
            members.extend(change.wanted);
            members.retain(|project, _| !change.surplus.contains(project));
        }
        *image = diff.clone().updatable(self.form).0.apply_to(image.clone());
        image.members = members;
        Ok(image.clone())
    }

    async fn delete_image(&self, image: &ImageMetadata) -> Result<(), PortError> {
        match self.lock().remove(&image.id) {
            Some(_) => Ok(()),
            None => Err(PortError::NotFound { id: image.id }),
        }
    }
}

#[async_trait]
impl Stage for MemoryImages {
    async fn staged_ids(&self) -> Result<Vec<ImageId>, PortError> {
        Ok(self.lock().keys().cloned().collect())
    }

    async fn remove_image(&self, id: &ImageId) -> Result<(), PortError> {
        self.lock().remove(id);
        Ok(())
    }
}

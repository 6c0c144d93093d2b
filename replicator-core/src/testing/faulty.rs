//! A port that fails on demand.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use glance_model::{
    ImageId, ImageMetadata, ImageStatus, MetadataDiff, Omit, Requirements, Selection, Visibility,
};

use crate::port::{
    FailureKind, ImageData, ImageSource, ImageStream, ImageTarget, Nature, Operation, PortError,
    ReadMembers, Room, gives_last_byte,
};

/// The faults to come. Numbers of times count down.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Faults {
    /// Data breaks off after so many bytes, so many times.
    pub broken_reads: (u64, u32),
    /// The data of this image can never be read.
    pub unreadable: Option<ImageId>,
    /// This byte of every image is wrong.
    pub flipped_byte: Option<u64>,
    /// Data can be read from its beginning only.
    pub no_range: bool,
    /// The data that the target claims to have kept of every image.
    pub kept: Option<Bytes>,
    /// So many writes fail before anything is stored.
    pub failed_writes: u32,
    /// So many times after a failed write, the target has the image in saving.
    pub still_saving: u32,
    /// So many writes are stored, and an error is answered.
    pub lost_answers: u32,
    /// So many updates make the image public as well.
    pub publishing_updates: u32,
}

/// Wraps a port, and fails as told.
#[derive(Debug)]
pub struct Faulty<P> {
    inner: P,
    faults: Mutex<Faults>,
    opened: AtomicU32,
}

impl<P> Faulty<P> {
    /// Makes `inner` fail.
    pub fn new(inner: P, faults: Faults) -> Self {
        Self {
            inner,
            faults: Mutex::new(faults),
            opened: AtomicU32::new(0),
        }
    }

    /// The number of times that data was opened.
    pub fn opened(&self) -> u32 {
        self.opened.load(Ordering::Relaxed)
    }

    fn with<T>(&self, change: impl FnOnce(&mut Faults) -> T) -> T {
        change(&mut self.faults.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn transient(operation: Operation) -> PortError {
    let kind = FailureKind::Transient { retry_after: None };
    PortError::adapter(operation, kind, "on demand")
}

fn count_down(times: &mut u32) -> bool {
    let some = *times > 0;
    *times = times.saturating_sub(1);
    some
}

impl<P: fmt::Display> fmt::Display for Faulty<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, which fails on demand", self.inner)
    }
}

#[deny(
    clippy::missing_trait_methods,
    reason = "the next default method would be lost"
)]
#[async_trait]
impl<P: ImageSource> ImageSource for Faulty<P> {
    fn images(&self, wanted: &Selection) -> ImageStream {
        self.inner.images(wanted)
    }

    fn leaves_out(&self, wanted: &Selection) -> bool {
        self.inner.leaves_out(wanted)
    }

    async fn image_data(
        &self,
        id: &ImageId,
        offset_bytes: u64,
    ) -> Result<Option<ImageData>, PortError> {
        self.read(id, offset_bytes, None).await
    }

    async fn image_part(
        &self,
        id: &ImageId,
        offset_bytes: u64,
        len_bytes: u64,
    ) -> Result<Option<ImageData>, PortError> {
        self.read(id, offset_bytes, Some(len_bytes)).await
    }

    fn members(&self) -> Option<Arc<dyn ReadMembers>> {
        self.inner.members()
    }

    async fn has_image(&self, id: &ImageId) -> Result<bool, PortError> {
        self.inner.has_image(id).await
    }

    async fn has_data(&self, image: &ImageMetadata) -> Result<bool, PortError> {
        gives_last_byte(self, image).await
    }
}

impl<P: ImageSource> Faulty<P> {
    /// Reads an image, or a part of it, as the faults have it.
    async fn read(
        &self,
        id: &ImageId,
        offset_bytes: u64,
        len_bytes: Option<u64>,
    ) -> Result<Option<ImageData>, PortError> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        let faults = self.with(|faults| faults.clone());
        if faults.unreadable.as_ref() == Some(id) {
            return Err(transient(Operation::ReadData(*id)));
        }
        let from = if faults.no_range { 0 } else { offset_bytes };
        let data = match len_bytes.filter(|_| !faults.no_range) {
            Some(len) => self.inner.image_part(id, from, len).await,
            None => self.inner.image_data(id, from).await,
        };
        let Some(mut data) = data? else {
            return Ok(None);
        };
        let mut at = from;
        if let Some(wrong) = faults.flipped_byte {
            data.chunks = data
                .chunks
                .map(move |chunk| {
                    let chunk = chunk?;
                    let start = at;
                    at += chunk.len() as u64;
                    let mut bytes = chunk.to_vec();
                    let place = wrong
                        .checked_sub(start)
                        .and_then(|at| usize::try_from(at).ok());
                    if let Some(byte) = place.and_then(|at| bytes.get_mut(at)) {
                        *byte ^= 1;
                    }
                    Ok(Bytes::from(bytes))
                })
                .boxed();
        }
        let (after_bytes, _) = faults.broken_reads;
        if self.with(|faults| count_down(&mut faults.broken_reads.1)) {
            let error = transient(Operation::ReadData(*id));
            let mut left = after_bytes;
            data.chunks = data
                .chunks
                .take_while(move |chunk| {
                    let len = chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
                    let keep = left >= len;
                    left = left.saturating_sub(len);
                    std::future::ready(keep)
                })
                .chain(stream::iter([Err(error)]))
                .boxed();
        }
        Ok(Some(data))
    }
}

#[deny(
    clippy::missing_trait_methods,
    reason = "the next default method would be lost"
)]
#[async_trait]
impl<P: ImageTarget> ImageTarget for Faulty<P> {
    fn nature(&self) -> Nature {
        self.inner.nature()
    }

    async fn requirements(&self) -> Requirements {
        self.inner.requirements().await
    }

    fn taken_ids(&self, wanted: &Selection) -> ImageStream {
        self.inner.taken_ids(wanted)
    }

    async fn find_image(&self, id: &ImageId) -> Result<Option<ImageMetadata>, PortError> {
        if self.with(|faults| count_down(&mut faults.still_saving)) {
            return Ok(Some(ImageMetadata::new(*id, ImageStatus::Saving)));
        }
        self.inner.find_image(id).await
    }

    async fn room(&self) -> Result<Room, PortError> {
        self.inner.room().await
    }

    async fn partial_data(&self, image: &ImageMetadata) -> Result<Option<ImageData>, PortError> {
        match self.with(|faults| faults.kept.clone()) {
            Some(kept) => Ok(Some(ImageData::from_bytes(kept))),
            None => self.inner.partial_data(image).await,
        }
    }

    async fn prepare_record(
        &self,
        metadata: &ImageMetadata,
        existing: Option<&ImageMetadata>,
    ) -> Result<Option<ImageMetadata>, PortError> {
        self.inner.prepare_record(metadata, existing).await
    }

    async fn write_image(
        &self,
        metadata: &ImageMetadata,
        existing: Option<&ImageMetadata>,
        data: ImageData,
    ) -> Result<ImageMetadata, PortError> {
        let failed = transient(Operation::WriteData(metadata.id));
        if self.with(|faults| count_down(&mut faults.failed_writes)) {
            return Err(failed);
        }
        let written = self.inner.write_image(metadata, existing, data).await?;
        if self.with(|faults| count_down(&mut faults.lost_answers)) {
            return Err(failed);
        }
        Ok(written)
    }

    async fn copy_to_stores(&self, image: &ImageMetadata) -> Result<bool, PortError> {
        self.inner.copy_to_stores(image).await
    }

    async fn create_record(&self, metadata: &ImageMetadata) -> Result<(), PortError> {
        self.inner.create_record(metadata).await
    }

    async fn delete_image(&self, image: &ImageMetadata) -> Result<(), PortError> {
        self.inner.delete_image(image).await
    }

    async fn update_metadata(
        &self,
        current: &ImageMetadata,
        diff: &MetadataDiff,
    ) -> Result<ImageMetadata, PortError> {
        let updated = self.inner.update_metadata(current, diff).await?;
        if !self.with(|faults| count_down(&mut faults.publishing_updates)) {
            return Ok(updated);
        }
        let mut public = updated.clone();
        public.visibility = Some(Visibility::Public);
        let diff = MetadataDiff::between(&public, &updated, &Omit::nothing());
        self.inner.update_metadata(&updated, &diff).await
    }
}

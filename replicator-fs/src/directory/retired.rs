//! Images whose source does not have them any more: they are put aside, into a directory of their
//! own, and back if it has them again.
//!
//! An image that has its metadata in both places is not retired. Whatever the moment at which a
//! process dies, its data is in one of them, and the next run goes on.

use std::sync::Arc;

use glance_model::{ImageId, ImageMetadata, MetadataDiff};

use super::Directory;
use crate::error::ArchiveError;
use crate::metadata_file;

impl Directory {
    /// Opens the directory of the retired images, if there is one, or is to be.
    fn retired(&self, is_made: bool) -> Result<Option<Self>, ArchiveError> {
        let folder = self.folder.below(&self.layout.retired(), is_made)?;
        Ok(folder.map(|folder| Self::new(Arc::new(folder))))
    }

    /// The ids of the retired images, in no order.
    pub(crate) fn retired_ids(&self) -> Result<Vec<ImageId>, ArchiveError> {
        match self.retired(false)? {
            Some(retired) => Ok(retired.scan()?.images),
            None => Ok(Vec::new()),
        }
    }

    /// Reads a retired image, as it was when it was whole.
    pub(crate) fn retired_image(
        &self,
        id: &ImageId,
    ) -> Result<Option<ImageMetadata>, ArchiveError> {
        match self.retired(false)? {
            Some(retired) => metadata_file::read(&retired.folder, &retired.layout.metadata(id), id),
            None => Ok(None),
        }
    }

    /// Changes the metadata of an image, and returns what the archive shows then, or `None` if there
    /// is no such image. One that becomes retired is put aside, and one that is so no more, back.
    pub(crate) fn update(
        &self,
        id: &ImageId,
        diff: &MetadataDiff,
    ) -> Result<Option<ImageMetadata>, ArchiveError> {
        // Not what was listed, whose status may be another than the file's.
        if let Some(metadata) = metadata_file::read(&self.folder, &self.layout.metadata(id), id)? {
            let updated = diff.apply_to(metadata);
            return match updated.retired_at() {
                Some(_) => self.put_aside(updated),
                None => self.write(&updated),
            }
            .map(Some);
        }
        let Some(metadata) = self.retired_image(id)? else {
            return Ok(None);
        };
        let updated = diff.apply_to(metadata);
        match updated.retired_at() {
            Some(_) => self.put_aside(updated),
            None => self.put_back(&updated),
        }
        .map(Some)
    }

    fn put_aside(&self, metadata: ImageMetadata) -> Result<ImageMetadata, ArchiveError> {
        let id = &metadata.id;
        let Some(retired) = self.retired(true)? else {
            let path = self.layout.retired();
            return Err(ArchiveError::Missing { path });
        };
        retired.write(&metadata)?;
        self.folder.remove(&self.layout.metadata(id))?;
        self.folder.sync()?;
        let (from, to) = (self.layout.data(id), retired.layout.data(id));
        self.folder.hand_over(&from, &retired.folder, &to)?;
        retired.folder.sync()?;
        self.folder.sync()?;
        Ok(metadata)
    }

    fn put_back(&self, metadata: &ImageMetadata) -> Result<ImageMetadata, ArchiveError> {
        let id = &metadata.id;
        if let Some(retired) = self.retired(false)? {
            let (from, to) = (retired.layout.data(id), self.layout.data(id));
            retired.folder.hand_over(&from, &self.folder, &to)?;
            self.folder.sync()?;
        }
        let written = self.write(metadata)?;
        self.forget_retired(id)?;
        Ok(written)
    }

    /// Removes what is left of a retired image that is whole again in its place, or is to be gone.
    pub(crate) fn forget_retired(&self, id: &ImageId) -> Result<(), ArchiveError> {
        let Some(retired) = self.retired(false)? else {
            return Ok(());
        };
        // Without its metadata, nobody would find the data again.
        retired.folder.remove(&retired.layout.data(id))?;
        retired.folder.remove(&retired.layout.metadata(id))?;
        retired.folder.sync()
    }

    /// Deletes an image that is put aside, and returns whether there was one. One that stands in
    /// its place is never deleted.
    pub(crate) fn delete_retired(&self, id: &ImageId) -> Result<bool, ArchiveError> {
        let is_whole = self.folder.len_of(&self.layout.metadata(id))?.is_some();
        if is_whole || self.retired_image(id)?.is_none() {
            return Ok(false);
        }
        // The data of one that was put aside when a process died.
        self.remove(id)?;
        self.forget_retired(id)?;
        Ok(true)
    }
}

//! An archive as an end of a run.

use std::fmt;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::vec;

use async_trait::async_trait;
use futures_util::stream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use glance_model::{ImageId, ImageMetadata, ImageStatus, MetadataDiff, Selection};
use replicator_core::{
    ImageData, ImageSource, ImageStream, ImageTarget, Nature, Operation, PortError, Room, Stage,
};
use tokio::sync::OwnedMutexGuard;

use crate::ArchiveError;
use crate::access;
use crate::directory::{Contents, Directory, Shown};
use crate::folder::{Folder, For, free_bytes};
use crate::hardening;
use crate::partial_file::PartialFile;
use crate::transfer::{self, Writer, finish};

/// A directory of images: `<id>` is the metadata of an image, `<id>.img` its
/// data.
///
/// An image is complete exactly when its metadata file is there and its data has
/// the length that it says. One that says `active` and was dumped without data
/// ([`ImageMetadata::no_data`]) is shown as `queued`: there is nothing to read,
/// and something to complete. A listing gives [`PortError::Damaged`] for one
/// whose data is missing or has another length, or whose metadata cannot be
/// read; it can be written again.
#[derive(Clone, Debug)]
pub struct ImageArchive(Arc<Directory>);

impl ImageArchive {
    /// Opens an archive that exists.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Missing`], [`ArchiveError::NotADirectory`], or
    /// [`ArchiveError::Read`] if the directory may not be read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ArchiveError> {
        let path = path.into();
        match fs::metadata(&path) {
            Ok(found) if !found.is_dir() => return Err(ArchiveError::NotADirectory { path }),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Err(ArchiveError::Missing { path });
            }
            Err(e) => return Err(ArchiveError::read(&path)(e)),
        }
        let folder = Folder::open(&path).map_err(ArchiveError::read(&path))?;
        Ok(Self(Arc::new(Directory::new(Arc::new(folder)))))
    }

    /// Opens an archive to write to, and creates its directory, for its owner alone, if it is
    /// missing.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NotADirectory`], or [`ArchiveError::Write`] if the
    /// directory cannot be created or no file can be made in it.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, ArchiveError> {
        let path = path.into();
        if fs::metadata(&path).is_ok_and(|found| !found.is_dir()) {
            return Err(ArchiveError::NotADirectory { path });
        }
        access::create_directory(&path).map_err(ArchiveError::write(&path))?;
        let archive = Self::open(path)?;
        archive.0.try_out()?;
        Ok(archive)
    }

    /// Opens a directory that images are written to and removed from, and creates it, for its
    /// owner alone, if it is missing.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NotOurs`] if it is a link, or if another user owns it or may write to it;
    /// [`ArchiveError::Write`] if it cannot be created or no file can be made in it.
    pub fn stage(path: impl Into<PathBuf>) -> Result<Self, ArchiveError> {
        let path = path.into();
        if let Some(above) = path.parent() {
            access::create_directory(above).map_err(ArchiveError::write(above))?;
        }
        let folder = Folder::private(&path)?;
        let archive = Self(Arc::new(Directory::new(Arc::new(folder))));
        archive.0.try_out()?;
        Ok(archive)
    }

    /// Takes the archive for one without data: that of an active image may be
    /// missing, even where its metadata does not say why. The Python tool does not
    /// write down that it was to dump metadata only.
    #[must_use]
    pub fn metadata_only(self) -> Self {
        let mut directory = Directory::new(Arc::clone(self.0.folder()));
        directory.is_metadata_only = true;
        Self(Arc::new(directory))
    }

    /// Looks at what the directory holds, up to the first file of an image.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Read`] if the directory cannot be read.
    pub fn contents(&self) -> Result<Contents, ArchiveError> {
        self.0.contents()
    }

    /// The path of the archive.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.layout().directory()
    }

    /// Finds the images that a broken-off transfer left behind, in order of ids:
    /// those with data and no metadata, and those with partial data.
    ///
    /// # Errors
    ///
    /// [`PortError::Adapter`] if the directory cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<ImageId>, PortError> {
        let scan = self
            .run(&Operation::ListImages, |directory| directory.scan())
            .await?;
        let is_image = |id: &ImageId| scan.images.binary_search(id).is_ok();
        let mut unfinished = scan.data;
        unfinished.retain(|id| !is_image(id));
        unfinished.extend(scan.partial);
        unfinished.sort_unstable();
        unfinished.dedup();
        Ok(unfinished)
    }

    /// Lists images, those that are retired as well or not.
    fn listing(&self, wanted: &Selection, with_retired: bool) -> ImageStream {
        let (archive, wanted) = (self.clone(), wanted.clone());
        stream::try_unfold(None, move |ids: Option<vec::IntoIter<ImageId>>| {
            let (archive, wanted) = (archive.clone(), wanted.clone());
            async move {
                let work = move |directory: &Arc<Directory>| {
                    let mut ids = match ids {
                        Some(ids) => ids,
                        None => {
                            let mut ids = directory.scan()?.images;
                            if with_retired {
                                ids.extend(directory.retired_ids()?);
                                ids.sort_unstable();
                                ids.dedup();
                            }
                            ids.retain(|id| wanted.matches_id(id));
                            ids.into_iter()
                        }
                    };
                    Ok((directory.batch(&mut ids, with_retired), ids))
                };
                let (batch, ids) = archive.run(&Operation::ListImages, work).await?;
                let batch = (!batch.is_empty()).then(|| stream::iter(batch));
                Ok(batch.map(|batch| (batch, Some(ids))))
            }
        })
        .try_flatten()
        .boxed()
    }

    /// Works on files on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        operation: &Operation,
        work: impl FnOnce(&Arc<Directory>) -> Result<T, ArchiveError> + Send + 'static,
    ) -> Result<T, PortError> {
        let directory = Arc::clone(&self.0);
        finish(
            tokio::task::spawn_blocking(move || work(&directory)),
            operation,
        )
        .await
    }
}

/// The path of the archive.
impl fmt::Display for ImageArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path().display().fmt(f)
    }
}

#[async_trait]
impl ImageSource for ImageArchive {
    fn images(&self, wanted: &Selection) -> ImageStream {
        self.listing(wanted, false)
    }

    async fn has_image(&self, id: &ImageId) -> Result<bool, PortError> {
        let (operation, id) = (Operation::FindImage(*id), *id);
        let found = self.run(&operation, move |directory| {
            let path = directory.layout().metadata(&id);
            directory.folder().len_of(&path)
        });
        Ok(found.await?.is_some())
    }

    async fn image_data(
        &self,
        id: &ImageId,
        offset_bytes: u64,
    ) -> Result<Option<ImageData>, PortError> {
        let operation = Operation::ReadData(*id);
        let wanted = *id;
        let opened = self
            .run(&operation, move |directory| {
                let (layout, folder) = (directory.layout(), directory.folder());
                if folder.len_of(&layout.metadata(&wanted))?.is_none() {
                    return Ok(None);
                }
                let path = layout.data(&wanted);
                let file = folder.file(&path, For::Reading)?;
                let reader = file.map(|file| transfer::read(file, path, offset_bytes));
                reader.transpose().map(Some)
            })
            .await?;
        let reader = opened.ok_or_else(|| PortError::NotFound { id: *id })?;
        Ok(reader.map(|reader| reader.into_data(operation)))
    }
}

#[async_trait]
impl ImageTarget for ImageArchive {
    fn nature(&self) -> Nature {
        Nature::archive()
    }

    /// Those that are retired are listed, too.
    fn taken_ids(&self, wanted: &Selection) -> ImageStream {
        self.listing(wanted, true)
    }

    async fn find_image(&self, id: &ImageId) -> Result<Option<ImageMetadata>, PortError> {
        let operation = Operation::FindImage(*id);
        let wanted = *id;
        let found = self.run(&operation, move |directory| {
            Ok(match directory.shown(&wanted) {
                Ok(None) => directory.retired_image(&wanted),
                shown => shown.map(|shown| shown.map(|shown| shown.image)),
            })
        });
        match found.await? {
            Ok(found) => Ok(found),
            Err(error) => Err(error.damages(*id)),
        }
    }

    async fn room(&self) -> Result<Room, PortError> {
        Ok(Room {
            bytes: free_bytes(self.path()),
            images: None,
        })
    }

    async fn partial_data(&self, image: &ImageMetadata) -> Result<Option<ImageData>, PortError> {
        // A write whose future was dropped may still be at it.
        drop(self.0.turn(&image.id).await);
        let operation = Operation::ReadData(image.id);
        let image = image.clone();
        let reader = self
            .run(&operation, move |directory| {
                let kept = directory.kept_data(&image)?;
                let reader = kept.map(|(file, path)| transfer::read(file, path, 0));
                reader.transpose()
            })
            .await?;
        Ok(reader.map(|reader| reader.into_data(operation)))
    }

    async fn write_image(
        &self,
        metadata: &ImageMetadata,
        existing: Option<&ImageMetadata>,
        mut data: ImageData,
    ) -> Result<ImageMetadata, PortError> {
        let id = metadata.id;
        let operation = Operation::WriteData(id);
        let data_path = self.0.layout().data(&id);
        let offset_bytes = data.offset_bytes;
        let is_replaced = existing.is_some_and(ImageMetadata::has_data);
        let was_retired = existing.is_some_and(|image| image.retired_at().is_some());
        let turn = self.0.turn(&id).await;
        let opened = self
            .run(&operation, move |directory| {
                Opened::of(directory, &id, offset_bytes, is_replaced, turn)
            })
            .await?;
        let mut whole = metadata.clone();
        whole.no_data = None;
        if whole.status != ImageStatus::Deactivated {
            whole.status = ImageStatus::Active;
        }
        let partial = match opened {
            Opened::Taken => return Err(PortError::AlreadyExists { id }),
            Opened::Whole(file, turn) => {
                // Nothing is left to come, save an error.
                while let Some(chunk) = data.chunks.next().await {
                    chunk?;
                }
                return self
                    .run(&operation, move |directory| {
                        let _turn = turn;
                        hardening::sync(&file).map_err(ArchiveError::write(&data_path))?;
                        directory.write(&whole)
                    })
                    .await;
            }
            Opened::Partial(partial) => partial,
        };
        let mut writer = Writer::new(partial, offset_bytes, operation.clone());
        let mut failure = None;
        while let Some(chunk) = data.chunks.next().await {
            match chunk {
                Ok(chunk) => writer = writer.push(chunk).await?,
                Err(e) => {
                    failure = Some(e);
                    break;
                }
            }
            if metadata.size.is_some_and(|size| writer.end_bytes() > size) {
                break;
            }
        }
        let len_bytes = writer.end_bytes();
        let partial = writer.settle().await?;
        if let Some(failure) = failure {
            self.run(&operation, move |_| partial.keep()).await?;
            return Err(failure);
        }
        if let Some(expected_bytes) = metadata.size.filter(|size| *size != len_bytes) {
            return self
                .run(&operation, move |_| {
                    if len_bytes > expected_bytes {
                        partial.remove()?;
                    } else {
                        partial.keep()?;
                    }
                    Err(ArchiveError::DataLength {
                        path: data_path,
                        len_bytes,
                        expected_bytes,
                    })
                })
                .await;
        }
        whole.size = Some(len_bytes);
        self.run(&operation, move |directory| {
            let _published = partial.publish(&data_path)?;
            let written = directory.write(&whole)?;
            directory.clear_up(&whole.id);
            if was_retired {
                directory.forget_retired(&whole.id)?;
            }
            Ok(written)
        })
        .await
    }

    async fn create_record(&self, metadata: &ImageMetadata) -> Result<(), PortError> {
        let id = metadata.id;
        let operation = Operation::CreateImage(id);
        let turn = self.0.turn(&id).await;
        let metadata = metadata.clone();
        let created = self
            .run(&operation, move |directory| {
                let _turn = turn;
                // A file that cannot be read is no image.
                if matches!(
                    directory.shown(&metadata.id),
                    Ok(Some(Shown { damage: None, .. }))
                ) {
                    return Ok(false);
                }
                directory.write(&metadata).map(|_| true)
            })
            .await?;
        if created {
            Ok(())
        } else {
            Err(PortError::AlreadyExists { id })
        }
    }

    async fn update_metadata(
        &self,
        current: &ImageMetadata,
        diff: &MetadataDiff,
    ) -> Result<ImageMetadata, PortError> {
        let id = current.id;
        let operation = Operation::UpdateMetadata(id);
        let turn = self.0.turn(&id).await;
        // An archive keeps what it is told, also what a server would not let set.
        let diff = diff.clone();
        let updated = self
            .run(&operation, move |directory| {
                let _turn = turn;
                directory.update(&id, &diff)
            })
            .await?;
        updated.ok_or_else(|| PortError::NotFound { id: current.id })
    }

    async fn delete_image(&self, image: &ImageMetadata) -> Result<(), PortError> {
        let id = image.id;
        let operation = Operation::DeleteImage(id);
        let turn = self.0.turn(&id).await;
        let deleted = self
            .run(&operation, move |directory| {
                let _turn = turn;
                directory.delete_retired(&id)
            })
            .await?;
        match deleted {
            true => Ok(()),
            false => Err(PortError::NotFound { id }),
        }
    }
}

/// The file that the data of an image is written to.
enum Opened {
    /// Nothing: the image is whole.
    Taken,
    /// Nothing: only the metadata is missing. The file is locked.
    Whole(File, OwnedMutexGuard<()>),
    Partial(PartialFile),
}

impl Opened {
    fn of(
        directory: &Arc<Directory>,
        id: &ImageId,
        offset_bytes: u64,
        is_replaced: bool,
        turn: OwnedMutexGuard<()>,
    ) -> Result<Self, ArchiveError> {
        // Looked at under the lock, so that it stays so.
        let is_taken = || !is_replaced && directory.is_complete(id);
        if let Some(file) = directory.open_whole(id, offset_bytes)? {
            return Ok(if is_taken() {
                Self::Taken
            } else {
                Self::Whole(file, turn)
            });
        }
        let partial = PartialFile::open(directory, id, offset_bytes, turn)?;
        if is_taken() {
            partial.remove()?;
            return Ok(Self::Taken);
        }
        Ok(Self::Partial(partial))
    }
}

#[async_trait]
impl Stage for ImageArchive {
    async fn staged_ids(&self) -> Result<Vec<ImageId>, PortError> {
        let scan = self
            .run(&Operation::ListImages, |directory| directory.scan())
            .await?;
        let mut ids = [scan.images, scan.data, scan.partial].concat();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    async fn remove_image(&self, id: &ImageId) -> Result<(), PortError> {
        let operation = Operation::RemoveImage(*id);
        let turn = self.0.turn(id).await;
        let id = *id;
        self.run(&operation, move |directory| {
            let _turn = turn;
            directory.remove(&id)
        })
        .await
    }
}

#[cfg(test)]
mod tests;

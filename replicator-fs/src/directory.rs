//! The images of an archive, as its files describe them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::vec;

use glance_model::{ImageId, ImageMetadata, ImageStatus, NoData};
use replicator_core::PortError;
use tokio::sync::OwnedMutexGuard;

use crate::error::{ArchiveError, is_out_of_handles};
use crate::folder::{Folder, For, Identity, identity};
use crate::layout::{Entry, Layout, SnapshotName, is_new_metadata, of_writer};
use crate::locked_file::{self, Locked};
use crate::metadata_file;

mod atomic;
mod retired;

/// The number of metadata files that are read at a time while listing.
const BATCH: usize = 100;

/// The bytes that a partial file gives back at a time to an image for which there is no room.
const GIVEN_BACK_BYTES: u64 = 256 << 10;

/// The content of a directory that is taken for an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contents {
    /// No file but hidden ones, and `lost+found`.
    Nothing,
    /// Metadata or data of an image, be it unfinished or damaged.
    Images,
    /// Snapshots, each of which is an archive.
    Snapshots,
    /// Files that have nothing to do with images.
    Others,
    /// Files that bear the ids of images and hold something else, as in the store of a Glance. A
    /// dump could take them for damaged metadata, and replace them.
    Namesakes,
}

/// The images and leftovers, as the names of the files tell them.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// The images that have metadata, in order.
    pub(crate) images: Vec<ImageId>,
    pub(crate) data: Vec<ImageId>,
    pub(crate) partial: Vec<ImageId>,
}

/// An image as the archive shows it.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) image: ImageMetadata,
    /// The damage of its data.
    pub(crate) damage: Option<ArchiveError>,
}

/// Data of an image that was there before it is written.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) identity: Identity,
    /// Whether it is whole and has its name, and only the metadata is missing.
    pub(crate) is_whole: bool,
}

/// The files of an archive, as images. Its methods block, so they are called
/// on threads that may.
#[derive(Debug)]
pub(crate) struct Directory {
    layout: Layout,
    folder: Arc<Folder>,
    /// Whether files can be locked here, as far as that was tried.
    has_locks: AtomicBool,
    /// The owner of the files that this process makes, once it has made one.
    owner: OnceLock<u32>,
    /// Tells the files of this writer from those of others where they cannot be locked.
    writer: String,
    /// The data that was kept of images, as it was read to be hashed.
    kept: Mutex<BTreeMap<ImageId, Kept>>,
    /// The partial files for the rest of which there was no room.
    given_up: Mutex<Vec<PathBuf>>,
    /// The files that other writers have left where files cannot be locked.
    left: Mutex<BTreeMap<ImageId, Vec<PathBuf>>>,
    /// The images that are being written in this process.
    turns: Mutex<BTreeMap<ImageId, Arc<tokio::sync::Mutex<()>>>>,
    /// Whether data may be missing, whatever the metadata says.
    pub(crate) is_metadata_only: bool,
}

impl Directory {
    pub(crate) fn new(folder: Arc<Folder>) -> Self {
        let random = uuid::Uuid::new_v4().simple();
        Self {
            layout: Layout::new(folder.path().to_owned()),
            folder,
            has_locks: AtomicBool::new(true),
            owner: OnceLock::new(),
            writer: format!("{}-{random}", process::id()),
            kept: Mutex::default(),
            given_up: Mutex::default(),
            left: Mutex::default(),
            turns: Mutex::default(),
            is_metadata_only: false,
        }
    }

    /// Tries whether files can be made in the directory, and locked.
    pub(crate) fn try_out(&self) -> Result<(), ArchiveError> {
        let tried = locked_file::try_out(self.folder.path());
        // `tempfile` adds the path of the temporary file, which says nothing to anyone.
        let without_path = |error: io::Error| match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => error.kind().into(),
        };
        let (has_locks, owner) = match tried.map_err(without_path) {
            // Each file that is opened waits for a handle.
            Err(error) if is_out_of_handles(&error) => return Ok(()),
            tried => tried.map_err(ArchiveError::write(self.folder.path()))?,
        };
        self.has_locks.store(has_locks, Ordering::Relaxed);
        let _ = self.owner.set(owner);
        Ok(())
    }

    #[cfg(test)]
    pub(crate) fn without_locks(&self) {
        self.has_locks.store(false, Ordering::Relaxed);
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(crate) fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    fn path_of_writer(&self, standard: &Path) -> PathBuf {
        if self.has_locks.load(Ordering::Relaxed) {
            standard.to_owned()
        } else {
            of_writer(standard, &self.writer)
        }
    }

    /// Opens a file that nobody else writes: it is locked, or, where there are no locks, it has a
    /// name that nobody else uses. `None` if it is missing and not to be created.
    pub(crate) fn open_unshared(
        &self,
        standard: &Path,
        what_for: For,
    ) -> Result<Option<(File, PathBuf)>, ArchiveError> {
        let path = self.path_of_writer(standard);
        let Some(Locked { file, is_locked }) = locked_file::open(&self.folder, &path, what_for)?
        else {
            return Ok(None);
        };
        if !is_locked && path == standard {
            self.has_locks.store(false, Ordering::Relaxed);
            return self.open_unshared(standard, what_for);
        }
        let found = file.metadata();
        let found = found.map_err(|error| self.folder.failed(&path, error))?;
        if is_ours(&found, self.owner.get()) {
            Ok(Some((file, path)))
        } else {
            Err(ArchiveError::NotOurs { path })
        }
    }

    /// Opens the data that is there of an image that is not whole: of the partial file, or
    /// whole data whose metadata is missing. What is longer than the image is left out.
    pub(crate) fn kept_data(
        &self,
        image: &ImageMetadata,
    ) -> Result<Option<(File, PathBuf)>, ArchiveError> {
        let id = &image.id;
        let partial = self.path_of_writer(&self.layout.partial(id));
        let data = self.layout.data(id);
        for (path, is_whole) in [(partial, false), (data, true)] {
            let Some(file) = self.folder.file(&path, For::Reading)? else {
                continue;
            };
            let identity = identity(&file).map_err(ArchiveError::read(&path))?;
            let len_bytes = identity.len_bytes;
            let is_kept = match image.size {
                Some(size) if is_whole => len_bytes == size && !self.is_complete(id),
                Some(size) => len_bytes <= size,
                None => !is_whole,
            };
            if len_bytes > 0 && is_kept {
                let kept = Kept { identity, is_whole };
                lock(&self.kept).insert(*id, kept);
                return Ok(Some((file, path)));
            }
        }
        lock(&self.kept).remove(id);
        Ok(None)
    }

    /// The part that was read last of the data that is kept of an image.
    pub(crate) fn take_kept(&self, id: &ImageId) -> Option<Kept> {
        lock(&self.kept).remove(id)
    }

    /// Opens the data of an image that is whole under its name, if that is what was read to be
    /// continued at this byte.
    pub(crate) fn open_whole(
        &self,
        id: &ImageId,
        offset_bytes: u64,
    ) -> Result<Option<File>, ArchiveError> {
        let kept = lock(&self.kept).get(id).cloned();
        let Some(kept) = kept.filter(|kept| kept.is_whole && offset_bytes > 0) else {
            return Ok(None);
        };
        let path = self.layout.data(id);
        self.take_kept(id);
        let opened = locked_file::open(&self.folder, &path, For::Reading)?;
        if let Some(Locked { file, .. }) = opened
            && offset_bytes == kept.identity.len_bytes
            && identity(&file).is_ok_and(|found| found == kept.identity)
        {
            return Ok(Some(file));
        }
        Err(ArchiveError::Changed { path })
    }

    /// Keeps in mind that there was no room for the rest of a partial file.
    pub(crate) fn give_up(&self, partial: PathBuf) {
        lock(&self.given_up).push(partial);
    }

    /// The same, the other way round: the file is written again.
    pub(crate) fn take_back(&self, partial: &Path) {
        lock(&self.given_up).retain(|path| path != partial);
    }

    /// Takes some room back from a partial file for the rest of which there was none, for an
    /// image that may fit in whole. Returns whether there may be more room now.
    pub(crate) fn make_room(&self) -> bool {
        let mut given_up = lock(&self.given_up);
        while let Some(path) = given_up.last() {
            if let Ok(Some(Locked { file, .. })) =
                locked_file::open(&self.folder, path, For::Writing)
                && let Ok(found) = file.metadata()
                && found.len() > 0
                && file
                    .set_len(found.len().saturating_sub(GIVEN_BACK_BYTES))
                    .is_ok()
            {
                return true;
            }
            given_up.pop();
        }
        false
    }

    /// Removes what other writers have left of an image that is whole now.
    pub(crate) fn clear_up(&self, id: &ImageId) {
        let mut left = lock(&self.left).remove(id).unwrap_or_default();
        if !self.has_locks.load(Ordering::Relaxed) {
            left.push(self.layout.partial(id));
        }
        for path in left {
            let _ = self.folder.remove(&path);
        }
    }

    /// Waits until nobody else in this process writes an image. This one method
    /// does not block.
    pub(crate) async fn turn(&self, id: &ImageId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = lock(&self.turns);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(*id).or_default())
        };
        turn.lock_owned().await
    }

    pub(crate) fn contents(&self) -> Result<Contents, ArchiveError> {
        let failed = || ArchiveError::read(self.folder.path());
        let mut contents = Contents::Nothing;
        for name in self.folder.names().map_err(failed())? {
            let name = name.map_err(failed())?;
            let is_hidden = name.as_encoded_bytes().starts_with(b".") || name == "lost+found";
            match Entry::of(&name) {
                Entry::Metadata(id)
                    if !metadata_file::may_be_one(&self.folder, &self.layout.metadata(&id)) =>
                {
                    contents = Contents::Namesakes;
                }
                Entry::Other if is_new_metadata(&name) => return Ok(Contents::Images),
                Entry::Other if contents == Contents::Namesakes => {}
                Entry::Other if self.is_snapshot(&name) => contents = Contents::Snapshots,
                Entry::Other if is_hidden || contents == Contents::Snapshots => {}
                Entry::Other => contents = Contents::Others,
                _ => return Ok(Contents::Images),
            }
        }
        Ok(contents)
    }

    fn is_snapshot(&self, name: &OsStr) -> bool {
        let is_one = matches!(
            SnapshotName::of(name),
            Some(SnapshotName::Whole(_) | SnapshotName::Partial(_))
        );
        is_one && self.folder.is_directory(&self.folder.path().join(name))
    }

    pub(crate) fn scan(&self) -> Result<Scan, ArchiveError> {
        let failed = || ArchiveError::read(self.folder.path());
        let mut scan = Scan::default();
        let mut left: BTreeMap<ImageId, Vec<PathBuf>> = BTreeMap::new();
        for name in self.folder.names().map_err(failed())? {
            let name = name.map_err(failed())?;
            match Entry::of(&name) {
                Entry::Metadata(id) => scan.images.push(id),
                Entry::Data(id) => scan.data.push(id),
                Entry::Partial(id) => scan.partial.push(id),
                Entry::Unlocked(id) => {
                    let path = self.folder.path().join(name);
                    left.entry(id).or_default().push(path);
                    scan.partial.push(id);
                }
                Entry::Other => {}
            }
        }
        *lock(&self.left) = left;
        scan.images.sort_unstable();
        Ok(scan)
    }

    /// Reads the next images of a listing; none if it has come to its end.
    pub(crate) fn batch(
        &self,
        ids: &mut vec::IntoIter<ImageId>,
        with_retired: bool,
    ) -> Vec<Result<ImageMetadata, PortError>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(id) = ids.next()
        {
            batch.extend(match self.shown(&id) {
                Ok(None) if with_retired => match self.retired_image(&id) {
                    Ok(retired) => retired.map(Ok),
                    Err(error) => Some(Err(error.damages(id))),
                },
                // It was there a moment ago.
                Ok(None) => None,
                Ok(Some(Shown {
                    damage: None,
                    image,
                })) => Some(Ok(image)),
                Ok(Some(Shown {
                    damage: Some(error),
                    ..
                }))
                | Err(error) => Some(Err(error.damages(id))),
            });
        }
        batch
    }

    pub(crate) fn is_complete(&self, id: &ImageId) -> bool {
        matches!(self.shown(id), Ok(Some(shown)) if shown.image.has_data())
    }

    pub(crate) fn shown(&self, id: &ImageId) -> Result<Option<Shown>, ArchiveError> {
        let Some(mut image) = metadata_file::read(&self.folder, &self.layout.metadata(id), id)?
        else {
            return Ok(None);
        };
        let mut damage = None;
        if matches!(image.status, ImageStatus::Active | ImageStatus::Deactivated) {
            let path = self.layout.data(id);
            match self.folder.len_of(&path) {
                Ok(None) if image.status == ImageStatus::Deactivated => {
                    image.no_data.get_or_insert(NoData::Withheld);
                }
                // There is just nothing to load.
                Ok(None) if self.is_metadata_only || image.no_data.is_some() => {
                    image.status = ImageStatus::Queued;
                }
                Ok(None) => damage = Some(ArchiveError::DataMissing { path }),
                Ok(Some(len_bytes)) => {
                    image.no_data = None;
                    if let Some(expected_bytes) = image.size.filter(|size| *size != len_bytes) {
                        damage = Some(ArchiveError::DataLength {
                            path,
                            len_bytes,
                            expected_bytes,
                        });
                    }
                }
                Err(error) => damage = Some(error),
            }
        }
        if damage.is_some() {
            image.status = ImageStatus::Queued;
        }
        Ok(Some(Shown { image, damage }))
    }

    /// Writes a metadata file, and returns what the archive shows then.
    pub(crate) fn write(&self, metadata: &ImageMetadata) -> Result<ImageMetadata, ArchiveError> {
        let json = metadata_file::metadata_to_json(metadata);
        atomic::write_metadata(self, &metadata.id, &json)?;
        let shown = self.shown(&metadata.id)?;
        // Gone again already: somebody else's doing, and theirs to explain.
        Ok(shown.map_or_else(|| metadata.clone(), |shown| shown.image))
    }

    /// Removes an image: what makes it whole first, so that a half-removed one
    /// looks like none.
    pub(crate) fn remove(&self, id: &ImageId) -> Result<(), ArchiveError> {
        let layout = &self.layout;
        // Nothing is taken from under another process that writes the image.
        let partial = layout.partial(id);
        let _locked = self.open_unshared(&partial, For::WritingAnew)?;
        let own = self.path_of_writer(&partial);
        for path in [layout.metadata(id), layout.data(id), own, partial] {
            self.folder.remove(&path)?;
        }
        self.clear_up(id);
        Ok(())
    }
}

/// Returns whether a file may be written as our own: it has no other name, which may be that of a
/// file of somebody, and nobody else has put it there.
fn is_ours(found: &std::fs::Metadata, owner: Option<&u32>) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    found.nlink() <= 1 && owner.is_none_or(|owner| *owner == found.uid())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

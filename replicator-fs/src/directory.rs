//! What the files of an archive say of its images.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

use glance_model::{ImageId, ImageMetadata, ImageStatus};
use replicator_core::PortError;
use tokio::sync::OwnedMutexGuard;

use crate::ArchiveError;
use crate::atomic;
use crate::layout::{Entry, Layout};
use crate::locked_file;
use crate::metadata_file::{self, len_of_regular_file};

/// How many metadata files are read at a time while listing.
const BATCH: usize = 100;

/// What the names of the files say.
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
    /// What is wrong with its data.
    pub(crate) damage: Option<ArchiveError>,
}

/// The files of an archive, as images. Its methods block, so they are called
/// on threads that may.
#[derive(Debug)]
pub(crate) struct Directory {
    layout: Layout,
    /// Who is writing which image in this process.
    turns: Mutex<BTreeMap<ImageId, Arc<tokio::sync::Mutex<()>>>>,
    /// Whether data may be missing, whatever the metadata says.
    pub(crate) is_metadata_only: bool,
}

impl Directory {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            layout: Layout::new(path),
            turns: Mutex::default(),
            is_metadata_only: false,
        }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Waits until nobody else in this process writes an image. This one method
    /// does not block.
    pub(crate) async fn turn(&self, id: &ImageId) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(id.clone()).or_default())
        };
        turn.lock_owned().await
    }

    pub(crate) fn scan(&self) -> Result<Scan, ArchiveError> {
        let directory = self.layout.directory();
        let failed = || ArchiveError::read(directory);
        let mut scan = Scan::default();
        for entry in fs::read_dir(directory).map_err(failed())? {
            match Entry::of(&entry.map_err(failed())?.file_name()) {
                Entry::Metadata(id) => scan.images.push(id),
                Entry::Data(id) => scan.data.push(id),
                Entry::Partial(id) => scan.partial.push(id),
                Entry::Other => {}
            }
        }
        scan.images.sort_unstable();
        Ok(scan)
    }

    /// Reads the next images of a listing; none if it has come to its end.
    pub(crate) fn batch(
        &self,
        ids: &mut vec::IntoIter<ImageId>,
    ) -> Vec<Result<ImageMetadata, PortError>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(id) = ids.next()
        {
            batch.extend(match self.shown(&id) {
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
        matches!(self.shown(id), Ok(Some(shown)) if shown.image.is_active())
    }

    pub(crate) fn shown(&self, id: &ImageId) -> Result<Option<Shown>, ArchiveError> {
        let Some(mut image) = metadata_file::read(&self.layout.metadata(id), id)? else {
            return Ok(None);
        };
        let mut damage = None;
        if image.is_active() {
            let path = self.layout.data(id);
            match len_of_regular_file(&path) {
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
        atomic::write_metadata(&self.layout, &metadata.id, &json)?;
        let shown = self.shown(&metadata.id)?;
        // Gone again already: somebody else's doing, and theirs to explain.
        Ok(shown.map_or_else(|| metadata.clone(), |shown| shown.image))
    }

    /// Removes an image: what makes it whole first, so that a half-removed one
    /// looks like none.
    pub(crate) fn remove(&self, id: &ImageId) -> Result<(), ArchiveError> {
        let layout = &self.layout;
        // Nothing is taken from under another process that writes the image.
        let _locked = locked_file::open_or_create(&layout.partial(id))?;
        for path in [layout.metadata(id), layout.data(id), layout.partial(id)] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(ArchiveError::write(&path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

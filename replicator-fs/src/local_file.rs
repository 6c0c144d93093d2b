//! A file that holds the data of an image.

use std::fmt;
use std::fs::{self, File};
use std::path::PathBuf;

use async_trait::async_trait;
use glance_model::ImageId;
use replicator_core::{ImageData, ImageFile, Operation, PortError};

use crate::ArchiveError;
use crate::transfer::{self, finish};

/// A regular file that holds the data of an image.
#[derive(Clone, Debug)]
pub struct LocalFile {
    path: PathBuf,
}

impl LocalFile {
    /// Takes a file, which is opened again each time that it is read.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::NotAFile`], or [`ArchiveError::Read`] if it cannot be read.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, ArchiveError> {
        let path = path.into();
        let found = fs::metadata(&path).map_err(ArchiveError::read(&path))?;
        // A pipe can be read only once, and opening one may wait for ever.
        if !found.is_file() {
            return Err(ArchiveError::NotAFile { path });
        }
        File::open(&path).map_err(ArchiveError::read(&path))?;
        Ok(Self { path })
    }
}

/// The path of the file.
impl fmt::Display for LocalFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

#[async_trait]
impl ImageFile for LocalFile {
    async fn open(&self, id: &ImageId, offset_bytes: u64) -> Result<ImageData, PortError> {
        let operation = Operation::ReadData(*id);
        let path = self.path.clone();
        let work = move || {
            let file = File::open(&path).map_err(ArchiveError::read(&path))?;
            transfer::read(file, path, offset_bytes)
        };
        let reader = finish(tokio::task::spawn_blocking(work), &operation).await?;
        Ok(reader.into_data(operation))
    }
}

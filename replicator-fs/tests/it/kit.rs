//! The kit of the tests: an archive, and an image that goes into it.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use glance_model::ImageMetadata;
use replicator_core::testing::active_image;
use replicator_core::{ImageData, ImageSource as _, ImageTarget as _, PortError};
use replicator_fs::ImageArchive;

/// An empty archive, and the image that goes into it.
pub(crate) struct Fixture {
    pub(crate) directory: tempfile::TempDir,
    pub(crate) archive: ImageArchive,
    pub(crate) image: ImageMetadata,
    pub(crate) data: Bytes,
}

impl Fixture {
    /// An image with this data.
    pub(crate) fn of(data: Bytes) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let archive = ImageArchive::create(directory.path().join("archive")).unwrap();
        Self {
            directory,
            archive,
            image: active_image(&data),
            data,
        }
    }

    /// The path of a file, with the id in place of `ID`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let name = name.replace("ID", self.image.id.as_str());
        self.archive.path().join(name)
    }

    pub(crate) async fn write(&self, data: ImageData) -> Result<ImageMetadata, PortError> {
        self.archive.write_image(&self.image, None, data).await
    }

    /// Writes the whole data in one piece.
    pub(crate) async fn write_whole(&self) -> Result<ImageMetadata, PortError> {
        self.write(ImageData::from_bytes(self.data.clone())).await
    }

    /// The data that an earlier write has left, none at all if nothing can be gone on with.
    pub(crate) async fn kept(&self) -> Option<Bytes> {
        let kept = self.archive.partial_data(&self.image).await.unwrap()?;
        let len = kept.len_bytes.unwrap();
        let chunks: Vec<Bytes> = kept.chunks.try_collect().await.unwrap();
        let bytes = Bytes::from(chunks.concat());
        assert_eq!(bytes.len() as u64, len);
        Some(bytes)
    }

    /// The names of the files, with `ID` for the id.
    pub(crate) fn files(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.replace(self.image.id.as_str(), "ID")
        };
        let entries = fs::read_dir(self.archive.path()).unwrap();
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    /// Fails unless the archive has the image, its data, and nothing else.
    pub(crate) async fn assert_complete(&self) {
        assert_eq!(self.files(), ["ID", "ID.img"]);
        let found = self.archive.find_image(&self.image.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(&self.image));
        let read = self.archive.image_data(&self.image.id, 0).await.unwrap();
        let read: Vec<Bytes> = read.unwrap().chunks.try_collect().await.unwrap();
        assert!(read.concat() == self.data, "the data is another");
    }
}

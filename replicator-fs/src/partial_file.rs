//! The file that image data is written to until it is whole.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tokio::sync::OwnedMutexGuard;

use crate::ArchiveError;
use crate::locked_file;

/// Zeros become a hole if they fill such a block.
const BLOCK_BYTES: usize = 64 << 10;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// A partial file, locked against other processes. It stays when it is dropped.
#[derive(Debug)]
pub(crate) struct PartialFile {
    file: File,
    path: PathBuf,
    len_bytes: u64,
    /// Keeps other writers of this process waiting until the last write, which
    /// nobody may be waiting for any more, has come to its end.
    _turn: OwnedMutexGuard<()>,
}

impl PartialFile {
    /// Opens the file to be continued at a byte; what stands behind it is cut off.
    pub(crate) fn open(
        path: PathBuf,
        offset_bytes: u64,
        turn: OwnedMutexGuard<()>,
    ) -> Result<Self, ArchiveError> {
        let file = match offset_bytes {
            0 => locked_file::open_or_create(&path)?,
            _ => match locked_file::open_existing(&path) {
                Err(error) if error.is_of_missing_file() => {
                    return Err(ArchiveError::Gap {
                        path,
                        len_bytes: 0,
                        offset_bytes,
                    });
                }
                opened => opened?,
            },
        };
        let failed = || ArchiveError::write(&path);
        let len_bytes = file.metadata().map_err(failed())?.len();
        if len_bytes < offset_bytes {
            return Err(ArchiveError::Gap {
                path,
                len_bytes,
                offset_bytes,
            });
        }
        file.set_len(offset_bytes).map_err(failed())?;
        Ok(Self {
            file,
            path,
            len_bytes: offset_bytes,
            _turn: turn,
        })
    }

    /// Appends data. Blocks of zeros are left out, which makes holes of them.
    pub(crate) fn append(&mut self, mut data: &[u8]) -> Result<(), ArchiveError> {
        while !data.is_empty() {
            let into_block = self.len_bytes % BLOCK_BYTES as u64;
            let rest_of_block = BLOCK_BYTES - into_block as usize;
            let (block, rest) = data.split_at(rest_of_block.min(data.len()));
            if !ZEROS.starts_with(block) {
                self.file
                    .seek(SeekFrom::Start(self.len_bytes))
                    .and_then(|_| self.file.write_all(block))
                    .map_err(ArchiveError::write(&self.path))?;
            }
            self.len_bytes += block.len() as u64;
            data = rest;
        }
        Ok(())
    }

    /// Leaves what there is for a later run.
    pub(crate) fn keep(self) -> Result<(), ArchiveError> {
        self.set_len()
    }

    /// Removes the file: its data is not that of the image.
    pub(crate) fn remove(self) -> Result<(), ArchiveError> {
        fs::remove_file(&self.path).map_err(ArchiveError::write(&self.path))
    }

    /// Gives the file the name of whole data, once it is on the disk. Dropping
    /// what is returned lets other writers in.
    pub(crate) fn publish(self, path: &Path) -> Result<Self, ArchiveError> {
        self.set_len()?;
        self.file
            .sync_all()
            .map_err(ArchiveError::write(&self.path))?;
        fs::rename(&self.path, path).map_err(ArchiveError::write(path))?;
        Ok(self)
    }

    /// A hole at the end is no part of the file before this.
    fn set_len(&self) -> Result<(), ArchiveError> {
        self.file
            .set_len(self.len_bytes)
            .map_err(ArchiveError::write(&self.path))
    }
}

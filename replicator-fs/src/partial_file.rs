//! The file that image data is written to until it is whole.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use tokio::sync::OwnedMutexGuard;

use crate::ArchiveError;
use crate::access;
use crate::direct::DirectFile;
use crate::locked_file;

/// Zeros become a hole if they fill such a block.
const BLOCK_BYTES: usize = 64 << 10;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// The disk is told to begin after so much. Left to the end, all of an image would
/// be written while nothing else happens.
const WRITE_BACK_BYTES: u64 = 32 << 20;

/// A partial file, locked against other processes. It stays when it is dropped.
#[derive(Debug)]
pub(crate) struct PartialFile {
    data: DirectFile,
    path: PathBuf,
    len_bytes: u64,
    /// Up to where the disk was told to begin.
    begun_bytes: u64,
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
            data: DirectFile::new(file),
            path,
            len_bytes: offset_bytes,
            begun_bytes: offset_bytes,
            _turn: turn,
        })
    }

    /// Appends data. Blocks of zeros are left out, which makes holes of them; what
    /// lies between two of them is one write.
    pub(crate) fn append(&mut self, mut data: &[u8]) -> Result<(), ArchiveError> {
        while !data.is_empty() {
            let mut with_data = 0;
            let mut zeros = 0;
            while let Some(rest) = data.get(with_data..).filter(|rest| !rest.is_empty()) {
                let block = self.block_at(with_data, rest);
                if ZEROS.starts_with(block) {
                    zeros = block.len();
                    break;
                }
                with_data += block.len();
            }
            let (run, rest) = data.split_at(with_data);
            if !run.is_empty() {
                self.data
                    .write_at(self.len_bytes, run)
                    .map_err(ArchiveError::write(&self.path))?;
            }
            self.len_bytes += (with_data + zeros) as u64;
            data = rest.get(zeros..).unwrap_or_default();
        }
        if self.len_bytes - self.begun_bytes >= WRITE_BACK_BYTES {
            write_back(&self.data.file, self.begun_bytes, self.len_bytes);
            self.begun_bytes = self.len_bytes;
        }
        Ok(())
    }

    /// The rest of the block of the file into which `rest` begins to fall, `ahead`
    /// bytes behind its end.
    fn block_at<'a>(&self, ahead: usize, rest: &'a [u8]) -> &'a [u8] {
        let into_block = (self.len_bytes + ahead as u64) % BLOCK_BYTES as u64;
        let len = rest.len().min(BLOCK_BYTES - into_block as usize);
        rest.get(..len).unwrap_or(rest)
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
        access::take_over(&self.data.file, path)
            .and_then(|()| self.data.file.sync_all())
            .map_err(ArchiveError::write(&self.path))?;
        fs::rename(&self.path, path).map_err(ArchiveError::write(path))?;
        Ok(self)
    }

    /// A hole at the end is no part of the file before this.
    fn set_len(&self) -> Result<(), ArchiveError> {
        self.data
            .file
            .set_len(self.len_bytes)
            .map_err(ArchiveError::write(&self.path))
    }
}

/// Has the system begin to write to the disk what was written to the file, without
/// waiting for it; what is on the disk already makes room in memory. It is advice:
/// a system that does not take it writes when it likes.
fn write_back(file: &File, from: u64, to: u64) {
    #[cfg(target_os = "linux")]
    {
        use std::num::NonZeroU64;

        let len = NonZeroU64::new(to - from);
        let _ = rustix::fs::fadvise(file, from, len, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, from, to);
}

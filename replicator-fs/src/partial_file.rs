//! The file that image data is written to until it is whole.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use tokio::sync::OwnedMutexGuard;

use crate::ArchiveError;
use crate::metadata_file::len_of_regular_file;

/// Zeros become a hole if they fill such a block.
const BLOCK_BYTES: usize = 64 << 10;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// How often the file may vanish under us before it is called busy.
const MAX_OPENS: usize = 5;

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
        let file = lock(&path, offset_bytes)?;
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

/// Opens the file at a path and locks it.
fn lock(path: &Path, offset_bytes: u64) -> Result<File, ArchiveError> {
    for _ in 0..MAX_OPENS {
        len_of_regular_file(path)?;
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .create(offset_bytes == 0)
            .truncate(false)
            .open(path);
        let file = match opened {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound && offset_bytes > 0 => {
                return Err(ArchiveError::Gap {
                    path: path.to_owned(),
                    len_bytes: 0,
                    offset_bytes,
                });
            }
            Err(e) => return Err(ArchiveError::write(path)(e)),
        };
        match file.try_lock() {
            // Some network file systems have no locks. They are used without.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => break,
        }
        // Whoever had the lock may have finished: then the file that we have
        // open is the whole data of the image, and must not be touched.
        if is_at(&file, path).map_err(ArchiveError::write(path))? {
            return Ok(file);
        }
    }
    Err(ArchiveError::Busy {
        path: path.to_owned(),
    })
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let opened = file.metadata()?;
    match path.symlink_metadata() {
        Ok(found) => Ok((found.dev(), found.ino()) == (opened.dev(), opened.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Elsewhere an open file cannot be renamed.
#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

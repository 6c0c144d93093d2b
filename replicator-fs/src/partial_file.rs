//! The file that image data is written to until it is whole.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glance_model::ImageId;
use tokio::sync::OwnedMutexGuard;

use crate::ArchiveError;
use crate::access;
use crate::direct::DirectFile;
use crate::directory::Directory;
use crate::error::is_full;
use crate::folder::{For, identity};
use crate::hardening;

/// Zeros become a hole if they fill such a block.
const BLOCK_BYTES: usize = 64 << 10;
static ZEROS: [u8; BLOCK_BYTES] = [0; BLOCK_BYTES];

/// The disk is told to begin after so much. Left to the end, all of an image would
/// be written while nothing else happens.
const WRITE_BACK_BYTES: u64 = 32 << 20;

/// A partial file, locked against other processes. It stays when it is dropped.
#[derive(Debug)]
pub(crate) struct PartialFile {
    directory: Arc<Directory>,
    data: DirectFile,
    path: PathBuf,
    len_bytes: u64,
    /// The length of the file on the disk: less, where a hole at its end has yet to
    /// become part of it.
    written_bytes: u64,
    /// Up to where the disk was told to begin.
    begun_bytes: u64,
    /// Keeps other writers of this process waiting until the last write, which
    /// nobody may be waiting for any more, has come to its end.
    _turn: OwnedMutexGuard<()>,
}

impl PartialFile {
    /// Opens the file to be continued at a byte; what stands behind it is cut off.
    pub(crate) fn open(
        directory: &Arc<Directory>,
        id: &ImageId,
        offset_bytes: u64,
        turn: OwnedMutexGuard<()>,
    ) -> Result<Self, ArchiveError> {
        let standard = directory.layout().partial(id);
        let what_for = match offset_bytes {
            0 => For::WritingAnew,
            _ => For::Writing,
        };
        let Some((file, path)) = directory.open_unshared(&standard, what_for)? else {
            return Err(ArchiveError::Gap {
                path: standard,
                len_bytes: 0,
                offset_bytes,
            });
        };
        let failed = |error| directory.folder().failed(&path, error);
        let found = identity(&file).map_err(failed)?;
        let kept = directory.take_kept(id).filter(|_| offset_bytes > 0);
        if kept.is_some_and(|kept| kept.identity != found) {
            // The bytes that were hashed are not those that are there now.
            return Err(ArchiveError::Changed { path });
        }
        if found.len_bytes < offset_bytes {
            return Err(ArchiveError::Gap {
                path,
                len_bytes: found.len_bytes,
                offset_bytes,
            });
        }
        hardening::set_len(&file, offset_bytes).map_err(failed)?;
        directory.take_back(&path);
        Ok(Self {
            directory: Arc::clone(directory),
            data: DirectFile::new(file),
            path,
            len_bytes: offset_bytes,
            written_bytes: offset_bytes,
            begun_bytes: offset_bytes,
            _turn: turn,
        })
    }

    /// Appends data. Blocks of zeros are left out, which makes holes of them; what
    /// lies between two of them is one write.
    pub(crate) fn append(&mut self, mut data: &[u8]) -> Result<(), ArchiveError> {
        self.check_untouched()?;
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
                self.write(run)?;
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

    fn write(&mut self, run: &[u8]) -> Result<(), ArchiveError> {
        loop {
            let Err(error) = self.data.write_at(self.len_bytes, run) else {
                self.written_bytes = self.len_bytes + run.len() as u64;
                return Ok(());
            };
            if is_full(&error) {
                if self.directory.make_room() {
                    continue;
                }
                self.directory.give_up(self.path.clone());
            }
            return Err(self.failed(error));
        }
    }

    /// The rest of the block of the file into which `rest` begins to fall, `ahead`
    /// bytes behind its end.
    fn block_at<'a>(&self, ahead: usize, rest: &'a [u8]) -> &'a [u8] {
        let into_block = (self.len_bytes + ahead as u64) % BLOCK_BYTES as u64;
        let len = rest.len().min(BLOCK_BYTES - into_block as usize);
        rest.get(..len).unwrap_or(rest)
    }

    /// Leaves what there is for a later run.
    pub(crate) fn keep(mut self) -> Result<(), ArchiveError> {
        self.set_len()
    }

    /// Removes the file: its data is not that of the image.
    pub(crate) fn remove(self) -> Result<(), ArchiveError> {
        self.directory.folder().remove(&self.path)
    }

    /// Gives the file the name of whole data, once it is on the disk. Dropping
    /// what is returned lets other writers in.
    pub(crate) fn publish(mut self, path: &Path) -> Result<Self, ArchiveError> {
        self.set_len()?;
        hardening::as_far_as_possible(access::take_over_permissions(&self.data.file, path))
            .and_then(|()| hardening::sync(&self.data.file))
            .map_err(|error| self.failed(error))?;
        self.check_name(&self.path)?;
        self.directory.folder().rename(&self.path, path)?;
        self.check_name(path)?;
        self.check_untouched()?;
        Ok(self)
    }

    /// A hole at the end is no part of the file before this.
    fn set_len(&mut self) -> Result<(), ArchiveError> {
        self.check_untouched()?;
        hardening::set_len(&self.data.file, self.len_bytes).map_err(|error| self.failed(error))?;
        self.written_bytes = self.len_bytes;
        Ok(())
    }

    /// A file that somebody has cut has a hole in place of what was written, once it grows again.
    fn check_untouched(&self) -> Result<(), ArchiveError> {
        let found = self.data.file.metadata();
        let found = found.map_err(|error| self.failed(error))?;
        if found.len() == self.written_bytes {
            return Ok(());
        }
        Err(ArchiveError::Changed {
            path: self.path.clone(),
        })
    }

    /// Somebody may have put another file, or a directory, in the place of this one.
    fn check_name(&self, path: &Path) -> Result<(), ArchiveError> {
        match self.directory.folder().is_at(&self.data.file, path) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.directory.folder().gone_or(ArchiveError::Changed {
                path: path.to_owned(),
            })),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: io::Error) -> ArchiveError {
        self.directory.folder().failed(&self.path, error)
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

//! Files that are written by one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use crate::ArchiveError;
use crate::access;
use crate::metadata_file::len_of_regular_file;

/// How often the file may vanish under us before it is called busy.
const MAX_OPENS: usize = 5;

/// Opens a file to read and write it, and locks it against other processes; it is created, for its
/// owner alone, if it is missing.
pub(crate) fn open_or_create(path: &Path) -> Result<File, ArchiveError> {
    open(path, OpenOptions::new().create(true))
}

/// The same for a file that is there; [`ArchiveError::Write`] says if it is not.
pub(crate) fn open_existing(path: &Path) -> Result<File, ArchiveError> {
    open(path, &mut OpenOptions::new())
}

fn open(path: &Path, how: &mut OpenOptions) -> Result<File, ArchiveError> {
    for _ in 0..MAX_OPENS {
        len_of_regular_file(path)?;
        let file = access::open(path, how.read(true).write(true).truncate(false));
        let file = file.map_err(ArchiveError::write(path))?;
        match file.try_lock() {
            // Some network file systems have no locks. They are used without.
            Ok(()) | Err(TryLockError::Error(_)) => {}
            Err(TryLockError::WouldBlock) => break,
        }
        // Whoever had the lock may have finished: then the file that we have
        // open is whole, bears another name, and must not be touched.
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

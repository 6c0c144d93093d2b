//! Files that are written by one process at a time.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use crate::ArchiveError;
use crate::folder::{Folder, For};

/// The number of times that the file may vanish under us before it is called busy.
const MAX_OPENS: usize = 5;

/// A file of an archive that is open to be written.
pub(crate) struct Locked {
    pub(crate) file: File,
    /// Whether other processes are kept away. Some network file systems have no locks.
    pub(crate) is_locked: bool,
}

/// Opens a file to read and write it, and locks it against other processes; `None` if it is
/// missing and not to be created.
pub(crate) fn open(
    folder: &Folder,
    path: &Path,
    what_for: For,
) -> Result<Option<Locked>, ArchiveError> {
    for _ in 0..MAX_OPENS {
        let Some(file) = folder.file(path, what_for)? else {
            return Ok(None);
        };
        let is_locked = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => break,
            Err(TryLockError::Error(_)) => false,
        };
        // The holder of the lock may have finished: then the file that we have
        // open is whole, bears another name, and must not be touched.
        if folder
            .is_at(&file, path)
            .map_err(|error| folder.failed(path, error))?
        {
            return Ok(Some(Locked { file, is_locked }));
        }
    }
    Err(ArchiveError::Busy {
        path: path.to_owned(),
    })
}

/// Makes a file without a name in a directory. Returns whether it can be locked, and who owns it.
pub(crate) fn try_out(directory: &Path) -> io::Result<(bool, u32)> {
    use std::os::unix::fs::MetadataExt as _;

    let file = tempfile::tempfile_in(directory)?;
    let has_locks = !matches!(file.try_lock(), Err(TryLockError::Error(_)));
    Ok((has_locks, file.metadata()?.uid()))
}

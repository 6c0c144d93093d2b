//! The directory of an archive, by handle: whatever stands in it is opened, renamed and removed
//! below the handle, so that nobody can put another directory, or a link, in its place.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use std::ffi::{OsStr, OsString};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::ArchiveError;
use crate::hardening;

/// The tries to open a file, and the pause between them, while this process or the system has
/// no handle left: transfers that are under way give some back.
const HANDLE_TRIES: u32 = 100;
const HANDLE_WAIT: Duration = Duration::from_millis(50);

/// The use for which a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    Reading,
    Writing,
    /// The same, and it is created, for its owner alone, if it is missing.
    WritingAnew,
}

/// Which file it is, and what there was in it: two that are equal are one file that nobody has
/// written meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    device: u64,
    inode: u64,
    pub(crate) len_bytes: u64,
    changed: (i64, i64),
}

/// An open directory. The paths given to its methods are those of files in it.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    handle: OwnedFd,
}

impl Folder {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            handle: rustix::fs::open(path, flags, Mode::empty())?,
            path: path.to_owned(),
        })
    }

    /// Opens a directory in it, or returns `None` if it is missing and not to be made. A link is an
    /// error.
    pub(crate) fn below(&self, path: &Path, is_made: bool) -> Result<Option<Self>, ArchiveError> {
        let failed = |error: Errno| self.failed(path, error.into());
        if is_made {
            match rustix::fs::mkdirat(&self.handle, name(path), Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.handle, name(path), flags, Mode::empty()) {
            Ok(handle) => Ok(Some(Self {
                handle,
                path: path.to_owned(),
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::NOTDIR) => Err(ArchiveError::NotADirectory {
                path: path.to_owned(),
            }),
            Err(error) => Err(failed(error)),
        }
    }

    /// Opens a directory of our own in a directory where others may write, and makes it if it is
    /// missing.
    ///
    /// One that is a link, that another user owns or that others may write to is an error: what is
    /// removed from it, and what is read from it and sent, would be their choice.
    pub(crate) fn private(path: &Path) -> Result<Self, ArchiveError> {
        let failed = || ArchiveError::write(path);
        let made = rustix::fs::mkdir(path, Mode::RWXU);
        if let Err(error) = made
            && error != Errno::EXIST
        {
            return Err(failed()(error.into()));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let not_ours = || ArchiveError::NotOurs {
            path: path.to_owned(),
        };
        let handle = match rustix::fs::open(path, flags, Mode::empty()) {
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(not_ours()),
            opened => opened.map_err(|error| failed()(error.into()))?,
        };
        let found = rustix::fs::fstat(&handle).map_err(|error| failed()(error.into()))?;
        let others_write = Mode::WGRP | Mode::WOTH;
        if found.st_uid != rustix::process::geteuid().as_raw()
            || Mode::from_raw_mode(found.st_mode).intersects(others_write)
        {
            return Err(not_ours());
        }
        // Where permissions cannot be set, those of the mount count.
        let _ = rustix::fs::fchmod(&handle, Mode::RWXU);
        Ok(Self {
            handle,
            path: path.to_owned(),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens a file, or returns `None` if it is missing. What is no regular file is an error, and
    /// is not waited for: opening a pipe would wait for somebody at its other end.
    pub(crate) fn file(&self, path: &Path, what_for: For) -> Result<Option<File>, ArchiveError> {
        let mut flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        flags |= match what_for {
            For::Reading => OFlags::RDONLY,
            For::Writing => OFlags::RDWR,
            For::WritingAnew => OFlags::RDWR | OFlags::CREATE,
        };
        let not_a_file = || ArchiveError::NotAFile {
            path: path.to_owned(),
        };
        let failed = |error: Errno| match what_for {
            For::Reading => ArchiveError::read(path)(error.into()),
            _ => self.failed(path, error.into()),
        };
        let mode = Mode::RUSR | Mode::WUSR;
        let mut tries = 0;
        let file = loop {
            match rustix::fs::openat(&self.handle, name(path), flags, mode) {
                Ok(file) => break File::from(file),
                Err(Errno::NOENT) if what_for != For::WritingAnew => return Ok(None),
                Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO | Errno::NODEV) => {
                    return Err(not_a_file());
                }
                Err(Errno::MFILE | Errno::NFILE) if tries < HANDLE_TRIES => {
                    tries += 1;
                    thread::sleep(HANDLE_WAIT);
                }
                Err(error) => return Err(failed(error)),
            }
        };
        let found = rustix::fs::fstat(&file).map_err(failed)?;
        if is_regular(&found) {
            Ok(Some(file))
        } else {
            Err(not_a_file())
        }
    }

    /// The length of a file, or `None` if it is missing. Links are not followed: an archive may
    /// come from a stranger, and its links could lead anywhere.
    pub(crate) fn len_of(&self, path: &Path) -> Result<Option<u64>, ArchiveError> {
        match self.stat(path) {
            Ok(found) if is_regular(&found) => Ok(Some(found.st_size.cast_unsigned())),
            Ok(_) => Err(ArchiveError::NotAFile {
                path: path.to_owned(),
            }),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(ArchiveError::read(path)(error.into())),
        }
    }

    /// Whether a file has more names than one, and its length; `None` if it is missing, or no file.
    pub(crate) fn sharing_of(&self, path: &Path) -> Result<Option<(bool, u64)>, ArchiveError> {
        match self.stat(path) {
            Ok(found) if is_regular(&found) => {
                Ok(Some((found.st_nlink > 1, found.st_size.cast_unsigned())))
            }
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(ArchiveError::read(path)(error.into())),
        }
    }

    /// Returns whether a name is that of a directory, and no link to one.
    pub(crate) fn is_directory(&self, path: &Path) -> bool {
        let found = self.stat(path);
        found.is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory)
    }

    /// Gives a file of another directory the same name in this one, too.
    pub(crate) fn link_from(&self, other: &Self, path: &Path) -> io::Result<()> {
        let (from, to, name) = (&other.handle, &self.handle, name(path));
        rustix::fs::linkat(from, name, to, name, AtFlags::empty())?;
        Ok(())
    }

    /// Returns whether a name is that of a file that we have open.
    pub(crate) fn is_at(&self, file: &File, path: &Path) -> io::Result<bool> {
        let opened = rustix::fs::fstat(file)?;
        match self.stat(path) {
            Ok(found) => Ok((found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino)),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), ArchiveError> {
        rustix::fs::renameat(&self.handle, name(from), &self.handle, name(to))
            .map_err(|error| self.failed(to, error.into()))
    }

    /// Moves a file into another directory of the same disk; one that is missing is no error.
    pub(crate) fn hand_over(
        &self,
        from: &Path,
        other: &Self,
        to: &Path,
    ) -> Result<(), ArchiveError> {
        match rustix::fs::renameat(&self.handle, name(from), &other.handle, name(to)) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(other.failed(to, error.into())),
        }
    }

    /// Removes a file; one that is missing is no error.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), ArchiveError> {
        match rustix::fs::unlinkat(&self.handle, name(path), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(self.failed(path, error.into())),
        }
    }

    /// The names of what is in it.
    pub(crate) fn names(&self) -> io::Result<impl Iterator<Item = io::Result<OsString>>> {
        let entries = Dir::read_from(&self.handle)?;
        if self.is_gone() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(entries.map(|entry| Ok(OsStr::from_bytes(entry?.file_name().to_bytes()).to_owned())))
    }

    /// Makes the names of new files durable, as far as the file system can do it.
    pub(crate) fn sync(&self) -> Result<(), ArchiveError> {
        let synced = rustix::fs::fsync(self.handle.as_fd()).map_err(io::Error::from);
        hardening::as_far_as_possible(synced).map_err(ArchiveError::write(&self.path))
    }

    /// The error of a file that cannot be written, or of the directory if that is gone.
    pub(crate) fn failed(&self, path: &Path, error: io::Error) -> ArchiveError {
        self.gone_or(ArchiveError::write(path)(error))
    }

    /// An error, or that of the directory if that is gone.
    pub(crate) fn gone_or(&self, error: ArchiveError) -> ArchiveError {
        if self.is_gone() {
            let path = self.path.clone();
            return ArchiveError::Missing { path };
        }
        error
    }

    fn is_gone(&self) -> bool {
        let found = rustix::fs::fstat(&self.handle);
        found.is_ok_and(|found| found.st_nlink == 0)
    }

    fn stat(&self, path: &Path) -> rustix::io::Result<Stat> {
        rustix::fs::statat(&self.handle, name(path), AtFlags::SYMLINK_NOFOLLOW)
    }
}

/// Returns the bytes that this user may still write to the disk of a path, or of the nearest directory
/// above it that is there; `None` if the system does not say.
#[must_use]
pub fn free_bytes(path: &Path) -> Option<u64> {
    let mut above = path
        .ancestors()
        .map(|path| match path.as_os_str().is_empty() {
            true => Path::new("."),
            false => path,
        });
    let disk = above.find_map(|path| rustix::fs::statvfs(path).ok())?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// The file and its content.
pub(crate) fn identity(file: &File) -> io::Result<Identity> {
    use std::os::unix::fs::MetadataExt as _;

    let found = file.metadata()?;
    Ok(Identity {
        device: found.dev(),
        inode: found.ino(),
        len_bytes: found.len(),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

fn name(path: &Path) -> &OsStr {
    path.file_name().unwrap_or_default()
}

fn is_regular(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
}

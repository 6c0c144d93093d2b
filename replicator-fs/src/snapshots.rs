//! A directory of snapshots: an archive for each time, which shares the files that have not
//! changed with the one before it.
//!
//! They are shared by hard links. An archive replaces its files by renaming, and never writes into
//! one that has its name: so what is written, or healed, in one snapshot is in that one alone.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use glance_model::ImageId;
use jiff::Timestamp;

use crate::access;
use crate::archive::ImageArchive;
use crate::directory::{Contents, Directory, Shown};
use crate::error::ArchiveError;
use crate::folder::{Folder, For};
use crate::hardening;
use crate::layout::{Entry, SnapshotName};
use crate::locked_file;

mod keep;

pub use keep::{Keep, Kept};

/// The name of the file that is locked by whoever makes or removes a snapshot.
const LOCK: &str = ".snapshots.lock";

/// Snapshots that are made at the same time get times that are apart by a second. One that is
/// further ahead was made when the clock was wrong, or is now.
const LONGEST_AHEAD: Duration = Duration::from_secs(60);

/// A directory of snapshots.
#[derive(Debug)]
pub struct Snapshots {
    folder: Folder,
    /// Of one that is written to.
    lock: Option<File>,
}

/// A snapshot: an archive, whose path is that of any other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// The time of the beginning of the run that has completed it.
    pub time: Timestamp,
    /// The path of the archive.
    pub path: PathBuf,
    /// Whether the run that made it ended well. There is at most one that is not.
    pub is_whole: bool,
}

/// The number of images and bytes of a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// The images.
    pub images: u64,
    /// The length of the data of all images.
    pub bytes: u64,
    /// The length of the data that no other snapshot shares.
    pub own_bytes: u64,
}

/// A snapshot that is being made, with what it shares already.
#[derive(Debug)]
pub struct NewSnapshot {
    snapshot: Snapshot,
    /// The number of images whose data the file system does not let share.
    pub unshared: u64,
}

impl Snapshots {
    /// Opens a directory of snapshots, or an empty one.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Missing`], [`ArchiveError::NotADirectory`], [`ArchiveError::NoSnapshots`] if
    /// it is an archive itself, or [`ArchiveError::Read`].
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ArchiveError> {
        let archive = ImageArchive::open(path)?;
        let path = archive.path();
        match archive.contents()? {
            Contents::Images | Contents::Namesakes => {
                let path = path.to_owned();
                return Err(ArchiveError::NoSnapshots { path });
            }
            _ => {}
        }
        Ok(Self {
            folder: Folder::open(path).map_err(ArchiveError::read(path))?,
            lock: None,
        })
    }

    /// Opens a directory of snapshots to make one, and creates it, for its owner alone, if it is
    /// missing. Nobody else makes or removes one until it is dropped.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), [`ArchiveError::Busy`] if another process does so, or
    /// [`ArchiveError::Write`].
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, ArchiveError> {
        let path = path.into();
        access::create_directory(&path).map_err(ArchiveError::write(&path))?;
        let opened = Self::open(path)?;
        let lock = opened.folder.path().join(LOCK);
        let locked = locked_file::open(&opened.folder, &lock, For::WritingAnew)?;
        Ok(Self {
            lock: locked.map(|locked| locked.file),
            ..opened
        })
    }

    /// Lists the snapshots, the oldest first.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Read`] if the directory cannot be read.
    pub fn all(&self) -> Result<Vec<Snapshot>, ArchiveError> {
        let mut all = Vec::new();
        for (name, path) in self.names()? {
            let (time, is_whole) = match name {
                SnapshotName::Whole(time) => (time, true),
                SnapshotName::Partial(time) => (time, false),
                SnapshotName::Removed(_) => continue,
            };
            all.push(Snapshot {
                time,
                path,
                is_whole,
            });
        }
        all.sort_by_key(|snapshot| (snapshot.time, snapshot.is_whole));
        Ok(all)
    }

    /// Begins a snapshot: goes on with the one that is not whole, if there is one, and shares all
    /// images of the newest one that is.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Ahead`] if there is a snapshot from after `now`, or
    /// [`ArchiveError::Write`].
    pub fn begin(&self, now: Timestamp) -> Result<NewSnapshot, ArchiveError> {
        debug_assert!(self.lock.is_some(), "it was opened to be read");
        self.remove_rests()?;
        let all = self.all()?;
        let whole = all.iter().rfind(|snapshot| snapshot.is_whole);
        let mut time = now;
        if let Some(whole) = whole {
            if whole.time > now + LONGEST_AHEAD {
                let path = whole.path.clone();
                return Err(ArchiveError::Ahead { path });
            }
            time = time.max(whole.time + Duration::from_secs(1));
        }
        let path = self.path_of(&SnapshotName::Partial(time));
        match all.iter().rfind(|snapshot| !snapshot.is_whole) {
            Some(partial) => self.folder.rename(&partial.path, &path)?,
            None => access::create_directory(&path).map_err(ArchiveError::write(&path))?,
        }
        let unshared = match whole {
            Some(whole) => share(&whole.path, &path)?,
            None => 0,
        };
        Ok(NewSnapshot {
            snapshot: Snapshot {
                time,
                path,
                is_whole: false,
            },
            unshared,
        })
    }

    /// Ends a snapshot that has become whole: removes the images that it shares with the one
    /// before it and that are not among `images`, and gives it its name.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Write`]; it is not whole then.
    pub fn finish(
        &self,
        new: NewSnapshot,
        images: &BTreeSet<ImageId>,
    ) -> Result<Snapshot, ArchiveError> {
        let mut snapshot = new.snapshot;
        let folder = Folder::open(&snapshot.path).map_err(ArchiveError::write(&snapshot.path))?;
        let directory = Directory::new(folder.into());
        let scan = directory.scan()?;
        let there = [scan.images, scan.data, scan.partial].concat();
        let there: BTreeSet<ImageId> = there.into_iter().collect();
        for id in there.difference(images) {
            directory.remove(id)?;
        }
        directory.folder().sync()?;
        let path = self.path_of(&SnapshotName::Whole(snapshot.time));
        self.folder.rename(&snapshot.path, &path)?;
        self.folder.sync()?;
        (snapshot.path, snapshot.is_whole) = (path, true);
        Ok(snapshot)
    }

    /// Removes a snapshot: it loses its name first, so that a part of it is never taken for all.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Write`].
    pub fn remove(&self, snapshot: &Snapshot) -> Result<(), ArchiveError> {
        debug_assert!(self.lock.is_some(), "it was opened to be read");
        let path = self.path_of(&SnapshotName::Removed(snapshot.time));
        self.folder.rename(&snapshot.path, &path)?;
        fs::remove_dir_all(&path).map_err(ArchiveError::write(&snapshot.path))
    }

    /// Removes what a killed process has left of a snapshot that it was removing.
    fn remove_rests(&self) -> Result<(), ArchiveError> {
        for (name, path) in self.names()? {
            if let SnapshotName::Removed(_) = name {
                fs::remove_dir_all(&path).map_err(ArchiveError::write(&path))?;
            }
        }
        Ok(())
    }

    /// The directories of snapshots; what only bears such a name is left out.
    fn names(&self) -> Result<Vec<(SnapshotName, PathBuf)>, ArchiveError> {
        let failed = || ArchiveError::read(self.folder.path());
        let mut names = Vec::new();
        for name in self.folder.names().map_err(failed())? {
            let name = name.map_err(failed())?;
            let path = self.folder.path().join(&name);
            if let Some(name) = SnapshotName::of(&name)
                && self.folder.is_directory(&path)
            {
                names.push((name, path));
            }
        }
        Ok(names)
    }

    fn path_of(&self, name: &SnapshotName) -> PathBuf {
        self.folder.path().join(name.to_string())
    }
}

impl Snapshot {
    /// Returns whether a path is that of a snapshot that is not whole.
    #[must_use]
    pub fn is_partial(path: &Path) -> bool {
        let name = path.file_name().and_then(SnapshotName::of);
        matches!(name, Some(SnapshotName::Partial(_)))
    }

    /// Counts its images and bytes.
    ///
    /// # Errors
    ///
    /// [`ArchiveError::Read`] if it cannot be read.
    pub fn usage(&self) -> Result<Usage, ArchiveError> {
        let folder = Folder::open(&self.path).map_err(ArchiveError::read(&self.path))?;
        let mut usage = Usage::default();
        let failed = || ArchiveError::read(&self.path);
        for name in folder.names().map_err(failed())? {
            let name = name.map_err(failed())?;
            match Entry::of(&name) {
                Entry::Metadata(_) => usage.images += 1,
                Entry::Data(_) => {
                    let found = folder.sharing_of(&self.path.join(&name))?;
                    let Some((is_shared, len_bytes)) = found else {
                        continue;
                    };
                    usage.bytes += len_bytes;
                    if !is_shared {
                        usage.own_bytes += len_bytes;
                    }
                }
                _ => {}
            }
        }
        Ok(usage)
    }
}

impl NewSnapshot {
    /// The path of the archive that is to be filled.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.snapshot.path
    }
}

/// Has one archive share the images of another one, as far as it does not have them. What is
/// damaged is not handed on. Returns the number of images that the file system does not let share.
fn share(from: &Path, to: &Path) -> Result<u64, ArchiveError> {
    let folder = Folder::open(from).map_err(ArchiveError::read(from))?;
    let source = Directory::new(folder.into());
    let target = Folder::open(to).map_err(ArchiveError::write(to))?;
    let mut unshared = 0;
    for id in source.scan()?.images {
        let Ok(Some(Shown { damage: None, .. })) = source.shown(&id) else {
            continue;
        };
        let layout = source.layout();
        // Data first: what has metadata counts as an image.
        let files = [layout.data(&id), layout.metadata(&id)];
        let there = files.iter().filter(|file| file.exists());
        for file in there {
            if !link(source.folder(), &target, file)? {
                unshared += 1;
                break;
            }
        }
    }
    Ok(unshared)
}

/// Returns whether the file is in both directories now, be it another one of that name.
fn link(source: &Folder, target: &Folder, file: &Path) -> Result<bool, ArchiveError> {
    match target.link_from(source, file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(true),
        Err(error) if is_not_shared(&error) => Ok(false),
        Err(error) => Err(ArchiveError::write(target.path())(error)),
    }
}

/// Returns whether an error says that a file cannot have one more name.
fn is_not_shared(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::TooManyLinks, io::ErrorKind::CrossesDevices];
    kinds.contains(&error.kind()) || hardening::is_not_there(error)
}

#[cfg(test)]
mod tests;

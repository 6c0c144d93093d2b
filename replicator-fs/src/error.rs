//! The errors of an archive.

use std::io;
use std::path::{Path, PathBuf};

use glance_model::ImageId;
use replicator_core::{FailureKind, Operation, PortError};
use rustix::io::Errno;

/// An archive, or a file in it, cannot be used. Each error names the path.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of the fields say it")]
pub enum ArchiveError {
    /// There is nothing at the path.
    #[error("the archive {} does not exist", path.display())]
    Missing { path: PathBuf },
    /// The path leads to something else.
    #[error("the archive {} is not a directory", path.display())]
    NotADirectory { path: PathBuf },
    /// The directory holds files, and no image.
    #[error("{} is no archive: it holds other files and no image", path.display())]
    NoArchive { path: PathBuf },
    /// The directory holds images, where snapshots should be.
    #[error("{} is an archive, and no directory of snapshots", path.display())]
    NoSnapshots { path: PathBuf },
    /// A snapshot is from later than now.
    #[error("the snapshot {} is from later than now", path.display())]
    Ahead { path: PathBuf },
    /// The directory holds nothing.
    #[error("the archive {} is empty", path.display())]
    Empty { path: PathBuf },
    /// The operating system does not let it be read.
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// The operating system does not let it be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A directory, a symbolic link or a device bears the name of an image.
    #[error("{} is not a regular file", path.display())]
    NotAFile { path: PathBuf },
    /// A metadata file is larger than any metadata.
    #[error("{} has {len_bytes} bytes, too many for image metadata", path.display())]
    TooLarge { path: PathBuf, len_bytes: u64 },
    /// A metadata file does not hold the metadata of an image.
    #[error("{} holds no image metadata", path.display())]
    Metadata {
        path: PathBuf,
        source: serde_json::Error,
    },
    /// A file does not hold a namespace of metadata definitions.
    #[error("{} holds no namespace of metadata definitions", path.display())]
    Metadefs {
        path: PathBuf,
        source: serde_json::Error,
    },
    /// A metadata file is that of another image than its name says.
    #[error("{} holds the metadata of another image, {found}", path.display())]
    OtherImage { path: PathBuf, found: ImageId },
    /// The data is not as long as the metadata says.
    #[error("{} has {len_bytes} bytes, its image has {expected_bytes}", path.display())]
    DataLength {
        path: PathBuf,
        len_bytes: u64,
        expected_bytes: u64,
    },
    /// The data of an active image is gone.
    #[error("{} is missing: it is the data of an active image", path.display())]
    DataMissing { path: PathBuf },
    /// A link or another user's file, or directory, stands where ours should.
    #[error("{} is not ours: it is a link, or others can write to it", path.display())]
    NotOurs { path: PathBuf },
    /// Another process has replaced, cut or removed a file that is being written.
    #[error("{} was changed by somebody else while it was written", path.display())]
    Changed { path: PathBuf },
    /// A line of an id map does not say which image goes by which id.
    #[error("line {line} of {} is no line of an id map", path.display())]
    IdMap {
        path: PathBuf,
        line: usize,
        source: serde_json::Error,
    },
    /// The image is being written by somebody else.
    #[error("{} is being written by another process", path.display())]
    Busy { path: PathBuf },
    /// Data was to be appended beyond what there is.
    #[error("{} has {len_bytes} bytes and cannot be continued at byte {offset_bytes}", path.display())]
    Gap {
        path: PathBuf,
        len_bytes: u64,
        offset_bytes: u64,
    },
}

impl ArchiveError {
    pub(crate) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Read { path, source }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Write { path, source }
    }

    /// The error of an image that cannot be used as it is.
    pub(crate) fn damages(self, id: ImageId) -> PortError {
        PortError::Damaged {
            id,
            source: self.into(),
        }
    }

    /// The error of work that failed.
    pub(crate) fn during(self, operation: Operation) -> PortError {
        if let (
            Self::Busy { .. },
            Operation::WriteData(id)
            | Operation::CreateImage(id)
            | Operation::UpdateMetadata(id)
            | Operation::RemoveImage(id),
        ) = (&self, &operation)
        {
            let (id, since) = (*id, None);
            return PortError::Busy { id, since };
        }
        let kind = match &self {
            Self::Missing { .. } | Self::NotADirectory { .. } => FailureKind::Unusable,
            Self::Read { .. } if operation == Operation::ListImages => FailureKind::Unusable,
            Self::Read { source, .. } | Self::Write { source, .. } => kind_of(source),
            // Goes away once the data is sent from a byte that is there.
            Self::Gap { .. } | Self::Changed { .. } => FailureKind::Transient { retry_after: None },
            _ => FailureKind::Refused,
        };
        PortError::adapter(operation, kind, self)
    }
}

/// The operating system's error of one file, as far as it concerns the others: a file that is
/// too large for the file system, or that somebody else owns, is the trouble of one image.
fn kind_of(error: &io::Error) -> FailureKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FailureKind::NoRoom,
        io::ErrorKind::ReadOnlyFilesystem => FailureKind::Unusable,
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => {
            FailureKind::Transient { retry_after: None }
        }
        _ if is_out_of_handles(error) => FailureKind::Transient { retry_after: None },
        _ => FailureKind::Refused,
    }
}

/// Returns whether an error says that there is no room on the disk, or in a quota.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Returns whether an error says that this process, or the system, has no handle left.
pub(crate) fn is_out_of_handles(error: &io::Error) -> bool {
    [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|errno| Some(errno.raw_os_error()) == error.raw_os_error())
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn only_a_disk_that_is_full_or_read_only_concerns_other_images() {
        let passing = FailureKind::Transient { retry_after: None };
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        for (errno, kind) in [
            (Errno::NOSPC, FailureKind::NoRoom),
            (Errno::DQUOT, FailureKind::NoRoom),
            (Errno::ROFS, FailureKind::Unusable),
            (Errno::MFILE, passing),
            (Errno::NFILE, passing),
            (Errno::NOMEM, passing),
            (Errno::FBIG, FailureKind::Refused),
            (Errno::ISDIR, FailureKind::Refused),
            (Errno::ACCESS, FailureKind::Refused),
            (Errno::PERM, FailureKind::Refused),
            (Errno::NOENT, FailureKind::Refused),
            (Errno::IO, FailureKind::Refused),
        ] {
            let error = ArchiveError::write(Path::new("x"))(errno.into());
            let error = error.during(Operation::WriteData(id));
            assert_eq!(error.kind(), kind, "{errno}");
        }
    }
}

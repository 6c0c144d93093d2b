//! The failures of a port.

use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use glance_model::{BadRecord, ImageId};

/// A port failed; only what a use case acts on is told apart.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// The image does not exist, or is not visible to the caller.
    #[error("image {id} not found")]
    NotFound {
        /// The image.
        id: ImageId,
    },
    /// The id is taken: by an image that may be invisible to the caller, or by
    /// one that was deleted.
    #[error("the id of image {id} is taken")]
    AlreadyExists {
        /// The image.
        id: ImageId,
    },
    /// The end has the image, but what it holds of it cannot be used. In a
    /// listing it stands for that image, and the listing goes on.
    #[error("image {id} is damaged")]
    Damaged {
        /// The image.
        id: ImageId,
        /// The damage.
        source: Cause,
    },
    /// A record of a listing describes no image that could be used. In a listing it
    /// stands for that image, and the listing goes on.
    #[error("its record cannot be used")]
    BadRecord(#[source] Box<BadRecord>),
    /// Somebody else is writing the image just now.
    #[error("image {id} is being written by somebody else")]
    Busy {
        /// The image.
        id: ImageId,
        /// The time of its last change, where the end says it.
        since: Option<String>,
    },
    /// The data that was to be written ended in an error, which is handed back as it is.
    #[error("the data that was to be written broke off or is wrong")]
    Data(#[source] Cause),
    /// The run was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// Any other failure, explained by its source.
    #[error("failed to {operation}")]
    Adapter {
        /// The operation that failed.
        operation: Operation,
        /// The sort of the failure.
        kind: FailureKind,
        /// The adapter's own error.
        source: Cause,
    },
}

/// The error of an adapter, which several images or targets may share.
///
/// It dereferences to that error instead of being one, so that it takes no place
/// of its own in a chain of errors.
#[derive(Clone)]
pub struct Cause(Arc<dyn Error + Send + Sync>);

impl<E: Into<Box<dyn Error + Send + Sync>>> From<E> for Cause {
    fn from(error: E) -> Self {
        Self(error.into().into())
    }
}

impl Deref for Cause {
    type Target = dyn Error + Send + Sync;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The sort of a failure: what a caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// May go away by itself: a broken connection, a server that is busy or
    /// restarting. A server may say how long to wait.
    Transient {
        /// The time that the server asked for (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// The end has all of the data, and did not answer: a look at it tells whether the image is
    /// there. The data is not sent again.
    Unanswered,
    /// The server does not know the caller, or does not let it do this.
    Denied,
    /// The image was refused: trying again would end the same way.
    Refused,
    /// There is no room for the image. A smaller one may fit.
    NoRoom,
    /// The end is out of reach, cannot be written, or not what it was taken for: no other
    /// image would fare better.
    Unusable,
}

impl PortError {
    /// Wraps an adapter's error.
    pub fn adapter(operation: Operation, kind: FailureKind, source: impl Into<Cause>) -> Self {
        Self::Adapter {
            operation,
            kind,
            source: source.into(),
        }
    }

    /// Returns whether trying again may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self.kind(),
            FailureKind::Transient { .. } | FailureKind::Unanswered
        )
    }

    /// The image that it stands for in a listing, which goes on.
    pub(crate) fn listed_id(&self) -> Option<ImageId> {
        match self {
            Self::Damaged { id, .. }
            | Self::Adapter {
                operation: Operation::ReadMembers(id),
                ..
            } => Some(*id),
            _ => None,
        }
    }

    /// The sort of the failure.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::Adapter { kind, .. } => *kind,
            Self::NotFound { .. }
            | Self::AlreadyExists { .. }
            | Self::Busy { .. }
            | Self::Damaged { .. }
            | Self::BadRecord(_)
            | Self::Data(_)
            | Self::Cancelled => FailureKind::Refused,
        }
    }
}

/// The operation of a port; completes the sentence "failed to ...".
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the names of the operations say it")]
pub enum Operation {
    ListImages,
    FindImage(ImageId),
    ReadMembers(ImageId),
    ReadData(ImageId),
    CreateImage(ImageId),
    WriteData(ImageId),
    UpdateMetadata(ImageId),
    RemoveImage(ImageId),
    DeleteImage(ImageId),
    AssignId(ImageId),
    CopyToStores(ImageId),
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListImages => f.write_str("list images"),
            Self::FindImage(id) => write!(f, "find image {id}"),
            Self::ReadMembers(id) => write!(f, "read the members of image {id}"),
            Self::ReadData(id) => write!(f, "read the data of image {id}"),
            Self::CreateImage(id) => write!(f, "create image {id}"),
            Self::WriteData(id) => write!(f, "write the data of image {id}"),
            Self::RemoveImage(id) => write!(f, "remove image {id}"),
            Self::DeleteImage(id) => write!(f, "delete image {id}"),
            Self::CopyToStores(id) => write!(f, "copy image {id} to more stores"),
            Self::AssignId(id) => write!(f, "keep another id for image {id}"),
            Self::UpdateMetadata(id) => write!(f, "update the metadata of image {id}"),
        }
    }
}

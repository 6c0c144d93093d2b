//! The result of one image.

use std::sync::Arc;
use std::time::Duration;

use glance_model::{BadRecord, ImageId, ImageMetadata, ImageStatus, MetadataDiff, NoProject};
use serde::{Deserialize, Serialize};

use super::error::ImageError;
use super::id_problem::IdProblem;
use crate::content::proof::Proof;
use crate::port::{PortError, Side};

/// An image, as far as people have to know which one it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct ImageRef {
    /// Its id, as it is written, and empty where there is none: that of a bad record may
    /// be any text.
    pub id: String,
    /// Its name, where it is known.
    pub name: Option<String>,
    /// The length of its data in bytes, where it is known.
    pub size: Option<u64>,
}

impl From<&ImageMetadata> for ImageRef {
    fn from(image: &ImageMetadata) -> Self {
        Self {
            id: image.id.to_string(),
            name: image.name.clone(),
            size: image.size,
        }
    }
}

impl From<&BadRecord> for ImageRef {
    fn from(bad: &BadRecord) -> Self {
        Self {
            id: bad.id.clone(),
            name: bad.name.clone(),
            size: None,
        }
    }
}

/// The result of one image at one target.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub struct ImageResult {
    /// The image, as its source has it.
    pub image: Arc<ImageRef>,
    /// Its id at the target, if that is another one.
    pub target_id: Option<ImageId>,
    /// The outcome.
    pub outcome: Outcome,
    /// The time that the work on it took, if there was any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<Duration>,
}

/// The outcome for one image at one target.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It was copied, with its data.
    Copied {
        /// The length of its data.
        total_bytes: u64,
        /// The proof that its content is right.
        proof: Proof,
    },
    /// Somebody else has stored it meanwhile, with the same content.
    AlreadyThere,
    /// Its metadata was written, without data.
    RecordCreated,
    /// Metadata that differed was updated.
    MetadataUpdated(MetadataDiff),
    /// It was there, and has been copied to more stores of the target.
    CopiedToStores,
    /// Its source does not have it any more: it was hidden, marked with the time, and is deleted
    /// by a later run.
    Retired,
    /// It was retired for long enough, and has been deleted.
    Deleted,
    /// Its data was read, and it needs nothing.
    Unchanged,
    /// It was left alone.
    Skipped(SkipReason),
    /// It failed; the others went on.
    Failed {
        /// The reason.
        error: Arc<ImageError>,
        /// The record that stays at the target, if this run had begun to write it there, or has
        /// kept it in an archive because the data is lost.
        left_behind: Option<Box<ImageMetadata>>,
    },
    /// It was not begun, or not finished.
    NotDone(NotDone),
    /// Nothing was done, since the work is not what was approved.
    Stale(Stale),
}

/// The reason why the work on an image is not what was approved.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stale {
    /// The source does not have the image any more.
    Gone,
    /// Its data at the source is other data.
    Content,
    /// The metadata that would be written is not what it was, or takes the place of other metadata.
    Metadata,
    /// Something else would have to be done.
    Action,
    /// Nothing can be done.
    Skipped(SkipReason),
}

/// The reason why nothing was done about an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NotDone {
    /// The run was cancelled.
    Cancelled,
    /// The target has no room for an image of this size.
    NoRoom,
    /// The target takes nothing any more.
    TargetUnusable,
    /// The run has lasted as long, or moved as much, as it may.
    LimitReached,
    /// It was to be retired or deleted, and the source lists no image at all.
    SourceEmpty,
    /// It was to be retired or deleted, and no image of the source passes the selection.
    NothingSelected,
    /// It was to be retired or deleted, and all images that both ends have are the same there, down
    /// to their times and marks, as those of one server are that is named twice.
    SameEnd,
    /// It was to be retired or deleted, and too many others were as well.
    TooManyGone {
        /// The number of those that were to be retired, or deleted, whichever are more.
        images: u64,
        /// The most that there may be.
        most: u64,
    },
    /// It was to be retired or deleted, and nobody has said yes to it.
    NotConfirmed,
    /// It was to be retired or deleted, and something else of the run has failed.
    AfterFailures,
    /// It was to be retired or deleted, and may be the copy of an image that cannot have its own id
    /// and is skipped: an id map alone knows such copies, and there is none.
    MayBeACopy,
}

impl NotDone {
    /// Returns whether an image was not retired or deleted for the sake of safety alone.
    #[must_use]
    pub fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::SourceEmpty
                | Self::NothingSelected
                | Self::SameEnd
                | Self::TooManyGone { .. }
                | Self::NotConfirmed
                | Self::MayBeACopy
        )
    }
}

/// The reason why an image was left alone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// The source has no data to copy: it is not active there.
    SourceStatus(ImageStatus),
    /// The target has an image of that id that is not active, so that it cannot
    /// be updated.
    TargetStatus(ImageStatus),
    /// The status is all that differs. It is never set.
    OnlyStatusDiffers(ImageStatus),
    /// Only metadata was asked for, and the target does not have the image.
    MetadataOnly,
    /// The archive has no data for it.
    NoData,
    /// It is deactivated at the source, which does not give its data to this caller.
    Withheld,
    /// It is deactivated at the source, and the target cannot hold it so.
    CannotDeactivate,
    /// Somebody else is writing it to the target, or was when their server died:
    /// it is taken for dead after [`saving_limit`](crate::saving_limit).
    BeingWritten {
        /// The time since when, where the target says it.
        since: Option<String>,
    },
    /// Its id cannot be used at the target, as its listing tells.
    Id(IdProblem),
    /// Its owner has no counterpart at the target.
    NoProject(Box<NoProject>),
    /// Its id is taken at the target, by an image that was deleted or that the
    /// caller does not see.
    IdTaken,
    /// Its source does not have it any more, and it is protected at the target.
    Protected,
    /// It is retired, and deleted at that time at the earliest.
    Retired {
        /// The time, in RFC 3339.
        until: String,
    },
    /// It was to be retired or deleted, and is not what it was when it was listed.
    Changed,
    /// It was to be retired or deleted, and its source has it after all.
    AtSource,
}

impl ImageResult {
    /// The result of an image that has, or would have, its own id at the target.
    #[must_use]
    pub fn new(image: Arc<ImageRef>, outcome: Outcome) -> Self {
        Self {
            image,
            target_id: None,
            outcome,
            took: None,
        }
    }

    pub(crate) fn failed(image: impl Into<Arc<ImageRef>>, error: ImageError) -> Self {
        let outcome = Outcome::Failed {
            error: Arc::new(error),
            left_behind: None,
        };
        Self::new(image.into(), outcome)
    }

    /// The failure of an image that one side has, and that cannot be used there.
    pub(crate) fn of_damage(side: Side, image: ImageRef, error: PortError) -> Self {
        let error = match side {
            Side::Source => ImageError::Source(error),
            Side::Target => ImageError::Target(error),
        };
        Self::failed(image, error)
    }

    /// The error of an image that failed.
    #[must_use]
    pub fn error(&self) -> Option<&ImageError> {
        match &self.outcome {
            Outcome::Failed { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl ImageRef {
    /// An image of which only the id is known.
    pub(crate) fn of_id(id: &ImageId) -> Self {
        Self {
            id: id.to_string(),
            name: None,
            size: None,
        }
    }
}

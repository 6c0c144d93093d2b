//! What happens in a run, as it happens.

use std::collections::BTreeSet;
use std::sync::Arc;

use glance_model::{ImageId, ImageMetadata, ImageStatus, MetadataDiff};

use crate::content::proof::Proof;
use crate::run::error::{Failure, ImageError};
use crate::run::id_problem::IdProblem;

/// Something that happened in a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Both ends have been listed, and this much is to be done.
    Planned {
        /// How many images need work.
        images: u64,
        /// How many bytes of image data will be copied.
        total_bytes: u64,
    },
    /// The data of an image is about to be copied.
    TransferStarted {
        /// The image, as the source describes it.
        image: Box<ImageMetadata>,
        /// How long its data is.
        total_bytes: u64,
    },
    /// Some data has arrived from the source.
    Transferred {
        /// The image.
        id: ImageId,
        /// How much since the last such event.
        delta_bytes: u64,
    },
    /// A transfer failed and starts afresh.
    Retrying {
        /// The image.
        id: ImageId,
        /// How many times it has been tried.
        attempts: u32,
        /// What went wrong.
        error: Arc<ImageError>,
    },
    /// What the target has of an image was read, is wrong, and is copied again.
    Repairing {
        /// The image, as the source describes it.
        image: Box<ImageMetadata>,
        /// What is wrong.
        error: Arc<ImageError>,
    },
    /// The id of an image cannot be used at the target, and it gets another one.
    IdAssigned {
        /// The image, as the source describes it.
        image: Box<ImageMetadata>,
        /// Its id at the target.
        target_id: ImageId,
    },
    /// An image was copied, with its data.
    Copied {
        /// The image, as the source describes it.
        image: Box<ImageMetadata>,
        /// How long its data is.
        total_bytes: u64,
        /// How its content is known to be right.
        proof: Proof,
    },
    /// Somebody else has stored the image meanwhile, with the same content.
    AlreadyThere {
        /// The image, as the source describes it.
        image: Box<ImageMetadata>,
    },
    /// The metadata of an image was written without its data.
    RecordCreated {
        /// The image.
        id: ImageId,
    },
    /// Metadata that differed was updated.
    MetadataUpdated {
        /// The image, as the source describes it.
        image: Box<ImageMetadata>,
        /// What was changed.
        diff: MetadataDiff,
    },
    /// The target took the metadata, but did not keep all of it.
    MetadataNotKept {
        /// The image.
        id: ImageId,
        /// What differs all the same.
        diff: MetadataDiff,
    },
    /// An archive has the metadata of an image that is deactivated at the source, which does
    /// not give out its data to this caller.
    Withheld {
        /// The image, as the source describes it.
        image: Box<ImageMetadata>,
    },
    /// Additional properties of an image that is written are not.
    PropertiesLeftOut {
        /// The image.
        id: ImageId,
        /// The names of the properties.
        names: BTreeSet<String>,
        /// Why.
        reason: LeftOut,
    },
    /// An image was left alone.
    Skipped {
        /// The image, as the source describes it.
        image: Box<ImageMetadata>,
        /// Why.
        reason: SkipReason,
    },
    /// An image failed; the others go on.
    Failed(Failure),
}

/// Why additional properties are not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftOut {
    /// The target cannot hold them.
    NotHeld,
    /// The target can only be given them with a new record, and it has one: an update
    /// would change something else ([`TargetForm::can_update`](glance_model::TargetForm::can_update)).
    NotUpdated,
}

/// Why an image was left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Somebody else is writing it to the target, or was when their server died:
    /// it is taken for dead after [`saving_limit`](crate::saving_limit). It is looked
    /// at again when all else is done.
    BeingWritten {
        /// Since when, where the target says it.
        since: Option<String>,
    },
    /// Its id cannot be used at the target, as its listing tells.
    Id(IdProblem),
    /// Its id is taken at the target, by an image that was deleted or that the
    /// caller does not see.
    IdTaken,
}

/// Receives the events of a run. It is called from many tasks and must not
/// block.
pub trait EventSink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);
}

/// Drops every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl EventSink for NoEvents {
    fn emit(&self, _: Event) {}
}

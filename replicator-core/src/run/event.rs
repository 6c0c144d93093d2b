//! The events of a run, as they happen.

use std::collections::BTreeSet;
use std::sync::Arc;

use glance_model::{Excess, ImageId, MetadataDiff};

use super::error::ImageError;
use super::result::{ImageRef, ImageResult};

/// An event of a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// This many images have been listed up to now, as long as listing goes on.
    Listed {
        /// The number of images of the two ends, each counted once.
        images: u64,
    },
    /// The content of an image has been compared.
    Checked {
        /// The image.
        image: Arc<ImageRef>,
    },
    /// Both ends have been listed, and this much is to be done.
    Planned {
        /// The number of images that need work.
        images: u64,
        /// The bytes of image data that will be copied.
        total_bytes: u64,
    },
    /// The data of an image is about to be copied.
    TransferStarted {
        /// The image.
        image: Arc<ImageRef>,
        /// The length of its data.
        total_bytes: u64,
    },
    /// Some data has arrived from the source.
    Transferred {
        /// The image.
        image: Arc<ImageRef>,
        /// The bytes since the last such event.
        delta_bytes: u64,
    },
    /// A transfer failed and starts afresh.
    Retrying {
        /// The image.
        image: Arc<ImageRef>,
        /// The number of attempts so far.
        attempts: u32,
        /// The error.
        error: Arc<ImageError>,
    },
    /// The copy of an image was read, is wrong, and is copied again.
    Repairing {
        /// The image.
        image: Arc<ImageRef>,
        /// The error.
        error: Arc<ImageError>,
    },
    /// The id of an image cannot be used at the target, and it gets another one.
    IdAssigned {
        /// The image.
        image: Arc<ImageRef>,
        /// Its id at the target.
        target_id: ImageId,
    },
    /// The source gives no parts of image data, so that each image is read over one connection,
    /// whatever [`RunOptions::streams`](crate::RunOptions::streams) is.
    NoParts,
    /// The target took the metadata, but did not keep all of it.
    MetadataNotKept {
        /// The image.
        image: Arc<ImageRef>,
        /// The fields that differ all the same.
        diff: MetadataDiff,
    },
    /// An archive has the metadata of an image that is deactivated at the source, which does
    /// not give out its data to this caller.
    Withheld {
        /// The image.
        image: Arc<ImageRef>,
    },
    /// Additional properties of an image that is written are not.
    PropertiesLeftOut {
        /// The image.
        image: Arc<ImageRef>,
        /// The names of the properties.
        names: BTreeSet<String>,
        /// The reason.
        reason: LeftOut,
    },
    /// An image that is to be written has more of something than servers take, unless they are
    /// set to take more.
    Excess {
        /// The image.
        image: Arc<ImageRef>,
        /// What it has too much of.
        excess: Excess,
    },
    /// Members of an image that is written do not become what they are at the source.
    MembersLeftOut {
        /// The image.
        image: Arc<ImageRef>,
        /// The projects, by their ids at the target, or by id and name at the source.
        members: BTreeSet<String>,
        /// The reason.
        reason: MembersLeftOut,
    },
    /// Somebody else is writing an image to the target. It is looked at again when all
    /// else is done.
    PutOff {
        /// The image.
        image: Arc<ImageRef>,
        /// The time since when, where the target says it.
        since: Option<String>,
    },
    /// It is known what became of an image.
    Finished(ImageResult),
}

/// The reason why additional properties are not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeftOut {
    /// The target cannot hold them.
    NotHeld,
    /// The target can only be given them with a new record, and it has one: an update
    /// would change something else ([`TargetForm::can_update`](glance_model::TargetForm::can_update)).
    NotUpdated,
}

/// The reason why members do not become what they are at the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MembersLeftOut {
    /// The target has no such projects.
    NoProject,
    /// They stay pending, since the caller may not set their status.
    Pending,
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

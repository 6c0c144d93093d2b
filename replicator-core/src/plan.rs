//! The plan of a run, as a value: actions with reasons.

pub(crate) mod decide;
pub(crate) mod decisions;
pub(crate) mod planned_images;
pub(crate) mod planner;
mod refused;
pub(crate) mod removal;

use std::collections::BTreeSet;
use std::sync::Arc;

use glance_model::{ImageId, ImageMetadata, ImageStatus, MetadataDiff};
use serde::{Deserialize, Serialize};

use self::planned_images::PlannedImages;
use crate::list::selected::SelectedCount;
use crate::run::approved::{Approval, Work};
use crate::run::error::ImageError;
use crate::run::id_problem::IdProblem;
use crate::run::result::{ImageRef, ImageResult, NotDone, Outcome};

/// The work that is to be done, image by image. Memory grows with the work
/// only. Written down, as JSON for example, it has a version, and errors are texts.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub struct Plan {
    version: Version,
    /// The images that need work, in order of ids.
    pub images: PlannedImages,
    /// Images of which it is known already what becomes of them: they are skipped, or
    /// cannot be replicated.
    pub settled: Vec<ImageResult>,
    /// The number of images of the source that the plan is about.
    #[serde(default)]
    pub selected: SelectedCount,
    /// The number of images that need nothing.
    pub unchanged: u64,
    /// The projects that own or share images and that the target does not know, as far as that
    /// was to be found out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unknown_projects: BTreeSet<String>,
    /// Images that somebody else is writing. They are looked at again when all else is
    /// done.
    pub left: Vec<LeftImage>,
}

/// The version of a plan that is written down. A change of meaning makes a new one; fields
/// that are only added do not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "u32", into = "u32")]
struct Version;

impl Version {
    const NUMBER: u32 = 1;
}

impl From<Version> for u32 {
    fn from(_: Version) -> Self {
        Version::NUMBER
    }
}

impl TryFrom<u32> for Version {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if number == Self::NUMBER {
            return Ok(Self);
        }
        let known = Self::NUMBER;
        Err(format!(
            "a plan of version {number}, and version {known} is read here"
        ))
    }
}

/// An image that was left to another run.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub struct LeftImage {
    /// The work that was planned for it.
    pub planned: PlannedImage,
    /// The time since when it has been written, where the target says it; `None` as well if it
    /// was our own upload that broke off.
    pub since: Option<String>,
    pub(crate) is_ours: bool,
}

/// One image that needs work.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub struct PlannedImage {
    /// The image as the target is to have it, in the target's form, under the id that
    /// it has at the source.
    pub wanted: ImageMetadata,
    /// The time of its creation, as the source says it.
    pub created_at: Option<String>,
    /// Its id at the target.
    pub target_id: TargetId,
    /// The image as the target has it, if it has anything of it.
    pub found: Option<ImageMetadata>,
    /// The work.
    pub action: Action,
    /// The reason.
    pub reason: Reason,
}

/// The id under which the target has, or gets, an image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TargetId {
    /// The one that it has at the source.
    Same,
    /// Another one, which it got in an earlier run.
    Other(ImageId),
    /// A new one, since its own cannot be used.
    New(IdProblem),
}

/// The work on an image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// Copy its data and metadata.
    Copy,
    /// Read the data that is there, and copy it again if it is wrong.
    Check,
    /// Write its metadata, without data.
    CreateRecord,
    /// Update metadata that differs.
    UpdateMetadata(MetadataDiff),
    /// Copy the data that is there to those of the target's stores that lack it, if any does.
    CopyToStores,
    /// Hide it, and mark it with the time: the first step of its deletion. Done when all else is,
    /// and only if nothing has failed.
    Retire(MetadataDiff),
    /// Delete it for good: it has been retired for long enough. Done at the very end.
    Delete,
}

impl Action {
    /// Returns whether it takes an image away from the target.
    #[must_use]
    pub fn removes(&self) -> bool {
        matches!(self, Self::Retire(_) | Self::Delete)
    }
}

/// The reason of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// The target does not have the image.
    Missing,
    /// The target has a record of it, but not its data.
    DataMissing,
    /// The metadata differs.
    MetadataDiffers,
    /// The data that is there is to be read ([`Verify::ReadBack`](crate::Verify::ReadBack)).
    Unread,
    /// All of it is there, and some stores of the target may lack it.
    Stores,
    /// The source does not have it any more.
    GoneAtSource,
    /// The source does not have it any more, and the time for which it was to be retired is over.
    GraceOver,
}

impl LeftImage {
    /// The error that it comes to if it is not there when all else is done.
    pub(crate) fn error(&self) -> ImageError {
        if self.is_ours {
            return ImageError::StillSaving;
        }
        let since = self.since.clone();
        ImageError::LeftToAnother { since }
    }
}

impl Plan {
    /// The bytes of image data that are to be copied, as far as sizes are known.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.images.bytes_to_copy()
    }

    /// The images that are to be retired or deleted.
    pub fn removals(&self) -> impl Iterator<Item = PlannedImage> {
        let images = self.images.has_removals().then(|| self.images.iter());
        let images = images.into_iter().flatten();
        images.filter(|planned| planned.action.removes())
    }

    /// Lets no image be retired or deleted, for a reason that is the result of each.
    pub fn hold_back(&mut self, why: NotDone) {
        if !self.images.has_removals() {
            return;
        }
        for planned in std::mem::take(&mut self.images).iter() {
            if !planned.action.removes() {
                self.images.push(planned);
                continue;
            }
            let mut result = ImageResult::new(planned.image_ref(), Outcome::NotDone(why));
            result.target_id = planned.other_id();
            self.settled.push(result);
        }
    }

    /// The reason why images were not retired or deleted for the sake of safety, and their number.
    #[must_use]
    pub fn held_back(&self) -> Option<(NotDone, u64)> {
        let outcomes = self.settled.iter().map(|result| &result.outcome);
        let mut held = outcomes.filter_map(|outcome| match outcome {
            Outcome::NotDone(why) if why.is_refusal() => Some(*why),
            _ => None,
        });
        let why = held.next()?;
        Some((why, 1 + held.count() as u64))
    }
}

impl PlannedImage {
    /// The approval of the work, by which it is known again later.
    #[must_use]
    pub fn approval(&self) -> Approval {
        let (work, update) = match &self.action {
            Action::Copy => (Work::Copy, None),
            Action::Check => (Work::Check, None),
            Action::CreateRecord => (Work::CreateRecord, None),
            Action::UpdateMetadata(diff) => (Work::UpdateMetadata, Some(diff)),
            Action::CopyToStores => (Work::CopyToStores, None),
            // The time of the mark is that of the run.
            Action::Retire(_) => (Work::Retire, None),
            Action::Delete => (Work::Delete, None),
        };
        let other_id = self.target_id != TargetId::Same;
        let found = self.found.as_ref().filter(|_| self.action.removes());
        Approval::new(work, found.unwrap_or(&self.wanted), update, other_id)
    }

    /// The image, as far as people have to know which one it is.
    pub(crate) fn image_ref(&self) -> Arc<ImageRef> {
        Arc::new(ImageRef::from(&self.wanted))
    }

    /// Returns whether data is to be copied that its end gives to administrators at most.
    pub(crate) fn copies_deactivated(&self) -> bool {
        self.action == Action::Copy && self.wanted.status == ImageStatus::Deactivated
    }

    /// Its id at the target, if that is known to be another one.
    pub(crate) fn other_id(&self) -> Option<ImageId> {
        match &self.target_id {
            TargetId::Other(id) => Some(*id),
            TargetId::Same | TargetId::New(_) => None,
        }
    }

    /// The bytes of image data that are to be copied for it.
    #[must_use]
    pub fn bytes_to_copy(&self) -> u64 {
        match self.action {
            Action::Copy => self.wanted.size.unwrap_or(0),
            Action::Check
            | Action::CreateRecord
            | Action::UpdateMetadata(_)
            | Action::CopyToStores
            | Action::Retire(_)
            | Action::Delete => 0,
        }
    }
}

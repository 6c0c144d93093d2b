//! How images are replicated.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use glance_model::{Omit, TargetForm};

use crate::port::{IdMap, ImageTarget, Stage, TargetIds};
use crate::run::retry::RetryPolicy;

/// Whether image data is copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataPolicy {
    /// Data and metadata.
    #[default]
    Copy,
    /// Metadata only; the data of no image is opened.
    MetadataOnly,
}

/// Whether the beginning of image data is looked at before it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatCheck {
    /// For targets that may refuse data for its format: Glances since 2019.
    #[default]
    Auto,
    /// Never.
    Off,
}

/// How images are replicated.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplicateOptions {
    /// What is neither compared nor sent.
    pub omit: Omit,
    /// Whether data is copied.
    pub data: DataPolicy,
    /// How many images are written at a time with their data.
    pub transfers: NonZeroUsize,
    /// How many images are written at a time of which there is only metadata to
    /// be written.
    pub checkers: NonZeroUsize,
    /// How much is done to know that a copy is right.
    pub verify: Verify,
    /// Whether data that the target would refuse is sent all the same.
    pub format_check: FormatCheck,
    /// When what failed is tried again.
    pub retry: RetryPolicy,
    /// Where each image is proven before its first byte is sent to a target with
    /// v1 alone. Other targets need none, and no two targets may share one.
    pub stage: Option<Arc<dyn Stage>>,
    /// What becomes of an image whose id cannot be used at the target.
    pub on_id_conflict: OnIdConflict,
    /// Which images go by another id at the target.
    pub id_map: Option<Arc<dyn IdMap>>,
    /// What time it is, counted from 1970 (UTC). Without it, no record that is in
    /// `saving` at the target is taken for one whose upload is dead.
    pub now: Option<Duration>,
}

impl Default for ReplicateOptions {
    fn default() -> Self {
        Self {
            omit: Omit::default(),
            data: DataPolicy::default(),
            transfers: const { NonZeroUsize::new(4).unwrap() },
            checkers: const { NonZeroUsize::new(8).unwrap() },
            verify: Verify::default(),
            format_check: FormatCheck::default(),
            retry: RetryPolicy::default(),
            stage: None,
            on_id_conflict: OnIdConflict::default(),
            id_map: None,
            now: None,
        }
    }
}

impl ReplicateOptions {
    /// Which images go by another id at the target.
    pub(crate) fn target_ids(&self) -> TargetIds {
        let ids = self.id_map.as_ref().map(|map| map.target_ids());
        ids.unwrap_or_default()
    }

    /// The stage, if images for this target go over it.
    pub(crate) fn stage_for(&self, target: &dyn ImageTarget) -> Option<&Arc<dyn Stage>> {
        self.stage
            .as_ref()
            .filter(|_| target.form() == TargetForm::V1)
    }
}

/// How much is done to know that a copy is right.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// The data is hashed on its way, its end is held back until the digest is
    /// what the source states, and what the target states is compared.
    #[default]
    Full,
    /// Only what both ends state is compared, after the upload.
    Target,
    /// As `Full`, and the copy is read from the target and hashed again.
    ReadBack,
    /// Nothing but the length.
    None,
}

impl Verify {
    pub(crate) fn hashes(self) -> bool {
        matches!(self, Self::Full | Self::ReadBack)
    }
}

/// What becomes of an image whose id cannot be used at the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnIdConflict {
    /// It fails.
    #[default]
    Fail,
    /// It is left alone.
    Skip,
    /// It is copied under a new id, which is kept in
    /// [`ReplicateOptions::id_map`](crate::ReplicateOptions::id_map). Without
    /// one, it fails.
    NewId,
}

//! The options of a run, and those of a target.

use std::num::NonZeroUsize;
use std::time::Duration;

use glance_model::{Adapt, Identity, MaxDelete, Omit, Origin};

use super::member::Member;
use super::retry::RetryPolicy;

/// The options of a run, for all of its targets together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunOptions {
    /// The number of images that are written at a time with their data, but for small ones.
    pub transfers: NonZeroUsize,
    /// The most small images (below 1 MiB) that are written at a time beside those. It begins with 8,
    /// and grows while more images a second come of it. If there is one transfer alone, or a target
    /// at which a broken upload uses up an id, the transfers are for images of any size.
    pub small_transfers: NonZeroUsize,
    /// The number of images that are written at a time of which there is only metadata
    /// to be written.
    pub checkers: NonZeroUsize,
    /// The number of connections over which the data of a large image is read at once, from a source
    /// that gives parts of it. Each image takes up to 32 MiB then.
    pub streams: NonZeroUsize,
    /// The retries of operations that failed in a way that may pass.
    pub retry: RetryPolicy,
    /// Whether the token of the source is known to be a reader's, who sees records and gets no data.
    pub reads_records_only: bool,
    /// The time now, counted from 1970 (UTC). Without it, no record that is in `saving`
    /// at a target is taken for one whose upload is dead.
    pub now: Option<Duration>,
    /// The time after which no image is begun any more, counted from the beginning of the run.
    pub max_duration: Option<Duration>,
    /// The number of bytes of image data after which no data of another image is begun. The last
    /// image that is begun may go beyond it.
    pub max_transfer: Option<u64>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            transfers: const { NonZeroUsize::new(4).unwrap() },
            small_transfers: const { NonZeroUsize::new(64).unwrap() },
            checkers: const { NonZeroUsize::new(8).unwrap() },
            streams: NonZeroUsize::MIN,
            retry: RetryPolicy::default(),
            reads_records_only: false,
            now: None,
            max_duration: None,
            max_transfer: None,
        }
    }
}

/// The policy by which images are written to one target.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TargetPolicy {
    /// The properties that are neither compared nor sent.
    pub omit: Omit,
    /// What copies are to say otherwise than their originals.
    pub adapt: Adapt,
    /// Whether data is copied.
    pub data: DataPolicy,
    /// The proof that a copy is right.
    pub verify: Verify,
    /// Whether data that the target would refuse is sent all the same.
    pub format_check: FormatCheck,
    /// The fate of an image whose id cannot be used at the target.
    pub on_id_conflict: OnIdConflict,
    /// The projects that own images at the target, and that they are shared with.
    pub identity: Identity,
    /// Whether members stay pending at the target, since the caller may not set their status.
    pub leaves_members_pending: bool,
    /// The project of the token, if that is known to be no administrator's: what the target would
    /// refuse it is not tried.
    pub member: Option<Member>,
    /// Whether additional properties, tags and members that only the target has are removed.
    pub mirrors: bool,
    /// The origin that images are marked with which are made at the target.
    pub origin: Option<Origin>,
    /// Whether images of the origin that the source does not have any more leave the target; they
    /// stay without it.
    pub delete: Option<DeletePolicy>,
}

/// The policy by which images leave a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletePolicy {
    /// The time for which an image is retired before it is deleted.
    pub grace: Duration,
    /// The most images that a run retires, and the most that it deletes.
    pub max: MaxDelete,
}

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

/// The proof that a copy is right.
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

/// The fate of an image whose id cannot be used at the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnIdConflict {
    /// It fails.
    #[default]
    Fail,
    /// It is left alone.
    Skip,
    /// It is copied under a new id, which is kept in
    /// [`TargetEnd::id_map`](crate::TargetEnd::id_map). Without one, it fails.
    NewId,
}

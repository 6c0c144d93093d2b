//! Ids that an image cannot have at the target: why, and what becomes of it then.

use std::collections::BTreeMap;
use std::time::Duration;

use glance_model::{ImageId, ImageMetadata, ImageStatus};

use crate::proof::{Proof, compare_stated};

/// The ids at the target of images that go by another one there, by their ids at
/// the source.
pub type TargetIds = BTreeMap<ImageId, ImageId>;

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

/// Why no image can be written under an id at the target, as its listing tells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdProblem {
    /// An image was there, and Glance never gives an id back.
    #[error("the id is used up on the target, where the image is {0}")]
    Burnt(ImageStatus),
    /// An upload ended without its server noticing: it was killed.
    #[error(
        "the target has the image in saving since {since}, longer than any upload takes: its \
         server died in the middle of one"
    )]
    DeadUpload {
        /// When it began.
        since: String,
    },
    /// The record has leftovers of other data, which an upload was refused for.
    #[error(
        "the record on the target is spoiled: it has kept the digests of data that was refused \
         after its upload, and takes no other"
    )]
    Spoiled,
}

/// No upload is slower than this, in bytes a second: for the size of an image, it
/// says how long one may last.
const SLOWEST_UPLOAD: u64 = 1 << 20;
/// However small the image is.
const SHORTEST_LIMIT: Duration = Duration::from_secs(3600);

/// How long a record may be in `saving` until its upload is taken for dead: as
/// long as its data takes at 1 MiB/s, but at least an hour.
///
/// Glance does not tell the two apart: it says nothing of an upload under way,
/// and refuses another one to both.
#[must_use]
pub fn saving_limit(size: Option<u64>) -> Duration {
    Duration::from_secs(size.unwrap_or(0) / SLOWEST_UPLOAD).max(SHORTEST_LIMIT)
}

impl IdProblem {
    /// Finds out why a server would take no data for `image` under the id of the
    /// record that it has. `now` is the time since 1970; without it, no upload is
    /// taken for dead.
    pub(crate) fn find(
        image: &ImageMetadata,
        existing: &ImageMetadata,
        now: Option<Duration>,
    ) -> Option<Self> {
        match &existing.status {
            status if status.is_burnt() => Some(Self::Burnt(status.clone())),
            ImageStatus::Saving => {
                let since = existing.updated_at.clone()?;
                let begun: jiff::Timestamp = since.parse().ok()?;
                let begun = Duration::from_secs(u64::try_from(begun.as_second()).ok()?);
                let is_dead = now? > begun + saving_limit(image.size);
                is_dead.then_some(Self::DeadUpload { since })
            }
            ImageStatus::Queued if existing.has_leftovers() => {
                // The same data may still go to another store.
                let compared = compare_stated(image, existing, image.size.unwrap_or(0));
                (!matches!(compared, Ok(Proof::Verified))).then_some(Self::Spoiled)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(status: ImageStatus) -> ImageMetadata {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        ImageMetadata::new(id, status)
    }

    #[test]
    fn an_upload_is_dead_once_none_could_take_so_long() {
        let begun = Duration::from_secs(1_764_000_000);
        let hours = |hours: u64| Duration::from_secs(3600 * hours);
        let mut saving = record(ImageStatus::Saving);
        saving.updated_at = Some("2025-11-24T16:00:00Z".into());
        let mut image = record(ImageStatus::Active);
        for (size, now, is_dead) in [
            (1, begun + hours(1), false),
            (1, begun + hours(1) + Duration::from_secs(1), true),
            (36_000 << 20, begun + hours(9), false),
            (36_000 << 20, begun + hours(11), true),
            // A clock that is behind.
            (1, begun - hours(1), false),
        ] {
            image.size = Some(size);
            let found = IdProblem::find(&image, &saving, Some(now));
            assert_eq!(found.is_some(), is_dead, "{size} bytes, {now:?}: {found:?}");
        }
        assert_eq!(IdProblem::find(&image, &saving, None), None);
    }

    #[test]
    fn a_record_with_leftovers_takes_the_data_that_they_are_of() {
        let mut image = record(ImageStatus::Active);
        (image.size, image.checksum) = (Some(5), Some("aa".into()));
        let mut left = record(ImageStatus::Queued);
        assert_eq!(IdProblem::find(&image, &left, None), None);
        left.checksum = Some("AA".into());
        assert_eq!(IdProblem::find(&image, &left, None), None);
        left.checksum = Some("bb".into());
        let found = IdProblem::find(&image, &left, None);
        assert_eq!(found, Some(IdProblem::Spoiled));
    }
}

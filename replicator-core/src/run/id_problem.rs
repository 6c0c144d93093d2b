//! Ids that an image cannot have at the target: why, and what becomes of it then.

use std::time::Duration;

use glance_model::{ContentProblem, ImageMetadata, ImageStatus, MetadataDiff};
use serde::{Deserialize, Serialize};

use crate::content::proof::{Proof, compare_stated};

/// The reason why no image can be written under an id at the target, as its listing tells.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IdProblem {
    /// An image was there, and Glance never gives an id back.
    #[error("the id is used up on the target, where the image is {0}")]
    Burnt(ImageStatus),
    /// An upload or an import ended without its server noticing: it was killed. Or its data
    /// was staged, and nobody has asked for the import.
    #[error(
        "the target has the image in {status} since {since}, longer than any upload takes: its \
         server died in the middle of one"
    )]
    DeadUpload {
        /// The status at the target.
        status: ImageStatus,
        /// The time of its beginning.
        since: String,
    },
    /// The record has leftovers of other data, for which an upload was refused.
    #[error(
        "the record on the target is spoiled: it has kept the digests of data that was refused \
         after its upload, and takes no other"
    )]
    Spoiled,
    /// Another image is there.
    #[error("the target has another image of that id: {}", describe(.0))]
    OtherContent(MetadataDiff),
}

/// The slowest upload, in bytes a second: for the size of an image, it
/// says how long one may last.
const SLOWEST_UPLOAD: u64 = 1 << 20;
/// The shortest limit, however small the image is.
const SHORTEST_LIMIT: Duration = Duration::from_secs(3600);

/// The time that a record may be in `saving` until its upload is taken for dead: as
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
        found: &ImageMetadata,
        now: Option<Duration>,
    ) -> Option<Self> {
        match &found.status {
            status if status.is_burnt() => Some(Self::Burnt(status.clone())),
            status if status.is_being_written() => {
                let since = found.updated_at.clone()?;
                let begun = found.updated()?.as_second();
                let begun = Duration::from_secs(u64::try_from(begun).ok()?);
                let is_dead = now? > begun + saving_limit(image.size);
                let status = status.clone();
                is_dead.then_some(Self::DeadUpload { status, since })
            }
            ImageStatus::Queued if found.has_leftovers() => {
                // The same data may still go to another store.
                let compared = compare_stated(image, found, image.size.unwrap_or(0));
                (!matches!(compared, Ok(Proof::Verified))).then_some(Self::Spoiled)
            }
            _ => None,
        }
    }
}

/// The differences of the content, as a part of a sentence.
pub(crate) fn describe(diff: &MetadataDiff) -> String {
    let texts: Vec<String> = diff
        .changes()
        .iter()
        .filter(|change| !change.is_writable())
        .map(|change| {
            let target = change.target.as_ref().map(ToString::to_string);
            let target = target.as_deref().unwrap_or("undefined");
            format!("its {} is {target}, not {}", change.field, change.source)
        })
        .collect();
    texts.join(", ")
}

/// Finds out that a target has refused the very data of an image already, and that nothing
/// has changed: sent again, it would be refused again, and use up another store there.
pub(crate) fn refused_before(
    image: &ImageMetadata,
    found: &ImageMetadata,
) -> Option<ContentProblem> {
    let is_left = found.status == ImageStatus::Queued && found.has_leftovers();
    let compared = compare_stated(image, found, image.size.unwrap_or(0));
    let is_same = matches!(compared, Ok(Proof::Verified))
        && image.disk_format == found.disk_format
        && image.container_format == found.container_format;
    let stated = image.disk_format.clone().unwrap_or_default();
    (is_left && is_same).then_some(ContentProblem::RefusedBefore { stated })
}

#[cfg(test)]
mod tests {
    use glance_model::ImageId;

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
            for status in ["saving", "uploading", "importing"] {
                saving.status = ImageStatus::parse(status);
                let found = IdProblem::find(&image, &saving, Some(now));
                assert_eq!(found.is_some(), is_dead, "{size} bytes, {now:?}: {found:?}");
            }
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

    #[test]
    fn data_is_refused_again_as_long_as_neither_it_nor_its_format_is_another() {
        let mut image = record(ImageStatus::Active);
        (image.size, image.checksum) = (Some(5), Some("aa".into()));
        image.disk_format = Some("qcow2".into());
        let mut left = record(ImageStatus::Queued);
        left.disk_format = Some("qcow2".into());
        assert_eq!(refused_before(&image, &left), None);
        left.checksum = Some("AA".into());
        assert!(refused_before(&image, &left).is_some());
        left.checksum = Some("bb".into());
        assert_eq!(refused_before(&image, &left), None);
        left.checksum = Some("aa".into());
        image.disk_format = Some("raw".into());
        assert_eq!(refused_before(&image, &left), None);
    }
}

//! Images whose origin does not have them any more: whether one is retired, and when it is deleted.

use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::origin::RETIRED_AT;
use crate::{ImageMetadata, MetadataDiff, Omit, Origin, TargetForm};

/// The rules by which the images of an origin leave a target. An image is retired first, which is
/// to say hidden and marked with the time, and deleted when the grace is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retirement {
    origin: Origin,
    grace: SignedDuration,
    now: Timestamp,
}

/// What becomes of an image that its origin does not have any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// Nothing: it was made by somebody else, for another origin, or is gone.
    NotOurs,
    /// Nothing: it is protected.
    Protected,
    /// Nothing: somebody is writing it.
    BeingWritten,
    /// Nothing yet: it is retired, and deleted at that time.
    Waits {
        /// The time.
        until: Timestamp,
    },
    /// It is retired.
    Retire,
    /// It is deleted.
    Delete,
}

/// The most images of an origin that a run retires, and the most that it deletes. By default 10, or
/// 10 % of them if that is less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxDelete {
    /// 10, or 10 % if that is less.
    Cautious,
    /// That number.
    Number(u64),
    /// That part of all images of the origin at the target.
    Percent(u8),
}

/// A text is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no limit: write a number such as 20, or a percentage such as 5%")]
pub struct MaxDeleteError {
    /// The text.
    pub text: String,
}

impl Retirement {
    /// Retires images of an origin, and deletes those that have been retired for the grace. The time
    /// is counted from 1970 (UTC), and told in whole seconds.
    #[must_use]
    pub fn new(origin: Origin, grace: Duration, now: Duration) -> Self {
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Self {
            origin,
            grace: SignedDuration::try_from(grace).unwrap_or(SignedDuration::MAX),
            // A clock that cannot be right deletes nothing.
            now: Timestamp::from_second(seconds).unwrap_or(Timestamp::MIN),
        }
    }

    /// The origin.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Decides about an image of a target of that form, which its origin does not have any more.
    ///
    /// An image with a mark that says no time, or that is not hidden any more, begins anew:
    /// somebody has changed it since, or an earlier run found it at its origin again.
    #[must_use]
    pub fn fate(&self, found: &ImageMetadata, form: TargetForm) -> Fate {
        if !self.origin.is_of(found) || found.status.is_burnt() {
            return Fate::NotOurs;
        }
        if found.protected == Some(true) {
            return Fate::Protected;
        }
        if !found.status.is_settled() {
            return Fate::BeingWritten;
        }
        let since = found.retired_since(form);
        // A time that is too far away is no reason to delete anything.
        let until = since.map(|since| since.checked_add(self.grace).unwrap_or(Timestamp::MAX));
        match until {
            None => Fate::Retire,
            Some(until) if until <= self.now => Fate::Delete,
            Some(until) => Fate::Waits { until },
        }
    }

    /// Returns the changes that retire an image of a target of that form. Images v1, and v2 before
    /// 2.7, hide none: there, the mark is all.
    #[must_use]
    pub fn changes(&self, found: &ImageMetadata, form: TargetForm) -> MetadataDiff {
        MetadataDiff::between(&self.retired(found, form), found, &Omit::nothing())
    }

    /// Returns what the target says of the image then.
    #[must_use]
    pub fn retired(&self, found: &ImageMetadata, form: TargetForm) -> ImageMetadata {
        let mut retired = found.clone();
        if form.can_hide() {
            retired.hidden = Some(true);
        }
        retired.null_properties.remove(RETIRED_AT);
        let properties = &mut retired.properties;
        properties.insert(RETIRED_AT.to_owned(), self.now.to_string());
        retired
    }
}

impl ImageMetadata {
    /// Returns the time since when an image of a target of that form is retired, if it is.
    #[must_use]
    pub fn retired_since(&self, form: TargetForm) -> Option<Timestamp> {
        self.origin()?;
        let is_hidden = !form.can_hide() || self.hidden == Some(true);
        let since = self.retired_at().filter(|_| is_hidden)?;
        since.parse().ok()
    }
}

impl MaxDelete {
    /// Returns the most images of `all` of an origin. A percentage is rounded up, so that of a few
    /// images one can go.
    #[must_use]
    pub fn of(self, all: u64) -> u64 {
        let part = |percent: u8| {
            let part = (u128::from(all) * u128::from(percent)).div_ceil(100);
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        match self {
            Self::Cautious => part(10).min(10),
            Self::Number(number) => number,
            Self::Percent(percent) => part(percent),
        }
    }
}

impl FromStr for MaxDelete {
    type Err = MaxDeleteError;

    fn from_str(text: &str) -> Result<Self, MaxDeleteError> {
        let is_number = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let limit = match text.strip_suffix('%') {
            Some(part) => {
                let percent = Some(part)
                    .filter(is_number)
                    .and_then(|part| part.parse().ok());
                percent.filter(|percent| *percent <= 100).map(Self::Percent)
            }
            None => {
                let number = Some(text)
                    .filter(is_number)
                    .and_then(|text| text.parse().ok());
                number.map(Self::Number)
            }
        };
        limit.ok_or_else(|| MaxDeleteError {
            text: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageId, ImageStatus};

    const V2: TargetForm = TargetForm::V2 { hidden: true };

    fn rules() -> Retirement {
        let now: Timestamp = "2026-11-27T12:00:00.9Z".parse().unwrap();
        let now = Duration::try_from(now.as_duration()).unwrap();
        let grace = Duration::from_secs(7 * 86_400);
        Retirement::new("prod".parse().unwrap(), grace, now)
    }

    fn image() -> ImageMetadata {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        let mut image = ImageMetadata::new(id, ImageStatus::Active);
        image
            .properties
            .insert("replicator_origin".into(), "prod".into());
        image
    }

    fn retired(at: &str) -> ImageMetadata {
        let mut image = image();
        image.hidden = Some(true);
        image.properties.insert(RETIRED_AT.into(), at.into());
        image
    }

    #[test]
    fn an_image_is_retired_first_and_deleted_when_the_grace_is_over() {
        let waits = |until: &str| Fate::Waits {
            until: until.parse().unwrap(),
        };
        let with = |change: &dyn Fn(&mut ImageMetadata)| {
            let mut image = retired("2026-11-01T00:00:00Z");
            change(&mut image);
            image
        };
        let origin = |text: &'static str| {
            with(&move |image| {
                image
                    .properties
                    .insert("replicator_origin".into(), text.into());
            })
        };
        let status = |status: ImageStatus| with(&move |image| image.status = status.clone());
        for (found, fate) in [
            (image(), Fate::Retire),
            (retired("2026-11-20T12:00:00Z"), Fate::Delete),
            (
                retired("2026-11-20T12:00:01Z"),
                waits("2026-11-27T12:00:01Z"),
            ),
            // The clock was wrong, then or now.
            (
                retired("2027-01-01T00:00:00Z"),
                waits("2027-01-08T00:00:00Z"),
            ),
            (
                retired("9999-12-30T00:00:00Z"),
                Fate::Waits {
                    until: Timestamp::MAX,
                },
            ),
            (retired("long ago"), Fate::Retire),
            (retired(""), Fate::Retire),
            // Somebody has shown it again.
            (with(&|image| image.hidden = Some(false)), Fate::Retire),
            (with(&|image| image.hidden = None), Fate::Retire),
            (with(&|image| image.protected = Some(true)), Fate::Protected),
            (origin("Prod"), Fate::NotOurs),
            (origin("prod "), Fate::NotOurs),
            (origin(""), Fate::NotOurs),
            (with(&|image| image.properties.clear()), Fate::NotOurs),
            (status(ImageStatus::Queued), Fate::Delete),
            (status(ImageStatus::Deactivated), Fate::Delete),
            (status(ImageStatus::Saving), Fate::BeingWritten),
            (status(ImageStatus::Other("new".into())), Fate::BeingWritten),
            (status(ImageStatus::Killed), Fate::NotOurs),
            (status(ImageStatus::Deleted), Fate::NotOurs),
        ] {
            assert_eq!(rules().fate(&found, V2), fate, "{found:?}");
        }
    }

    #[test]
    fn where_images_cannot_be_hidden_the_mark_is_all() {
        for form in [TargetForm::V1, TargetForm::V2 { hidden: false }] {
            let found = form.of(retired("2026-11-01T00:00:00Z"));
            assert_eq!(rules().fate(&found, form), Fate::Delete);
            let changes = rules().changes(&form.of(image()), form);
            assert_eq!(changes.changes().len(), 1, "{changes:?}");
        }
    }

    #[test]
    fn a_retired_image_is_hidden_and_says_since_when() {
        for form in [V2, TargetForm::Whole] {
            let changes = rules().changes(&image(), form);
            let retired = changes.apply_to(image());
            assert_eq!(retired.hidden, Some(true));
            assert_eq!(retired.retired_at(), Some("2026-11-27T12:00:00Z"));
            assert_eq!(changes.changes().len(), 2, "{changes:?}");
            let fate = rules().fate(&retired, form);
            assert!(matches!(fate, Fate::Waits { .. }), "{fate:?}");
        }
    }

    #[test]
    fn the_limit_is_the_lesser_of_ten_and_ten_percent_unless_it_is_said() {
        for (limit, all, most) in [
            (MaxDelete::Cautious, 0, 0),
            (MaxDelete::Cautious, 1, 1),
            (MaxDelete::Cautious, 10, 1),
            (MaxDelete::Cautious, 11, 2),
            (MaxDelete::Cautious, 95, 10),
            (MaxDelete::Cautious, 1000, 10),
            ("0".parse().unwrap(), 1000, 0),
            ("25".parse().unwrap(), 3, 25),
            ("0%".parse().unwrap(), 1000, 0),
            ("25%".parse().unwrap(), 1000, 250),
            ("100%".parse().unwrap(), u64::MAX, u64::MAX),
        ] {
            assert_eq!(limit.of(all), most, "{limit:?} of {all}");
        }
        for text in ["", "%", "-1", "+1", "101%", "1.5%", "ten"] {
            assert!(text.parse::<MaxDelete>().is_err(), "{text}");
        }
    }
}

//! The share of the images whose turn it is on a day.

use std::num::NonZeroU64;
use std::str::FromStr;

use super::shard::hash;
use crate::ImageId;

/// A part of the images that is another one each day, written `P%`: of 4%, each image has its turn
/// once in 25 days, and of 3%, once in 34.
///
/// An image has its turn on the days whose number, counted from 1970 in UTC, is the hash of its id
/// modulo the number of days. The hash is bytes 8 to 15, the first one the highest, of the SHA-256 of
/// the id in small letters: not those of [`Shard`](crate::Shard), so that each share of the images is
/// divided in the same way. Nothing is remembered: a day on which nothing runs is made up for in the
/// next round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    days: NonZeroU64,
    turn: u64,
}

/// A text is no part of the images.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no part of all images: write P%, above 0 and up to 100, such as 4%")]
pub struct SampleError {
    /// The text.
    pub text: String,
}

impl Sample {
    /// The number of days in which every image has its turn.
    #[must_use]
    pub fn days(self) -> u64 {
        self.days.get()
    }

    /// The same part, on the day of this number, counted from 1970.
    #[must_use]
    pub fn on(self, day: u64) -> Self {
        Self {
            turn: day % self.days,
            ..self
        }
    }

    /// Returns whether it is the turn of an image.
    #[must_use]
    pub fn has(self, id: &ImageId) -> bool {
        hash(id, 8) % self.days == self.turn
    }
}

impl FromStr for Sample {
    type Err = SampleError;

    fn from_str(text: &str) -> Result<Self, SampleError> {
        let days = |text: &str| {
            let number = text.strip_suffix('%').unwrap_or(text);
            let is_number = number
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.');
            let percent: f64 = is_number.then(|| number.parse().ok())??;
            if !(percent > 0.0 && percent <= 100.0) {
                return None;
            }
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "it is at least 1, and what is too large becomes the largest number"
            )]
            NonZeroU64::new((100.0 / percent).ceil() as u64)
        };
        match days(text) {
            Some(days) => Ok(Self { days, turn: 0 }),
            None => Err(SampleError {
                text: text.to_owned(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> ImageId {
        ImageId::parse(&format!("6d55dd55-053a-4765-b7bc-{number:012x}")).unwrap()
    }

    #[test]
    fn each_image_has_its_turn_once_in_a_round_whatever_the_day_that_it_begins_on() {
        let sample: Sample = "4%".parse().unwrap();
        assert_eq!(sample.days(), 25);
        for begin in [0, 20_000, 20_013] {
            for number in 0..200 {
                let turns = (begin..begin + 25).filter(|day| sample.on(*day).has(&id(number)));
                assert_eq!(turns.count(), 1, "image {number} from day {begin} on");
            }
        }
        let today = (0..1000).filter(|number| sample.on(20_000).has(&id(*number)));
        let today = today.count();
        assert!((20..=60).contains(&today), "{today} of 1000");
    }

    /// Worked out with `printf ID | sha256sum`: a change would read some images twice in a round.
    #[test]
    fn the_day_of_an_id_never_changes() {
        let id = ImageId::parse("6d55dd55-053a-4765-b7bc-b30df0ea3861").unwrap();
        let capitals = ImageId::parse("6D55DD55-053A-4765-B7BC-B30DF0EA3861").unwrap();
        let sample: Sample = "1%".parse().unwrap();
        let day = (0..100).find(|day| sample.on(*day).has(&id));
        assert_eq!(day, Some(90));
        assert!(sample.on(90).has(&capitals));
    }

    #[test]
    fn parts_are_written_in_percent() {
        for (text, days) in [
            ("100%", 1),
            ("60%", 2),
            ("30", 4),
            ("3%", 34),
            ("0.5%", 200),
        ] {
            let sample: Sample = text.parse().unwrap();
            assert_eq!(sample.days(), days, "{text}");
        }
        for text in [
            "", "%", "0%", "101%", "-4%", "4%%", "a", "nan", "inf", "1e1", " 4%",
        ] {
            assert!(text.parse::<Sample>().is_err(), "{text}");
        }
    }
}

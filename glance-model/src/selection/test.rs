//! One test of a selection: a key, an operator, and values.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use crate::{ImageMetadata, Pattern, Visibility};

/// A test that the metadata of an image passes or not, written `KEY OPERATOR VALUE`:
/// `status=active`, `name!=snap-*,tmp-*`, `size >= 10G`, `created<2026-11-01`, `property:os_type`.
///
/// | keys | operators | values |
/// |---|---|---|
/// | `id name status visibility owner tag disk_format container_format` | `=` `!=` | texts, of which one has to fit: `a,b`. `*`, `?`, `[a-z]` and `{a,b}` have their usual meaning, save in quotes: `"a*, b"` |
/// | `property:NAME` | `=` `!=`, or none: the image has it | the same |
/// | `hidden protected` | `=` `!=`, or none: `true` | `true` or `false` |
/// | `size min_disk min_ram` | `=` `!=` `<` `<=` `>` `>=` | numbers in the property's own unit (bytes, GiB, MiB), or with `B`, `K`, `M`, `G`, `T` |
/// | `created updated` | the same | a time with its offset (`2026-11-01T12:00:00Z`), a date (that day in UTC), or an age (`30d`: 30 days ago) |
///
/// Letter case counts. A value that an image does not have is equal to nothing, so that such an image
/// passes `!=`, and no other operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Test {
    pub(super) key: Key,
    pub(super) operator: Operator,
    pub(super) values: Values,
}

/// The part of a record that a test looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "they are named as the properties are")]
pub enum Key {
    Id,
    Name,
    Status,
    Visibility,
    Owner,
    /// Any of the tags.
    Tag,
    Hidden,
    Protected,
    DiskFormat,
    ContainerFormat,
    Size,
    MinDisk,
    MinRam,
    /// The time of the creation.
    Created,
    /// The time of the last change.
    Updated,
    /// The additional property of this name.
    Property(String),
}

/// The keys by their words; that of a property has its name behind it.
pub(super) const WORDS: [(&str, Key); 15] = [
    ("id", Key::Id),
    ("name", Key::Name),
    ("status", Key::Status),
    ("visibility", Key::Visibility),
    ("owner", Key::Owner),
    ("tag", Key::Tag),
    ("hidden", Key::Hidden),
    ("protected", Key::Protected),
    ("disk_format", Key::DiskFormat),
    ("container_format", Key::ContainerFormat),
    ("size", Key::Size),
    ("min_disk", Key::MinDisk),
    ("min_ram", Key::MinRam),
    ("created", Key::Created),
    ("updated", Key::Updated),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Has,
    Is,
    IsNot,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    None,
    Texts(Vec<Text>),
    Flag(bool),
    /// In bytes.
    Numbers(Vec<u64>),
    Times(Vec<Moment>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Text {
    Exact(String),
    Like(Pattern),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Moment {
    /// A second, or a moment if it has a fraction.
    At(Timestamp),
    /// A day of UTC.
    Day(Date),
}

impl Test {
    /// Tests whether a value is exactly this text: patterns have no meaning in it.
    #[must_use]
    pub fn is(key: Key, value: impl Into<String>) -> Self {
        Self::is_one_of(key, [value])
    }

    /// Tests whether a value is exactly one of these texts.
    #[must_use]
    pub fn is_one_of(key: Key, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let texts = values.into_iter().map(|value| Text::Exact(value.into()));
        Self {
            key,
            operator: Operator::Is,
            values: Values::Texts(texts.collect()),
        }
    }

    /// Returns the part of a record that the test looks at.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Returns the texts of which the value has to be one, letter by letter, if the test is of
    /// that kind.
    #[must_use]
    pub fn exact(&self) -> Option<Vec<&str>> {
        let (Operator::Is, Values::Texts(texts)) = (self.operator, &self.values) else {
            return None;
        };
        texts
            .iter()
            .map(|text| match text {
                Text::Exact(text) => Some(text.as_str()),
                Text::Like(_) => None,
            })
            .collect()
    }

    /// Returns the value that the flag has to have, if the test is one of a flag.
    #[must_use]
    pub fn flag(&self) -> Option<bool> {
        match (self.operator, &self.values) {
            (_, Values::Flag(flag)) => Some((self.operator == Operator::Is) == *flag),
            (Operator::Has, Values::None) => match self.key {
                Key::Hidden | Key::Protected => Some(true),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the range in which the number has to be, in bytes, if the test is of that kind.
    #[must_use]
    pub fn range_bytes(&self) -> Option<RangeInclusive<u64>> {
        let Values::Numbers(numbers) = &self.values else {
            return None;
        };
        let &[number] = numbers.as_slice() else {
            return None;
        };
        match self.operator {
            Operator::Is => Some(number..=number),
            Operator::Less => Some(0..=number.checked_sub(1)?),
            Operator::LessOrEqual => Some(0..=number),
            Operator::Greater => Some(number.checked_add(1)?..=u64::MAX),
            Operator::GreaterOrEqual => Some(number..=u64::MAX),
            Operator::Has | Operator::IsNot => None,
        }
    }

    /// Returns the first moment that passes, and the first one after it that does not any more,
    /// if the test is one of a time.
    #[must_use]
    pub fn between(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        let Values::Times(times) = &self.values else {
            return (None, None);
        };
        let &[time] = times.as_slice() else {
            return (None, None);
        };
        match self.operator {
            Operator::Is => (time.begin(), time.end()),
            Operator::Less => (None, time.begin()),
            Operator::LessOrEqual => (None, time.end()),
            Operator::Greater => (time.end(), None),
            Operator::GreaterOrEqual => (time.begin(), None),
            Operator::Has | Operator::IsNot => (None, None),
        }
    }

    /// Returns whether an image passes.
    #[must_use]
    pub fn passes(&self, image: &ImageMetadata) -> bool {
        let is_not = self.operator == Operator::IsNot;
        match &self.values {
            Values::None => match &self.key {
                Key::Property(name) => {
                    image.properties.contains_key(name)
                        || image.null_properties.contains(name)
                        || image.other.contains_key(name)
                }
                _ => flag(&self.key, image),
            },
            Values::Flag(wanted) => (flag(&self.key, image) == *wanted) != is_not,
            Values::Texts(texts) => {
                let is_one = |value: &str| texts.iter().any(|text| text.matches(value));
                any_text(&self.key, image, is_one) != is_not
            }
            Values::Numbers(numbers) => {
                let found = number_bytes(&self.key, image);
                let passes = |found: u64| {
                    numbers.iter().any(|number| match self.operator {
                        Operator::Has | Operator::Is | Operator::IsNot => found == *number,
                        Operator::Less => found < *number,
                        Operator::LessOrEqual => found <= *number,
                        Operator::Greater => found > *number,
                        Operator::GreaterOrEqual => found >= *number,
                    })
                };
                found.is_some_and(passes) != is_not
            }
            Values::Times(times) => {
                let found = match self.key {
                    Key::Created => image.created(),
                    Key::Updated => image.updated(),
                    _ => None,
                };
                let passes = |found: Timestamp| {
                    times.iter().any(|time| match self.operator {
                        Operator::Has | Operator::Is | Operator::IsNot => {
                            !time.is_after(found) && !time.is_before(found)
                        }
                        Operator::Less => time.is_after(found),
                        Operator::LessOrEqual => !time.is_before(found),
                        Operator::Greater => time.is_before(found),
                        Operator::GreaterOrEqual => !time.is_after(found),
                    })
                };
                found.is_some_and(passes) != is_not
            }
        }
    }
}

fn flag(key: &Key, image: &ImageMetadata) -> bool {
    let flag = match key {
        Key::Hidden => image.hidden,
        Key::Protected => image.protected,
        _ => None,
    };
    // One that says nothing of it is neither hidden nor protected.
    flag.unwrap_or(false)
}

fn number_bytes(key: &Key, image: &ImageMetadata) -> Option<u64> {
    let (number, unit) = match key {
        Key::Size => (image.size, 1),
        Key::MinDisk => (image.min_disk, key.unit_bytes()),
        Key::MinRam => (image.min_ram, key.unit_bytes()),
        _ => (None, 1),
    };
    number.map(|number| number.saturating_mul(unit))
}

fn any_text(key: &Key, image: &ImageMetadata, is_one: impl Fn(&str) -> bool) -> bool {
    let one = |text: &Option<String>| text.as_deref().is_some_and(&is_one);
    match key {
        Key::Id => is_one(image.id.as_str()),
        Key::Name => one(&image.name),
        Key::Status => is_one(image.status.as_str()),
        Key::Owner => one(&image.owner),
        Key::DiskFormat => one(&image.disk_format),
        Key::ContainerFormat => one(&image.container_format),
        Key::Tag => image.tags.iter().any(|tag| is_one(tag)),
        Key::Property(name) => {
            let value = image.properties.get(name);
            value.is_some_and(|value| is_one(value))
        }
        Key::Visibility => match image.visibility {
            // v1 knows no more of it.
            Some(Visibility::NotPublic) => {
                let may_be = [
                    Visibility::Private,
                    Visibility::Shared,
                    Visibility::Community,
                ];
                may_be.iter().any(|visibility| is_one(visibility.as_str()))
            }
            Some(visibility) => is_one(visibility.as_str()),
            None => false,
        },
        _ => false,
    }
}

impl Key {
    /// Returns the value that an image has, as a text; none of a tag, of which it may have any
    /// number.
    #[must_use]
    pub fn value(&self, image: &ImageMetadata) -> Option<String> {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        match self {
            Self::Id => Some(image.id.to_string()),
            Self::Name => image.name.clone(),
            Self::Status => Some(image.status.to_string()),
            Self::Visibility => image
                .visibility
                .map(|visibility| visibility.as_str().to_owned()),
            Self::Owner => image.owner.clone(),
            Self::Tag => None,
            Self::Hidden | Self::Protected => Some(flag(self, image).to_string()),
            Self::DiskFormat => image.disk_format.clone(),
            Self::ContainerFormat => image.container_format.clone(),
            Self::Size => number(image.size),
            Self::MinDisk => number(image.min_disk),
            Self::MinRam => number(image.min_ram),
            Self::Created => image.created_at.clone(),
            Self::Updated => image.updated_at.clone(),
            Self::Property(name) => image.properties.get(name).cloned(),
        }
    }

    /// The number of bytes that a number without a unit counts.
    pub(super) fn unit_bytes(&self) -> u64 {
        match self {
            Self::MinDisk => 1 << 30,
            Self::MinRam => 1 << 20,
            _ => 1,
        }
    }
}

impl Text {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == text,
            Self::Like(pattern) => pattern.matches(text),
        }
    }
}

impl Moment {
    /// The first moment of it; `None` before the beginning of time.
    fn begin(self) -> Option<Timestamp> {
        match self {
            Self::At(time) => Some(time),
            Self::Day(day) => Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp()),
        }
    }

    /// The first moment after it. The API shows whole seconds.
    fn end(self) -> Option<Timestamp> {
        match self {
            Self::At(time) => time.checked_add(1.second()).ok(),
            Self::Day(day) => Self::Day(day.tomorrow().ok()?).begin(),
        }
    }

    fn is_after(self, time: Timestamp) -> bool {
        self.begin().is_some_and(|begin| time < begin)
    }

    fn is_before(self, time: Timestamp) -> bool {
        self.end().is_some_and(|end| time >= end)
    }
}

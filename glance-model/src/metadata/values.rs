//! The forms in which records say a value: a number may be a text, and a time may have a fraction.

use super::WrongType;
use crate::{BaseProperty, Scalar};

/// Reads v1's `is_public`, in the forms that any other flag has.
pub(crate) fn read_flag(value: Scalar<'_>) -> Result<Option<bool>, WrongType> {
    if is_null(BaseProperty::Visibility, value) {
        return Ok(None);
    }
    as_flag(value).map(Some).ok_or(WrongType)
}

pub(super) fn is_null(property: BaseProperty, value: Scalar<'_>) -> bool {
    match value {
        Scalar::Text("") => true,
        // Python's null, written as text by clients of v1.
        Scalar::Text("None") => property != BaseProperty::Name,
        _ => false,
    }
}

pub(super) fn as_number(value: Scalar<'_>) -> Option<u64> {
    match value {
        Scalar::Number(number) => Some(number),
        Scalar::Text(text) => {
            let text = text.trim();
            let whole = text.split_once('.').filter(|(_, fraction)| {
                !fraction.is_empty() && fraction.bytes().all(|byte| byte == b'0')
            });
            whole.map_or(text, |(whole, _)| whole).parse().ok()
        }
        Scalar::Flag(_) => None,
    }
}

/// Reads a flag in the words that Glance knows
/// (`oslo_utils.strutils.bool_from_string`).
pub(super) fn as_flag(value: Scalar<'_>) -> Option<bool> {
    match value {
        Scalar::Flag(flag) => Some(flag),
        Scalar::Number(0) => Some(false),
        Scalar::Number(1) => Some(true),
        Scalar::Number(_) => None,
        Scalar::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => Some(true),
            "" | "false" | "0" | "no" | "off" | "f" | "n" => Some(false),
            _ => None,
        },
    }
}

/// Reads v1's `2012-06-25T02:10:36.078914` and v2's `2012-06-25T02:10:36Z` into
/// the latter. A time with another zone, or none at all, stays as it is.
pub(super) fn whole_seconds(text: &str) -> String {
    let (Some(seconds), Some(rest)) = (text.get(..19), text.get(19..)) else {
        return text.to_owned();
    };
    let (date, time) = (text.get(..10), text.get(11..19));
    let fraction = rest.trim_end_matches('Z').trim_end_matches("+00:00");
    let is_fraction = fraction.is_empty()
        || fraction.strip_prefix('.').is_some_and(|digits| {
            !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
        });
    let shape = "dddd-dd-ddTdd:dd:dd";
    let is_time = shape.bytes().zip(seconds.bytes()).all(|(want, got)| {
        (want == b'd' && got.is_ascii_digit()) || want == got || (want == b'T' && got == b' ')
    });
    match (date, time) {
        (Some(date), Some(time)) if is_time && is_fraction => [date, "T", time, "Z"].concat(),
        _ => text.to_owned(),
    }
}

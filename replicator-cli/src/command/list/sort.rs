//! The order of rows.

use std::cmp::Ordering;

use crate::error::CliError;
use crate::ui::{Row, column_named};

/// A row that can be sorted by its columns.
pub(super) trait Sortable: Row {
    /// Returns the value of a column.
    fn key(&self, column: &str) -> Key;
}

/// A value that is sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Text(Box<str>),
    Number(u64),
    Nothing,
}

impl Key {
    /// Takes a text that there may be.
    pub(super) fn text(text: Option<&str>) -> Self {
        text.map_or(Self::Nothing, |text| Self::Text(text.into()))
    }
}

/// A column that rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SortBy {
    pub(super) column: &'static str,
    is_descending: bool,
}

impl SortBy {
    /// Sorts by a column, the smallest value first.
    pub(super) fn ascending(column: &'static str) -> Self {
        Self {
            column,
            is_descending: false,
        }
    }

    /// Reads `KEY`, `KEY:asc` or `KEY:desc`.
    pub(super) fn parse<R: Sortable>(text: &str) -> Result<Self, CliError> {
        let (name, is_descending) = match text.rsplit_once(':') {
            Some((name, way)) if way.eq_ignore_ascii_case("desc") => (name, true),
            Some((name, way)) if way.eq_ignore_ascii_case("asc") => (name, false),
            Some((name, _)) if column_named::<R>(name).is_ok() => {
                return Err(CliError::Direction {
                    text: text.to_owned(),
                });
            }
            _ => (text, false),
        };
        Ok(Self {
            column: column_named::<R>(name)?.name,
            is_descending,
        })
    }

    /// Returns whether rows that are listed by their ids are sorted already.
    pub(super) fn is_by_id(self) -> bool {
        self.column == "id" && !self.is_descending
    }

    /// Compares the values of two rows. What has no value comes last, whatever the direction.
    fn compare(self, a: &Key, b: &Key) -> Ordering {
        let order = match (a, b) {
            (Key::Text(a), Key::Text(b)) => natural(a, b),
            (Key::Number(a), Key::Number(b)) => a.cmp(b),
            (a, b) => return (*a == Key::Nothing).cmp(&(*b == Key::Nothing)),
        };
        match self.is_descending {
            true => order.reverse(),
            false => order,
        }
    }
}

/// Compares two rows by what they are sorted by, the first column first.
pub(super) fn compare(by: &[SortBy], a: &[Key], b: &[Key]) -> Ordering {
    let pairs = by.iter().zip(a.iter().zip(b));
    let mut orders = pairs.map(|(by, (a, b))| by.compare(a, b));
    let first = orders.find(|order| order.is_ne());
    first.unwrap_or(Ordering::Equal)
}

/// Compares two texts as people order names: capitals do not matter, and numbers count as numbers.
/// Texts that are equal so are compared as they are.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a, b);
    loop {
        let mut rest = (left.chars(), right.chars());
        let (Some(l), Some(r)) = (rest.0.next(), rest.1.next()) else {
            return left.len().cmp(&right.len()).then_with(|| a.cmp(b));
        };
        let order = if l.is_ascii_digit() && r.is_ascii_digit() {
            let numbers = (number(&mut left), number(&mut right));
            // Without zeros before it, a longer number is larger.
            numbers
                .0
                .len()
                .cmp(&numbers.1.len())
                .then_with(|| numbers.0.cmp(numbers.1))
        } else {
            (left, right) = (rest.0.as_str(), rest.1.as_str());
            l.to_lowercase().cmp(r.to_lowercase())
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Takes the digits from the beginning of a text, without the zeros before them.
fn number<'a>(text: &mut &'a str) -> &'a str {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    *text = rest;
    digits.trim_start_matches('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_people() {
        let sorted = [
            "1",
            "2",
            "010",
            "99999999999999999999999",
            "a",
            "B",
            "c1",
            "C2",
            "c10",
            "c10a",
            "Ubuntu 9.10",
            "ubuntu 10.04",
            "\u{e9}",
        ];
        for pair in sorted.windows(2) {
            assert_eq!(natural(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(natural(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        // The order is a total one.
        for (a, b) in [("a1", "a01"), ("A", "a")] {
            assert_ne!(natural(a, b), Ordering::Equal);
            assert_eq!(natural(a, b), natural(b, a).reverse());
            assert_eq!(natural(a, a), Ordering::Equal);
        }
    }
}

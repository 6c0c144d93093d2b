//! The order of rows.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::str::Chars;

use crate::error::CliError;
use crate::ui::{Row, column_named};

/// A row that can be sorted by its columns.
pub(super) trait Sortable: Row {
    /// Returns the value of a column.
    fn key(&self, column: &str) -> Key<'_>;
}

/// A value that is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key<'a> {
    Text(&'a str),
    Number(u64),
    Nothing,
}

/// A column that rows are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SortBy {
    column: &'static str,
    is_descending: bool,
}

impl SortBy {
    /// Reads `KEY`, `KEY:asc` or `KEY:desc`.
    pub(super) fn parse<R: Sortable>(text: &str) -> Result<Self, CliError> {
        let (name, is_descending) = match text.rsplit_once(':') {
            Some((name, "desc")) => (name, true),
            Some((name, "asc")) => (name, false),
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

    /// Compares two rows. What has no value comes last, whatever the direction.
    pub(super) fn compare<R: Sortable>(self, a: &R, b: &R) -> Ordering {
        let order = match (a.key(self.column), b.key(self.column)) {
            (Key::Text(a), Key::Text(b)) => natural(a, b),
            (Key::Number(a), Key::Number(b)) => a.cmp(&b),
            (a, b) => return (a == Key::Nothing).cmp(&(b == Key::Nothing)),
        };
        match self.is_descending {
            true => order.reverse(),
            false => order,
        }
    }
}

/// Compares two texts as people order names: capitals do not matter, and numbers count as numbers.
/// Texts that are equal so are compared as they are.
pub(super) fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.chars().peekable(), b.chars().peekable());
    loop {
        let (Some(&l), Some(&r)) = (left.peek(), right.peek()) else {
            let rest = (left.peek().is_some(), right.peek().is_some());
            return rest.0.cmp(&rest.1).then_with(|| a.cmp(b));
        };
        let order = if l.is_ascii_digit() && r.is_ascii_digit() {
            number(&mut left).cmp(&number(&mut right))
        } else {
            left.next();
            right.next();
            l.to_lowercase().cmp(r.to_lowercase())
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// Takes a number of any length; a longer one is larger.
fn number(text: &mut Peekable<Chars<'_>>) -> (usize, String) {
    while text.next_if_eq(&'0').is_some() {}
    let mut digits = String::new();
    while let Some(digit) = text.next_if(char::is_ascii_digit) {
        digits.push(digit);
    }
    (digits.len(), digits)
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

//! The order in which a server lists ids.

use std::cmp::Ordering;

use glance_model::ImageId;

/// The orders in which a listing may be, as far as its ids tell: by byte, or with capitals like
/// small letters, as MySQL and most locales of PostgreSQL sort.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order {
    by_byte: bool,
    folded: bool,
}

impl Order {
    pub(super) fn unknown() -> Self {
        Self {
            by_byte: true,
            folded: true,
        }
    }

    /// Takes note that `id` is listed behind `last`. Returns whether the listing
    /// is in either order still.
    pub(super) fn follows(&mut self, last: &ImageId, id: &ImageId) -> bool {
        let order = Self {
            by_byte: self.by_byte && last < id,
            folded: self.folded && last != id && folded(last, id).is_le(),
        };
        let is_ordered = order.by_byte || order.folded;
        if is_ordered {
            *self = order;
        }
        is_ordered
    }

    /// Returns whether `id` comes behind `last`.
    pub(super) fn is_behind(self, last: &ImageId, id: &ImageId) -> bool {
        if self.by_byte {
            last < id
        } else {
            last != id && folded(last, id).is_le()
        }
    }
}

fn folded(a: &ImageId, b: &ImageId) -> Ordering {
    let small = |id: &ImageId| id.as_str().to_ascii_lowercase();
    match a.has_capitals() || b.has_capitals() {
        true => small(a).cmp(&small(b)),
        false => a.cmp(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_ordered(starts: &[&str]) -> bool {
        let id = |start: &&str| {
            ImageId::parse(&format!("{start}000000-0000-4000-8000-000000000000")).unwrap()
        };
        let ids: Vec<ImageId> = starts.iter().map(id).collect();
        let mut order = Order::unknown();
        ids.windows(2).all(|pair| order.follows(&pair[0], &pair[1]))
    }

    #[test]
    fn a_listing_is_by_byte_or_folded_throughout() {
        for (starts, is_it) in [
            (&["0a", "0b", "a0", "b0"][..], true),
            (&["0A", "0b", "B0", "a0"], true),
            (&["0b", "0C", "a0", "B0", "c0"], true),
            (&["aA", "aa", "b0"], true),
            (&["aa", "aA", "b0"], true),
            (&["aa", "aa"], false),
            (&["b0", "a0"], false),
            (&["B0", "a0", "a1", "B2"], false),
            (&["a0", "B0", "C0", "b0"], false),
        ] {
            assert_eq!(is_ordered(starts), is_it, "{starts:?}");
        }
    }
}

//! The limit of images that are worked on at a time: each of them needs handles for its connections
//! and
//! files, of which the system gives a process so many and no more.

use std::num::NonZeroUsize;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::ui::Console;

/// The handles that are open beside the images: the terminal, the log, directories, listings,
/// sign-ins.
const OTHERS: u64 = 24;
/// The handles that each end of an image may have open: its connection or file, and one that is
/// about to
/// take its place.
const PER_END: u64 = 2;

/// The most small images at a time: a server that is far away is kept busy by as many.
pub(crate) const MOST_SMALL: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// The numbers of images that are worked on at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parallel {
    pub(crate) transfers: NonZeroUsize,
    /// Of small images, beside the transfers.
    pub(crate) small: NonZeroUsize,
    pub(crate) checkers: NonZeroUsize,
}

impl Parallel {
    /// One image after the other.
    pub(crate) const ONE: Self = Self {
        transfers: NonZeroUsize::MIN,
        small: NonZeroUsize::MIN,
        checkers: NonZeroUsize::MIN,
    };

    /// Returns the numbers that were asked for, or lower ones, with a warning, where there are
    /// not enough handles for them.
    ///
    /// An image has `connections` at a time: to its source, and one to each target.
    pub(crate) fn within_limit(self, connections: usize, console: &Console) -> Self {
        let asked = self;
        let Some(handles) = raised_limit() else {
            return asked;
        };
        let possible = asked.within(handles, connections as u64);
        for (option, asked, possible) in [
            ("transfers", asked.transfers, possible.transfers),
            ("checkers", asked.checkers, possible.checkers),
        ] {
            // A number that nobody has asked for is lowered without a word.
            let default = if option == "transfers" { 4 } else { 8 };
            if possible < asked && asked.get() != default {
                console.warning(&format!(
                    "--{option} {asked} is lowered to {possible}: this process may open {handles} \
                     files and connections at a time (ulimit -n)"
                ));
            }
        }
        possible
    }

    fn within(self, handles: u64, connections: u64) -> Self {
        let free = handles.saturating_sub(OTHERS);
        let at_most = |asked: NonZeroUsize, count: u64| {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            asked.min(NonZeroUsize::new(count).unwrap_or(NonZeroUsize::MIN))
        };
        let checkers = at_most(self.checkers, free / 4 / PER_END);
        let free = free.saturating_sub(checkers.get() as u64 * PER_END);
        let per_image = PER_END * connections;
        let transfers = at_most(self.transfers, free / per_image);
        let free = free.saturating_sub(transfers.get() as u64 * per_image);
        Self {
            transfers,
            small: at_most(self.small, free / per_image),
            checkers,
        }
    }
}

/// Raises the limit to what the system lets this process have; `None` if there is none.
fn raised_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // A system that does not do it leaves us what we have.
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_begun_than_there_are_handles_for() {
        let number = |number| NonZeroUsize::new(number).unwrap();
        for (asked, handles, connections, possible) in [
            ((4, 8), 1024, 2, (4, 64, 8)),
            ((4, 8), 12, 2, (1, 1, 1)),
            ((4, 8), 128, 2, (4, 18, 8)),
            ((16, 8), 64, 2, (7, 1, 5)),
            ((1000, 8), 1024, 2, (246, 1, 8)),
            ((1000, 8), 1024, 5, (98, 1, 8)),
            ((1000, 1000), 1 << 20, 2, (1000, 64, 1000)),
        ] {
            let asked = Parallel {
                transfers: number(asked.0),
                small: MOST_SMALL,
                checkers: number(asked.1),
            };
            let found = asked.within(handles, connections);
            let found = (
                found.transfers.get(),
                found.small.get(),
                found.checkers.get(),
            );
            assert_eq!(found, possible, "{asked:?} with {handles}");
        }
    }
}

//! The lane of small images: as many at a time as keep the connections busy.

use tokio::time::Instant;

/// The number of small images at a time to begin with.
const FIRST: usize = 8;
/// The bytes of all images that are in the lane at a time, at most.
const MOST_BYTES: u64 = 16 << 20;
/// The rate has to grow by this factor for the lane to be widened once more.
const WORTH: f64 = 1.1;

/// The time of a small image goes by in round trips, so that many of them share a connection's time
/// well. The lane is widened as long as more images a second come of it.
pub(crate) struct SmallLane {
    most: usize,
    width: usize,
    busy: usize,
    busy_bytes: u64,
    /// The images that were done since then, with the lane full all the time.
    done: usize,
    since: Instant,
    best_rate: f64,
    is_growing: bool,
}

impl SmallLane {
    /// Begins a lane that takes `most` images at a time, at the most.
    pub(crate) fn new(most: usize, now: Instant) -> Self {
        Self {
            most,
            width: FIRST.min(most),
            busy: 0,
            busy_bytes: 0,
            done: 0,
            since: now,
            best_rate: 0.0,
            is_growing: true,
        }
    }

    /// Returns whether there is room for an image of `bytes`, beside transfers of others. Together
    /// they are never more than there may be small images, so that many transfers need no more
    /// handles for these.
    pub(crate) fn has_room(&self, bytes: u64, transfers: usize) -> bool {
        self.busy < self.width
            && (self.busy == 0
                || (self.busy_bytes + bytes <= MOST_BYTES && self.busy + transfers < self.most))
    }

    pub(crate) fn begin(&mut self, bytes: u64) {
        self.busy += 1;
        self.busy_bytes += bytes;
    }

    pub(crate) fn end(&mut self, bytes: u64, now: Instant) {
        let was_full = self.busy >= self.width;
        self.busy = self.busy.saturating_sub(1);
        self.busy_bytes = self.busy_bytes.saturating_sub(bytes);
        if !self.is_growing {
            return;
        }
        if !was_full {
            (self.done, self.since) = (0, now);
            return;
        }
        self.done += 1;
        if self.done < self.width {
            return;
        }
        let took = now.saturating_duration_since(self.since).as_secs_f64();
        let rate = self.done as f64 / took.max(f64::EPSILON);
        self.is_growing = rate > self.best_rate * WORTH && self.width < self.most;
        self.best_rate = rate;
        if self.is_growing {
            self.width = (self.width * 2).min(self.most);
        }
        (self.done, self.since) = (0, now);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use super::*;

    /// Has 2,000 images pass that take `round_trips` each, as many at a time as the lane lets, at a
    /// server that does `most_a_second`. Returns how many there were at a time in the end.
    fn width(most: usize, round_trips: Duration, most_a_second: u32) -> usize {
        let mut now = Instant::now();
        let mut lane = SmallLane::new(most, now);
        let mut ends = VecDeque::new();
        let mut server_is_free = now;
        for _ in 0..2000 {
            while lane.has_room(1, 0) {
                lane.begin(1);
                server_is_free = server_is_free.max(now) + Duration::from_secs(1) / most_a_second;
                ends.push_back(server_is_free.max(now + round_trips));
            }
            now = now.max(ends.pop_front().unwrap());
            lane.end(1, now);
        }
        lane.width
    }

    #[test]
    fn the_lane_is_widened_as_long_as_more_images_a_second_come_of_it() {
        let far = Duration::from_millis(250);
        let near = Duration::from_millis(1);
        for (most, round_trips, most_a_second, expected) in [
            (64, far, 100_000, 64..=64),
            (20, far, 100_000, 20..=20),
            (4, far, 100_000, 4..=4),
            (64, far, 100, 32..=64),
            (64, near, 1000, 8..=16),
        ] {
            let width = width(most, round_trips, most_a_second);
            assert!(expected.contains(&width), "{width}, not {expected:?}");
        }
    }

    #[test]
    fn images_that_are_not_quite_small_fill_the_lane_by_their_bytes() {
        let mut lane = SmallLane::new(64, Instant::now());
        lane.width = 64;
        let mut begun = 0;
        while lane.has_room(1 << 20, 0) {
            lane.begin(1 << 20);
            begun += 1;
        }
        assert_eq!(begun, 16);
    }
}

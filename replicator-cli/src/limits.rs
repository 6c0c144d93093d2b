//! The limits of a run: bytes a second, from minute to minute, and images at a time.

mod handles;

use std::time::Duration;

use glance_client::Limits;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

pub(crate) use self::handles::{MOST_SMALL, Parallel};
use crate::args::{Bandwidth, Timetable};
use crate::ui::Console;

/// Sets how many bytes may move a second, and keeps to the timetable as the time goes by.
pub(crate) fn keep_to(timetable: &Timetable, limits: &Limits, console: &Console) {
    let set = {
        let limits = limits.clone();
        move |bandwidth: Bandwidth| {
            limits.set_download(bandwidth.download);
            limits.set_upload(bandwidth.upload);
        }
    };
    if let Some(bandwidth) = timetable.at_all_times() {
        set(bandwidth);
        return;
    }
    let zone = TimeZone::try_system().unwrap_or_else(|error| {
        console.warning(&format!(
            "the times of --bwlimit are taken for UTC, since the time zone of this machine is not \
             known: {error}"
        ));
        TimeZone::UTC
    });
    let now = move || zone.to_datetime(Timestamp::now());
    set(timetable.at(now()));
    tokio::spawn(keep(timetable.clone(), now, set));
}

/// Sets what counts whenever it is another one, until it is dropped.
///
/// The clock is looked at every minute, since it may be set, and have its summer
/// time, and the machine may sleep.
async fn keep(timetable: Timetable, now: impl Fn() -> DateTime, set: impl Fn(Bandwidth)) {
    let mut current = None;
    loop {
        let now = now();
        let bandwidth = timetable.at(now);
        if current.replace(bandwidth) != Some(bandwidth) {
            tracing::info!("by the timetable, the bandwidth is {bandwidth}");
            set(bandwidth);
        }
        let second = u64::from(now.second().unsigned_abs());
        tokio::time::sleep(Duration::from_secs(60 - second)).await;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use jiff::civil::date;
    use tokio::time::{Instant, timeout};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_timetable_changes_the_limit_within_a_second_of_its_time() {
        let timetable: Timetable = "23:59,1M 00:01,2M:off 00:02,2M:off".parse().unwrap();
        let begin = Instant::now();
        let now = || date(2026, 2, 28).at(23, 58, 30, 0) + begin.elapsed();
        let seen = RefCell::new(Vec::new());
        let set = |bandwidth: Bandwidth| {
            let at = begin.elapsed().as_secs();
            seen.borrow_mut().push((at, bandwidth.to_string()));
        };
        let kept = timeout(Duration::from_secs(300), keep(timetable, now, set));
        assert!(kept.await.is_err(), "it never ends");
        let expected = [(0, "2M:off"), (30, "1M"), (150, "2M:off")];
        assert_eq!(
            *seen.borrow(),
            expected.map(|(at, rate)| (at, rate.to_owned()))
        );
    }
}

//! Which snapshots are kept, and why.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The rules by which old snapshots are kept: any of them is enough. Days, weeks and months are
/// those of UTC, and only those count that have a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "callers make it of their options"
)]
pub struct Keep {
    /// The newest snapshots.
    pub last: usize,
    /// The newest snapshot of each of as many days.
    pub daily: usize,
    /// The same of weeks, which begin on Monday.
    pub weekly: usize,
    /// The same of months.
    pub monthly: usize,
}

/// The rules that keep a snapshot; without one, it is removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept(Vec<&'static str>);

impl Keep {
    /// Decides about whole snapshots, whose times are in order, the oldest first. The newest one is
    /// kept whatever the rules are.
    #[must_use]
    pub fn decide(&self, times: &[Timestamp]) -> Vec<Kept> {
        let mut kept: Vec<Kept> = vec![Kept::default(); times.len()];
        let rules: [(&str, usize, PeriodOf); 4] = [
            ("last", self.last.max(1), Period::Moment),
            ("daily", self.daily, |time| Period::Day(date(time))),
            ("weekly", self.weekly, |time| {
                let week = date(time).iso_week_date();
                Period::Week(week.year(), week.week())
            }),
            ("monthly", self.monthly, |time| {
                Period::Day(date(time).first_of_month())
            }),
        ];
        for (rule, periods, period_of) in rules {
            let (mut left, mut last) = (periods, None);
            for (time, kept) in times.iter().zip(&mut kept).rev() {
                let period = period_of(*time);
                if left > 0 && last != Some(period) {
                    kept.0.push(rule);
                    (left, last) = (left - 1, Some(period));
                }
            }
        }
        kept
    }
}

impl Kept {
    /// Returns the names of the rules that keep it.
    #[must_use]
    pub fn by(&self) -> &[&'static str] {
        &self.0
    }
}

/// The times of which one snapshot is enough for a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Period {
    Moment(Timestamp),
    /// A day, or the month that begins with it.
    Day(Date),
    Week(i16, i8),
}

type PeriodOf = fn(Timestamp) -> Period;

fn date(time: Timestamp) -> Date {
    TimeZone::UTC.to_datetime(time).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of those that are kept, the oldest first, with the rules that keep them.
    fn kept(keep: Keep, times: &[&str]) -> Vec<(usize, String)> {
        let times: Vec<Timestamp> = times
            .iter()
            .map(|time| format!("{time}:00Z").parse().unwrap())
            .collect();
        let decided = keep.decide(&times).into_iter().enumerate();
        let kept = decided.filter(|(_, kept)| !kept.by().is_empty());
        kept.map(|(at, kept)| (at, kept.by().join(" "))).collect()
    }

    fn keep(last: usize, daily: usize, weekly: usize, monthly: usize) -> Keep {
        Keep {
            last,
            daily,
            weekly,
            monthly,
        }
    }

    #[test]
    fn a_snapshot_is_kept_by_any_rule() {
        #[rustfmt::skip]
        let times = [
            "2026-09-30T23:59", // 0: a month
            "2026-10-01T00:00", // 1
            "2026-10-31T12:00", // 2: the last of its month
            "2026-11-01T12:00", // 3: Sunday
            "2026-11-02T12:00", // 4: Monday
            "2026-11-03T01:00", // 5
            "2026-11-03T12:00", // 6
        ];
        for (rules, expected) in [
            (keep(1, 0, 0, 0), vec![(6, "last")]),
            (
                keep(3, 0, 0, 0),
                vec![(4, "last"), (5, "last"), (6, "last")],
            ),
            (keep(0, 2, 0, 0), vec![(4, "daily"), (6, "last daily")]),
            (keep(0, 0, 2, 0), vec![(3, "weekly"), (6, "last weekly")]),
            (
                keep(0, 0, 0, 9),
                vec![(0, "monthly"), (2, "monthly"), (6, "last monthly")],
            ),
            (keep(0, 0, 0, 0), vec![(6, "last")]),
        ] {
            let expected: Vec<_> = expected
                .into_iter()
                .map(|(at, by)| (at, by.to_owned()))
                .collect();
            assert_eq!(kept(rules, &times), expected, "{rules:?}");
        }
        assert!(kept(keep(1, 1, 1, 1), &[]).is_empty());
    }

    #[test]
    fn days_and_weeks_without_a_snapshot_do_not_count() {
        let times = ["2025-12-28T12:00", "2026-01-01T12:00", "2026-06-01T12:00"];
        let all = |rules| kept(rules, &times).len();
        assert_eq!(all(keep(0, 3, 0, 0)), 3);
        assert_eq!(all(keep(0, 0, 2, 0)), 2);
        assert_eq!(all(keep(0, 0, 0, 3)), 3);
    }
}

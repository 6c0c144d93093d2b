//! Limits of rates, and their timetables.

use std::fmt;
use std::str::FromStr;

use glance_client::Rate;
use jiff::civil::{DateTime, Weekday};

const LOWEST_BANDWIDTH: f64 = 1024.0;
const UNITS: [(&str, f64); 4] = [
    ("B", 1.0),
    ("K", 1024.0),
    ("M", 1024.0 * 1024.0),
    ("G", 1024.0 * 1024.0 * 1024.0),
];
const DAYS: [(&str, Weekday); 7] = [
    ("Mon", Weekday::Monday),
    ("Tue", Weekday::Tuesday),
    ("Wed", Weekday::Wednesday),
    ("Thu", Weekday::Thursday),
    ("Fri", Weekday::Friday),
    ("Sat", Weekday::Saturday),
    ("Sun", Weekday::Sunday),
];
const MINUTES_A_DAY: i32 = 24 * 60;

/// The fault of a limit that was not understood, and what is right.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidLimit {
    #[error(
        "{0:?} is no rate: write off, or a number of at least 1K with K, M or G for KiB, MiB or \
         GiB a second, or B for bytes, as in 512K, 1.5G or 65536B"
    )]
    Rate(String),
    #[error("{0:?} is no entry of a timetable: write HH:MM,RATE or DAY-HH:MM,RATE")]
    Entry(String),
    #[error("{0:?} is no time: write HH:MM or DAY-HH:MM, where DAY is Mon, Tue, ... or Sun")]
    Time(String),
    #[error("write off, or a number of at least 0.001, as in 10 or 0.5")]
    Requests,
}

/// `--tpslimit`: requests a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RequestRate(pub(crate) Option<Rate>);

impl FromStr for RequestRate {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        if is_off(text) {
            return Ok(Self(None));
        }
        let rate = text.parse().ok().and_then(Rate::per_second);
        rate.map(|rate| Self(Some(rate)))
            .ok_or(InvalidLimit::Requests)
    }
}

/// The bytes that may move a second, in each direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bandwidth {
    pub(crate) download: Option<Rate>,
    pub(crate) upload: Option<Rate>,
}

/// `RATE`, for each of the two, or `DOWNLOAD:UPLOAD`.
impl FromStr for Bandwidth {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        let (download, upload) = text.split_once(':').unwrap_or((text, text));
        Ok(Self {
            download: rate(download)?,
            upload: rate(upload)?,
        })
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.download == self.upload {
            return f.write_str(&written(self.download));
        }
        let (download, upload) = (written(self.download), written(self.upload));
        write!(f, "{download}:{upload}")
    }
}

/// A plain number is refused: rclone and rsync take it for KiB, curl for bytes.
fn rate(text: &str) -> Result<Option<Rate>, InvalidLimit> {
    if is_off(text) {
        return Ok(None);
    }
    let bytes = bytes(text).filter(|bytes| *bytes >= LOWEST_BANDWIDTH);
    let rate = bytes.and_then(Rate::per_second);
    rate.map(Some)
        .ok_or_else(|| InvalidLimit::Rate(text.to_owned()))
}

/// Reads a number of bytes with its unit.
pub(super) fn bytes(text: &str) -> Option<f64> {
    let is_of_number = |c: char| c.is_ascii_digit() || c == '.';
    let unit = text.trim_start_matches(is_of_number);
    let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
    let (_, bytes) = UNITS
        .iter()
        .find(|(name, _)| unit.eq_ignore_ascii_case(name))?;
    Some(number * bytes)
}

fn is_off(text: &str) -> bool {
    text.eq_ignore_ascii_case("off") || text == "0"
}

fn written(rate: Option<Rate>) -> String {
    let Some(bytes) = rate.map(Rate::amount) else {
        return "off".to_owned();
    };
    let unit = UNITS.iter().rev().find(|(_, unit)| bytes >= *unit);
    let (name, unit) = unit.unwrap_or(&("B", 1.0));
    let hundredths = (bytes / unit * 100.0).round() / 100.0;
    format!("{hundredths}{name}")
}

/// `--bwlimit`: which bandwidth counts when. There is at least one entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Timetable(Vec<Entry>);

/// From when a bandwidth counts, until the next entry.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    /// Every day, if there is none.
    day: Option<Weekday>,
    minute_of_day: i32,
    bandwidth: Bandwidth,
}

impl FromStr for Timetable {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        if text.contains(',') {
            let entries = text.split_whitespace().map(str::parse);
            return entries.collect::<Result<_, _>>().map(Self);
        }
        Ok(Self(vec![Entry {
            day: None,
            minute_of_day: 0,
            bandwidth: text.trim().parse()?,
        }]))
    }
}

impl FromStr for Entry {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        let (begin, bandwidth) = text
            .split_once(',')
            .ok_or_else(|| InvalidLimit::Entry(text.to_owned()))?;
        let (day, minute_of_day) =
            time(begin).ok_or_else(|| InvalidLimit::Time(begin.to_owned()))?;
        Ok(Self {
            day,
            minute_of_day,
            bandwidth: bandwidth.parse()?,
        })
    }
}

/// Reads `[DAY-]HH:MM`.
fn time(text: &str) -> Option<(Option<Weekday>, i32)> {
    let (day, time) = match text.split_once('-') {
        Some((name, time)) => {
            let mut days = DAYS.iter();
            let (_, day) = days.find(|(day, _)| name.eq_ignore_ascii_case(day))?;
            (Some(*day), time)
        }
        None => (None, text),
    };
    let (hour, minute) = time.split_once(':')?;
    let number = |text: &str, end: i32| -> Option<i32> {
        let is_number = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_number)?;
        (number < end).then_some(number)
    };
    Some((day, number(hour, 24)? * 60 + number(minute, 60)?))
}

impl Timetable {
    /// The one bandwidth that counts always, if there is only one.
    pub(crate) fn at_all_times(&self) -> Option<Bandwidth> {
        match &*self.0 {
            [entry] => Some(entry.bandwidth),
            _ => None,
        }
    }

    /// The bandwidth that counts at a local time: that of the entry whose time was
    /// last; of two at the same time, the one written later.
    pub(crate) fn at(&self, now: DateTime) -> Bandwidth {
        let entries = self.0.iter().rev();
        let last = entries.min_by_key(|entry| entry.minutes_since(now));
        last.map_or(OFF, |entry| entry.bandwidth)
    }
}

const OFF: Bandwidth = Bandwidth {
    download: None,
    upload: None,
};

impl Entry {
    /// For how long it has counted, if no other entry came after it.
    fn minutes_since(&self, now: DateTime) -> i32 {
        let minute = i32::from(now.hour()) * 60 + i32::from(now.minute());
        let minutes = minute - self.minute_of_day;
        match self.day {
            None => minutes.rem_euclid(MINUTES_A_DAY),
            Some(day) => {
                let days = i32::from(now.weekday().since(day));
                (days * MINUTES_A_DAY + minutes).rem_euclid(7 * MINUTES_A_DAY)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const MIB: f64 = 1024.0 * 1024.0;

    fn bandwidth(download: f64, upload: f64) -> Bandwidth {
        Bandwidth {
            download: Rate::per_second(download),
            upload: Rate::per_second(upload),
        }
    }

    fn table(text: &str) -> Timetable {
        text.parse().unwrap()
    }

    #[test]
    fn a_rate_counts_for_both_directions_and_a_pair_for_one_each() {
        for (text, expected) in [
            ("off", OFF),
            ("OFF", OFF),
            ("0", OFF),
            ("0:off", OFF),
            ("10M", bandwidth(10.0 * MIB, 10.0 * MIB)),
            (" 10m ", bandwidth(10.0 * MIB, 10.0 * MIB)),
            ("512K", bandwidth(0.5 * MIB, 0.5 * MIB)),
            ("1.5G", bandwidth(1536.0 * MIB, 1536.0 * MIB)),
            (".5M", bandwidth(0.5 * MIB, 0.5 * MIB)),
            ("1024B:1K", bandwidth(1024.0, 1024.0)),
            ("10M:2M", bandwidth(10.0 * MIB, 2.0 * MIB)),
            ("off:2M", bandwidth(0.0, 2.0 * MIB)),
            ("10M:off", bandwidth(10.0 * MIB, 0.0)),
        ] {
            assert_eq!(table(text).at_all_times(), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_limit_is_named() {
        let rate = |text: &str| InvalidLimit::Rate(text.into());
        let entry = |text: &str| InvalidLimit::Entry(text.into());
        let time = |text: &str| InvalidLimit::Time(text.into());
        for (text, error) in [
            ("", rate("")),
            ("10", rate("10")),
            ("M", rate("M")),
            ("10X", rate("10X")),
            ("10MB", rate("10MB")),
            ("10 M", rate("10 M")),
            ("1.5.5M", rate("1.5.5M")),
            ("-1M", rate("-1M")),
            ("1e3M", rate("1e3M")),
            ("infK", rate("infK")),
            ("NaN", rate("NaN")),
            ("1023B", rate("1023B")),
            ("0M", rate("0M")),
            ("\u{661}M", rate("\u{661}M")),
            ("10M:", rate("")),
            ("1M:1M:1M", rate("1M:1M")),
            (",", time("")),
            ("08:00,", rate("")),
            ("08:00,1X", rate("1X")),
            ("08:00,1M 10M", entry("10M")),
            ("08:00,1M,09:00,1M", rate("1M,09")),
            ("8:00,1M", time("8:00")),
            ("+8:00,1M", time("+8:00")),
            ("24:00,1M", time("24:00")),
            ("08:60,1M", time("08:60")),
            ("0800,1M", time("0800")),
            ("Mo-08:00,1M", time("Mo-08:00")),
            ("-08:00,1M", time("-08:00")),
            ("Mon-,1M", time("Mon-")),
        ] {
            assert_eq!(text.parse::<Timetable>(), Err(error), "{text:?}");
        }
    }

    #[test]
    fn requests_are_any_number_above_nought_or_off() {
        let parsed = |text: &str| text.parse().map(|RequestRate(rate)| rate);
        for (text, expected) in [("10", 10.0), ("0.5", 0.5), ("0", 0.0), ("off", 0.0)] {
            assert_eq!(parsed(text), Ok(Rate::per_second(expected)), "{text:?}");
        }
        for text in ["", "-1", "x", "nan", "inf", "0.0001", "10/s"] {
            assert_eq!(parsed(text), Err(InvalidLimit::Requests), "{text:?}");
        }
    }

    #[test]
    fn the_entry_whose_time_was_last_counts() {
        // 2026-06-01 is a Monday.
        let at = |table: &Timetable, day, hour, minute| {
            let now = date(2026, 6, day).at(hour, minute, 59, 0);
            table.at(now).to_string()
        };
        let daily = table("08:00,20M 12:30,5M:off 19:00,off");
        for (hour, minute, expected) in [
            (7, 59, "off"),
            (8, 0, "20M"),
            (12, 29, "20M"),
            (12, 30, "5M:off"),
            (18, 59, "5M:off"),
            (19, 0, "off"),
            (0, 0, "off"),
        ] {
            for day in 1..8 {
                assert_eq!(at(&daily, day, hour, minute), expected, "{hour}:{minute}");
            }
        }
        // Written in any order, and with other entries for some days.
        let weekly = table("Sat-00:00,off 19:00,100M mon-08:00,10M 08:00,20M Mon-08:00,15M");
        for (day, hour, minute, expected) in [
            (1, 0, 0, "100M"),
            (1, 8, 0, "15M"),
            (1, 19, 0, "100M"),
            (2, 8, 0, "20M"),
            (5, 23, 59, "100M"),
            (6, 0, 0, "off"),
            (6, 8, 0, "20M"),
        ] {
            assert_eq!(
                at(&weekly, day, hour, minute),
                expected,
                "{day} {hour}:{minute}"
            );
        }
        let weekend = table("Fri-20:00,off Mon-06:00,512K");
        for (day, hour, expected) in [
            (1, 5, "off"),
            (1, 6, "512K"),
            (5, 19, "512K"),
            (7, 0, "off"),
        ] {
            assert_eq!(at(&weekend, day, hour, 0), expected, "{day} {hour}");
        }
    }
}

//! The options that end a run before all is done.

use std::time::Duration;

use jiff::SignedDuration;
use replicator_core::RunOptions;

use super::heading;
use super::timetable::bytes;

/// The limits of a run as a whole.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct RunLimitArgs {
    /// Time after which no image is begun, as 6h
    ///
    /// It is counted from the start of the program: 90m, 1h30m, 45s. The images that are
    /// under way are ended; if others are left, the exit code is 8, and the next run goes
    /// on with them.
    #[arg(long, value_name = "TIME", value_parser = duration, hide_short_help = true)]
    max_duration: Option<Duration>,

    /// Image data after which no image is begun, as 500G
    ///
    /// A number with K, M or G for KiB, MiB or GiB, or B for bytes. An image counts with
    /// its size at each target that it is sent to, once it is begun, so that the last one
    /// may go beyond it. If images are left, the exit code is 8, and the next run goes on
    /// with them.
    #[arg(long, value_name = "SIZE", value_parser = amount, hide_short_help = true)]
    max_transfer: Option<u64>,
}

impl RunLimitArgs {
    pub(crate) fn set(&self, options: &mut RunOptions) {
        options.max_duration = self.max_duration;
        options.max_transfer = self.max_transfer;
    }
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    let span: Option<SignedDuration> = text.parse().ok();
    let span = span.and_then(|span| Duration::try_from(span).ok());
    span.ok_or("write a number with h, m or s, as in 6h, 90m or 1h30m")
}

fn amount(text: &str) -> Result<u64, &'static str> {
    let amount = bytes(text).map(|bytes| bytes as u64);
    amount.ok_or("write a number with K, M or G for KiB, MiB or GiB, or B for bytes, as in 500G")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_units() {
        for (text, seconds) in [
            ("6h", Some(21_600)),
            ("1h30m", Some(5_400)),
            ("45s", Some(45)),
            ("0s", Some(0)),
            ("90", None),
            ("-6h", None),
            ("soon", None),
        ] {
            let read = duration(text).ok().map(|duration| duration.as_secs());
            assert_eq!(read, seconds, "{text}");
        }
        for (text, bytes) in [
            ("500G", Some(500 << 30)),
            ("1.5k", Some(1536)),
            ("0B", Some(0)),
            ("500", None),
            ("G", None),
        ] {
            assert_eq!(amount(text).ok(), bytes, "{text}");
        }
    }
}

//! The options of snapshots.

use clap::builder::BoolishValueParser;
use replicator_fs::Keep;

use super::heading;

/// The options by which a dump makes a snapshot, and removes old ones.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct SnapshotArgs {
    /// Dump into a dated directory below it; see --keep-daily
    ///
    /// It is called as 2026-11-27T120000Z, in UTC, and shares what has not changed with
    /// the snapshot before it, by hard links. Until the run has ended well, its name begins with a
    /// dot; the next run goes on with it. Each snapshot is an archive, for load, verify
    /// and all else.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) snapshot: bool,

    /// Keep the newest N snapshots
    ///
    /// With any of --keep-last, --keep-daily, --keep-weekly and --keep-monthly, whole
    /// snapshots that none of them keeps are removed, once the new one is whole. --dry-run
    /// says which ones these would be.
    #[arg(long, value_name = "N", hide_short_help = true)]
    keep_last: Option<usize>,

    /// Keep the newest snapshot of N days that have one
    ///
    /// Days are those of UTC. See --keep-last.
    #[arg(long, value_name = "N", hide_short_help = true)]
    keep_daily: Option<usize>,

    /// Keep the newest snapshot of N weeks that have one
    ///
    /// Weeks begin on Monday. See --keep-last.
    #[arg(long, value_name = "N", hide_short_help = true)]
    keep_weekly: Option<usize>,

    /// Keep the newest snapshot of N months that have one
    ///
    /// See --keep-last.
    #[arg(long, value_name = "N", hide_short_help = true)]
    keep_monthly: Option<usize>,
}

impl SnapshotArgs {
    /// Returns what is kept of old snapshots; without any rule, all of them are.
    pub(crate) fn keep(&self) -> Option<Keep> {
        let rules = [
            self.keep_last,
            self.keep_daily,
            self.keep_weekly,
            self.keep_monthly,
        ];
        let [last, daily, weekly, monthly] = rules.map(Option::unwrap_or_default);
        rules.iter().any(Option::is_some).then_some(Keep {
            last,
            daily,
            weekly,
            monthly,
        })
    }
}

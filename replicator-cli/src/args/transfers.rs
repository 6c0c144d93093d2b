//! The options by which image data is moved and proven.

use std::error::Error;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::BoolishValueParser;
use replicator_core::{FormatCheck, OnIdConflict, Verify};

use super::heading;
use super::images::{IdMapArgs, MetaOnly, OmitArgs};
use super::mirror::{DeleteArgs, MirrorArgs, YesArgs};
use super::output::ReportArgs;
use super::owners::OwnerArgs;
use super::run_limits::RunLimitArgs;
use super::servers::{SourceArgs, TargetArgs};
use super::state::StateArgs;
use super::stores::StoreArgs;
use super::timetable::Timetable;
use super::words::{format_check, on_id_conflict, verify};

/// No server and no disk is faster with more images at a time.
const MOST_AT_A_TIME: usize = 1000;

/// The most connections over which one image is read: each has its buffer.
const MOST_STREAMS: usize = 16;

/// The options that limit how much data moves at a time.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct TransferArgs {
    /// Images whose data is moved at a time
    ///
    /// At most 1000, and no more than the system's limit on open files allows. Images below 1 MiB go
    /// beside them (unless the target has v1 alone): 8 at a time, and up to 64 while that brings more
    /// of them a second. With 1, it is one image at a time, of any size, and their records are made in
    /// the order in which the source has created them.
    #[arg(long, value_name = "N", default_value = "4", value_parser = at_a_time)]
    pub(crate) transfers: NonZeroUsize,

    #[command(flatten)]
    bandwidth: BandwidthArgs,
}

impl TransferArgs {
    pub(crate) fn bwlimit(&self) -> &Timetable {
        &self.bandwidth.bwlimit
    }
}

/// The option that divides the reading of an image.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct StreamArgs {
    /// Connections over which a large image is read at once
    ///
    /// For long lines, on which one connection is slow. An image of 16 MiB or more is read in parts
    /// then, which takes up to 32 MiB of memory; a source that gives no parts is read over one
    /// connection, with a warning. At most 16.
    #[arg(long, value_name = "N", default_value = "1", value_parser = streams)]
    #[arg(hide_short_help = true)]
    pub(crate) streams: NonZeroUsize,
}

/// The option that limits how many bytes move a second.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct BandwidthArgs {
    /// Bytes of image data a second, as 20M
    ///
    /// A RATE is a number with K, M or G for KiB, MiB or GiB, or B for bytes, as in
    /// 512K or 1.5G, or it is off. All transfers to and from servers share it. One
    /// RATE counts for each of the two directions; 20M:5M is a download of 20M and an
    /// upload of 5M (rclone has them the other way round), and either may be off. A
    /// timetable of local times has a RATE for each, which counts until the next one:
    /// `08:00,20M 19:00,off`, or with days `Mon-08:00,20M:5M Fri-19:00,off`.
    #[arg(long, value_name = "RATE[:RATE]", default_value = "off")]
    pub(crate) bwlimit: Timetable,
}

/// The options of copies, wherever they go.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct CopyArgs {
    /// Print what would be done, and change nothing
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) what: WhatArgs,

    #[command(flatten)]
    pub(crate) delete: DeleteArgs,

    #[command(flatten)]
    pub(crate) yes: YesArgs,

    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

/// The options that say what a copy is like.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct WhatArgs {
    #[command(flatten)]
    pub(crate) metaonly: MetaOnly,

    #[command(flatten)]
    pub(crate) omit: OmitArgs,

    #[command(flatten)]
    pub(crate) state: StateArgs,

    #[command(flatten)]
    pub(crate) mirror: MirrorArgs,

    /// Proof of a copy: full, target, read-back or none
    #[arg(long, value_name = "HOW", default_value = "full")]
    #[arg(value_parser = verify(), hide_possible_values = true)]
    pub(crate) verify: Verify,
}

/// The options that say how planned work is done.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct WorkArgs {
    #[command(flatten)]
    pub(crate) report: ReportArgs,

    #[command(flatten)]
    pub(crate) transfers: TransferArgs,

    #[command(flatten)]
    pub(crate) limits: RunLimitArgs,

    /// Images whose metadata alone is written at a time
    #[arg(long, value_name = "N", default_value = "8", value_parser = at_a_time)]
    #[arg(hide_short_help = true)]
    pub(crate) checkers: NonZeroUsize,
}

/// The options of uploads, whichever image is sent.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) way: WayArgs,

    #[command(flatten)]
    pub(crate) data: DataArgs,
}

/// The options of the way that data takes.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct WayArgs {
    /// Seconds that the answer to an upload may take
    ///
    /// Some servers move the data to its place only then. An image whose answer never
    /// comes is looked at again, and not sent again by the same run.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "600",
        hide_short_help = true
    )]
    answer_timeout: NonZeroU64,

    /// Directory to prove images in before a server with v1 gets them
    ///
    /// There, an upload that breaks off, or turns out wrong at its end, uses up the
    /// image's id. The directory needs room for as many images as are written at a
    /// time: they are in a directory below it, and gone after a run that went well.
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub(crate) stage: Option<PathBuf>,
}

/// The options that say where data goes, and which data.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct DataArgs {
    #[command(flatten)]
    pub(crate) stores: StoreArgs,

    /// Inspection of data before it is sent: auto, off
    ///
    /// Glance refuses data that does not match the image's disk_format or looks
    /// unsafe, but only when it has it, and its record is spoiled then.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    #[arg(value_parser = format_check(), hide_possible_values = true)]
    #[arg(hide_short_help = true)]
    pub(crate) format_check: FormatCheck,
}

impl WayArgs {
    pub(crate) fn answer_timeout(&self) -> Duration {
        Duration::from_secs(self.answer_timeout.get())
    }
}

/// The options of copies to a server.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct UploadArgs {
    #[command(flatten)]
    pub(crate) ids: IdArgs,

    #[command(flatten)]
    pub(crate) send: SendArgs,
}

/// The options that say which image of a server is which, and whose.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct IdArgs {
    /// If an id is used up there: fail, skip or new-id
    ///
    /// Glance never gives an id back: one that was deleted, whose upload through v1
    /// broke off, or whose server died during an upload, is used up.
    #[arg(long, value_name = "WHAT", default_value = "fail")]
    #[arg(value_parser = on_id_conflict(), hide_possible_values = true)]
    pub(crate) on_id_conflict: OnIdConflict,

    #[command(flatten)]
    pub(crate) id_map: IdMapArgs,

    #[command(flatten)]
    pub(crate) owners: OwnerArgs,
}

/// The options that decide what is planned: a plan that is written down has them in it.
#[derive(clap::Args, Debug)]
pub(crate) struct PlanningArgs {
    #[command(flatten)]
    pub(crate) what: WhatArgs,

    #[command(flatten)]
    pub(crate) delete: DeleteArgs,

    #[command(flatten)]
    pub(crate) ids: IdArgs,

    #[command(flatten)]
    pub(crate) data: DataArgs,

    #[command(flatten)]
    pub(crate) source: SourceArgs,

    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

fn streams(text: &str) -> Result<NonZeroUsize, Box<dyn Error + Send + Sync>> {
    let number: NonZeroUsize = text.parse()?;
    match number.get() {
        ..=MOST_STREAMS => Ok(number),
        _ => Err(format!("no more than {MOST_STREAMS} connections read one image").into()),
    }
}

fn at_a_time(text: &str) -> Result<NonZeroUsize, Box<dyn Error + Send + Sync>> {
    let number: NonZeroUsize = text.parse()?;
    match number.get() {
        ..=MOST_AT_A_TIME => Ok(number),
        _ => Err(format!("no more than {MOST_AT_A_TIME} images are worked on at a time").into()),
    }
}

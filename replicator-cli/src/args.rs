//! The options of the command line, in groups. A command flattens those that it uses into its
//! arguments, which stand in its own file.

mod columns;
mod complete;
pub(crate) mod config_file;
mod grammar;
mod help;
mod images;
mod man;
mod mirror;
mod new_image;
mod output;
mod owners;
mod run_limits;
mod selection;
mod servers;
mod snapshots;
mod state;
mod stores;
mod timetable;
mod topics;
mod transfers;
mod worded;
mod words;

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::ArgAction;
use clap::builder::BoolishValueParser;

pub(crate) use self::complete::{KnownCloud, candidates};
pub(crate) use self::images::{AllowEmpty, IdMapArgs, MetaOnly, OmitArgs};
pub(crate) use self::man::pages;
pub(crate) use self::mirror::{DeleteArgs, MirrorArgs};
pub(crate) use self::new_image::NewImageArgs;
pub(crate) use self::output::{Format, MetricsArgs, OutputArgs, ReportArgs};
pub(crate) use self::owners::OwnerArgs;
pub(crate) use self::run_limits::RunLimitArgs;
pub(crate) use self::selection::SelectionArgs;
pub(crate) use self::servers::{
    Given, OneEndArgs, OsCloudArgs, ServerArgs, SideArgs, SourceArgs, TargetArgs,
};
pub(crate) use self::snapshots::SnapshotArgs;
pub(crate) use self::state::StateArgs;
pub(crate) use self::stores::{CopyTo, StoreArgs};
pub(crate) use self::timetable::{Bandwidth, RequestRate, Timetable};
pub(crate) use self::transfers::{
    BandwidthArgs, CopyArgs, DataArgs, IdArgs, PlanningArgs, SendArgs, StreamArgs, TransferArgs,
    UploadArgs, WayArgs, WhatArgs, WorkArgs,
};
pub(crate) use self::worded::Worded;
pub(crate) use self::words::{LogFormat, MissingProject, OwnerPolicy, ProgressMode, verify};

/// The headings under which the help of a command shows its options, in this order.
pub(crate) mod heading {
    pub(crate) const WHICH: &str = "Which images";
    pub(crate) const IMAGE: &str = "The image";
    pub(crate) const HOW: &str = "How";
    pub(crate) const CONNECTION: &str = "Connection";
    pub(crate) const OUTPUT: &str = "Output";
    pub(crate) const COMPATIBILITY: &str = "Compatibility with the Python tool";
}

/// The options of every command.
#[derive(clap::Args, Debug)]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    pub(crate) servers: ServerArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) log: LogArgs,

    /// Size of a chunk in bytes: accepted, without effect
    ///
    /// Image data is streamed in pieces that suit the connection.
    #[arg(
        short,
        long,
        global = true,
        value_name = "BYTES",
        default_value = "65536"
    )]
    #[arg(help_heading = heading::COMPATIBILITY, hide_default_value = true)]
    chunksize: NonZeroU64,
}

/// What is shown, where the log goes, and how much is logged.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::OUTPUT)]
pub(crate) struct LogArgs {
    /// Print nothing on stderr, unless something fails
    ///
    /// Then all problems are printed at the end, with the summary. The log is as without.
    #[arg(short, long, global = true, value_parser = BoolishValueParser::new())]
    pub(crate) quiet: bool,

    /// Progress on stderr: auto, bar, line or none
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    #[arg(hide_possible_values = true)]
    pub(crate) progress: ProgressMode,

    /// File that the log is appended to
    #[arg(short, long, global = true, value_name = "FILE")]
    #[arg(visible_alias = "log-file")]
    pub(crate) logfile: Option<PathBuf>,

    /// Directory of the log, whose file is glance-replicator.log
    ///
    /// A relative --logfile is put into the directory instead.
    #[arg(long, global = true, value_name = "DIR", hide_short_help = true)]
    pub(crate) log_dir: Option<PathBuf>,

    /// Send the log to syslog
    #[arg(short, long, global = true, visible_alias = "use-syslog")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(crate) syslog: bool,

    /// Form of lines on stderr and of the log: text, plain or json
    ///
    /// With text, lines on stderr carry the time where it is no terminal; plain is the same
    /// without. With json, each line is an object with time, level and message.
    #[arg(long, global = true, value_name = "FORM", default_value = "text")]
    #[arg(hide_possible_values = true, hide_short_help = true)]
    pub(crate) log_format: LogFormat,

    /// Log each request and more
    #[arg(short, long, global = true, value_parser = BoolishValueParser::new())]
    pub(crate) debug: bool,

    /// Log each step of the run
    #[arg(short, long, global = true, value_parser = BoolishValueParser::new())]
    pub(crate) verbose: bool,

    /// File with options, in its section [DEFAULT]
    ///
    /// It is an INI file. It holds lines of the form `option = value`; a key that is no option of this
    /// program is ignored, with a warning. May be given more than once: of two files
    /// that set the same option, the later one counts.
    #[arg(long, global = true, value_name = "FILE", action = ArgAction::Append)]
    #[arg(env = "GLANCE_REPLICATOR_CONFIG_FILE", hide_env = true)]
    config_file: Vec<PathBuf>,

    /// Print this page; `help --OPTION` has more on an option
    #[arg(short, long, global = true, action = ArgAction::HelpShort)]
    help: Option<bool>,
}

//! The options of the command line, in groups. A command flattens those that it uses into its
//! arguments, which stand in its own file.

pub(crate) mod config_file;
mod grammar;
mod images;
mod servers;
mod timetable;
mod transfers;
mod words;

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::builder::BoolishValueParser;

pub(crate) use self::images::{AllowEmpty, IdMapArgs, MetaOnly, OmitArgs};
pub(crate) use self::servers::{ServerArgs, SideArgs, SourceArgs, TargetArgs};
pub(crate) use self::timetable::{Bandwidth, RequestRate, Timetable};
pub(crate) use self::transfers::{CopyArgs, TransferArgs, UploadArgs};
pub(crate) use self::words::ProgressMode;

/// The options of every command.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    pub(crate) servers: ServerArgs,
    /// How progress is shown on stderr
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: ProgressMode,
    #[command(flatten)]
    pub(crate) log: LogArgs,

    /// Size of a chunk of data in bytes: accepted, without effect
    ///
    /// An option of the Python tool. Image data is streamed in pieces that suit the
    /// connection.
    #[arg(
        short,
        long,
        global = true,
        value_name = "BYTES",
        default_value = "65536"
    )]
    chunksize: NonZeroU64,

    /// File with options: the section DEFAULT of an INI file
    ///
    /// It holds lines of the form `option = value`; a key that is no option of this
    /// program is ignored, with a warning. May be given more than once: of two files
    /// that set the same option, the later one counts.
    #[arg(long, global = true, value_name = "FILE", action = clap::ArgAction::Append)]
    #[arg(env = "GLANCE_REPLICATOR_CONFIG_FILE", hide_env = true)]
    config_file: Vec<PathBuf>,
}

/// Where the log goes, and how much is logged.
#[derive(clap::Args, Debug)]
pub(crate) struct LogArgs {
    /// File that the log is appended to
    #[arg(short, long, global = true, value_name = "FILE")]
    #[arg(visible_alias = "log-file")]
    pub(crate) logfile: Option<PathBuf>,

    /// Directory of the log, whose file is glance-replicator.log
    ///
    /// A relative --logfile is put into the directory instead.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) log_dir: Option<PathBuf>,

    /// Send the log to syslog
    #[arg(short, long, global = true, visible_alias = "use-syslog")]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(crate) syslog: bool,

    /// Log each request and more
    #[arg(short, long, global = true, value_parser = BoolishValueParser::new())]
    pub(crate) debug: bool,

    /// Log each step of the run
    #[arg(short, long, global = true, value_parser = BoolishValueParser::new())]
    pub(crate) verbose: bool,
}

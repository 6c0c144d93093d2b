//! The command line.

pub(crate) mod config_file;
mod timetable;
mod values;

use std::ffi::OsString;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::builder::BoolishValueParser;
use clap::{Parser, Subcommand};
use glance_model::{DoNotReplicate, FilterError};

pub(crate) use self::timetable::{Bandwidth, RequestRate, Timetable};
pub(crate) use self::values::{Api, FormatCheck, IdConflict, ProgressMode, Verify};
use crate::exit_code;

/// Replicate, back up and migrate OpenStack images
///
/// Copies images between Glance servers, and between a Glance server and a
/// directory, and proves every copy. Image ids are kept. What was interrupted is
/// gone on with by running the same command again.
///
/// A SERVER is written HOST:PORT, as a URL with http or https, as cloud:NAME or
/// cloud:NAME/REGION for a cloud of clouds.yaml, as env: for the cloud that the
/// OS_* variables describe, or as dir:PATH for a directory that was dumped to.
#[derive(Debug, Parser)]
#[command(
    name = "glance-replicator",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    args_override_self = true,
    subcommand_value_name = "COMMAND",
    max_term_width = 100,
    after_long_help = format!(
        "Every option can also be set as GLANCE_REPLICATOR_<OPTION>, and in a file given as \
         --config-file. The command line comes before the environment, and that before the \
         file.\n\n{}",
        exit_code::help()
    )
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes, before or after its name.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Options {
    /// Accept a number of bytes, which has no effect any more
    ///
    /// Image data is streamed in pieces that suit the connection.
    #[arg(
        short,
        long,
        global = true,
        value_name = "BYTES",
        default_value = "65536"
    )]
    #[arg(env = "GLANCE_REPLICATOR_CHUNKSIZE", hide_env = true)]
    pub(crate) chunksize: NonZeroU64,

    /// Leave out these fields of a record, separated by blanks or commas
    ///
    /// They are neither compared nor sent. Additional properties are one field,
    /// `properties`: see --drop-property.
    #[arg(short = 'D', long, global = true, value_name = "NAMES")]
    #[arg(default_value = "created_at date deleted_at location updated_at")]
    #[arg(env = "GLANCE_REPLICATOR_DONTREPLICATE", hide_env = true)]
    pub(crate) dontreplicate: String,

    /// Leave out additional properties whose names match this pattern
    ///
    /// For properties that the target refuses. `*`, `?`, `[a-z]` and `{a,b}` have
    /// their usual meaning. May be given more than once.
    #[arg(long, global = true, value_name = "PATTERN", action = clap::ArgAction::Append)]
    #[arg(env = "GLANCE_REPLICATOR_DROP_PROPERTY", hide_env = true)]
    pub(crate) drop_property: Vec<String>,

    /// Replicate metadata only, never image data
    #[arg(short, long, global = true, value_parser = BoolishValueParser::new())]
    #[arg(env = "GLANCE_REPLICATOR_METAONLY", hide_env = true)]
    pub(crate) metaonly: bool,

    /// Authenticate with this token where a side has none of its own
    ///
    /// Better set in the environment or in a file: every user of the machine can
    /// read the command line.
    #[arg(short, long, global = true, hide_default_value = true)]
    #[arg(env = "GLANCE_REPLICATOR_TOKEN", hide_env = true)]
    pub(crate) token: Option<String>,

    /// Authenticate at the source with this token
    #[arg(
        short = 'M',
        long,
        global = true,
        value_name = "TOKEN",
        hide_default_value = true
    )]
    #[arg(visible_alias = "mastertoken")]
    #[arg(env = "GLANCE_REPLICATOR_SOURCETOKEN", hide_env = true)]
    pub(crate) sourcetoken: Option<String>,

    /// Authenticate at the target with this token
    #[arg(
        short = 'S',
        long,
        global = true,
        value_name = "TOKEN",
        hide_default_value = true
    )]
    #[arg(visible_alias = "slavetoken")]
    #[arg(env = "GLANCE_REPLICATOR_TARGETTOKEN", hide_env = true)]
    pub(crate) targettoken: Option<String>,

    /// Speak this version of the Image API with the source
    #[arg(long, global = true, value_name = "VERSION", default_value = "auto")]
    #[arg(env = "GLANCE_REPLICATOR_SOURCE_API", hide_env = true)]
    pub(crate) source_api: Api,

    /// Speak this version of the Image API with the target
    #[arg(long, global = true, value_name = "VERSION", default_value = "auto")]
    #[arg(env = "GLANCE_REPLICATOR_TARGET_API", hide_env = true)]
    pub(crate) target_api: Api,

    /// Trust the certificates in this PEM file, and no others
    ///
    /// Without it, those of the system are trusted, or what the cloud's entry or
    /// OS_CACERT says.
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(env = "GLANCE_REPLICATOR_CACERT", hide_env = true)]
    pub(crate) cacert: Option<PathBuf>,

    /// Do not verify certificates: anybody on the way can read and change all
    #[arg(long, global = true, value_parser = BoolishValueParser::new())]
    #[arg(env = "GLANCE_REPLICATOR_INSECURE", hide_env = true)]
    pub(crate) insecure: bool,

    /// Take the image service of the source from this region of its cloud
    #[arg(long, global = true, value_name = "REGION")]
    #[arg(env = "GLANCE_REPLICATOR_SOURCE_REGION", hide_env = true)]
    pub(crate) source_region: Option<String>,

    /// Take this interface of the source's image service: public, internal, admin
    #[arg(long, global = true, value_name = "INTERFACE")]
    #[arg(env = "GLANCE_REPLICATOR_SOURCE_INTERFACE", hide_env = true)]
    pub(crate) source_interface: Option<String>,

    /// Trust the certificates in this PEM file at the source, and no others
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(env = "GLANCE_REPLICATOR_SOURCE_CACERT", hide_env = true)]
    pub(crate) source_cacert: Option<PathBuf>,

    /// Do not verify the certificate of the source
    #[arg(long, global = true, value_parser = BoolishValueParser::new())]
    #[arg(env = "GLANCE_REPLICATOR_SOURCE_INSECURE", hide_env = true)]
    pub(crate) source_insecure: bool,

    /// Take the image service of the target from this region of its cloud
    #[arg(long, global = true, value_name = "REGION")]
    #[arg(env = "GLANCE_REPLICATOR_TARGET_REGION", hide_env = true)]
    pub(crate) target_region: Option<String>,

    /// Take this interface of the target's image service: public, internal, admin
    #[arg(long, global = true, value_name = "INTERFACE")]
    #[arg(env = "GLANCE_REPLICATOR_TARGET_INTERFACE", hide_env = true)]
    pub(crate) target_interface: Option<String>,

    /// Trust the certificates in this PEM file at the target, and no others
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(env = "GLANCE_REPLICATOR_TARGET_CACERT", hide_env = true)]
    pub(crate) target_cacert: Option<PathBuf>,

    /// Do not verify the certificate of the target
    #[arg(long, global = true, value_parser = BoolishValueParser::new())]
    #[arg(env = "GLANCE_REPLICATOR_TARGET_INSECURE", hide_env = true)]
    pub(crate) target_insecure: bool,

    /// Copy the data of N images at a time
    ///
    /// At most 1000, and no more than the system's limit on open files allows.
    #[arg(long, global = true, value_name = "N", default_value = "4", value_parser = at_a_time)]
    #[arg(env = "GLANCE_REPLICATOR_TRANSFERS", hide_env = true)]
    pub(crate) transfers: NonZeroUsize,

    /// Write the metadata of N images at a time that need nothing else
    #[arg(long, global = true, value_name = "N", default_value = "8", value_parser = at_a_time)]
    #[arg(env = "GLANCE_REPLICATOR_CHECKERS", hide_env = true)]
    pub(crate) checkers: NonZeroUsize,

    /// Read and send no more image data a second than this
    ///
    /// A RATE is a number with K, M or G for KiB, MiB or GiB, or B for bytes, as in
    /// 512K or 1.5G, or it is off. All transfers to and from servers share it. One
    /// RATE counts for each of the two directions; 20M:5M is a download of 20M and an
    /// upload of 5M (rclone has them the other way round), and either may be off. A
    /// timetable of local times has a RATE for each, which counts until the next one:
    /// `08:00,20M 19:00,off`, or with days `Mon-08:00,20M:5M Fri-19:00,off`.
    #[arg(long, global = true, value_name = "RATE[:RATE]", default_value = "off")]
    #[arg(env = "GLANCE_REPLICATOR_BWLIMIT", hide_env = true)]
    pub(crate) bwlimit: Timetable,

    /// Send no more requests a second than this
    ///
    /// All Glance servers and transfers share it; Keystone has no part in it. N may be
    /// a decimal number, such as 0.5, or off.
    #[arg(long, global = true, value_name = "N", default_value = "off")]
    #[arg(env = "GLANCE_REPLICATOR_TPSLIMIT", hide_env = true)]
    pub(crate) tpslimit: RequestRate,

    /// Try so many times more what failed and may go away by itself
    #[arg(long, global = true, value_name = "N", default_value = "5")]
    #[arg(env = "GLANCE_REPLICATOR_RETRIES", hide_env = true)]
    pub(crate) retries: u32,

    /// Try nothing again once the run has lasted so long
    ///
    /// This holds for transfers, listings, sign-ins and what servers ask for: a wait
    /// that would end later does not begin.
    #[arg(long, global = true, value_name = "SECONDS")]
    #[arg(env = "GLANCE_REPLICATOR_RETRY_MAX_TIME", hide_env = true)]
    pub(crate) retry_max_time: Option<u64>,

    /// Give up on a connection on which nothing has moved for so long
    ///
    /// This is also how long the answer to a request without image data may take.
    #[arg(long, global = true, value_name = "SECONDS", default_value = "60")]
    #[arg(env = "GLANCE_REPLICATOR_STALL_TIMEOUT", hide_env = true)]
    pub(crate) stall_timeout: NonZeroU64,

    /// Give up on an upload that is not answered so long after all of it was sent
    ///
    /// Some servers only then move the data to its place. An image whose answer never
    /// comes is looked at again, and not sent again by the same run.
    #[arg(long, global = true, value_name = "SECONDS", default_value = "600")]
    #[arg(env = "GLANCE_REPLICATOR_ANSWER_TIMEOUT", hide_env = true)]
    pub(crate) answer_timeout: NonZeroU64,

    /// Do this much to know that a copy is right
    #[arg(long, global = true, value_name = "HOW", default_value = "full")]
    #[arg(env = "GLANCE_REPLICATOR_VERIFY", hide_env = true)]
    pub(crate) verify: Verify,

    /// Prove each image in this directory before it is sent to a server with v1 alone
    ///
    /// There an upload that breaks off, or turns out wrong at its end, uses up the
    /// image's id. The directory needs room for as many images as are written at a
    /// time: they are in a directory below it, and gone after a run that went well.
    #[arg(long, global = true, value_name = "DIR")]
    #[arg(env = "GLANCE_REPLICATOR_STAGE", hide_env = true)]
    pub(crate) stage: Option<PathBuf>,

    /// Do this with an image whose id cannot be used at the target
    ///
    /// Glance never gives an id back: one that was deleted, whose upload through v1
    /// broke off, or whose server died during an upload, is used up.
    #[arg(long, global = true, value_name = "WHAT", default_value = "fail")]
    #[arg(env = "GLANCE_REPLICATOR_ON_ID_CONFLICT", hide_env = true)]
    pub(crate) on_id_conflict: IdConflict,

    /// Keep in this file which images go by another id at which target
    ///
    /// `--on-id-conflict new-id` writes it. Give it to every later run, and to
    /// compare and verify, which find the copies by it.
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(env = "GLANCE_REPLICATOR_ID_MAP", hide_env = true)]
    pub(crate) id_map: Option<PathBuf>,

    /// Look at the beginning of image data before it is sent
    ///
    /// Glance refuses data that does not match the image's disk_format or looks
    /// unsafe, but only when it has it, and its record is spoiled then.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    #[arg(env = "GLANCE_REPLICATOR_FORMAT_CHECK", hide_env = true)]
    pub(crate) format_check: FormatCheck,

    /// Show progress on stderr
    #[arg(long, global = true, value_name = "HOW", default_value = "auto")]
    #[arg(env = "GLANCE_REPLICATOR_PROGRESS", hide_env = true)]
    pub(crate) progress: ProgressMode,

    /// Append the log to this file
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        visible_alias = "log-file"
    )]
    #[arg(env = "GLANCE_REPLICATOR_LOGFILE", hide_env = true)]
    pub(crate) logfile: Option<PathBuf>,

    /// Append the log to glance-replicator.log in this directory
    ///
    /// A relative --logfile is put into the directory instead.
    #[arg(long, global = true, value_name = "DIR")]
    #[arg(env = "GLANCE_REPLICATOR_LOG_DIR", hide_env = true)]
    pub(crate) log_dir: Option<PathBuf>,

    /// Send the log to syslog
    #[arg(short, long, global = true, visible_alias = "use-syslog")]
    #[arg(env = "GLANCE_REPLICATOR_SYSLOG", hide_env = true)]
    #[arg(value_parser = BoolishValueParser::new())]
    pub(crate) syslog: bool,

    /// Log each request and more
    #[arg(short, long, global = true, value_parser = BoolishValueParser::new())]
    #[arg(env = "GLANCE_REPLICATOR_DEBUG", hide_env = true)]
    pub(crate) debug: bool,

    /// Log what is done
    #[arg(short, long, global = true, value_parser = BoolishValueParser::new())]
    #[arg(env = "GLANCE_REPLICATOR_VERBOSE", hide_env = true)]
    pub(crate) verbose: bool,

    /// Read options from the DEFAULT section of this INI file
    ///
    /// It holds lines of the form `option = value`; what is no option of this
    /// program is ignored, with a warning. May be given more than once: of two files
    /// that set the same option the later one counts.
    #[arg(long, global = true, value_name = "FILE", action = clap::ArgAction::Append)]
    #[arg(env = "GLANCE_REPLICATOR_CONFIG_FILE", hide_env = true)]
    pub(crate) config_file: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sum up the active images of a server
    Size {
        /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
        server: OsString,
    },
    /// Copy the images of a server into a directory
    ///
    /// The directory is created if need be. It holds a file ID with the metadata
    /// of each image, and ID.img with its data.
    Dump {
        /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
        server: OsString,
        /// The directory
        #[arg(value_name = "DIR")]
        directory: OsString,
        #[command(flatten)]
        dry_run: DryRun,
    },
    /// Copy the images of a directory to a server
    ///
    /// Images that the server lacks are created, under their own ids; metadata
    /// that differs is updated.
    Load {
        /// Where the images go: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
        server: OsString,
        /// The directory, as `dump` has filled it
        #[arg(value_name = "DIR")]
        directory: OsString,
        #[command(flatten)]
        dry_run: DryRun,
        #[command(flatten)]
        allow_empty: AllowEmpty,
    },
    /// Copy the images of one server to others
    ///
    /// Images that a target lacks are created, under their own ids; metadata
    /// that differs is updated. Nothing is deleted. What several targets lack is
    /// read from the source once.
    Livecopy {
        /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
        source: OsString,
        /// Where they go: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
        #[arg(required = true, value_name = "TARGET")]
        targets: Vec<OsString>,
        #[command(flatten)]
        dry_run: DryRun,
        #[command(flatten)]
        allow_empty: AllowEmpty,
    },
    /// Compare the content of images, by their digests or by reading them
    ///
    /// Prints each active image of the source that the target does not have, or
    /// has with other content, and exits with 6 if there is one. Without a target,
    /// the images of the source are read and compared with its own digests: that
    /// is how an archive is checked.
    Verify {
        /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
        source: OsString,
        /// Where their copies are, written in the same way
        target: Option<OsString>,
        /// Read each image from the target, instead of trusting its digests
        #[arg(long, value_parser = BoolishValueParser::new())]
        #[arg(env = "GLANCE_REPLICATOR_READ_BACK", hide_env = true)]
        read_back: bool,
        #[command(flatten)]
        allow_empty: AllowEmpty,
    },
    /// Sign in to servers and print what they are and what would hurt
    ///
    /// Nothing is changed. The options and the token of the target are used.
    Check {
        /// The servers: HOST:PORT, a URL, cloud:NAME or env:
        #[arg(required = true, value_name = "SERVER")]
        ends: Vec<OsString>,
    },
    /// Print what a target lacks of the images of a source
    ///
    /// What only the target has does not matter.
    Compare {
        /// Where the images are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
        source: OsString,
        /// Where their copies are: HOST:PORT, a URL, cloud:NAME, env: or dir:PATH
        target: OsString,
        /// Exit with 5 if there are differences
        #[arg(long, value_parser = BoolishValueParser::new())]
        #[arg(env = "GLANCE_REPLICATOR_EXIT_CODE", hide_env = true)]
        exit_code: bool,
        #[command(flatten)]
        allow_empty: AllowEmpty,
    },
}

#[derive(clap::Args, Debug)]
pub(crate) struct AllowEmpty {
    /// Take a directory without images for an archive
    ///
    /// Without it, an empty directory to read images from is an error: it may be the
    /// wrong one, or its disk may not be mounted.
    #[arg(long, value_parser = BoolishValueParser::new())]
    #[arg(env = "GLANCE_REPLICATOR_ALLOW_EMPTY", hide_env = true)]
    pub(crate) allow_empty: bool,
}

#[derive(clap::Args, Debug)]
pub(crate) struct DryRun {
    /// Print what would be done, and change nothing
    #[arg(long, value_parser = BoolishValueParser::new())]
    #[arg(env = "GLANCE_REPLICATOR_DRY_RUN", hide_env = true)]
    pub(crate) dry_run: bool,
}

/// No server and no disk is faster with more of them.
const MOST_AT_A_TIME: usize = 1000;

fn at_a_time(text: &str) -> Result<NonZeroUsize, String> {
    let number: NonZeroUsize = text.parse().map_err(|error| format!("{error}"))?;
    if number.get() > MOST_AT_A_TIME {
        return Err(format!(
            "no more than {MOST_AT_A_TIME} images are worked on at a time"
        ));
    }
    Ok(number)
}

impl Options {
    /// Returns when nothing is tried again any more.
    pub(crate) fn retry_until(&self, begun: Instant) -> Option<Instant> {
        begun.checked_add(Duration::from_secs(self.retry_max_time?))
    }

    /// What is neither compared nor sent.
    pub(crate) fn do_not_replicate(&self) -> Result<DoNotReplicate, FilterError> {
        let patterns = self.drop_property.iter().map(String::as_str);
        DoNotReplicate::parse(&self.dontreplicate)?.dropping(patterns)
    }
}

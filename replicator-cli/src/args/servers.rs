//! The options by which servers are reached.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Arg;
use clap::builder::BoolishValueParser;
use glance_client::ApiChoice;

use super::heading;
use super::timetable::RequestRate;
use super::words::api;

/// The options of every server.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::CONNECTION)]
pub(crate) struct ServerArgs {
    /// Token of a side that has none of its own
    ///
    /// Better set in the environment or in a file: every user of the machine can
    /// read the command line.
    #[arg(short, long, global = true, hide_default_value = true)]
    pub(crate) token: Option<String>,

    /// Certificates to trust, in a PEM file
    ///
    /// No others are trusted. Without it, those of the system are, or those that the cloud's entry or
    /// OS_CACERT names.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,

    /// Verify no certificate: others can read all
    #[arg(long, global = true, value_parser = BoolishValueParser::new())]
    pub(crate) insecure: bool,

    /// Requests a second, at most
    ///
    /// All Glance servers and transfers share it; Keystone has no part in it. N may be
    /// a decimal number, such as 0.5, or off.
    #[arg(long, global = true, value_name = "N", default_value = "off")]
    #[arg(hide_short_help = true)]
    pub(crate) tpslimit: RequestRate,

    /// Retries of what may go away by itself
    #[arg(long, global = true, value_name = "N", default_value = "5")]
    pub(crate) retries: u32,

    /// Seconds from the start, after which nothing is retried
    ///
    /// This holds for transfers, listings, sign-ins, and for pauses that servers ask
    /// for: a pause that would end later does not begin.
    #[arg(long, global = true, value_name = "SECONDS", hide_short_help = true)]
    retry_max_time: Option<u64>,

    /// Seconds without progress, after which a connection ends
    ///
    /// This is also how long the answer to a request without image data may take.
    #[arg(long, global = true, value_name = "SECONDS", default_value = "60")]
    #[arg(hide_short_help = true)]
    stall_timeout: NonZeroU64,
}

impl ServerArgs {
    pub(crate) fn stall_timeout(&self) -> Duration {
        Duration::from_secs(self.stall_timeout.get())
    }

    pub(crate) fn retry_max_time(&self) -> Option<Duration> {
        self.retry_max_time.map(Duration::from_secs)
    }

    /// Returns the moment after which nothing is tried again.
    pub(crate) fn retry_until(&self, begun: Instant) -> Option<Instant> {
        begun.checked_add(self.retry_max_time()?)
    }
}

/// The options of one side, whichever it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct SideArgs {
    pub(crate) token: Option<Given>,
    pub(crate) api: ApiChoice,
    pub(crate) region: Option<Given>,
    pub(crate) interface: Option<Given>,
    pub(crate) cacert: Option<PathBuf>,
    pub(crate) insecure: bool,
}

/// A value, and the option that it was given by.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// The name of the option, without dashes before it.
    pub(crate) option: &'static str,
    pub(crate) value: String,
}

fn given(option: &'static str, value: &Option<String>) -> Option<Given> {
    // As the Python tool takes it, an empty value is none.
    let value = value.clone().filter(|value| !value.is_empty())?;
    Some(Given { option, value })
}

impl SideArgs {
    /// Fills up what is not given with what other options say.
    pub(crate) fn or(self, other: Self) -> Self {
        let api = match self.api {
            ApiChoice::Auto => other.api,
            chosen => chosen,
        };
        Self {
            token: self.token.or(other.token),
            api,
            region: self.region.or(other.region),
            interface: self.interface.or(other.interface),
            cacert: self.cacert.or(other.cacert),
            insecure: self.insecure || other.insecure,
        }
    }
}

/// The server that images come from.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::CONNECTION)]
pub(crate) struct SourceArgs {
    /// Cloud at the source, with no end written for it
    #[arg(long, value_name = "NAME")]
    pub(crate) source_os_cloud: Option<String>,

    /// Token at the source
    #[arg(short = 'M', long, value_name = "TOKEN", hide_default_value = true)]
    #[arg(visible_alias = "mastertoken")]
    sourcetoken: Option<String>,

    /// Image API at the source: auto, v1 or v2
    #[arg(long, value_name = "VERSION", default_value = "auto", value_parser = api())]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    source_api: ApiChoice,

    /// Region of the cloud at the source
    #[arg(long, value_name = "REGION")]
    source_region: Option<String>,

    /// Interface at the source (public, internal, admin)
    #[arg(long, value_name = "NAME")]
    #[arg(hide_short_help = true)]
    source_interface: Option<String>,

    /// Certificates to trust at the source
    #[arg(long, value_name = "FILE")]
    #[arg(hide_short_help = true)]
    source_cacert: Option<PathBuf>,

    /// Verify no certificate at the source
    #[arg(long, value_parser = BoolishValueParser::new())]
    #[arg(hide_short_help = true)]
    source_insecure: bool,
}

impl From<&SourceArgs> for SideArgs {
    fn from(args: &SourceArgs) -> Self {
        Self {
            token: given("sourcetoken", &args.sourcetoken),
            api: args.source_api,
            region: given("source-region", &args.source_region),
            interface: given("source-interface", &args.source_interface),
            cacert: args.source_cacert.clone(),
            insecure: args.source_insecure,
        }
    }
}

/// The server that images go to.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::CONNECTION)]
pub(crate) struct TargetArgs {
    /// Cloud at the target, with no end written for it
    #[arg(long, value_name = "NAME")]
    pub(crate) target_os_cloud: Option<String>,

    /// Token at the target
    #[arg(short = 'S', long, value_name = "TOKEN", hide_default_value = true)]
    #[arg(visible_alias = "slavetoken")]
    targettoken: Option<String>,

    /// Image API at the target: auto, v1 or v2
    #[arg(long, value_name = "VERSION", default_value = "auto", value_parser = api())]
    #[arg(hide_possible_values = true, hide_default_value = true)]
    target_api: ApiChoice,

    /// Region of the cloud at the target
    #[arg(long, value_name = "REGION")]
    target_region: Option<String>,

    /// Interface at the target (public, internal, admin)
    #[arg(long, value_name = "NAME")]
    #[arg(hide_short_help = true)]
    target_interface: Option<String>,

    /// Certificates to trust at the target
    #[arg(long, value_name = "FILE")]
    #[arg(hide_short_help = true)]
    target_cacert: Option<PathBuf>,

    /// Verify no certificate at the target
    #[arg(long, value_parser = BoolishValueParser::new())]
    #[arg(hide_short_help = true)]
    target_insecure: bool,
}

impl From<&TargetArgs> for SideArgs {
    fn from(args: &TargetArgs) -> Self {
        Self {
            token: given("targettoken", &args.targettoken),
            api: args.target_api,
            region: given("target-region", &args.target_region),
            interface: given("target-interface", &args.target_interface),
            cacert: args.target_cacert.clone(),
            insecure: args.target_insecure,
        }
    }
}

/// The cloud of a command with one server.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::CONNECTION)]
pub(crate) struct OsCloudArgs {
    /// Cloud of clouds.yaml, with no end written for it
    #[arg(long, value_name = "NAME")]
    pub(crate) os_cloud: Option<String>,
}

/// The options of a command with one end: those of either side are for it, and where both are
/// given, those of the target, as in the Python tool. The help shows the target's.
#[derive(clap::Args, Debug)]
#[command(mut_args = hide_what_others_say)]
pub(crate) struct OneEndArgs {
    #[command(flatten)]
    os_cloud: OsCloudArgs,
    #[command(flatten)]
    target: TargetArgs,
    #[command(flatten)]
    source: SourceArgs,
}

fn hide_what_others_say(arg: Arg) -> Arg {
    let id = arg.get_id().as_str();
    let is_hidden = id.starts_with("source") || id == "target_os_cloud";
    arg.hide_short_help(is_hidden).hide_long_help(is_hidden)
}

impl OneEndArgs {
    /// Returns the cloud that an option names.
    pub(crate) fn cloud(&self) -> Option<&str> {
        let [one, target, source] = [
            &self.os_cloud.os_cloud,
            &self.target.target_os_cloud,
            &self.source.source_os_cloud,
        ];
        one.as_ref()
            .or(target.as_ref())
            .or(source.as_ref())
            .map(String::as_str)
    }
}

impl From<&OneEndArgs> for SideArgs {
    fn from(args: &OneEndArgs) -> Self {
        Self::from(&args.target).or((&args.source).into())
    }
}

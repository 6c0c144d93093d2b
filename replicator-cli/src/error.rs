//! The errors that end a command.

use std::io;
use std::path::PathBuf;

use glance_client::cloud::{AuthError, AuthErrorKind};
use glance_client::{ErrorKind, InvalidToken};
use glance_model::{
    ContentProblem, ExpressionError, OmitError, ParseImageIdError, ProjectMapError,
    SetPropertyError,
};
use replicator_core::{FailureKind, ImageError, ListingError, NotDone, PortError};
use replicator_fs::ArchiveError;

use crate::exit_code::{ExitCode, Signal};

/// A command could not be done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The command line was not understood, or asks for help.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// There is no argument at all: somebody has a first look.
    #[error("{FIRST_RUN}")]
    FirstRun,
    /// The help that was asked for.
    #[error("help was asked for")]
    Help(String),
    /// A value from the environment or a file was not understood.
    #[error("a value of the environment or the configuration file is wrong")]
    Setting { source: Box<clap::Error> },
    #[error("cannot read the configuration file {}: {problem}", path.display())]
    ConfigFile { path: PathBuf, problem: String },
    /// A text that names no end, and what can be done about it.
    #[error("{problem}")]
    End {
        problem: String,
        hint: Option<String>,
    },
    /// A directory that is not there, and is called like a cloud.
    #[error("{error}")]
    NoArchiveButCloud { error: ArchiveError, cloud: String },
    #[error("{} is no archive: it holds snapshots, each of which is one", path.display())]
    Snapshots {
        path: PathBuf,
        /// The newest one that is whole.
        newest: Option<PathBuf>,
    },
    #[error(
        "the source lists no image, and the snapshot before it, {}, has some: the new one is not made",
        path.display()
    )]
    EmptySnapshot { path: PathBuf },
    #[error("--keep options are for --snapshot, which makes the snapshots that they keep")]
    KeepWithoutSnapshot,
    #[error("the file of jobs {} cannot be used: {problem}", path.display())]
    JobsFile { path: PathBuf, problem: String },
    #[error("job {job}: {problem}")]
    Job {
        job: String,
        problem: String,
        hint: Option<String>,
    },
    #[error("there is no job {name:?} in the file")]
    NoSuchJob { name: String, near: Vec<String> },
    #[error("job {job} runs already: {holder}")]
    JobRuns { job: String, holder: String },
    #[error("cannot lock {}", path.display())]
    JobLock { path: PathBuf, source: io::Error },
    #[error("job {job} cannot be run")]
    JobProcess { job: String, source: io::Error },
    /// What a job has run at its end.
    #[error("job {job}: {problem}")]
    Hook { job: String, problem: String },
    #[error("{} is a directory, not a server", path.display())]
    NoServer { path: PathBuf },
    #[error(transparent)]
    Auth(#[from] AuthError),
    #[error("a test of --select or --exclude cannot be used")]
    Selection(#[source] ExpressionError),
    #[error("{end} has no image {name:?}")]
    NoSuchImage {
        name: String,
        end: String,
        /// Names that may have been meant.
        near: Vec<String>,
    },
    #[error("cannot read ids from {}", path.display())]
    ImagesFrom { path: PathBuf, source: io::Error },
    #[error("line {line} of {} is no id of an image", path.display())]
    BadId {
        path: PathBuf,
        line: usize,
        source: ParseImageIdError,
    },
    #[error("no image of {end} is selected")]
    NothingSelected { end: String },
    #[error("--dontreplicate or --drop-property cannot be used")]
    Filter(#[from] OmitError),
    #[error("--set-property cannot be used")]
    SetProperty(#[from] SetPropertyError),
    #[error("the property {name} is to be set, and to be omitted")]
    SetAndOmitted { name: String },
    #[error("{name:?} is no column of the result{}", columns(.near, *.count, *.has_properties))]
    Column {
        name: String,
        near: Vec<&'static str>,
        /// The number of columns that there are.
        count: usize,
        /// Whether there are also those of additional properties.
        has_properties: bool,
    },
    #[error("the column {name} is asked for twice")]
    ColumnTwice { name: &'static str },
    #[error("{text:?} has no direction: write :asc or :desc behind a column")]
    Direction { text: String },
    /// The file of a report or of a plan.
    #[error("cannot write {}", path.display())]
    Report { path: PathBuf, source: io::Error },
    #[error("cannot read the report {}", path.display())]
    ReadReport { path: PathBuf, source: io::Error },
    #[error("{} is no report of a run", path.display())]
    NoReport {
        path: PathBuf,
        source: serde_json::Error,
    },
    /// Reports that are not of one piece of work.
    #[error("the reports cannot be added up: {problem}")]
    Merge { problem: String },
    #[error("{} cannot be applied: {problem}", path.display())]
    PlanFile { path: PathBuf, problem: String },
    #[error("the plan is for {planned}, and {end} is {found} by now")]
    OtherEnd {
        end: String,
        planned: String,
        found: String,
    },
    #[error("--{option} cannot be used")]
    Token {
        option: &'static str,
        source: InvalidToken,
    },
    #[error("--delete and options that select images look at a part of what is there")]
    DeleteOfSome,
    #[error("--delete and --snapshot do not go together: a snapshot has what the source has")]
    DeleteInSnapshot,
    /// Images were not retired or deleted, for the sake of safety.
    #[error("{}: {}", not_removed(*.images), why_not_done(*.why))]
    HeldBack { images: u64, why: NotDone },
    #[error("{name} is named as a target twice")]
    SameTarget { name: String },
    #[error("source and target are the same: {name}")]
    SameEnd { name: String },
    #[error("--on-id-conflict new-id needs --id-map FILE, to find the images again")]
    NoIdMap,
    #[error("the file of --id-map, {}, cannot be used: {problem}", path.display())]
    IdMap { path: PathBuf, problem: String },
    /// Options about owners that do not go together, or not with the ends.
    #[error("{problem}")]
    Owners { problem: &'static str },
    #[error("the project map {} cannot be used", path.display())]
    ProjectMap {
        path: PathBuf,
        source: ProjectMapError,
    },
    #[error("cannot read the project map {}", path.display())]
    ProjectMapFile { path: PathBuf, source: io::Error },
    #[error("cannot log to {}", path.display())]
    Log { path: PathBuf, source: io::Error },
    #[error("cannot log to syslog, which is in use")]
    Syslog,
    #[error("cannot log to syslog: nothing listens at /dev/log")]
    NoSyslog,
    #[error("cannot connect to {endpoint}")]
    Connect {
        endpoint: String,
        source: glance_client::Error,
    },
    #[error("cannot read or write metadata definitions")]
    Definitions(#[from] glance_client::Error),
    #[error("{end}: {problem}")]
    Stores { end: String, problem: String },
    #[error("the target has not kept {lacking}")]
    NotDefined { lacking: String },
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("cannot push {file}")]
    File { file: String, source: ImageError },
    #[error("{file} is not pushed: {problem}")]
    RefusedFile {
        file: String,
        problem: ContentProblem,
    },
    #[error("{file} is not pushed: {problem}")]
    WrongFile { file: String, problem: String },
    #[error(
        "--container-format {container} needs --disk-format, since only bare data is looked at"
    )]
    NoDiskFormat { container: String },
    #[error("cannot look through the archive")]
    Unfinished { source: PortError },
    #[error(transparent)]
    Listing(#[from] ListingError),
    #[error("{end} could not be listed")]
    NotListed { end: String, source: PortError },
    #[error("cannot {what}")]
    System {
        what: &'static str,
        source: io::Error,
    },
    #[error("nobody reads the output any more")]
    NoReader,
    #[error("interrupted: nothing was changed")]
    Interrupted(Signal),
}

impl CliError {
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(error) if error.exit_code() == 0 => ExitCode::Done,
            Self::Help(_) => ExitCode::Done,
            Self::FirstRun
            | Self::Usage(_)
            | Self::Setting { .. }
            | Self::End { .. }
            | Self::NoServer { .. }
            | Self::Snapshots { .. }
            | Self::KeepWithoutSnapshot
            | Self::JobsFile { .. }
            | Self::Job { .. }
            | Self::NoSuchJob { .. }
            | Self::Archive(ArchiveError::NoSnapshots { .. })
            | Self::Filter(_)
            | Self::Selection(_)
            | Self::BadId { .. }
            | Self::Column { .. }
            | Self::ColumnTwice { .. }
            | Self::Direction { .. }
            | Self::ConfigFile { .. }
            | Self::ImagesFrom { .. }
            | Self::ReadReport { .. }
            | Self::NoReport { .. }
            | Self::SetProperty(_)
            | Self::SetAndOmitted { .. }
            | Self::NoIdMap
            | Self::IdMap { .. }
            | Self::Merge { .. }
            | Self::DeleteOfSome
            | Self::DeleteInSnapshot
            | Self::Owners { .. }
            | Self::ProjectMap { .. }
            | Self::ProjectMapFile { .. }
            | Self::NoDiskFormat { .. }
            | Self::Stores { .. }
            | Self::SameTarget { .. }
            | Self::SameEnd { .. }
            | Self::PlanFile { .. }
            | Self::OtherEnd { .. }
            | Self::Token { .. } => ExitCode::Usage,
            Self::Auth(error) => match error.kind() {
                AuthErrorKind::Usage => ExitCode::Usage,
                AuthErrorKind::Denied => ExitCode::Denied,
                AuthErrorKind::Unavailable => ExitCode::Error,
            },
            Self::Interrupted(signal) => ExitCode::Interrupted(*signal),
            Self::NoReader => ExitCode::NoReader,
            Self::RefusedFile { .. } | Self::EmptySnapshot { .. } | Self::HeldBack { .. } => {
                ExitCode::Refused
            }
            Self::WrongFile { .. } => ExitCode::WrongContent,
            Self::Connect { source, .. } | Self::Definitions(source)
                if is_denial(source.kind()) =>
            {
                ExitCode::Denied
            }
            Self::Listing(ListingError::Failed { source, .. }) | Self::NotListed { source, .. }
                if source.kind() == FailureKind::Denied =>
            {
                ExitCode::Denied
            }
            _ => ExitCode::Error,
        }
    }
}

/// The lines that lead on.
const FIRST_RUN: &str = "\
glance-replicator copies OpenStack images between clouds and directories, and proves each copy.
  glance-replicator check cloud:NAME   shows what a cloud of clouds.yaml is, and who you are there
  glance-replicator help               has all commands, with examples";

fn not_removed(images: u64) -> String {
    match images {
        1 => "1 image is not retired or deleted".to_owned(),
        images => format!("{images} images are not retired or deleted"),
    }
}

/// Returns the reason why an image was not worked on.
pub(crate) fn why_not_done(why: NotDone) -> String {
    let why = match why {
        NotDone::Cancelled => "the run was interrupted",
        NotDone::NoRoom => "the target has no room for an image of this size",
        NotDone::LimitReached => "the run has lasted as long, or moved as much, as it may",
        NotDone::SourceEmpty => "the source lists no image at all",
        NotDone::NothingSelected => "no image of the source passes the selection",
        NotDone::SameEnd => {
            "all images that both ends have are of the same second there, as if source and target \
             were one"
        }
        NotDone::TooManyGone { images, most } => {
            return format!("{images} of this origin would be, and at most {most} may be in a run");
        }
        NotDone::NotConfirmed => "nobody has said yes to it",
        NotDone::AfterFailures => "something else of the run has failed",
        NotDone::MayBeACopy => {
            "with --on-id-conflict skip, they may be copies of images under other ids"
        }
        _ => "the target takes nothing any more",
    };
    why.to_owned()
}

fn columns(near: &[&str], count: usize, has_properties: bool) -> String {
    let near_ones = near.join(", ");
    match near.len() == count {
        true if has_properties => format!(": the columns are {near_ones}, and property:NAME"),
        true => format!(": the columns are {near_ones}"),
        false => format!(": near ones are {near_ones}"),
    }
}

fn is_denial(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unauthorized | ErrorKind::Forbidden)
}

#[cfg(test)]
mod tests {
    use replicator_core::{Operation, Side};

    use super::*;

    #[test]
    fn each_error_has_its_exit_code() {
        let denied = PortError::adapter(Operation::ListImages, FailureKind::Denied, "401");
        let unusable = PortError::adapter(Operation::ListImages, FailureKind::Unusable, "300");
        let listing = |source| {
            let side = Side::Source;
            CliError::Listing(ListingError::Failed { side, source })
        };
        for (error, code) in [
            (listing(denied), 4),
            (listing(unusable), 1),
            (CliError::Syslog, 1),
            (CliError::Filter(OmitError::Id), 2),
            (CliError::Interrupted(Signal::Interrupt), 130),
            (CliError::Interrupted(Signal::Terminate), 143),
        ] {
            assert_eq!(error.exit_code().number(), code, "{error}");
        }
    }
}

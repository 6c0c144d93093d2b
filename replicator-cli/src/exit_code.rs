//! The exit statuses.

use std::process;

/// The table of the exit statuses, as `--help` prints it and README.md has it.
const TABLE: [(&str, &str); 10] = [
    (
        "0",
        "done; what was skipped is said, with the reason, and is no failure",
    ),
    (
        "1",
        "error: an end is out of reach, or is not what it was taken for",
    ),
    ("2", "usage: an option, a setting or an end makes no sense"),
    (
        "3",
        "an image failed (be it by a policy), or was left to another run; the others are done",
    ),
    (
        "4",
        "authentication or permission: a server does not let the caller in, or list images",
    ),
    ("5", "differences (compare --exit-code)"),
    (
        "6",
        "wrong content: digests, lengths, two images of one id; verify: copies missing or damaged",
    ),
    (
        "7",
        "refused by a policy or a safety limit of this program: --format-check held data back",
    ),
    (
        "130, 143",
        "interrupted (Ctrl-C, SIGTERM); the next run goes on",
    ),
    (
        "141",
        "nobody reads the output any more, so that it is not whole (a closed pipe)",
    ),
];

/// The order of the statuses, for where several would be right.
const ORDER: &str =
    "Where several would be right, the first of these counts: 130, 143, 6, 7, 3, 4, 2, 1, 5.";

/// Returns the table of the exit statuses for `--help`.
pub(crate) fn help() -> String {
    let rows = TABLE.map(|(code, meaning)| format!("  {code:<9} {meaning}\n"));
    format!("Exit codes:\n{}\n{ORDER}", rows.concat())
}

/// A wish to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// The signal of `kill` and of service managers.
    Terminate,
}

/// The documented exit statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitCode {
    /// All is done.
    Done,
    /// It could not be done.
    Error,
    /// The command line makes no sense.
    Usage,
    /// At least one image failed, and the others are done.
    ImagesFailed,
    /// A server does not know the caller, or does not let it in. What it refuses of one
    /// image is a failure of that image.
    Denied,
    /// `compare --exit-code` found differences.
    Differences,
    /// At least one image does not have the content that it should have.
    WrongContent,
    /// At least one image was held back here, since its data looks wrong or unsafe.
    Refused,
    /// The reader of the output has gone.
    NoReader,
    /// Interrupted; the next run goes on.
    Interrupted(Signal),
}

impl ExitCode {
    /// Returns the one of two that counts for a run.
    pub(crate) fn and(self, other: Self) -> Self {
        if other.weight() > self.weight() {
            other
        } else {
            self
        }
    }

    /// What somebody has to look at weighs more than what the next run may heal, and what
    /// became of images more than an end without which they went on.
    fn weight(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Differences => 1,
            Self::Error => 2,
            Self::Usage => 3,
            Self::Denied => 4,
            Self::ImagesFailed => 5,
            Self::Refused => 6,
            Self::WrongContent => 7,
            Self::NoReader => 8,
            Self::Interrupted(_) => 9,
        }
    }

    /// The number that the shell sees.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::ImagesFailed => 3,
            Self::Denied => 4,
            Self::Differences => 5,
            Self::WrongContent => 6,
            Self::Refused => 7,
            // As the shell says it of a process that a signal has ended.
            Self::Interrupted(Signal::Interrupt) => 128 + 2,
            Self::Interrupted(Signal::Terminate) => 128 + 15,
            // As if SIGPIPE had ended it, which Rust programs ignore.
            Self::NoReader => 128 + 13,
        }
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

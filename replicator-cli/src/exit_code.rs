//! The exit statuses.

use std::process;

/// An exit status: its code, its name, and what counts as it.
type Row = (&'static str, &'static str, &'static str);

/// The table of the exit statuses, as the help prints it and docs/scripting.md has it.
const TABLE: [Row; 11] = [
    (
        "0",
        "done",
        "all is done; an image that was skipped is no failure: the source has no data of it, or an \
         option leaves it out",
    ),
    (
        "1",
        "error",
        "an end is out of reach, is not what it was taken for, or cannot be listed to its end",
    ),
    (
        "2",
        "usage",
        "an option, a setting or an end makes no sense, or a file that says what to do cannot be read; \
         nothing was begun",
    ),
    (
        "3",
        "images failed",
        "an image failed, be it by a policy or a quota of a server, or was left to another run; the \
         others are done",
    ),
    (
        "4",
        "not permitted",
        "signing in failed, or a server does not let the caller in, or list images",
    ),
    (
        "5",
        "differences",
        "compare or status --exit-code found an image that is missing or differs, plan --exit-code found \
         work, or apply found an image that has changed since its plan",
    ),
    (
        "6",
        "wrong content",
        "the data of an image is not what its digest or its length says, or two images have one id; \
         verify: a copy is missing or damaged",
    ),
    (
        "7",
        "held back",
        "a safety limit of this program refused it: data that --format-check did not let pass, or \
         images that --delete may not touch",
    ),
    (
        "8",
        "limit reached",
        "--max-duration or --max-transfer left images to the next run; what was begun is done",
    ),
    (
        "130, 143",
        "interrupted",
        "by Ctrl-C or SIGTERM; the next run goes on",
    ),
    (
        "141",
        "output not read",
        "whoever read the output is gone (a closed pipe), so that it is not whole",
    ),
];

/// The order of the statuses, for where several would be right.
const ORDER: &str =
    "Where several would be right, the first of these counts: 130, 143, 6, 7, 3, 4, 2, 1, 8, 5.";

/// Returns the rows of the table, and the order of the statuses.
pub(crate) fn table() -> (impl Iterator<Item = (String, String)>, &'static str) {
    let rows = TABLE.iter().map(|(code, name, counts)| {
        let first = format!("{code:<8}  {name}");
        (first, (*counts).to_owned())
    });
    (rows, ORDER)
}

/// Returns the codes and their names, on a line.
pub(crate) fn brief() -> String {
    let rows = TABLE.map(|(code, name, _)| format!("{code} {name}"));
    format!("{}. More: `help exit-codes`", rows.join(", "))
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
    /// At least one image was held back here: its data looks wrong or unsafe, or its deletion does.
    Refused,
    /// The run has lasted as long, or moved as much, as it may; the next run goes on.
    LimitReached,
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
            Self::LimitReached => 2,
            Self::Error => 3,
            Self::Usage => 4,
            Self::Denied => 5,
            Self::ImagesFailed => 6,
            Self::Refused => 7,
            Self::WrongContent => 8,
            Self::NoReader => 9,
            Self::Interrupted(_) => 10,
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
            Self::LimitReached => 8,
            // As the shell says it of a process that a signal has ended.
            Self::Interrupted(Signal::Interrupt) => 128 + 2,
            Self::Interrupted(Signal::Terminate) => 128 + 15,
            // As if SIGPIPE had ended it, which Rust programs ignore.
            Self::NoReader => 128 + 13,
        }
    }
}

impl ExitCode {
    /// Returns the status of a number that the shell sees, if the table has it.
    pub(crate) fn of_number(number: u8) -> Option<Self> {
        let interrupted = [Signal::Interrupt, Signal::Terminate].map(Self::Interrupted);
        let others = [
            Self::Done,
            Self::Error,
            Self::Usage,
            Self::ImagesFailed,
            Self::Denied,
            Self::Differences,
            Self::WrongContent,
            Self::Refused,
            Self::LimitReached,
            Self::NoReader,
        ];
        let mut all = others.into_iter().chain(interrupted);
        all.find(|code| code.number() == number)
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_of_the_table_has_its_status() {
        for number in TABLE.iter().flat_map(|(codes, ..)| codes.split(", ")) {
            let number = number.parse().unwrap();
            let code = ExitCode::of_number(number);
            assert_eq!(code.map(ExitCode::number), Some(number));
        }
        assert_eq!(ExitCode::of_number(99), None);
    }
}

//! What the exit status says.

use std::process;

use crate::signals::Signal;

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
    /// A server does not know the caller, or does not let it in.
    Denied,
    /// `compare --exit-code` found differences.
    Differences,
    /// At least one image does not have the content that it should have.
    WrongContent,
    /// At least one image was held back since its data looks wrong or unsafe.
    Refused,
    /// Interrupted; the next run goes on.
    Interrupted(Signal),
}

impl ExitCode {
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
        }
    }
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

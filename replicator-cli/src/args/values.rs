//! The words that options take.

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Api {
    /// v2 where the server offers it, else v1
    Auto,
    /// Images v1
    V1,
    /// Images v2
    V2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verify {
    /// Hash the data on its way, hold its end back until it is right, compare
    /// what both servers state
    Full,
    /// Compare what both servers state, after the upload
    Target,
    /// As full, and read the copy from the target and hash it again; dump also
    /// reads what is in the archive already, and copies what is wrong again
    ReadBack,
    /// Nothing but the length
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IdConflict {
    /// The image fails
    Fail,
    /// The image is left alone
    Skip,
    /// The image is copied under a new id, which --id-map keeps
    NewId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatCheck {
    /// For targets that may refuse it
    Auto,
    /// Never
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// Bars on a terminal, else lines
    Auto,
    /// Bars; lines where stderr is no terminal
    Bar,
    /// A line now and then
    Line,
    /// Nothing but problems and the summary
    None,
}

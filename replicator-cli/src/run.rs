//! What every command works with.

use std::sync::Arc;
use std::time::Instant;

use glance_client::Limits;
use replicator_core::{ListingError, PortError, RunContext};

use crate::args::Options;
use crate::error::CliError;
use crate::exit_code::Signal;
use crate::limits::Parallel;
use crate::signals::FirstSignal;
use crate::tokens::Tokens;
use crate::ui::Console;
use glance_client::cloud::Environment;

/// A command that runs.
pub(crate) struct Run<'a> {
    pub(crate) options: &'a Options,
    pub(crate) tokens: Tokens,
    pub(crate) env: Environment,
    pub(crate) ctx: RunContext,
    /// When it began.
    pub(crate) begun: Instant,
    /// What all clients of the run share.
    pub(crate) limits: Limits,
    pub(crate) parallel: Parallel,
    pub(crate) console: Arc<Console>,
    /// Whether an archive without images is taken as a source.
    pub(crate) allow_empty: bool,
    pub(crate) signal: FirstSignal,
}

impl Run<'_> {
    /// The signal that has cancelled the run.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.signal.get().copied()
    }

    /// The error of a run that was cancelled before anything was begun.
    pub(crate) fn interrupted(&self) -> CliError {
        CliError::Interrupted(self.signal().unwrap_or(Signal::Interrupt))
    }

    pub(crate) fn listing_failed(&self, error: ListingError) -> CliError {
        match error {
            ListingError::Failed {
                source: PortError::Cancelled,
                ..
            } => self.interrupted(),
            error => error.into(),
        }
    }
}

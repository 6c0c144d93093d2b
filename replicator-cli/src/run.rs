//! The parts that every command works with.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Instant;

use glance_client::Limits;
use glance_client::cloud::Environment;
use replicator_core::{ListingError, PortError, RunContext};

use crate::args::{CommonArgs, RequestRate};
use crate::error::CliError;
use crate::exit_code::{ExitCode, Signal};
use crate::secrets;
use crate::signals::{self, FirstSignal};
use crate::ui::{Console, Row, Sink};

/// A command that runs.
pub(crate) struct Run<'a> {
    pub(crate) common: &'a CommonArgs,
    pub(crate) env: Environment,
    pub(crate) ctx: RunContext,
    /// The time of its beginning.
    pub(crate) begun: Instant,
    /// The limits that all clients of the run share.
    pub(crate) limits: Limits,
    pub(crate) console: Arc<Console>,
    signal: FirstSignal,
}

impl<'a> Run<'a> {
    /// Begins a run: from now on, signals cancel it.
    pub(crate) fn begin(
        common: &'a CommonArgs,
        console: &Arc<Console>,
        is_writing: bool,
    ) -> Result<Self, CliError> {
        let ctx = RunContext::new(Arc::clone(console) as _);
        let env = environment(&[]);
        env.proxies().for_each(secrets::know_url);
        let limits = Limits::default();
        let RequestRate(requests) = common.servers.tpslimit;
        limits.set_requests(requests);
        Ok(Self {
            common,
            env,
            signal: signals::watch(&ctx, console, is_writing)?,
            ctx,
            begun: Instant::now(),
            limits,
            console: Arc::clone(console),
        })
    }

    /// Returns a run of another command line, with more variables in its environment. It is to be looked
    /// at, and not to be run: it shares the limits and the signals of this one.
    pub(crate) fn of<'b>(&self, common: &'b CommonArgs, variables: &[(String, String)]) -> Run<'b> {
        Run {
            common,
            env: environment(variables),
            ctx: self.ctx.clone(),
            begun: self.begun,
            limits: self.limits.clone(),
            console: Arc::clone(&self.console),
            signal: Arc::clone(&self.signal),
        }
    }

    /// Makes the sink of the command's result.
    pub(crate) fn sink<R: Row>(&self) -> Result<Sink<R>, CliError> {
        Sink::new(&self.common.output, &self.console)
    }

    /// Tells what has failed without ending the command; returns the exit code of it.
    pub(crate) fn goes_on(&self, done: Result<(), CliError>) -> ExitCode {
        let Err(error) = done else {
            return ExitCode::Done;
        };
        self.console.failed("", &error);
        error.exit_code()
    }

    /// Returns the signal that has cancelled the run.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.signal.get().copied()
    }

    /// Returns the error of a run that was cancelled before anything was begun.
    pub(crate) fn interrupted(&self) -> CliError {
        CliError::Interrupted(self.signal().unwrap_or(Signal::Interrupt))
    }

    /// Returns the error of one end that could not be listed.
    pub(crate) fn not_listed(&self, end: &dyn Display, error: ListingError) -> CliError {
        match self.listing_failed(error) {
            CliError::Listing(ListingError::Failed { source, .. }) => CliError::NotListed {
                end: end.to_string(),
                source,
            },
            error => error,
        }
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

/// Reads the variables of this process whose names and values are UTF-8, and sets more.
fn environment(more: &[(String, String)]) -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .chain(more.iter().cloned())
        .collect()
}

//! The state of a server, which all of its connections share.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::caller::Caller;
use super::fault::Faults;
use super::log::RequestLog;
use super::settings::EmbeddedGlanceBuilder;
use super::state::State;

/// The part of a server that all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: EmbeddedGlanceBuilder,
    pub(super) url: String,
    /// The tokens that are let in; without a table, everybody is an admin.
    pub(super) tokens: Mutex<Option<BTreeMap<String, Caller>>>,
    pub(super) state: Mutex<State>,
    pub(super) log: RequestLog,
    pub(super) faults: Faults,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

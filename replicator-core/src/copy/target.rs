//! A target of a run, with its plan.

use crate::plan::Plan;
use crate::run::target_end::TargetEnd;

/// A target of a run, and what is to be done there.
#[derive(Debug)]
#[non_exhaustive]
pub struct TargetRun {
    /// The target.
    pub end: TargetEnd,
    /// The work.
    pub plan: Plan,
}

impl TargetRun {
    /// The plan that was made for a target.
    #[must_use]
    pub fn new(end: TargetEnd, plan: Plan) -> Self {
        Self { end, plan }
    }
}

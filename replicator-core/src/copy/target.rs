//! A target of a run.

use std::fmt;
use std::sync::Arc;

use crate::plan::Plan;
use crate::port::ImageTarget;
use crate::run::context::RunContext;
use crate::run::options::ReplicateOptions;

/// A target of a run, and what is to be done there.
#[non_exhaustive]
pub struct TargetRun {
    /// Where what happens at this target is reported to.
    pub ctx: RunContext,
    /// The target.
    pub target: Arc<dyn ImageTarget>,
    /// What is to be done.
    pub plan: Plan,
    /// How.
    pub options: ReplicateOptions,
}

impl TargetRun {
    /// Puts together what a run needs to know of a target.
    pub fn new(
        ctx: &RunContext,
        target: Arc<dyn ImageTarget>,
        plan: Plan,
        options: &ReplicateOptions,
    ) -> Self {
        Self {
            ctx: ctx.clone(),
            target,
            plan,
            options: options.clone(),
        }
    }
}

impl fmt::Debug for TargetRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetRun")
            .field("plan", &self.plan)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// A target, for the tasks that write to it.
pub(crate) struct Target {
    pub(crate) ctx: RunContext,
    pub(crate) images: Arc<dyn ImageTarget>,
    pub(crate) options: ReplicateOptions,
}

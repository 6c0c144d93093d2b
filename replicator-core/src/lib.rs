#![doc = include_str!("../README.md")]

mod compare;
mod content;
mod copy;
mod list;
mod plan;
mod port;
mod replicate;
mod run;
mod size;
#[cfg(feature = "testing")]
pub mod testing;
mod verify;

pub use compare::{Compared, Comparison, Difference, compare};
pub use content::digest::{DigestAlgorithm, Digester};
pub use content::proof::Proof;
pub use content::wrong::Wrong;
pub use copy::target::TargetRun;
pub use list::pairs::ListingError;
pub use plan::planner::{PlanTarget, plan, plan_for_all};
pub use plan::verb::Verb;
pub use plan::{Action, LeftImage, Plan, PlannedImage, Reason, TargetId};
pub use port::{
    Cause, FailureKind, IdMap, ImageData, ImageDataStream, ImageSource, ImageStream, ImageTarget,
    Operation, PortError, Side, Stage, TargetIds, gives_last_byte,
};
pub use replicate::{replicate, replicate_to_all};
pub use run::context::RunContext;
pub use run::error::{Failure, ImageError};
pub use run::event::{Event, EventSink, LeftOut, NoEvents, SkipReason};
pub use run::id_problem::{IdProblem, saving_limit};
pub use run::options::{DataPolicy, FormatCheck, OnIdConflict, ReplicateOptions, Verify};
pub use run::report::{Outcome, Report};
pub use run::retry::RetryPolicy;
pub use size::{TotalSize, size};
pub use verify::{VerifyBy, VerifyReport, verify};

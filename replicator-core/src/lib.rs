#![doc = include_str!("../README.md")]

mod compare;
mod context;
mod digest;
mod fan_out;
mod flow;
mod ids;
mod merge;
mod plan;
mod port;
mod proof;
mod replicate;
mod report;
mod retry;
mod schedule;
mod size;
mod staging;
mod tee;
#[cfg(feature = "testing")]
pub mod testing;
mod transfer;
mod update;
mod verb;
mod verify;
mod writing;

pub use compare::{Compared, Comparison, Difference, compare};
pub use context::RunContext;
pub use digest::{DigestAlgorithm, Digester};
pub use ids::{IdProblem, OnIdConflict, TargetIds, saving_limit};
pub use merge::{End, ListingError};
pub use plan::{
    Action, LeftImage, Plan, PlanTarget, PlannedImage, Reason, TargetId, plan, plan_for_all,
};
pub use port::{
    Cause, Event, EventSink, FailureKind, IdMap, ImageData, ImageDataStream, ImageSource,
    ImageStream, ImageTarget, LeftOut, NoEvents, Operation, PortError, SkipReason, Stage,
    gives_last_byte,
};
pub use proof::{Proof, Verify};
pub use replicate::{
    DataPolicy, FormatCheck, ReplicateOptions, TargetRun, replicate, replicate_to_all,
};
pub use report::{Failure, ImageError, Outcome, Report};
pub use retry::RetryPolicy;
pub use size::{TotalSize, size};
pub use verb::Verb;
pub use verify::{VerifyBy, VerifyReport, verify};

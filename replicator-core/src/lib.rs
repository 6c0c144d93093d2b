#![doc = include_str!("../README.md")]

mod compare;
mod context;
mod digest;
mod flow;
mod ids;
mod merge;
mod plan;
mod port;
mod proof;
mod replicate;
mod report;
mod retry;
mod size;
mod staging;
#[cfg(feature = "testing")]
pub mod testing;
mod transfer;
mod verb;
mod verify;

pub use compare::{Compared, Comparison, Difference, compare};
pub use context::RunContext;
pub use digest::{DigestAlgorithm, Digester};
pub use ids::{IdProblem, OnIdConflict, TargetIds, saving_limit};
pub use merge::{End, ListingError};
pub use plan::{Action, Plan, PlannedImage, Reason, TargetId, plan};
pub use port::{
    Event, EventSink, FailureKind, IdMap, ImageData, ImageDataStream, ImageSource, ImageStream,
    ImageTarget, NoEvents, Operation, PortError, SkipReason, Stage,
};
pub use proof::{Proof, Verify};
pub use replicate::{DataPolicy, FormatCheck, ReplicateOptions, replicate};
pub use report::{Failure, ImageError, Outcome, Report};
pub use retry::RetryPolicy;
pub use size::{TotalSize, size};
pub use verb::Verb;
pub use verify::{VerifyBy, VerifyReport, verify};

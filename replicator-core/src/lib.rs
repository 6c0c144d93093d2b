#![doc = include_str!("../README.md")]

mod choose;
mod compare;
mod content;
mod copy;
mod file_source;
mod list;
mod plan;
mod port;
mod replicate;
mod run;
mod size;
mod status;
#[cfg(feature = "testing")]
pub mod testing;
mod verify;

pub use choose::{Named, Newest, find_named, select_newest};
pub use compare::{Compared, Comparison, Difference, compare};
pub use content::digest::{Digest, DigestAlgorithm, Digester};
pub use content::proof::Proof;
pub use content::wrong::Wrong;
pub use copy::target::TargetRun;
pub use file_source::FileSource;
pub use list::image_list::{ImageList, list_images};
pub use list::newest::Group;
pub use list::pairs::ListingError;
pub use list::selected::SelectedCount;
pub use plan::planned_images::PlannedImages;
pub use plan::planner::plan;
pub use plan::{Action, LeftImage, Plan, PlannedImage, Reason, TargetId};
pub use port::{
    Cause, FailureKind, IdMap, IdUse, ImageData, ImageDataStream, ImageFile, ImageSource,
    ImageStream, ImageTarget, Nature, Operation, PortError, ReadMembers, Room, Side, Stage,
    TargetIds, gives_last_byte,
};
pub use replicate::replicate;
pub use run::approved::{Approval, Approved, deal};
pub use run::context::RunContext;
pub use run::error::{ErrorKind, ImageError, WrittenError};
pub use run::event::{Event, EventSink, LeftOut, MembersLeftOut, NoEvents};
pub use run::id_problem::{IdProblem, saving_limit};
pub use run::member::Member;
pub use run::options::{
    DataPolicy, DeletePolicy, FormatCheck, OnIdConflict, RunOptions, TargetPolicy, Verify,
};
pub use run::report::Report;
pub use run::result::{ImageRef, ImageResult, NotDone, Outcome, SkipReason, Stale};
pub use run::results::Results;
pub use run::retry::RetryPolicy;
pub use run::target_end::TargetEnd;
pub use size::{TotalSize, size};
pub use status::{ImageStanding, Standing, State, Status, StatusTotals, Sum, status};
pub use verify::{VerifyBy, VerifyOptions, VerifyReport, verify};

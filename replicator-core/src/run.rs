//! The parts that every step of a run shares: events, errors, options, the report.

pub(crate) mod approved;
pub(crate) mod context;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod id_problem;
pub(crate) mod member;
pub(crate) mod options;
pub(crate) mod packed;
pub(crate) mod read_back;
pub(crate) mod report;
pub(crate) mod result;
pub(crate) mod results;
pub(crate) mod retry;
pub(crate) mod target_end;

//! Two ends, side by side.

pub(crate) mod pairs;
pub(crate) mod tee;

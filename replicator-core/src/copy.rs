//! The work of a plan.

mod fan_out;
pub(crate) mod flow;
mod one_image;
mod order;
pub(crate) mod schedule;
pub(crate) mod staging;
pub(crate) mod target;
mod transfer;
mod update;

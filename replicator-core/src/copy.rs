//! The work of a plan.

mod fan_out;
pub(crate) mod flow;
mod leaving;
mod one_image;
mod order;
mod pieces;
mod progress;
mod queue;
mod removal;
pub(crate) mod schedule;
mod small_lane;
pub(crate) mod staging;
pub(crate) mod target;
mod transfer;
mod update;
mod waiting;

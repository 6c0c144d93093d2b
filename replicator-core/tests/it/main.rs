//! The core from outside: plans and copies between ends in memory.

mod convergence;
mod fan_out;
mod ids;
mod kit;
mod members;
mod memory_contract;
mod order;
mod planning;
mod proofs;
mod removals;
mod staging;
mod status;
mod streams;
mod transfers;
mod updates;
mod verifying;

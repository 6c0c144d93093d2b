//! The core from outside: plans and copies between ends in memory.

mod convergence;
mod fan_out;
mod ids;
mod memory_contract;
mod planning;
mod transfers;
mod updates;
mod verifying;

//! The client against the embedded Glance, and that against what real servers were seen to do.

mod ahead;
mod contract;
mod early_answers;
mod embedded;
mod errors;
mod kit;
mod limits;
mod paging;
mod parity;
mod survey;
mod tls;
mod wire;

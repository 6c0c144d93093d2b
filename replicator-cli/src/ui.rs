//! What people see: the only modules that write to the terminal and to the log.

mod console;
mod escape;
pub(crate) mod log;
mod progress;
mod wording;

pub(crate) use self::console::{Console, data, failure};
pub(crate) use self::progress::Look;
pub(crate) use self::wording::{human_size, named, named_as, verb};

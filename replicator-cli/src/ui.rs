//! The output for people: the only modules that write to the terminal and to the log.

mod console;
mod escape;
pub(crate) mod log;
mod progress;
mod row;
mod sink;
mod summary;
mod wording;
mod words;

pub(crate) use self::console::{Console, failure};
pub(crate) use self::progress::Look;
pub(crate) use self::row::{Row, Text, or_undefined};
pub(crate) use self::sink::Sink;
pub(crate) use self::words::{human_size, named};

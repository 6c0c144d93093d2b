//! The output for people: the only modules that write to the terminal and to the log.

mod bar;
mod causes;
mod cell;
mod console;
pub(crate) mod document;
mod escape;
pub(crate) mod log;
mod metrics;
mod page;
mod progress;
mod report_file;
mod result;
mod row;
mod sink;
mod stderr;
mod stdout;
mod summary;
mod table;
mod terminal;
mod wording;
mod words;

pub(crate) use self::console::{Console, failure};
pub(crate) use self::escape::escaped_json;
pub(crate) use self::metrics::{Gauge, Metrics, MetricsFile, gauge};
pub(crate) use self::page::page;
pub(crate) use self::report_file::{Readers, ReportFile};
pub(crate) use self::result::{outcome_word, reason, reason_word, with_cause, word};
pub(crate) use self::row::{Column, PROPERTY, Row, Text, bytes, column, or_undefined};
pub(crate) use self::sink::{Rendered, Sink, column_named};
pub(crate) use self::table::matrix;
pub(crate) use self::words::{
    amount, counted, counts, duration, human_size, named, with_short_digests,
};

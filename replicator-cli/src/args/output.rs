//! The options of the result: what stands on stdout, and what in a file.

use std::path::PathBuf;

use clap::ValueEnum;

use super::heading;

/// The form of the result on stdout, and the parts of it.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::OUTPUT)]
pub(crate) struct OutputArgs {
    /// Form of the result: text, table, json, jsonl, csv, value
    ///
    /// It stands on stdout, and nothing else. Text is what the Python tool prints, a
    /// table is for people; json is one document with the name of its schema, jsonl an
    /// object a line, csv has a header, and value has the values alone, with blanks
    /// between them.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FORMAT",
        default_value = "text"
    )]
    #[arg(hide_possible_values = true)]
    pub(crate) format: Format,

    /// Columns or fields to print, in this order
    ///
    /// May be given more than once, or with a list separated by commas. Text has no
    /// columns: a table is printed in its place.
    #[arg(
        long = "column",
        global = true,
        value_name = "NAME",
        value_delimiter = ','
    )]
    pub(crate) columns: Vec<String>,
}

/// A form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people, as the Python tool prints them
    Text,
    /// A table for people
    Table,
    /// One JSON document, with its schema
    Json,
    /// A JSON object a line
    #[value(alias = "ndjson")]
    Jsonl,
    /// Comma-separated values, with a header
    Csv,
    /// Values separated by blanks, without a header
    Value,
}

/// The files that the result of a run is written to.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::OUTPUT)]
pub(crate) struct ReportArgs {
    /// File to write the whole result to, as JSON
    ///
    /// It has the ends, every image with what became of it, and the totals. It is there
    /// after a run that failed or was interrupted, too, and only its owner can read it.
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) report: Option<PathBuf>,

    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "dry_run",
        hide_short_help = true
    )]
    #[arg(help = METRICS, long_help = METRICS_IN_FULL)]
    pub(crate) metrics_file: Option<PathBuf>,
}

const METRICS: &str = "File to write metrics to, for Prometheus";
const METRICS_IN_FULL: &str = "File to write metrics to, for Prometheus\n\nThey are in its text \
                               format, as the textfile collector of node_exporter takes them from \
                               files that end in .prom. Each job needs a file of its own, which \
                               everybody can read.";

/// The file that the numbers of a run are written to that copies nothing.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::OUTPUT)]
pub(crate) struct MetricsArgs {
    #[arg(long, value_name = "FILE")]
    #[arg(help = METRICS, long_help = METRICS_IN_FULL)]
    pub(crate) metrics_file: Option<PathBuf>,
}

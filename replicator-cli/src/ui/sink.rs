//! The output on stdout: rows, as text.

use std::io::{self, ErrorKind, Write as _};

use super::escape::escaped;
use super::row::{Row, Text};
use crate::error::CliError;

/// Takes the rows of a command and renders each of them as it comes.
#[derive(Debug, Default)]
pub(crate) struct Sink;

impl Sink {
    /// Writes a row to stdout. Where nobody reads any more, [`CliError::NoReader`] ends the
    /// command: its result is not whole, so it must not sum up.
    pub(crate) fn row(&self, row: &impl Row) -> Result<(), CliError> {
        let mut text = Text::default();
        row.text(&mut text);
        text.lines.iter().try_for_each(|line| write(line))
    }
}

/// The one way to stdout.
fn write(line: &str) -> Result<(), CliError> {
    match writeln!(io::stdout(), "{}", escaped(line)) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(CliError::NoReader),
        Err(source) => {
            let what = "write to stdout";
            Err(CliError::System { what, source })
        }
    }
}

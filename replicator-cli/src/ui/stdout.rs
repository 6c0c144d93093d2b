//! The one way to stdout.

use std::io::{self, ErrorKind, Write as _};

use crate::error::CliError;

/// Writes a line.
pub(super) fn write(line: &str) -> Result<(), CliError> {
    write_part(&format!("{line}\n"))
}

/// Writes all of a text, and nothing else.
pub(super) fn write_part(text: &str) -> Result<(), CliError> {
    written(io::stdout().write_all(text.as_bytes()))
}

/// Returns how writing has gone. Where nobody reads any more, the error is [`CliError::NoReader`].
pub(super) fn written(result: io::Result<()>) -> Result<(), CliError> {
    result.map_err(|source| match source.kind() {
        ErrorKind::BrokenPipe => CliError::NoReader,
        _ => {
            let what = "write to stdout";
            CliError::System { what, source }
        }
    })
}

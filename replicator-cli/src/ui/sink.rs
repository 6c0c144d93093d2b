//! The output on stdout: the rows of a command, in the form that is asked for.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Write as _};
use std::marker::PhantomData;

use serde::Serialize;
use serde_json::Value;

use super::escape::escaped;
use super::row::{Column, Row, Text};
use super::table::Rows;
use super::{cell, document};
use crate::args::{Format, OutputArgs, near};
use crate::error::CliError;

/// The largest number of columns that are suggested.
const MOST_NEAR: usize = 3;

/// Takes the rows of a command and writes each of them as it comes; those of a table when all
/// are there.
pub(crate) struct Sink<R> {
    format: Format,
    columns: Vec<Column>,
    table: Option<Rows>,
    is_begun: bool,
    row: PhantomData<R>,
}

impl<R: Row> Sink<R> {
    /// Makes the sink of a command.
    ///
    /// # Errors
    ///
    /// [`CliError::Column`] if a column is asked for that there is not.
    pub(crate) fn new(options: &OutputArgs) -> Result<Self, CliError> {
        Self::of(options, false)
    }

    /// Makes the sink of a command, of all columns if the `long` ones are asked for, too.
    ///
    /// # Errors
    ///
    /// [`CliError::Column`] if a column is asked for that there is not.
    pub(crate) fn of(options: &OutputArgs, long: bool) -> Result<Self, CliError> {
        let has_all = long || matches!(options.format, Format::Json | Format::Jsonl);
        let columns = if options.columns.is_empty() {
            let shown = R::COLUMNS
                .iter()
                .filter(|column| has_all || !column.is_long);
            shown.copied().collect()
        } else {
            let named = options.columns.iter().map(|name| column_named::<R>(name));
            named.collect::<Result<Vec<_>, _>>()?
        };
        let is_table = R::IS_TABLE || !options.columns.is_empty();
        let table = match options.format {
            Format::Table => Some(Rows::new(&columns, true)),
            Format::Text if is_table => Some(Rows::new(&columns, false)),
            _ => None,
        };
        Ok(Self {
            format: options.format,
            columns,
            table,
            is_begun: false,
            row: PhantomData,
        })
    }

    /// Writes a row to stdout. Where nobody reads any more, [`CliError::NoReader`] ends the
    /// command: its result is not whole, so it must not sum up.
    pub(crate) fn row(&mut self, row: &R) -> Result<(), CliError> {
        if let Some(table) = &mut self.table {
            table.push(&cell::fields(row));
            return Ok(());
        }
        if self.format == Format::Text {
            let mut text = Text::default();
            row.text(&mut text);
            return text.lines.iter().try_for_each(|line| write(&escaped(line)));
        }
        let is_first = !self.is_begun;
        self.begin()?;
        let fields = cell::fields(row);
        let values = self.columns.iter();
        let values = values.map(|column| fields.get(column.name).unwrap_or(&Value::Null));
        match self.format {
            Format::Json => {
                let comma = if is_first { "" } else { "," };
                let item = document::item(&self.columns, &fields);
                write_part(&format!("{comma}\n{item}"))
            }
            Format::Jsonl => write(&document::item(&self.columns, &fields)),
            Format::Csv => write(&cell::csv_line(
                values.map(|value| Cow::Owned(cell::csv(value))),
            )),
            _ => write(&values.map(cell::word).collect::<Vec<_>>().join(" ")),
        }
    }

    /// Returns whether a column is among those that are written.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name)
    }

    /// Returns whether the result is text, as the Python tool prints it.
    pub(crate) fn is_text(&self) -> bool {
        self.format == Format::Text && self.table.is_none()
    }

    /// Writes a line that only text has.
    pub(crate) fn only_text(&self, line: &str) -> Result<(), CliError> {
        if self.is_text() {
            write(&escaped(line))?;
        }
        Ok(())
    }

    /// Ends the result. What `rest` says of all items together is in JSON alone.
    ///
    /// A JSON document that is not ended is none, so that nobody takes a part for the whole.
    pub(crate) fn end(mut self, rest: &impl Serialize) -> Result<(), CliError> {
        self.begin()?;
        if let Some(table) = &self.table {
            return table.lines().try_for_each(|line| write(&line));
        }
        match self.format {
            Format::Json => write(&format!("\n{}", document::tail(rest))),
            _ => Ok(()),
        }
    }

    /// Writes what comes before the first row.
    fn begin(&mut self) -> Result<(), CliError> {
        if std::mem::replace(&mut self.is_begun, true) {
            return Ok(());
        }
        match self.format {
            Format::Json => write_part(&document::head::<R>()),
            Format::Csv => {
                let names = self.columns.iter().map(|column| Cow::Borrowed(column.name));
                write(&cell::csv_line(names))
            }
            _ => Ok(()),
        }
    }
}

/// Finds a column by its name, which may be written as openstackclient has it.
pub(crate) fn column_named<R: Row>(name: &str) -> Result<Column, CliError> {
    let plain = name.trim().to_lowercase().replace([' ', '-'], "_");
    let known = R::COLUMNS.iter();
    if let Some(column) = known.clone().find(|column| column.name == plain) {
        return Ok(*column);
    }
    let names = known.map(|column| column.name);
    let mut near: Vec<&'static str> = near(&plain, names.clone(), MOST_NEAR);
    if near.is_empty() {
        near = names.collect();
    }
    Err(CliError::Column {
        name: name.to_owned(),
        near,
        count: R::COLUMNS.len(),
    })
}

/// Writes a line to stdout.
fn write(line: &str) -> Result<(), CliError> {
    write_part(&format!("{line}\n"))
}

/// The one way to stdout.
fn write_part(text: &str) -> Result<(), CliError> {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(CliError::NoReader),
        Err(source) => {
            let what = "write to stdout";
            Err(CliError::System { what, source })
        }
    }
}

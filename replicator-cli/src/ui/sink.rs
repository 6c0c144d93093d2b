//! The output on stdout: the rows of a command, in the form that is asked for.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use super::console::Console;
use super::escape::escaped;
use super::row::{Column, PROPERTY, Row, Text};
use super::stdout::{write, write_part};
use super::table::{self, Rows};
use super::{cell, document};
use crate::args::{Format, OutputArgs};
use crate::error::CliError;
use crate::near::near;

/// The largest number of columns that are suggested.
const MOST_NEAR: usize = 3;

/// Takes the rows of a command and writes each of them as it comes; those of a table when all
/// are there.
pub(crate) struct Sink<R> {
    format: Format,
    columns: Vec<Column>,
    table: Option<Rows>,
    console: Arc<Console>,
    is_begun: bool,
    row: PhantomData<R>,
}

/// A row as it is written: of what it says, that which is asked for.
pub(crate) struct Rendered(Box<str>);

impl<R: Row> Sink<R> {
    /// Makes the sink of a command.
    ///
    /// # Errors
    ///
    /// [`CliError::Column`] if a column is asked for that there is not.
    pub(crate) fn new(options: &OutputArgs, console: &Arc<Console>) -> Result<Self, CliError> {
        Self::of(options, console, false)
    }

    /// Makes the sink of a command, of all columns if the `long` ones are asked for, too.
    ///
    /// # Errors
    ///
    /// [`CliError::Column`] if a column is asked for that there is not, or
    /// [`CliError::ColumnTwice`].
    pub(crate) fn of(
        options: &OutputArgs,
        console: &Arc<Console>,
        long: bool,
    ) -> Result<Self, CliError> {
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
        let mut names = BTreeSet::new();
        if let Some(again) = columns.iter().find(|column| !names.insert(column.name)) {
            // An object has each field once.
            let name = again.name;
            return Err(CliError::ColumnTwice { name });
        }
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
            console: Arc::clone(console),
            is_begun: false,
            row: PhantomData,
        })
    }

    /// Writes a row to stdout. Where nobody reads any more, [`CliError::NoReader`] ends the
    /// command: its result is not whole, so it must not sum up.
    pub(crate) fn row(&mut self, row: &R) -> Result<(), CliError> {
        self.write(self.render(row))
    }

    /// Renders a row, which takes less memory than the row.
    pub(crate) fn render(&self, row: &R) -> Rendered {
        if self.format == Format::Text && self.table.is_none() {
            let mut text = Text::default();
            row.text(&mut text);
            let lines = text.lines.iter().map(|line| format!("{}\n", escaped(line)));
            return Rendered(lines.collect::<String>().into());
        }
        let mut fields = cell::fields(row);
        for column in &self.columns {
            if let Some(name) = column.property() {
                fields.insert(column.name.to_owned(), row.property(name));
            }
        }
        if self.table.is_some() {
            return Rendered(table::row(&self.columns, &fields));
        }
        let values = self.columns.iter();
        let values = values.map(|column| fields.get(column.name).unwrap_or(&Value::Null));
        let text = match self.format {
            Format::Json => document::item(&self.columns, &fields),
            Format::Jsonl => document::item(&self.columns, &fields) + "\n",
            Format::Csv => cell::csv_line(values.map(|value| Cow::Owned(cell::csv(value)))) + "\n",
            _ => values.map(cell::word).collect::<Vec<_>>().join(" ") + "\n",
        };
        Rendered(text.into())
    }

    /// Writes a row that this sink has rendered.
    pub(crate) fn write(&mut self, Rendered(row): Rendered) -> Result<(), CliError> {
        if let Some(table) = &mut self.table {
            table.push(row);
            return Ok(());
        }
        let is_first = !self.is_begun;
        self.begin()?;
        if self.format == Format::Json {
            let comma = if is_first { "" } else { "," };
            write_part(&format!("{comma}\n{row}"))
        } else {
            write_part(&row)
        }
    }

    /// Returns whether the result is text, as the Python tool prints it.
    pub(crate) fn is_text(&self) -> bool {
        self.format == Format::Text && self.table.is_none()
    }

    /// Writes a line that only text has.
    pub(crate) fn only_text(&mut self, line: &str) -> Result<(), CliError> {
        if self.is_text() {
            self.begin()?;
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
        self.console.make_room();
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
    let name = name.trim();
    let is_property = |name: &str| R::HAS_PROPERTIES && name.len() > PROPERTY.len();
    if name.starts_with(PROPERTY) && is_property(name) {
        return Ok(Column::of_property(name));
    }
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
        has_properties: R::HAS_PROPERTIES,
    })
}

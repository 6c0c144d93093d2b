//! Tables.

use std::io::{self, IsTerminal as _};

use comfy_table::presets::{ASCII_FULL_CONDENSED, NOTHING};
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table};
use serde_json::{Map, Value};

use super::cell;
use super::escape::escaped;
use super::row::Column;

/// Rows that are aligned when all of them are known.
pub(super) struct Rows {
    table: Table,
    columns: Vec<Column>,
}

impl Rows {
    /// Begins a table, with lines around its cells if it `is_ruled`.
    pub(super) fn new(columns: &[Column], is_ruled: bool) -> Self {
        let mut table = Table::new();
        table.load_style(if is_ruled {
            ASCII_FULL_CONDENSED
        } else {
            NOTHING
        });
        table.set_header(columns.iter().map(|column| Cell::new(column.name)));
        table.set_content_arrangement(ContentArrangement::Disabled);
        if let Some(width) = terminal_width() {
            table.set_content_arrangement(ContentArrangement::Dynamic);
            table.set_width(width);
        }
        for (column, rows) in columns.iter().zip(table.column_iter_mut()) {
            if column.is_bytes {
                rows.set_cell_alignment(CellAlignment::Right);
            }
            // It is copied and pasted.
            if column.name == "id" {
                rows.set_constraint(ColumnConstraint::ContentWidth);
            }
            if !is_ruled {
                rows.set_padding((0, 2));
            }
        }
        let columns = columns.to_vec();
        Self { table, columns }
    }

    pub(super) fn push(&mut self, fields: &Map<String, Value>) {
        let cells = self.columns.iter().map(|&column| {
            let value = fields.get(column.name).unwrap_or(&Value::Null);
            Cell::new_owned(cell::human(column, value))
        });
        self.table.add_row(cells.collect::<Vec<_>>());
    }

    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.table.lines().map(|line| line.trim_end().to_owned())
    }
}

/// Returns the lines of a table whose columns have names that are known only when it is made. Those of
/// numbers are to the right.
pub(crate) fn matrix(header: &[(&str, bool)], rows: &[Vec<String>]) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.iter().map(|(name, _)| Cell::new(escaped(name))));
    for row in rows {
        table.add_row(row.iter().map(|cell| Cell::new(escaped(cell))));
    }
    for ((_, is_number), column) in header.iter().zip(table.column_iter_mut()) {
        column.set_padding((0, 2));
        if *is_number {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines();
    lines.map(|line| line.trim_end().to_owned()).collect()
}

fn terminal_width() -> Option<u16> {
    let stdout = io::stdout();
    let size = stdout
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&stdout));
    size?
        .ok()
        .map(|size| size.ws_col)
        .filter(|&width| width > 0)
}

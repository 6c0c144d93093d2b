//! Tables.

use std::io::{self, IsTerminal as _};

use comfy_table::presets::{ASCII_FULL_CONDENSED, NOTHING};
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table};
use console::{Alignment, measure_text_width, pad_str};
use serde_json::{Map, Value};

use super::cell;
use super::escape::escaped;
use super::row::Column;

/// Stands between the cells of a row; in a cell, it would be escaped.
const BETWEEN: char = '\u{1f}';
/// The width in which a cell can be read, if it is wrapped.
const READABLE: usize = 12;
/// The fewest columns of a table that is cut.
const LEAST_COLUMNS: usize = 2;

/// Renders the cells of a row.
pub(super) fn row(columns: &[Column], fields: &Map<String, Value>) -> Box<str> {
    let cells = columns.iter().map(|&column| {
        let value = fields.get(column.name).unwrap_or(&Value::Null);
        cell::human(column, value)
    });
    let cells: Vec<String> = cells.collect();
    cells.join(&BETWEEN.to_string()).into()
}

/// Rows that are aligned when all of them are known. Each is a text until then, so that there may be
/// very many.
pub(super) struct Rows {
    columns: Vec<Column>,
    is_ruled: bool,
    rows: Vec<Box<str>>,
    /// The width of the widest cell of each column.
    widths: Vec<usize>,
}

impl Rows {
    /// Begins a table, with lines around its cells if it `is_ruled`.
    pub(super) fn new(columns: &[Column], is_ruled: bool) -> Self {
        let names = columns.iter().map(|column| measure_text_width(column.name));
        Self {
            widths: names.collect(),
            columns: columns.to_vec(),
            is_ruled,
            rows: Vec::new(),
        }
    }

    /// Takes a row of the same columns.
    pub(super) fn push(&mut self, row: Box<str>) {
        for (width, cell) in self.widths.iter_mut().zip(row.split(BETWEEN)) {
            *width = measure_text_width(cell).max(*width);
        }
        self.rows.push(row);
    }

    /// Returns the lines. On a terminal that is too narrow, columns on the right are left out, and told
    /// in the last line; then cells are wrapped. If not even the first two have room, it wraps the lines.
    pub(super) fn lines(&self) -> Box<dyn Iterator<Item = String> + '_> {
        let width = terminal_width().map_or(usize::MAX, usize::from);
        if self.width(&self.widths) <= width {
            return Box::new(self.plain());
        }
        let shown = self.with_room(width);
        if shown < LEAST_COLUMNS.min(self.columns.len()) {
            return Box::new(self.plain());
        }
        let left_out = self.columns.iter().skip(shown).map(|column| column.name);
        let left_out = left_out.collect::<Vec<_>>().join(", ");
        let told = format!("no room for {left_out}: --column chooses");
        let told = (!left_out.is_empty()).then_some(told);
        Box::new(self.wrapped(width, shown).chain(told))
    }

    /// Returns the number of columns, from the left, that have room to be read.
    fn with_room(&self, width: usize) -> usize {
        let least = self.columns.iter().zip(&self.widths);
        let least = least.map(|(column, widest)| match column.name {
            "id" => *widest,
            name => (*widest).min(READABLE.max(name.len())),
        });
        let least: Vec<usize> = least.collect();
        let have_room = |count: &usize| {
            least
                .get(..*count)
                .is_some_and(|least| self.width(least) <= width)
        };
        (1..=least.len()).take_while(have_room).last().unwrap_or(0)
    }

    /// Returns the width of a table with columns of these widths.
    fn width(&self, columns: &[usize]) -> usize {
        let cells: usize = columns.iter().sum();
        match self.is_ruled {
            true => cells + 3 * columns.len() + 1,
            false => cells + 2 * columns.len().saturating_sub(1),
        }
    }

    fn plain(&self) -> impl Iterator<Item = String> {
        let rule = |of: &str, joint: &str| {
            let cells = self.widths.iter().map(|width| of.repeat(width + 2));
            let line = cells.collect::<Vec<_>>().join(joint);
            self.is_ruled.then(|| format!("+{line}+"))
        };
        let names = self.columns.iter().map(|column| column.name);
        let head = self.line(names);
        let rows = self.rows.iter().map(|row| self.line(row.split(BETWEEN)));
        let end = rule("-", "+").filter(|_| !self.rows.is_empty());
        let head = rule("-", "+")
            .into_iter()
            .chain([head])
            .chain(rule("=", "="));
        head.chain(rows).chain(end)
    }

    fn line<'a>(&self, cells: impl Iterator<Item = &'a str>) -> String {
        let cells = cells.zip(&self.columns).zip(&self.widths);
        let cells = cells.map(|((cell, column), width)| {
            let align = match column.is_bytes {
                true => Alignment::Right,
                false => Alignment::Left,
            };
            pad_str(cell, *width, align, None).into_owned()
        });
        let cells: Vec<String> = cells.collect();
        match self.is_ruled {
            true => format!("| {} |", cells.join(" | ")),
            false => cells.join("  ").trim_end().to_owned(),
        }
    }

    /// Returns the lines of some columns, from the left, whose cells are wrapped.
    fn wrapped(&self, width: usize, shown: usize) -> impl Iterator<Item = String> {
        let mut table = Table::new();
        table.load_style(match self.is_ruled {
            true => ASCII_FULL_CONDENSED,
            false => NOTHING,
        });
        let columns = self.columns.iter().take(shown);
        table.set_header(columns.clone().map(|column| Cell::new(column.name)));
        table.set_content_arrangement(ContentArrangement::Dynamic);
        // What is between the columns stands behind the last one, too.
        let behind = if self.is_ruled { 0 } else { 2 };
        table.set_width(u16::try_from(width + behind).unwrap_or(u16::MAX));
        for (column, rows) in columns.zip(table.column_iter_mut()) {
            if column.is_bytes {
                rows.set_cell_alignment(CellAlignment::Right);
            }
            // It is copied and pasted.
            if column.name == "id" {
                rows.set_constraint(ColumnConstraint::ContentWidth);
            }
            if !self.is_ruled {
                rows.set_padding((0, 2));
            }
        }
        for row in &self.rows {
            table.add_row(row.split(BETWEEN).take(shown));
        }
        let lines: Vec<String> = table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        lines.into_iter()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::row::{bytes, column};
    use super::*;

    #[test]
    fn what_fits_looks_as_what_is_arranged_to_fit() {
        let columns = [column("id"), bytes("size"), column("name")];
        for is_ruled in [false, true] {
            let mut rows = Rows::new(&columns, is_ruled);
            for (id, size, name) in [("a", 5, "日本"), ("bc", 5_000_000, "x y"), ("d", 0, "")] {
                let fields = json!({"id": id, "size": size, "name": name});
                rows.push(row(&columns, fields.as_object().unwrap()));
            }
            let (plain, arranged): (Vec<_>, Vec<_>) =
                (rows.plain().collect(), rows.wrapped(200, 3).collect());
            assert_eq!(plain, arranged);
        }
    }

    #[test]
    fn columns_that_have_no_room_are_left_out_from_the_right() {
        let columns = [
            column("id"),
            column("name"),
            column("status"),
            column("visibility"),
        ];
        let mut rows = Rows::new(&columns, false);
        let fields = json!({
            "id": "1".repeat(36), "name": "a long name of an image", "status": "active",
            "visibility": "shared",
        });
        rows.push(row(&columns, fields.as_object().unwrap()));
        for (width, shown) in [
            (40, 1),
            (49, 1),
            (50, 2),
            (58, 3),
            (69, 3),
            (70, 4),
            (90, 4),
        ] {
            assert_eq!(rows.with_room(width), shown, "{width}");
            let lines: Vec<String> = rows.wrapped(width, shown).collect();
            let fits = |line: &String| measure_text_width(line) <= width;
            assert!(lines.iter().all(fits), "{width}: {lines:#?}");
            assert!(lines[1].starts_with(&"1".repeat(36)), "{width}: {lines:#?}");
        }
    }
}

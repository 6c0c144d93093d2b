//! Tables.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _};
use std::iter;

use comfy_table::presets::{ASCII_FULL_CONDENSED, NOTHING};
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};
use console::{Alignment, measure_text_width, pad_str};
use serde_json::{Map, Value};

use super::cell;
use super::escape::escaped;
use super::row::Column;

/// Stands between the cells of a row; in a cell, it would be escaped.
const BETWEEN: char = '\u{1f}';
/// The width in which a cell can be read, if it is wrapped.
const READABLE: usize = 12;
/// The widest word that is not cut when a cell is wrapped: a time.
const WHOLE_WORD: usize = 20;
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
    /// The width of the widest word of each column that is not to be cut.
    words: Vec<usize>,
}

impl Rows {
    /// Begins a table, with lines around its cells if it `is_ruled`.
    pub(super) fn new(columns: &[Column], is_ruled: bool) -> Self {
        let names = columns.iter().map(|column| measure_text_width(column.name));
        Self {
            words: names.clone().collect(),
            widths: names.collect(),
            columns: columns.to_vec(),
            is_ruled,
            rows: Vec::new(),
        }
    }

    /// Takes a row of the same columns.
    pub(super) fn push(&mut self, row: Box<str>) {
        let widths = self.widths.iter_mut().zip(&mut self.words);
        for ((width, word), cell) in widths.zip(row.split(BETWEEN)) {
            *width = measure_text_width(cell).max(*width);
            let words = cell.split_whitespace().map(measure_text_width);
            let widest = words.filter(|width| *width <= WHOLE_WORD).max();
            *word = widest.unwrap_or(0).max(*word);
        }
        self.rows.push(row);
    }

    /// Returns the lines. On a terminal that is too narrow, columns on the right are left out, and told
    /// in the last line; then cells are wrapped. If not even the first two have room, the fields of a row
    /// stand one below another.
    pub(super) fn lines(&self) -> Box<dyn Iterator<Item = String> + '_> {
        let width = terminal_width();
        if self.width(&self.widths) <= width || self.columns.len() < LEAST_COLUMNS {
            return Box::new(self.plain());
        }
        let shown = self.with_room(width);
        if shown < LEAST_COLUMNS {
            let names: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
            let rows = self.rows.iter();
            return Box::new(rows.flat_map(move |row| record(&names, row.split(BETWEEN))));
        }
        let left_out = self.columns.iter().skip(shown).map(|column| column.name);
        let left_out = left_out.collect::<Vec<_>>().join(", ");
        let told = format!("no room for {left_out}: --column chooses");
        let told = (!left_out.is_empty()).then_some(told);
        Box::new(self.wrapped(width, shown).chain(told))
    }

    /// Returns the number of columns, from the left, that have room to be read.
    fn with_room(&self, width: usize) -> usize {
        let least = self.least();
        let have_room = |count: &usize| {
            least
                .get(..*count)
                .is_some_and(|least| self.width(least) <= width)
        };
        (1..=least.len()).take_while(have_room).last().unwrap_or(0)
    }

    /// Returns the widths that columns need to be read.
    fn least(&self) -> Vec<usize> {
        let widths = self.widths.iter().zip(&self.words);
        let least = self.columns.iter().zip(widths);
        let least = least.map(|(column, (widest, word))| match column.name {
            // It is copied and pasted.
            "id" => *widest,
            _ => (*widest).min(READABLE.max(*word)),
        });
        least.collect()
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
        for ((column, least), rows) in columns.zip(self.least()).zip(table.column_iter_mut()) {
            if column.is_bytes {
                rows.set_cell_alignment(CellAlignment::Right);
            }
            let padding = if self.is_ruled { (1, 1) } else { (0, 2) };
            rows.set_padding(padding);
            let least = least + usize::from(padding.0 + padding.1);
            let least = Width::Fixed(u16::try_from(least).unwrap_or(u16::MAX));
            rows.set_constraint(ColumnConstraint::LowerBoundary(least));
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

/// Returns the lines of a row whose fields stand one below another: what is first in it, and below it each
/// other one that is not empty.
fn record<'a>(names: &[&str], mut cells: impl Iterator<Item = &'a str>) -> Vec<String> {
    let first = cells.next().unwrap_or_default();
    let widths = names.iter().skip(1).map(|name| measure_text_width(name));
    let width = widths.max().unwrap_or(0);
    let others = names.iter().skip(1).zip(cells);
    let others = others.filter(|(_, cell)| !cell.is_empty());
    let others = others
        .map(|(name, cell)| format!("  {}  {cell}", pad_str(name, width, Alignment::Left, None)));
    iter::once(first.to_owned()).chain(others).collect()
}

/// Returns the lines of a table whose columns have names that are known only when it is made. Those of
/// numbers are to the right. On a terminal that is too narrow, the fields of a row stand one below
/// another: no column is a lesser one.
pub(crate) fn matrix(header: &[(&str, bool)], rows: &[Vec<String>]) -> Vec<String> {
    let names: Vec<Cow<'_, str>> = header.iter().map(|(name, _)| escaped(name)).collect();
    let rows = rows.iter();
    let rows = rows.map(|row| row.iter().map(|cell| escaped(cell)).collect());
    let rows: Vec<Vec<Cow<'_, str>>> = rows.collect();
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(names.iter().map(Cell::new));
    for row in &rows {
        table.add_row(row.iter().map(Cell::new));
    }
    for ((_, is_number), column) in header.iter().zip(table.column_iter_mut()) {
        column.set_padding((0, 2));
        if *is_number {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let lines = table.lines();
    let lines: Vec<String> = lines.map(|line| line.trim_end().to_owned()).collect();
    let width = terminal_width();
    if lines.iter().all(|line| measure_text_width(line) <= width) {
        return lines;
    }
    let names: Vec<&str> = names.iter().map(|name| &**name).collect();
    let rows = rows.iter();
    rows.flat_map(|row| record(&names, row.iter().map(|cell| &**cell)))
        .collect()
}

/// Returns the number of columns of the terminal; there is no limit where there is none.
fn terminal_width() -> usize {
    let stdout = io::stdout();
    let size = stdout
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&stdout));
    let width = size.and_then(Result::ok).map(|size| size.ws_col);
    let width = width.filter(|&width| width > 0);
    width.map_or(usize::MAX, usize::from)
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
    #[test]
    fn a_time_is_never_cut() {
        let columns = [column("time"), column("state"), column("path")];
        let mut rows = Rows::new(&columns, false);
        let time = "2026-11-27T23:36:28Z";
        let fields =
            json!({"time": time, "state": "whole", "path": "/a/path/that/is/cut/if/need/be"});
        rows.push(row(&columns, fields.as_object().unwrap()));
        for (width, shown) in [(21, 1), (27, 2), (40, 2), (41, 3)] {
            assert_eq!(rows.with_room(width), shown, "{width}");
            let lines: Vec<String> = rows.wrapped(width, shown).collect();
            assert!(lines[1].starts_with(time), "{width}: {lines:#?}");
        }
    }

    #[test]
    fn fields_one_below_another_leave_out_what_is_empty() {
        let names = ["id", "name", "owner", "disk_format"];
        let cells = ["1", "a name", "", "raw"].into_iter();
        let lines = ["1", "  name         a name", "  disk_format  raw"];
        assert_eq!(record(&names, cells), lines);
    }
}

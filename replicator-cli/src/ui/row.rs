//! Rows: what a command has found, an item at a time, before it is text or anything else.

use std::fmt::{self, Display};

use serde::Serialize;

/// One item of a command's result. Its fields are for programs, its text is for people.
pub(crate) trait Row: Serialize {
    /// Writes the item as lines of text.
    fn text(&self, out: &mut Text);
}

/// The lines of an item, not escaped yet.
#[derive(Default)]
pub(crate) struct Text {
    pub(super) lines: Vec<String>,
}

impl Text {
    pub(crate) fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }
}

/// Returns the words for a value, or for one that is not there.
pub(crate) fn or_undefined(value: Option<impl Display>) -> String {
    value.map_or_else(|| "undefined".to_owned(), |value| value.to_string())
}

impl Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

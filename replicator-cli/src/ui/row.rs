//! Rows: what a command has found, an item at a time, before it is text or anything else.

use std::fmt::{self, Display};

use serde::Serialize;
use serde_json::Value;

/// The beginning of the name of a column that is an additional property of an image.
pub(crate) const PROPERTY: &str = "property:";

/// One item of a command's result. Its fields are for programs, and hold bytes as numbers and
/// times in RFC 3339; its text is for people.
pub(crate) trait Row: Serialize {
    /// The name of the JSON document and of its schema, with the version of the schema. A
    /// change of meaning makes a new one; fields that are only added do not.
    const SCHEMA: &'static str;
    /// The name of the list of items in the document.
    const ITEMS: &'static str;
    /// The fields, in their order.
    const COLUMNS: &'static [Column];

    /// Whether the items are lines of a table where text is asked for, too.
    const IS_TABLE: bool = false;

    /// Whether an item is an image, of which columns can be asked for by its additional properties.
    const HAS_PROPERTIES: bool = false;

    /// Returns an additional property of the image.
    fn property(&self, _: &str) -> Value {
        Value::Null
    }

    /// Writes the item as lines of text.
    fn text(&self, _: &mut Text) {}
}

/// A field of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// Whether it is a number of bytes, which people read with a unit.
    pub(super) is_bytes: bool,
    /// Whether tables and lists of values have it only if it is asked for.
    pub(super) is_long: bool,
}

/// A field that is shown as it is.
pub(crate) const fn column(name: &'static str) -> Column {
    Column {
        name,
        is_bytes: false,
        is_long: false,
    }
}

/// A field that is a number of bytes.
pub(crate) const fn bytes(name: &'static str) -> Column {
    Column {
        is_bytes: true,
        ..column(name)
    }
}

impl Column {
    /// A column that is an additional property of an image; `name` is that of the column.
    pub(super) fn of_property(name: &str) -> Self {
        // It is an argument: there are few, and they live as long as the program.
        column(Box::leak(name.into()))
    }

    /// Returns the name of the additional property that it is.
    pub(super) fn property(self) -> Option<&'static str> {
        self.name.strip_prefix(PROPERTY)
    }

    /// The same field, in tables only where it is asked for.
    pub(crate) const fn long(self) -> Self {
        Self {
            is_long: true,
            ..self
        }
    }
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

//! The fields of a row, as a table, a CSV file or a script has them.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Map, Value};

use super::escape::{escaped, escaped_json};
use super::row::Column;
use super::words::amount;

/// The characters with which a spreadsheet begins a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Returns the fields of a row.
pub(super) fn fields(row: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// Returns the value of a column as a JSON text.
pub(super) fn json(value: &Value) -> String {
    escaped_json(&value.to_string()).into_owned()
}

/// Returns the value of a column for people.
pub(super) fn human(column: Column, value: &Value) -> String {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let text = match value {
        Value::Null => String::new(),
        Value::Number(number) if column.is_bytes => {
            number.as_u64().map_or_else(|| plain(value), amount)
        }
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| format!("{name}={}", plain(value)));
            fields.collect::<Vec<_>>().join(", ")
        }
        value => plain(value),
    };
    escaped(&text).into_owned()
}

/// Returns the value of a column as openstackclient has it among others on a line.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        value => raw(value),
    }
}

/// Returns the value of a column of a CSV file. A text that a spreadsheet would take for a
/// formula gets a quote before it.
pub(super) fn csv(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.starts_with(FORMULA) => format!("'{}", escaped(text)),
        value => raw(value),
    }
}

/// Texts as they are, all else as JSON.
fn raw(value: &Value) -> String {
    match value {
        Value::String(text) => escaped(text).into_owned(),
        value => json(value),
    }
}

/// Returns a line of a CSV file.
pub(super) fn csv_line<'a>(cells: impl IntoIterator<Item = Cow<'a, str>>) -> String {
    let builder = csv::WriterBuilder::new();
    let mut line = builder.from_writer(Vec::new());
    // Memory takes it all.
    let _ = line.write_record(cells.into_iter().map(|cell| cell.into_owned()));
    let line = line.into_inner().unwrap_or_default();
    String::from_utf8_lossy(&line)
        .trim_end_matches('\n')
        .to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::row::{bytes, column};
    use super::*;

    #[test]
    fn values_in_every_form() {
        let plain = column("x");
        struct Case(Value, &'static str, &'static str, &'static str);
        for Case(value, people, script, sheet) in [
            Case(json!("a b"), "a b", "a b", "a b"),
            Case(json!(null), "", "None", ""),
            Case(json!(5), "5", "5", "5"),
            Case(json!(-5), "-5", "-5", "-5"),
            Case(json!(true), "true", "true", "true"),
            Case(json!(["a", "b"]), "a, b", r#"["a","b"]"#, r#"["a","b"]"#),
            Case(json!({"a": 1}), "a=1", r#"{"a":1}"#, r#"{"a":1}"#),
            Case(json!("=1+1"), "=1+1", "=1+1", "'=1+1"),
            Case(json!("@x"), "@x", "@x", "'@x"),
            Case(json!("\tx\n"), "\\tx\\n", "\\tx\\n", "'\\tx\\n"),
            Case(json!("\u{1b}[1m"), "\\u{1b}[1m", "\\u{1b}[1m", "\\u{1b}[1m"),
        ] {
            assert_eq!(human(plain, &value), people, "{value}");
            assert_eq!(word(&value), script, "{value}");
            assert_eq!(csv(&value), sheet, "{value}");
        }
        for (size, people) in [(375, "375 B"), (2048, "2.0 KiB")] {
            assert_eq!(human(bytes("x"), &json!(size)), people);
        }
    }

    #[test]
    fn line_of_csv_is_quoted_where_it_has_to_be() {
        let cells = ["a", "b,c", "d \"e\"", ""].map(Cow::Borrowed);
        assert_eq!(csv_line(cells), r#"a,"b,c","d ""e""","#);
    }
}

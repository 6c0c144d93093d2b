//! A JSON document: its schema, its items, a line each, and what is true of them together.

use std::iter;

use serde::Serialize;
use serde_json::{Map, Value};

use super::cell;
use super::escape::escaped_json;
use super::row::{Column, Row};

/// Returns the id of a schema, which stands in the document.
pub(crate) fn schema_id(name: &str) -> String {
    format!("glance-replicator/{name}")
}

/// Returns the beginning of a document, up to its items.
pub(super) fn head<R: Row>() -> String {
    format!(
        "{{\"schema\":\"{}\",\"{}\":[",
        schema_id(R::SCHEMA),
        R::ITEMS
    )
}

/// Returns an item, or those of its fields that are asked for, in their order.
pub(super) fn item(columns: &[Column], fields: &Map<String, Value>) -> String {
    let fields = columns.iter().filter_map(|column| {
        let value = fields.get(column.name)?;
        Some(format!("\"{}\":{}", column.name, cell::json(value)))
    });
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}

/// Returns the end of a document, with the fields of `rest` behind its items.
pub(super) fn tail(rest: &impl Serialize) -> String {
    let rest = serde_json::to_string(rest).unwrap_or_default();
    match rest.strip_prefix('{') {
        Some(fields) if fields != "}" => format!("],\n{}", escaped_json(fields)),
        _ => "]}".to_owned(),
    }
}

/// Returns a whole document, a piece at a time.
pub(crate) fn pieces<R: Row>(
    rows: impl Iterator<Item = R>,
    rest: &impl Serialize,
) -> impl Iterator<Item = String> {
    let begins = iter::once("\n").chain(iter::repeat(",\n"));
    let items = rows.zip(begins);
    let items =
        items.map(|(row, begin)| format!("{begin}{}", item(R::COLUMNS, &cell::fields(&row))));
    let end = format!("\n{}\n", tail(rest));
    iter::once(head::<R>()).chain(items).chain([end])
}

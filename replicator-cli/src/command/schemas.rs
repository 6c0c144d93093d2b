//! The schemas of the JSON documents, which are made of the types: docs/schema has them.
//!
//! `UPDATE_SCHEMAS=1 cargo test -p replicator-cli schemas` writes them anew.

use std::fs;
use std::path::PathBuf;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    archive, check, compare, jobs, list, metadefs, planned, push, results, size, status, verify,
};
use crate::ui::Row;
use crate::ui::document::schema_id;

/// Fields that a version did not have from its beginning: documents of before are without them.
const ADDED: &[(&str, &str)] = &[("compare/1", "group"), ("compare/1", "other_newest")];

#[derive(JsonSchema, Serialize)]
struct Nothing {}

/// Stands at a field that was added to a schema: it is always written, and older documents lack it.
pub(super) fn later<T>(_: &T) -> bool {
    false
}

#[derive(JsonSchema, Serialize)]
struct Document<R, T> {
    items: Vec<R>,
    #[serde(flatten)]
    rest: T,
}

/// The name of the file of a schema, and the schema.
fn schema<R: Row + JsonSchema, T: JsonSchema>() -> (String, String) {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let schema = settings
        .into_generator()
        .into_root_schema_for::<Document<R, T>>();
    let mut schema = Schema::to_value(schema);
    let id = schema_id(R::SCHEMA);
    let file = R::SCHEMA.replace('/', "-");
    schema["$id"] = json!(format!("urn:{}", id.replace('/', ":")));
    schema["title"] = json!(id);
    schema.as_object_mut().unwrap().remove("description");
    for (_, added) in ADDED.iter().filter(|(of, _)| *of == R::SCHEMA) {
        for definition in schema["$defs"].as_object_mut().unwrap().values_mut() {
            if let Some(Value::Array(required)) = definition.get_mut("required") {
                required.retain(|name| name != added);
            }
        }
    }
    let properties = schema["properties"].as_object_mut().unwrap();
    let items = properties.remove("items").unwrap();
    properties.insert(R::ITEMS.to_owned(), items);
    properties.insert("schema".to_owned(), json!({ "const": id }));
    let required = schema["required"].as_array_mut().unwrap();
    required.retain(|name| name != "items");
    required.extend([json!(R::ITEMS), json!("schema")]);
    required.sort_by_key(|name| name.to_string());
    holds_columns::<R>(&schema);
    let text = serde_json::to_string_pretty(&schema).unwrap();
    (format!("{file}.json"), format!("{text}\n"))
}

/// Whether the columns are the fields.
#[track_caller]
fn holds_columns<R: Row>(schema: &Value) {
    let item = &schema["properties"][R::ITEMS]["items"]["$ref"];
    let item = item.as_str().unwrap().rsplit('/').next().unwrap();
    let fields = schema["$defs"][item]["properties"].as_object().unwrap();
    let mut columns: Vec<&str> = R::COLUMNS.iter().map(|column| column.name).collect();
    columns.sort_unstable();
    let mut fields: Vec<&str> = fields.keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(columns, fields, "{}", R::SCHEMA);
}

/// The schema of the file of jobs, which is read and not written.
fn of_jobs() -> (String, String) {
    let settings = SchemaSettings::draft2020_12();
    let schema = settings
        .into_generator()
        .into_root_schema_for::<jobs::file::JobsFile>();
    let mut schema = Schema::to_value(schema);
    schema["$id"] = json!("urn:glance-replicator:jobs:1");
    schema["title"] = json!("glance-replicator/jobs/1");
    let text = serde_json::to_string_pretty(&schema).unwrap();
    ("jobs-1.json".to_owned(), format!("{text}\n"))
}

fn all() -> Vec<(String, String)> {
    vec![
        of_jobs(),
        schema::<jobs::Checked, Nothing>(),
        schema::<check::Facts, Nothing>(),
        schema::<list::Listed, list::Rest>(),
        schema::<compare::DifferenceRow, compare::Rest>(),
        schema::<planned::Planned, planned::dry_run::Rest>(),
        schema::<planned::file::PlanRow, planned::file::Rest>(),
        schema::<results::ImageRow, results::Rest>(),
        schema::<push::Pushed, Nothing>(),
        schema::<verify::NotVerified, verify::Rest>(),
        schema::<size::Total, Nothing>(),
        schema::<archive::Listed, archive::Rest>(),
        schema::<status::standing::StandingRow, status::standing::Rest>(),
        schema::<metadefs::Defined, metadefs::Rest>(),
    ]
}

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema"))
}

#[test]
fn schemas_in_the_docs_are_those_of_the_types() {
    for (file, schema) in all() {
        let path = directory().join(&file);
        if std::env::var_os("UPDATE_SCHEMAS").is_some() {
            fs::write(&path, &schema).unwrap();
        }
        let in_docs = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(in_docs, schema, "{file}");
    }
}

#[test]
fn old_documents_still_validate() {
    for file in fs::read_dir(directory().join("examples")).unwrap() {
        let path = file.unwrap().path();
        let document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let id = document["schema"].as_str().unwrap();
        let name = id
            .strip_prefix("glance-replicator/")
            .unwrap()
            .replace('/', "-");
        let schema = directory().join(format!("{name}.json"));
        let mut schemas = boon::Schemas::new();
        let mut compiler = boon::Compiler::new();
        let index = compiler.compile(schema.to_str().unwrap(), &mut schemas);
        let index = index.unwrap_or_else(|error| panic!("{}: {error}", schema.display()));
        if let Err(error) = schemas.validate(&document, index) {
            panic!("{}: {error}", path.display());
        }
    }
}

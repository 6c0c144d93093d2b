//! The documents of runs that divided the images, in the order of their shares.

use std::collections::BTreeMap;
use std::fs;
use std::marker::PhantomData;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};

use glance_model::Shard;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::ui::document::schema_id;
use crate::ui::{Column, Row, Text};

/// The report of a run that took a share of the images, or all of them.
pub(super) trait Share {
    /// Its file.
    fn path(&self) -> &Path;

    /// The share.
    fn shard(&self) -> Option<Shard>;

    /// Returns the file, and the share that it is of.
    fn named(&self) -> String {
        let path = self.path().display();
        match self.shard() {
            Some(shard) => format!("{path} (shard {shard})"),
            None => format!("{path} (all images)"),
        }
    }
}

/// Puts reports into the order of their shares; returns the shares of which there is none, too.
pub(super) fn by_share<S: Share>(reports: Vec<S>) -> Result<(Vec<S>, Vec<Shard>), CliError> {
    let of = |report: &S| report.shard().map(Shard::of);
    let mut shares: BTreeMap<Option<u64>, S> = BTreeMap::new();
    for report in reports {
        if let Some(other) = shares.values().find(|other| of(other) != of(&report)) {
            return Err(merge(format!(
                "{} and {} do not divide the images alike",
                other.named(),
                report.named()
            )));
        }
        let index = report.shard().map(Shard::index);
        if let Some(other) = shares.get(&index) {
            return Err(merge(format!(
                "{} and {} would count twice; leave the older one out",
                other.named(),
                report.named()
            )));
        }
        shares.insert(index, report);
    }
    let number = shares.values().find_map(of).map_or(0, NonZeroU64::get);
    let missing = (0..number).filter(|index| !shares.contains_key(&Some(*index)));
    let missing = missing.filter_map(|index| format!("{index}/{number}").parse().ok());
    let missing = missing.collect();
    Ok((shares.into_values().collect(), missing))
}

pub(super) fn merge(problem: String) -> CliError {
    CliError::Merge { problem }
}

pub(super) fn without_report(missing: &[Shard]) -> String {
    let shards: Vec<String> = missing.iter().map(Shard::to_string).collect();
    let s = if shards.len() == 1 { "" } else { "s" };
    format!("there is no report of the shard{s} {}", shards.join(", "))
}

pub(super) fn code(number: u8) -> ExitCode {
    ExitCode::of_number(number).unwrap_or(ExitCode::Error)
}

/// A file that has a document of some schema.
pub(super) struct File {
    path: PathBuf,
    text: String,
    schema: serde_json::Result<String>,
}

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let path = path.to_owned();
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Self {
                schema: schema_of(&text),
                path,
                text,
            }),
            Err(source) => Err(CliError::ReadReport { path, source }),
        }
    }

    /// Returns whether it has a document of a schema, as far as it can be read.
    pub(super) fn is_of(&self, schema: &str) -> bool {
        let schema = schema_id(schema);
        self.schema.as_ref().is_ok_and(|found| *found == schema)
    }

    /// Returns its path, and its document, which has to be of a schema. Other documents have other
    /// fields: the schema says it better than a field that is missing.
    pub(super) fn document<D: DeserializeOwned>(
        self,
        schema: &str,
    ) -> Result<(PathBuf, D), CliError> {
        let Self {
            path,
            text,
            schema: found,
        } = self;
        let wanted = schema_id(schema);
        let read = found.and_then(|found| match found == wanted {
            true => serde_json::from_str(&text),
            false => {
                let problem = format!("it is a document of {found}, not of {wanted}");
                Err(serde::de::Error::custom(problem))
            }
        });
        match read {
            Ok(document) => Ok((path, document)),
            Err(source) => Err(CliError::NoReport { path, source }),
        }
    }
}

fn schema_of(text: &str) -> serde_json::Result<String> {
    #[derive(Deserialize)]
    struct Named {
        schema: String,
    }
    serde_json::from_str(text).map(|Named { schema }| schema)
}

/// A row whose documents are read again.
pub(super) trait ReadAgain: Row {
    /// Returns the line that people read of an image, if there is one.
    fn line(image: &Image<Self>) -> Option<String>
    where
        Self: Sized;
}

/// An image of a document: whatever fields it has there.
#[derive(Deserialize, Serialize)]
#[serde(transparent, bound = "")]
pub(super) struct Image<R> {
    fields: Map<String, Value>,
    row: PhantomData<R>,
}

impl<R> Image<R> {
    pub(super) fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str()
    }
}

impl<R: ReadAgain> Row for Image<R> {
    const SCHEMA: &'static str = R::SCHEMA;
    const ITEMS: &'static str = R::ITEMS;
    const COLUMNS: &'static [Column] = R::COLUMNS;

    fn text(&self, out: &mut Text) {
        if let Some(line) = R::line(self) {
            out.line(line);
        }
    }
}

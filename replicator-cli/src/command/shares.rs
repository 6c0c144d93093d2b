//! The documents of runs that divided the images, in the order of their shares.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU64;
use std::path::Path;

use glance_model::Shard;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::ui::document::schema_id;

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

/// Reads a document of a schema from a file. Other documents have other fields: the schema says it
/// better than a field that is missing.
pub(super) fn document<D: DeserializeOwned>(path: &Path, schema: &str) -> Result<D, CliError> {
    let text = text(path)?;
    let wanted = schema_id(schema);
    let read = schema_of(&text).and_then(|schema| match schema == wanted {
        true => serde_json::from_str(&text),
        false => {
            let problem = format!("it is a document of {schema}, not of {wanted}");
            Err(serde::de::Error::custom(problem))
        }
    });
    read.map_err(|source| {
        let path = path.to_owned();
        CliError::NoReport { path, source }
    })
}

/// Returns whether a file has a document of a schema, as far as it can be read.
pub(super) fn is_of(path: &Path, schema: &str) -> Result<bool, CliError> {
    let text = text(path)?;
    Ok(schema_of(&text).is_ok_and(|found| found == schema_id(schema)))
}

fn text(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(|source| {
        let path = path.to_owned();
        CliError::ReadReport { path, source }
    })
}

fn schema_of(text: &str) -> serde_json::Result<String> {
    #[derive(Deserialize)]
    struct Named {
        schema: String,
    }
    serde_json::from_str(text).map(|Named { schema }| schema)
}

//! The results of `verify` in runs that divided the images, added up.

use std::path::{Path, PathBuf};

use glance_model::Shard;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::shares::{self, Share, by_share, without_report};
use super::verify::{NotVerified, Part, Rest, Totals};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::{Column, Row, Text};

/// What `verify` has printed, as a file has it.
pub(super) struct Document {
    path: PathBuf,
    problems: Vec<Image>,
    rest: Rest,
}

#[derive(Deserialize)]
struct Printed {
    problems: Vec<Image>,
    #[serde(flatten)]
    rest: Rest,
}

impl Document {
    /// Reads files, if the first one has what `verify` has printed.
    pub(super) fn read_all(files: &[PathBuf]) -> Result<Option<Vec<Self>>, CliError> {
        let Some(first) = files.first() else {
            return Ok(None);
        };
        if !shares::is_of(first, NotVerified::SCHEMA)? {
            return Ok(None);
        }
        let documents = files.iter().map(|path| {
            let Printed { problems, rest } = shares::document(path, NotVerified::SCHEMA)?;
            Ok(Self {
                path: path.clone(),
                problems,
                rest,
            })
        });
        documents.collect::<Result<Vec<_>, _>>().map(Some)
    }
}

impl Share for Document {
    fn path(&self) -> &Path {
        &self.path
    }

    fn shard(&self) -> Option<Shard> {
        self.rest.shard.as_ref()?.parse().ok()
    }
}

/// An image that is not known to be right: whatever fields it has there.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
struct Image(Map<String, Value>);

impl Row for Image {
    const SCHEMA: &'static str = NotVerified::SCHEMA;
    const ITEMS: &'static str = NotVerified::ITEMS;
    const COLUMNS: &'static [Column] = NotVerified::COLUMNS;

    fn text(&self, out: &mut Text) {
        let field = |name: &str| self.0.get(name).and_then(Value::as_str).unwrap_or_default();
        out.line(format!("{}: {}", field("id"), field("problem")));
    }
}

/// Prints the sum of what runs have found.
pub(super) fn merge(run: &Run<'_>, documents: Vec<Document>) -> Result<ExitCode, CliError> {
    let mut sink = run.sink()?;
    let (documents, missing) = by_share(documents)?;
    let Some(first) = documents.first() else {
        return Ok(ExitCode::Done);
    };
    let (mut totals, mut code) = (Totals::default(), ExitCode::Done);
    for document in &documents {
        let (rest, of_first) = (&document.rest, &first.rest);
        let what = if (&rest.source, &rest.target) != (&of_first.source, &of_first.target) {
            "are of different ends"
        } else if rest.by != of_first.by {
            "did not look in the same way"
        } else if rest.sample != of_first.sample {
            "are of the samples of different days"
        } else {
            totals.add(&rest.totals);
            code = code.and(shares::code(rest.exit_code));
            continue;
        };
        let (first, second) = (first.named(), document.named());
        return Err(shares::merge(format!("{first} and {second} {what}")));
    }
    if !missing.is_empty() {
        run.console.warning(&without_report(&missing));
        code = code.and(ExitCode::Error);
    }
    let rest = Rest {
        source: first.rest.source.clone(),
        target: first.rest.target.clone(),
        by: first.rest.by,
        sample: first.rest.sample,
        totals,
        shard: None,
        exit_code: code.number(),
        parts: Some(documents.iter().map(part).collect()),
    };
    for image in documents.into_iter().flat_map(|document| document.problems) {
        sink.row(&image)?;
    }
    let parts = rest.parts.iter().flatten().count();
    let found = rest.totals.text(rest.by);
    sink.only_text(&format!("verify: {parts} reports, {found}"))?;
    sink.end(&rest)?;
    Ok(code)
}

fn part(document: &Document) -> Part {
    Part {
        file: document.path.display().to_string(),
        shard: document.rest.shard.clone(),
        exit_code: document.rest.exit_code,
    }
}

impl Totals {
    fn add(&mut self, other: &Self) {
        let Self {
            verified,
            unverifiable,
            missing,
            failed,
        } = other;
        self.verified += verified;
        self.unverifiable += unverifiable;
        self.missing += missing;
        self.failed += failed;
    }
}

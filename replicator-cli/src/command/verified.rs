//! The results of `verify` in runs that divided the images, added up.

use std::path::{Path, PathBuf};

use glance_model::Shard;
use serde::Deserialize;

use super::shares::{self, File, Image, ReadAgain, Share, by_share, without_report};
use super::verify::{NotVerified, Part, Rest, Totals};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::Row as _;

/// What `verify` has printed, as a file has it.
struct Document {
    path: PathBuf,
    problems: Vec<Image<NotVerified>>,
    rest: Rest,
}

#[derive(Deserialize)]
struct Printed {
    problems: Vec<Image<NotVerified>>,
    #[serde(flatten)]
    rest: Rest,
}

impl Document {
    fn read(file: File) -> Result<Self, CliError> {
        let (path, Printed { problems, rest }) = file.document(NotVerified::SCHEMA)?;
        Ok(Self {
            path,
            problems,
            rest,
        })
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

impl ReadAgain for NotVerified {
    fn line(image: &Image<Self>) -> Option<String> {
        let field = |name: &str| image.text(name).unwrap_or_default();
        Some(format!("{}: {}", field("id"), field("problem")))
    }
}

/// Prints the sum of what runs have found.
pub(super) fn merge(
    run: &Run<'_>,
    files: impl Iterator<Item = Result<File, CliError>>,
) -> Result<ExitCode, CliError> {
    let documents = files.map(|file| Document::read(file?));
    let documents = documents.collect::<Result<Vec<_>, _>>()?;
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

//! The JSON documents of every command, and their schemas in docs/schema.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test helpers"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use boon::{Compiler, Schemas};
use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile};
use serde_json::Value;

use crate::kit::images::{filled, glance, id};
use crate::kit::program::run;
use crate::kit::runs::path;

fn docs() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"))
}

/// Validates a document with the schema that it names. With `KEEP_EXAMPLES`, it is kept as an
/// example where there is none.
#[track_caller]
fn validate(text: &str) -> Value {
    let document: Value = serde_json::from_str(text).unwrap();
    let id = document["schema"].as_str().unwrap();
    let name = id.strip_prefix("glance-replicator/").unwrap();
    let file = format!("{}.json", name.replace('/', "-"));
    let schema = docs().join("schema").join(&file);
    let mut schemas = Schemas::new();
    let index = Compiler::new()
        .compile(path(&schema), &mut schemas)
        .unwrap();
    if let Err(error) = schemas.validate(&document, index) {
        panic!("{error}\n{text}");
    }
    let example = docs().join("schema/examples").join(file);
    if std::env::var_os("KEEP_EXAMPLES").is_some() && !example.exists() {
        fs::write(example, text).unwrap();
    }
    document
}

#[track_caller]
fn ran(args: &[&str]) -> Value {
    let ran = run(&[args, &["--format", "json"]].concat());
    assert!(matches!(ran.code, Some(0 | 3 | 6)), "{args:?}: {ran:?}");
    validate(&ran.stdout)
}

/// Two servers of which the second lacks images, and has one of its own and another name of one.
fn two_servers() -> (EmbeddedGlance, EmbeddedGlance) {
    let (source, target) = (filled(Profile::default()), glance(Profile::default()));
    let image = |number, name| {
        let image = ImageSpec::new(&id(number)).name(name);
        image.data(ImageContent::pattern(number, 1))
    };
    target.add_image(image(2, "another name").owner("acme").visibility("private"));
    target.add_image(image(9, "alone"));
    (source, target)
}

#[test]
fn document_of_every_command_validates() {
    let (source, target) = two_servers();
    let (source, target) = (source.url(), target.url());
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    let definitions = dir.path().join("definitions");
    let report = dir.path().join("report.json");
    let snapshots = dir.path().join("nightly");
    run(&["dump", "--snapshot", source, path(&snapshots)]);
    ran(&["archive", "list", path(&snapshots)]);
    ran(&["check", source]);
    let list = ran(&["list", source]);
    assert_eq!(list["totals"]["images"], 7);
    ran(&["size", source]);
    ran(&["compare", source, target]);
    ran(&["status", source, target]);
    ran(&["verify", source, target]);
    ran(&["livecopy", "--dry-run", source, target]);
    let copied = ran(&["livecopy", source, target]);
    assert_eq!(copied["targets"][0]["metadata_updated"], 1);
    ran(&["dump", source, path(&archive), "--report", path(&report)]);
    validate(&fs::read_to_string(&report).unwrap());
    ran(&["report", "merge", path(&report)]);
    ran(&["load", target, path(&archive)]);
    ran(&["list", &format!("dir:{}", path(&archive))]);
    let file = dir.path().join("image.raw");
    fs::write(&file, vec![1; 512]).unwrap();
    ran(&["push", path(&file), target]);
    ran(&["push", "--dry-run", path(&file), target]);
    ran(&["metadefs", "dump", source, path(&definitions)]);
}

#[test]
fn report_of_a_run_that_cannot_begin_validates() {
    let dir = tempfile::tempdir().unwrap();
    let report = dir.path().join("report.json");
    let ran = run(&[
        "livecopy",
        "--report",
        path(&report),
        "127.0.0.1:1",
        "127.0.0.1:2",
    ]);
    assert_eq!(ran.code, Some(1));
    let document = validate(&fs::read_to_string(&report).unwrap());
    assert!(
        document["error"].is_string() && document["selected"].is_null(),
        "{document}"
    );
}

/// The lines of the docs that pipe a result into jq.
fn one_liners(text: &str) -> Vec<&str> {
    let lines = text.lines();
    lines
        .filter(|line| line.starts_with("glance-replicator ") && line.contains("| jq"))
        .collect()
}

#[test]
fn one_liners_of_the_docs_run() {
    let (source, target) = two_servers();
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(assert_cmd::cargo::cargo_bin!("glance-replicator"));
    let text = fs::read_to_string(docs().join("output.md")).unwrap();
    let lines = one_liners(&text);
    assert!(lines.len() >= 6, "{lines:?}");
    for line in lines {
        let line = line
            .replace("cloud:prod", source.url())
            .replace("cloud:dr", target.url())
            .replace("glance-replicator ", &format!("{} ", path(program)));
        let mut shell = Command::new("bash");
        shell
            .args(["-o", "pipefail", "-c", &line])
            .current_dir(dir.path());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        assert!(!output.stdout.is_empty(), "{line}: {output:?}");
    }
}

//! The examples of `deploy/`, run by the schedulers that they are for: `cargo xtask deploy`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

mod parallel;
mod shells;
mod slurm;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use glance_client::testing::{
    EmbeddedGlance, EmbeddedGlanceBuilder, ImageContent, ImageSpec, RequestKind,
};
use serde_json::Value;

const IMAGES: u64 = 24;
const BYTES: u64 = 200_000;

/// An example.
fn example(path: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("deploy").join(path)
}

/// A command in a directory, which finds the program as one that is installed.
fn command(program: impl AsRef<Path>, directory: &Path) -> Command {
    let built = Path::new(env!("CARGO_BIN_EXE_glance-replicator"));
    let mut search = vec![built.parent().unwrap().to_owned()];
    search.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
    let mut command = Command::new(program.as_ref());
    command
        .current_dir(directory)
        .env("PATH", std::env::join_paths(search).unwrap())
        .env("GLANCE_REPLICATOR_LOG_FORMAT", "plain");
    command
}

/// Runs a command, which must succeed, and returns what it prints.
#[track_caller]
fn output(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let (out, err) = (
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    );
    assert!(status.success(), "{command:?}: {status}\n{out}\n{err}");
    out
}

fn id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A server with images, each with data of its own.
fn filled(builder: EmbeddedGlanceBuilder) -> EmbeddedGlance {
    let glance = builder.page_size(1000).start_blocking().unwrap();
    for number in 0..IMAGES {
        let image = ImageSpec::new(&id(number)).name(&format!("image {number}"));
        glance.add_image(image.data(ImageContent::pattern(number, BYTES)));
    }
    glance
}

fn empty() -> EmbeddedGlance {
    EmbeddedGlance::builder()
        .page_size(1000)
        .start_blocking()
        .unwrap()
}

/// Every image is there with its data, and a server has taken the data of each of them once.
#[track_caller]
fn assert_each_arrived_once(target: &EmbeddedGlance) {
    let images = target.images();
    assert_eq!(images.len() as u64, IMAGES);
    for (number, image) in (0..).zip(&images) {
        let data = image.content.as_ref().unwrap().sha256().unwrap();
        assert_eq!(
            data,
            ImageContent::pattern(number, BYTES).sha256().unwrap(),
            "{}",
            image.id
        );
        assert_eq!(image.status, "active", "{}", image.id);
    }
    let mut taken = BTreeMap::new();
    for request in target.requests() {
        if request.kind == RequestKind::Upload && request.status == Some(204) {
            *taken.entry(request.target).or_insert(0) += 1;
        }
    }
    assert!(
        taken.len() as u64 == IMAGES && taken.values().all(|times| *times == 1),
        "{taken:?}"
    );
}

/// Adds up the reports of four shares, by the program.
#[track_caller]
fn merged(directory: &Path) -> Value {
    let mut merge = command(env!("CARGO_BIN_EXE_glance-replicator"), directory);
    merge.args(["report", "merge", "-f", "json"]);
    merge.args((0..4).map(|shard| format!("report-{shard}-of-4.json")));
    serde_json::from_str(&output(&mut merge)).unwrap()
}

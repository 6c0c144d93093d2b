//! The main job on real servers: images of every kind replicated between Glances
//! of today and of 2017, by v2 and v1, directly and through an archive; and between the
//! regions of a real cloud, with Keystone and TLS.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test helpers"
)]

mod images;
mod inspector;
mod keystone;
mod killed;
mod kit;
mod mirror;
mod names;
mod odd;
mod odd_images;
mod openstacksdk;
mod regions;
mod server;
mod together;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use images::Data;
use server::{Facts, Server};

/// Runs the binary; fails unless it ends with that exit code.
fn run(expected: i32, args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_glance-replicator"))
        .env("GLANCE_REPLICATOR_LOG_FORMAT", "plain")
        .args(args)
        .args(["--progress", "none"])
        .output()
        .unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(
        output.status.code(),
        Some(expected),
        "{args:?}\n{out}\n{err}"
    );
    output
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The part of an image that a target keeps: see `docs/parity.md`.
fn expected(facts: &Facts, source: &Server, target: &Server) -> Facts {
    let mut facts = facts.clone();
    if !target.is_v2 {
        facts.of_v2.clear();
        if let Some(name) = facts.fields["name"].as_str() {
            let cut = &name[..name.floor_char_boundary(255)];
            facts.fields.insert("name", cut.into());
        }
        let one_line = |value: &str| value.replace("\r\n", " ").replace('\n', " ");
        facts.properties = facts
            .properties
            .iter()
            .filter(|(name, _)| name.is_ascii() && !name.contains(' '))
            .map(|(name, value)| (name.to_lowercase().replace('-', "_"), one_line(value)))
            .collect();
    } else if !source.is_v2 {
        let visibility = if facts.fields["is_public"] == true {
            "public"
        } else {
            "shared"
        };
        facts.of_v2.insert("visibility", visibility.into());
        facts.of_v2.insert("tags", serde_json::json!([]));
        // An empty one is null in v1, and v2 has no null.
        facts.properties.retain(|_, value| !value.is_empty());
    }
    if target.knows_hidden {
        let hidden = facts.of_v2.entry("os_hidden").or_default();
        if hidden.is_null() {
            *hidden = false.into();
        }
    } else {
        facts.of_v2.remove("os_hidden");
    }
    facts
}

/// Every active image of the source is on the target, equal in metadata and bytes.
fn assert_replicated(source: &Server, target: &Server, data: &Data) {
    let level = |mut facts: Facts| {
        if !target.knows_hidden {
            facts.of_v2.remove("os_hidden");
        }
        facts
    };
    let wanted: BTreeMap<String, Facts> = source
        .facts()
        .into_iter()
        .filter(|(_, facts)| facts.status == "active")
        .map(|(id, facts)| (id, expected(&facts, source, target)))
        .collect();
    let found = target.facts();
    assert_eq!(wanted.len(), data.len());
    let ids = |facts: &BTreeMap<String, Facts>| facts.keys().cloned().collect::<Vec<_>>();
    assert_eq!(ids(&found), ids(&wanted));
    for (id, wanted) in wanted {
        let mut found = level(found[&id].clone());
        if wanted.fields["size"] == 0 {
            // v1 states no checksum of nothing.
            found
                .fields
                .insert("checksum", wanted.fields["checksum"].clone());
        }
        assert_eq!(found, wanted, "{id}");
        assert!(target.data(&id) == data[&id], "{id}: other bytes");
    }
}

/// Copies directly, then through an archive into an empty target; each a second
/// time, which must do nothing.
fn replicate(source: &'static str, target: &'static str) {
    let source = Server::empty(source);
    let target = Server::empty(target);
    let data = if source.is_v2 {
        images::seed_v2(&source)
    } else {
        images::seed_v1(&source)
    };
    let total: usize = data.values().map(Vec::len).sum();
    let sized = text(&run(0, &["size", &source.url]).stdout);
    let images = data.len();
    assert!(
        sized.starts_with(&format!("Total size is {total} bytes (")),
        "{sized}"
    );
    assert!(
        sized.ends_with(&format!(" across {images} images\n")),
        "{sized}"
    );

    run(0, &["livecopy", &source.url, &target.url]);
    assert_replicated(&source, &target, &data);
    let compared = run(0, &["compare", "--exit-code", &source.url, &target.url]);
    assert_eq!(text(&compared.stdout), "");
    let before = target.updated_at();
    let again = text(&run(0, &["livecopy", &source.url, &target.url]).stderr);
    assert!(again.contains("nothing to do"), "{again}");
    assert_eq!(target.updated_at(), before);

    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("archive");
    let path = archive.to_str().unwrap();
    target.wipe();
    run(0, &["dump", &source.url, path]);
    assert_only_whole_files(&archive);
    let again = text(&run(0, &["dump", &source.url, path]).stderr);
    assert!(again.contains("nothing to do"), "{again}");
    run(0, &["load", &target.url, path]);
    assert_replicated(&source, &target, &data);
    let before = target.updated_at();
    let again = text(&run(0, &["load", &target.url, path]).stderr);
    assert!(again.contains("nothing to do"), "{again}");
    assert_eq!(target.updated_at(), before);
    let archive = format!("dir:{path}");
    run(0, &["compare", "--exit-code", &source.url, &archive]);
    run(0, &["compare", "--exit-code", &archive, &target.url]);
}

fn assert_only_whole_files(archive: &Path) {
    for entry in std::fs::read_dir(archive).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(!name.starts_with('.'), "{name} is left in the archive");
    }
}

#[test]
fn from_today_to_today() {
    replicate("today-one", "today-two");
}

#[test]
fn from_today_to_v2_of_2017() {
    replicate("today-one", "legacy-two");
}

#[test]
fn from_today_to_v1_alone() {
    replicate("today-one", "v1-two");
}

#[test]
fn from_v2_of_2017_to_today() {
    replicate("legacy-one", "today-two");
}

#[test]
fn from_v2_of_2017_to_its_like() {
    replicate("legacy-one", "legacy-two");
}

#[test]
fn from_v1_alone_to_today() {
    replicate("v1-one", "today-two");
}

#[test]
fn from_v1_alone_to_v1_alone() {
    replicate("v1-one", "v1-two");
}

/// The Python tool of glance 15.0.2, the last that worked, where the names are
/// such that it can.
fn python_tool(args: &[&str]) {
    let tool = std::env::var("GLANCE_LAB_PYTHON_REPLICATOR").expect("set by `cargo xtask live`");
    let output = Command::new(tool).args(args).output().unwrap();
    assert!(
        output.status.success(),
        "{args:?}: {}",
        text(&output.stderr)
    );
}

fn host_port(server: &Server) -> &str {
    server.url.trim_start_matches("http://")
}

#[test]
fn archives_are_exchanged_with_the_python_tool() {
    let source = Server::empty("v1-one");
    let target = Server::empty("v1-two");
    let mut data = Data::new();
    for n in 1..4_u8 {
        let id = format!("0000000{n}-0000-4000-8000-000000000000");
        let name = format!("image {n}");
        let fields = [
            ("id", &*id),
            ("name", &name),
            ("disk_format", "raw"),
            ("container_format", "bare"),
            ("owner", "acme"),
            ("property-os_type", "linux"),
            ("property-empty", ""),
        ];
        let bytes = vec![n; 100_000];
        source.create_v1(&fields, Some(bytes.clone()));
        data.insert(id, bytes);
    }
    let directory = tempfile::tempdir().unwrap();
    let ours = directory.path().join("ours");
    let theirs = directory.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    let (ours, theirs) = (ours.to_str().unwrap(), theirs.to_str().unwrap());

    python_tool(&["dump", host_port(&source), theirs]);
    run(0, &["load", &target.url, theirs]);
    assert_replicated(&source, &target, &data);
    run(
        0,
        &[
            "compare",
            "--exit-code",
            &source.url,
            &format!("dir:{theirs}"),
        ],
    );

    target.wipe();
    run(0, &["dump", &source.url, ours]);
    python_tool(&["load", host_port(&target), ours]);
    assert_replicated(&source, &target, &data);
}

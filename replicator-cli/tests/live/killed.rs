//! Runs that are killed on real servers, and run again until they are done.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::assert_replicated;
use crate::images::{Data, bytes, id};
use crate::kit::background::wait_until;
use crate::kit::killing::{Target, args, has_skipped, kill_and_finish};
use crate::kit::program::{Ran, run};
use crate::server::Server;

const KILLS: u64 = 10;

/// Images of several sizes, which take a run most of a second; one is public, one protected.
pub(crate) fn seed(source: &Server) -> Data {
    let sizes = [0, 1, 500_000, 2_000_000, 4_000_000];
    let mut data = Data::new();
    for (number, len) in (1..).zip(sizes) {
        let visibility = if number == 3 { "public" } else { "private" };
        let record = json!({
            "id": id(number), "name": format!("image {number}"), "visibility": visibility,
            "disk_format": "raw", "container_format": "bare", "protected": number == 4,
        });
        let bytes = bytes(number, len);
        source.create_v2(&record, Some(bytes.clone()));
        data.insert(id(number), bytes);
    }
    data
}

/// A server that is written, from another one or from an archive.
struct Glance<'a> {
    source: &'a Server,
    target: &'a Server,
    data: &'a Data,
    archive: Option<&'a Path>,
}

impl Glance<'_> {
    fn wait_until_nothing_is_saved(&self) {
        let is_saving = |status: &str| status == "saving";
        wait_until(|| {
            let facts = self.target.facts();
            !facts.values().any(|facts| is_saving(&facts.status))
        });
    }

    /// The images that v1 has burnt: those that it does not list any more.
    fn burnt(&self) -> Vec<&String> {
        let found = self.target.facts();
        let missing = self.data.keys().filter(|id| !found.contains_key(*id));
        missing.collect()
    }
}

impl Target for Glance<'_> {
    fn args(&self) -> Vec<String> {
        match self.archive {
            Some(archive) => args(&["load", &self.target.url, archive.to_str().unwrap()]),
            None => args(&["livecopy", &self.source.url, &self.target.url]),
        }
    }

    fn check_at_once(&self) {
        let wanted = self.source.facts();
        for (id, facts) in self.target.facts() {
            match &*facts.status {
                "active" => {
                    assert_eq!(facts.fields["size"], wanted[&id].fields["size"], "{id}");
                    let checksum = &facts.fields["checksum"];
                    // v1 states none of nothing.
                    let is_right = *checksum == wanted[&id].fields["checksum"]
                        || facts.fields["size"] == 0 && checksum.is_null();
                    assert!(is_right, "{id} is active and wrong: {facts:?}");
                }
                // v1 takes all in one request.
                "queued" | "saving" if self.target.is_v2 => {
                    let is_private = facts.of_v2["visibility"] == "private";
                    assert!(is_private, "{id} is published before it is proven");
                    assert_eq!(facts.fields["protected"], false, "{id}");
                }
                "queued" | "saving" => {}
                status => panic!("{id} is {status}"),
            }
        }
    }

    fn is_done_after(&self, ran: &Ran) -> bool {
        let burnt = self.burnt();
        let named = |id: &&String| ran.lists_as_failed(id);
        if has_skipped(ran) || !burnt.iter().all(named) {
            // The server has yet to notice the end of an upload, or has noticed it just now.
            self.wait_until_nothing_is_saved();
            return false;
        }
        if burnt.is_empty() {
            assert_eq!(ran.code, Some(0), "{ran:?}");
            assert_replicated(self.source, self.target, self.data);
            return true;
        }
        assert!(!self.target.is_v2, "burnt: {burnt:?}: {ran:?}");
        assert_eq!(ran.code, Some(3), "{ran:?}");
        for words in ["the image is killed", "hint: Glance never gives a used id"] {
            assert!(ran.stderr.contains(words), "{ran:?}");
        }
        for (id, facts) in self.target.facts() {
            assert_eq!(facts.status, "active", "{id}");
            assert!(self.target.data(&id) == self.data[&id], "{id}: other bytes");
        }
        true
    }
}

struct Archive<'a> {
    source: &'a Server,
    data: &'a Data,
    directory: tempfile::TempDir,
}

impl Archive<'_> {
    fn files(&self) -> BTreeSet<String> {
        let files = fs::read_dir(self.directory.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.collect()
    }
}

impl Target for Archive<'_> {
    fn args(&self) -> Vec<String> {
        let directory = self.directory.path().to_str().unwrap();
        args(&["dump", &self.source.url, directory])
    }

    fn check_at_once(&self) {
        let files = self.files();
        for name in files.iter().filter(|name| !name.starts_with('.')) {
            match name.strip_suffix(".img") {
                Some(id) => {
                    let found = fs::read(self.directory.path().join(name)).unwrap();
                    assert!(
                        found == self.data[id],
                        "{name} is not the data of its image"
                    );
                }
                None => {
                    let has_data = files.contains(&format!("{name}.img"));
                    assert!(has_data, "{name} looks whole and has no data");
                }
            }
        }
    }

    fn is_done_after(&self, ran: &Ran) -> bool {
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let names = self
            .data
            .keys()
            .flat_map(|id| [id.clone(), format!("{id}.img")]);
        let wanted: BTreeSet<String> = names.collect();
        assert_eq!(self.files(), wanted, "stray files: {ran:?}");
        let directory = format!("dir:{}", self.directory.path().display());
        let compared = run(&["compare", "--exit-code", &self.source.url, &directory]);
        assert_eq!(compared.code, Some(0), "{compared:?}");
        true
    }
}

/// Kills runs of all verbs that can be killed on a kind of server; v1 alone is only written to.
fn kill_all_on(source: &'static str, target: &'static str) {
    let (source, target) = (Server::empty(source), Server::empty(target));
    let data = seed(&source);
    let archive = tempfile::tempdir().unwrap();
    let archive = archive.path();
    let ran = run(&["dump", &source.url, archive.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for archive in [None, Some(archive)] {
        kill_and_finish(KILLS, || {
            target.wipe();
            Glance {
                source: &source,
                target: &target,
                data: &data,
                archive,
            }
        });
    }
    if target.is_v2 {
        kill_and_finish(KILLS, || Archive {
            source: &source,
            data: &data,
            directory: tempfile::tempdir().unwrap(),
        });
    }
}

#[test]
fn killed_on_todays_glance_every_image_is_whole_in_the_end() {
    kill_all_on("today-one", "today-two");
}

#[test]
fn killed_on_the_glance_of_2017_every_image_is_whole_in_the_end() {
    kill_all_on("legacy-one", "legacy-two");
}

#[test]
fn killed_on_v1_alone_every_image_is_whole_in_the_end_or_named_with_the_cure() {
    kill_all_on("today-one", "v1-two");
}

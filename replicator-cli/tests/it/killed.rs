//! Runs that are killed at random moments, as `kill -9` does it, and run again until they are done:
//! nothing is ever wrong or half there, and nothing stays behind.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test helpers"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, ImageView, Profile};
use serde_json::Value;
use tempfile::TempDir;

use crate::kit::background::wait_until;
use crate::kit::images::id;
use crate::kit::killing::{Target, args, has_skipped, kill_and_finish};
use crate::kit::program::{Ran, run};

const KILLS: u64 = 100;
/// Makes a run last some hundred milliseconds.
const BYTES_PER_SECOND: u64 = 5_000_000;
const IMAGES: u64 = 6;

fn content(number: u64) -> ImageContent {
    match number {
        1 => ImageContent::zeros(0),
        2 => ImageContent::pattern(2, 1),
        3 => ImageContent::zeros(300_000),
        4 => ImageContent::pattern(4, 70_000),
        5 => ImageContent::pattern(5, 400_000),
        _ => ImageContent::pattern(number, 600_000),
    }
}

fn content_of(id: &str) -> ImageContent {
    let number = (1..=IMAGES).find(|&number| self::id(number) == id);
    content(number.unwrap())
}

/// Images of several sizes; two are to become public, and protected or hidden.
fn filled(builder: glance_client::testing::EmbeddedGlanceBuilder) -> EmbeddedGlance {
    let source = builder.page_size(1000).start_blocking().unwrap();
    for number in 1..=IMAGES {
        let image = ImageSpec::new(&id(number)).name(&format!("image {number}"));
        let image = image.property("os_type", "linux").data(content(number));
        source.add_image(match number {
            4 => image.visibility("public").protected(),
            5 => image.visibility("community").hidden(),
            _ => image.visibility("private"),
        });
    }
    source
}

/// The fields that a server does not set by itself.
fn record(image: &ImageView) -> Value {
    let mut record = image.record.clone();
    for field in ["created_at", "updated_at", "virtual_size", "stores"] {
        record.as_object_mut().unwrap().remove(field);
    }
    record
}

fn is_right(image: &ImageView) -> bool {
    // v1 keeps nothing of an image of no bytes.
    let content = image.content.clone().unwrap_or(ImageContent::zeros(0));
    content.sha256().unwrap() == content_of(&image.id).sha256().unwrap()
}

/// Glances that are written through v2.
struct V2<'a> {
    source: &'a EmbeddedGlance,
    targets: Vec<EmbeddedGlance>,
    /// The archive that is loaded.
    archive: Option<&'a Path>,
}

impl<'a> V2<'a> {
    fn new(source: &'a EmbeddedGlance, targets: usize, archive: Option<&'a Path>) -> Self {
        let target = EmbeddedGlance::builder().throttle(BYTES_PER_SECOND);
        let targets = (0..targets).map(|_| target.clone().start_blocking().unwrap());
        Self {
            source,
            targets: targets.collect(),
            archive,
        }
    }
}

impl Target for V2<'_> {
    fn args(&self) -> Vec<String> {
        let targets = self.targets.iter().map(EmbeddedGlance::host_port);
        let words: Vec<&str> = match self.archive {
            Some(archive) => {
                let archive = archive.to_str().unwrap();
                ["load"]
                    .into_iter()
                    .chain(targets)
                    .chain([archive])
                    .collect()
            }
            None => {
                let source = ["livecopy", self.source.host_port()];
                source.into_iter().chain(targets).collect()
            }
        };
        args(&words)
    }

    fn check_at_once(&self) {
        for image in self.targets.iter().flat_map(EmbeddedGlance::images) {
            match &*image.status {
                "active" => assert!(is_right(&image), "{image:?} is active and wrong"),
                "queued" | "saving" => {
                    let field = |name| image.record[name].clone();
                    let is_visible = field("visibility") != "private" || field("os_hidden") == true;
                    assert!(!is_visible, "{image:?} is published before it is proven");
                    assert_eq!(field("protected"), false, "{image:?}");
                }
                status => panic!("{} is {status}: its id is burnt", image.id),
            }
        }
    }

    fn is_done_after(&self, ran: &Ran) -> bool {
        // An upload of which the server has yet to notice the end is left alone.
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let records = |glance: &EmbeddedGlance| {
            let images = glance.images();
            images.iter().map(record).collect::<Vec<_>>()
        };
        let wanted = records(self.source);
        let differs = |target: &EmbeddedGlance| records(target) != wanted;
        if has_skipped(ran) && self.targets.iter().any(differs) {
            return false;
        }
        for target in &self.targets {
            assert_eq!(records(target), wanted, "{ran:?}");
        }
        true
    }
}

#[test]
fn livecopy_that_is_killed_a_hundred_times_leaves_every_image_whole_and_no_id_burnt() {
    let source = filled(EmbeddedGlance::builder());
    kill_and_finish(KILLS, || V2::new(&source, 1, None));
}

#[test]
fn livecopy_to_two_targets_that_is_killed_leaves_every_image_whole_on_both() {
    let source = filled(EmbeddedGlance::builder());
    kill_and_finish(KILLS / 3, || V2::new(&source, 2, None));
}

#[test]
fn load_that_is_killed_a_hundred_times_leaves_every_image_whole_and_no_id_burnt() {
    let source = filled(EmbeddedGlance::builder());
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path();
    let ran = run(&["dump", source.host_port(), archive.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    kill_and_finish(KILLS, || V2::new(&source, 1, Some(archive)));
}

struct Archive<'a> {
    source: &'a EmbeddedGlance,
    directory: TempDir,
}

impl Archive<'_> {
    fn files(&self) -> BTreeSet<String> {
        let files = fs::read_dir(self.directory.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.collect()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.directory.path().join(name)).unwrap()
    }
}

impl Target for Archive<'_> {
    fn args(&self) -> Vec<String> {
        let directory = self.directory.path().to_str().unwrap();
        args(&["dump", self.source.host_port(), directory])
    }

    fn check_at_once(&self) {
        let files = self.files();
        for name in files.iter().filter(|name| !name.starts_with('.')) {
            if let Some(id) = name.strip_suffix(".img") {
                let is_whole = self.read(name) == content_of(id).to_vec().unwrap();
                assert!(is_whole, "{name} is not the data of its image");
                continue;
            }
            let metadata: Value = serde_json::from_slice(&self.read(name)).unwrap();
            assert_eq!(metadata["id"], **name);
            assert_eq!(metadata["status"], "active");
            assert_eq!(metadata["properties"]["os_type"], "linux");
            let has_data = files.contains(&format!("{name}.img"));
            assert!(has_data, "{name} looks whole and has no data");
        }
    }

    fn is_done_after(&self, ran: &Ran) -> bool {
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let names = (1..=IMAGES).flat_map(|number| [id(number), format!("{}.img", id(number))]);
        let wanted: BTreeSet<String> = names.collect();
        assert_eq!(self.files(), wanted, "stray files: {ran:?}");
        true
    }
}

#[test]
fn dump_that_is_killed_a_hundred_times_leaves_every_image_whole_and_no_stray_file() {
    let source = filled(EmbeddedGlance::builder().throttle(BYTES_PER_SECOND));
    kill_and_finish(KILLS, || Archive {
        source: &source,
        directory: tempfile::tempdir().unwrap(),
    });
}

/// Snapshots, of which there is one of another time: of an image that is gone by now, and without
/// the largest ones.
struct Snapshots<'a> {
    source: &'a EmbeddedGlance,
    directory: TempDir,
}

const GONE: u64 = 9;

impl<'a> Snapshots<'a> {
    fn new(source: &'a EmbeddedGlance, before: &EmbeddedGlance) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let words = ["dump", "--snapshot", before.host_port()];
        let ran = run(&[&words[..], &[directory.path().to_str().unwrap()]].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        Self { source, directory }
    }

    /// The images of each snapshot that is called as a whole one.
    fn whole(&self) -> Vec<BTreeSet<String>> {
        let names = fs::read_dir(self.directory.path()).unwrap();
        let paths = names.map(|name| name.unwrap().path());
        let whole = paths.filter(|path| {
            !path
                .file_name()
                .unwrap()
                .as_encoded_bytes()
                .starts_with(b".")
        });
        whole.map(|path| images_of(&path)).collect()
    }
}

/// The ids of the images in an archive, which all have to be right.
fn images_of(path: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(path).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let (data, ids): (Vec<String>, Vec<String>) = names.partition(|name| name.ends_with(".img"));
    assert_eq!(data.len(), ids.len(), "{data:?}, {ids:?}");
    for id in &ids {
        let data = fs::read(path.join(format!("{id}.img"))).unwrap();
        let expected = match *id == self::id(GONE) {
            true => content(GONE),
            false => content_of(id),
        };
        assert!(data == expected.to_vec().unwrap(), "{id} in {path:?}");
    }
    ids.into_iter().collect()
}

fn ids(numbers: impl Iterator<Item = u64>) -> BTreeSet<String> {
    numbers.map(id).collect()
}

impl Target for Snapshots<'_> {
    fn args(&self) -> Vec<String> {
        let directory = self.directory.path().to_str().unwrap();
        let options = ["dump", "--snapshot", "--keep-last", "1"];
        args(&[&options[..], &[self.source.host_port(), directory]].concat())
    }

    fn check_at_once(&self) {
        let whole = self.whole();
        assert!(!whole.is_empty(), "the last good one is gone");
        let (old, new) = (ids((1..=4).chain([GONE])), ids(1..=IMAGES));
        for images in whole {
            assert!(images == old || images == new, "{images:?} is not whole");
        }
    }

    fn is_done_after(&self, ran: &Ran) -> bool {
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(self.whole(), [ids(1..=IMAGES)], "{ran:?}");
        let names = fs::read_dir(self.directory.path()).unwrap();
        assert_eq!(names.count(), 2, "the snapshot, and the lock: {ran:?}");
        true
    }
}

#[test]
fn snapshots_of_runs_that_are_killed_are_whole_or_have_no_name() {
    let source = filled(EmbeddedGlance::builder().throttle(BYTES_PER_SECOND));
    let before = EmbeddedGlance::builder().start_blocking().unwrap();
    for number in (1..=4).chain([GONE]) {
        let image = ImageSpec::new(&id(number)).data(content(number));
        before.add_image(image);
    }
    kill_and_finish(30, || Snapshots::new(&source, &before));
}

/// A Glance with v1 alone, where an upload that breaks off uses up the id.
struct V1<'a> {
    source: &'a EmbeddedGlance,
    target: EmbeddedGlance,
    stage: Option<TempDir>,
}

impl V1<'_> {
    fn burnt(&self) -> Vec<String> {
        let images = self.target.images().into_iter();
        let killed = images.filter(|image| image.status == "killed");
        killed.map(|image| image.id).collect()
    }
}

impl Target for V1<'_> {
    fn args(&self) -> Vec<String> {
        let mut words = vec!["livecopy", self.source.host_port(), self.target.host_port()];
        if let Some(stage) = &self.stage {
            words.extend(["--stage", stage.path().to_str().unwrap()]);
        }
        args(&words)
    }

    fn check_at_once(&self) {
        for image in self.target.images() {
            let is_wrong = image.status == "active" && !is_right(&image);
            assert!(!is_wrong, "{image:?} is active and wrong");
        }
    }

    fn is_done_after(&self, ran: &Ran) -> bool {
        let left = |status: &str| {
            let images = self.target.images().into_iter();
            images.filter(|image| image.status == status).count()
        };
        let burnt = self.burnt();
        let named = |id: &String| ran.lists_as_failed(id);
        let is_done = !has_skipped(ran) && left("saving") == 0;
        if !is_done || !burnt.iter().all(named) {
            // The server has noticed the end of an upload since the run listed its images, or has
            // yet to.
            wait_until(|| left("saving") == 0);
            return false;
        }
        let code = if burnt.is_empty() { 0 } else { 3 };
        assert_eq!(ran.code, Some(code), "{ran:?}");
        if code == 3 {
            for words in [
                "the image is killed",
                "hint: Glance never gives a used id again",
            ] {
                assert!(ran.stderr.contains(words), "{ran:?}");
            }
        }
        assert_eq!(left("active") + burnt.len(), 6, "{ran:?}");
        let staged = self.stage.iter();
        let targets = staged.flat_map(|stage| fs::read_dir(stage.path()).unwrap());
        let staged = targets.flat_map(|target| fs::read_dir(target.unwrap().path()).unwrap());
        for file in staged {
            let name = file.unwrap().file_name().into_string().unwrap();
            let of_burnt = burnt.iter().any(|id| name.contains(&**id));
            assert!(of_burnt, "{name} is left on the stage");
        }
        true
    }
}

#[test]
fn livecopy_to_v1_alone_that_is_killed_a_hundred_times_names_what_it_has_burnt() {
    let source = filled(EmbeddedGlance::builder());
    kill_and_finish(KILLS, || v1(&source, None));
}

#[test]
fn livecopy_over_a_stage_that_is_killed_goes_on_with_what_is_staged() {
    let source = filled(EmbeddedGlance::builder().throttle(BYTES_PER_SECOND));
    kill_and_finish(KILLS / 3, || {
        v1(&source, Some(tempfile::tempdir().unwrap()))
    });
}

fn v1(source: &EmbeddedGlance, stage: Option<TempDir>) -> V1<'_> {
    let target = EmbeddedGlance::builder().profile(Profile::V1Only);
    let target = target.throttle(BYTES_PER_SECOND).start_blocking().unwrap();
    V1 {
        source,
        target,
        stage,
    }
}

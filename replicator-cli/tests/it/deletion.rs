//! `--delete`: a target that loses the images that its source has lost.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use glance_client::testing::{
    Caller, EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::kit::images::{glance, id, numbered};
use crate::kit::killing::{Target, kill_and_finish};
use crate::kit::program::{Ran, run};
use crate::kit::runs::{assert_error, ended, new_ids, path, succeeded};
use crate::kit::terminal::{CTRL_C, OnTerminal};

pub(crate) const IMAGES: u64 = 20;
const ORIGIN: [&str; 2] = ["--origin", "prod"];
const DELETE: [&str; 4] = ["--origin", "prod", "--delete", "--yes"];

pub(crate) fn has(glance: &EmbeddedGlance, number: u64) -> bool {
    glance
        .image(&id(number))
        .is_some_and(|image| image.status != "deleted")
}

pub(crate) fn field(glance: &EmbeddedGlance, number: u64, name: &str) -> Value {
    let image = glance.image(&id(number)).unwrap();
    image.field(name).cloned().unwrap_or_default()
}

/// A source with all images but the first ones, and its copies for the origin, of which the target
/// has all.
pub(crate) fn lost(images: u64, profile: Profile) -> (EmbeddedGlance, EmbeddedGlance) {
    let (whole, target) = (numbered(IMAGES), glance(profile));
    succeeded(
        &[
            &["livecopy", whole.host_port(), target.host_port()][..],
            &ORIGIN,
        ]
        .concat(),
    );
    let source = glance(Profile::Today);
    for number in images + 1..=IMAGES {
        let data = ImageContent::pattern(number, 2000);
        source.add_image(ImageSpec::new(&id(number)).data(data));
    }
    (source, target)
}

pub(crate) fn livecopy(source: &EmbeddedGlance, target: &EmbeddedGlance, options: &[&str]) -> Ran {
    run(&[
        &["livecopy", source.host_port(), target.host_port()],
        options,
    ]
    .concat())
}

#[test]
fn what_the_source_has_lost_is_hidden_and_deleted_by_a_later_run() {
    for (profile, hides) in [(Profile::Today, true), (Profile::V1Only, false)] {
        let (source, target) = lost(2, profile);
        assert_eq!(field(&target, 1, "replicator_origin"), "prod");
        let ends = [source.host_port(), target.host_port()];
        let plain = succeeded(&["livecopy", ends[0], ends[1]]);
        assert!(plain.stderr.contains("18 unchanged"), "{plain:?}");
        let args = [
            &["livecopy", "--format", "json", ends[0], ends[1]],
            &DELETE[..],
        ]
        .concat();
        let dry = succeeded(&[&args[..], &["--dry-run"]].concat());
        let dry: Value = serde_json::from_str(&dry.stdout).unwrap();
        assert_eq!(dry["targets"][0]["retire"], 2, "{dry}");
        assert_eq!(dry["images"][0]["action"], "retire");
        assert_eq!(dry["images"][0]["reason"], "gone_at_source");
        assert_eq!(target.count(RequestKind::Delete), 0);
        let ran = succeeded(&args);
        let result: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(result["targets"][0]["retired"], 2, "{result}");
        assert_eq!(result["images"][0]["outcome"], "retired");
        assert!(
            ran.stderr.ends_with("livecopy: 2 retired, 18 unchanged\n"),
            "{ran:?}"
        );
        for number in [1, 2] {
            assert_eq!(field(&target, number, "os_hidden"), hides);
            let since = field(&target, number, "replicator_retired_at");
            assert!(since.as_str().unwrap().ends_with('Z'), "{since}");
        }
        let again = succeeded(&args);
        assert!(again.stderr.contains("2 skipped (retired)"), "{again:?}");
        // One comes back.
        let back = ImageSpec::new(&id(2)).data(ImageContent::pattern(2, 2000));
        source.add_image(back);
        let ran = succeeded(&args);
        assert!(ran.stderr.contains("1 updated, 18 unchanged"), "{ran:?}");
        assert_eq!(field(&target, 2, "os_hidden"), false);
        let mark = field(&target, 2, "replicator_retired_at");
        assert!(mark.is_null() || mark == "", "{mark}");
        let ran = succeeded(&[&args[..], &["--grace", "0s"]].concat());
        assert!(
            ran.stderr.ends_with("livecopy: 1 deleted, 19 unchanged\n"),
            "{ran:?}"
        );
        assert!(!has(&target, 1) && has(&target, 2));
        assert_eq!(target.count(RequestKind::Delete), 1);
        let ran = succeeded(&args);
        assert!(
            ran.stderr.ends_with("nothing to do, 19 unchanged\n"),
            "{ran:?}"
        );
    }
}

/// Runs that must not take anything away, with the words that they say.
#[test]
fn each_rule_holds_a_deletion_back() {
    let held = |code: i32,
                words: &[&str],
                options: &[&str],
                prepare: &dyn Fn(&EmbeddedGlance, &EmbeddedGlance)| {
        for grace in ["7d", "0s"] {
            let (source, target) = lost(2, Profile::Today);
            if grace == "0s" {
                let ran = livecopy(&source, &target, &DELETE);
                assert!(ran.stderr.contains("2 retired"), "{ran:?}");
            }
            prepare(&source, &target);
            let before: Vec<_> = target
                .images()
                .into_iter()
                .map(|image| image.record)
                .collect();
            let ran = livecopy(&source, &target, &[options, &["--grace", grace]].concat());
            assert_eq!(ran.code, Some(code), "{options:?}: {ran:?}");
            for word in words {
                assert!(ran.stderr.contains(word), "no {word:?}: {ran:?}");
            }
            for number in [1, 2] {
                let now = target.image(&id(number)).unwrap().record;
                assert!(before.contains(&now), "{now}");
            }
            assert_eq!(target.count(RequestKind::Delete), 0);
        }
    };
    let nothing = |_: &EmbeddedGlance, _: &EmbeddedGlance| {};
    // Nobody has said yes.
    let asked = ["--origin", "prod", "--delete"];
    let words = [
        "2 images are not retired or deleted: nobody has said yes",
        "--yes",
    ];
    held(7, &words, &asked, &nothing);
    // Too many.
    let few = [&DELETE[..], &["--max-delete", "1"]].concat();
    held(
        7,
        &[
            "2 of this origin would be, and at most 1",
            "--max-delete 2 lets",
        ],
        &few,
        &nothing,
    );
    // Another origin.
    held(
        0,
        &["18 unchanged"],
        &["--origin", "other", "--delete", "--yes"],
        &nothing,
    );
    // An image fails.
    held(6, &["2 not done"], &DELETE, &|source, _| {
        source.add_image(ImageSpec::new(&id(5)).data(ImageContent::pattern(99, 2000)));
    });
    held(3, &["2 not done"], &DELETE, &|source, _| {
        source.add_image(ImageSpec::new(&id(50)).data_gone(2000));
    });
    // The source cannot be listed to its end, which has several pages.
    held(
        1,
        &["error: "],
        &[&DELETE[..], &["--retries", "0"]].concat(),
        &|source, _| {
            let on = FaultOn::kind(RequestKind::Listing).skip(2);
            source.fault(on, FaultAction::status(500));
        },
    );
    // A typed selection.
    let some = ["--origin", "prod", "--delete", "--select", "name=x"];
    held(
        2,
        &["--delete and options that select images", "hint: "],
        &some,
        &nothing,
    );
    // Another share than the first.
    held(
        0,
        &["by the first share alone"],
        &[&DELETE[..], &["--shard", "1/2"]].concat(),
        &nothing,
    );
}

/// A source without the first image, its copies for the origin, and a run that would retire it.
struct Question {
    _source: EmbeddedGlance,
    target: EmbeddedGlance,
    terminal: OnTerminal,
}

impl Question {
    /// Waits for the question.
    fn asked() -> Self {
        let (source, target) = lost(1, Profile::Today);
        let line = [
            &["livecopy", source.host_port(), target.host_port()][..],
            &["--origin", "prod", "--delete"],
        ];
        let mut terminal = OnTerminal::run(80, &line.concat());
        terminal.wait_for("Type yes to retire or delete it:");
        Self {
            _source: source,
            target,
            terminal,
        }
    }

    /// Waits for the end, which must have this code.
    #[track_caller]
    fn ended(self, code: i32) -> (String, EmbeddedGlance) {
        let (found, shown) = self.terminal.end();
        assert_eq!(found, Some(code), "{shown}");
        (shown, self.target)
    }
}

#[test]
fn on_a_terminal_yes_is_asked_for() {
    for answer in ["yes\r", "y\r", " YES \r"] {
        let mut question = Question::asked();
        question.terminal.write(answer);
        let (shown, target) = question.ended(0);
        assert!(
            shown.contains(&format!("retire unnamed ({})", id(1))),
            "{shown}"
        );
        assert!(
            shown.contains("1 image is no more at the source"),
            "{shown}"
        );
        assert!(shown.contains("1 retired, 19 unchanged"), "{shown}");
        assert_eq!(field(&target, 1, "os_hidden"), true);
    }
}

#[test]
fn any_other_answer_is_no() {
    for answer in ["no\r", "\r", "yes please\r", "yesno\r", "ja\r"] {
        let mut question = Question::asked();
        question.terminal.write(answer);
        let (shown, target) = question.ended(7);
        assert!(shown.contains("nobody has said yes"), "{shown}");
        assert_eq!(field(&target, 1, "os_hidden"), false);
    }
    let mut question = Question::asked();
    question.terminal.close_input();
    let (_, target) = question.ended(7);
    assert_eq!(field(&target, 1, "os_hidden"), false);
}

#[test]
fn ctrl_c_is_no_answer_and_ends_the_run() {
    let mut question = Question::asked();
    question.terminal.write(CTRL_C);
    let (shown, target) = question.ended(130);
    assert!(!shown.contains("nobody has said yes"), "{shown}");
    assert_eq!(field(&target, 1, "os_hidden"), false);
}

/// A copy goes by another id than its original: it is not lost, and lost once its original is.
#[test]
fn a_copy_under_another_id_leaves_with_its_original() {
    let (whole, target) = (numbered(IMAGES), glance(Profile::Today));
    target.burn(&id(1));
    let dir = tempfile::tempdir().unwrap();
    let map = dir.path().join("ids.json");
    let ids = new_ids(&map);
    livecopy_ok(&whole, &target, &[&ORIGIN[..], &ids].concat());
    let copy = target.images().into_iter().find(|image| {
        let number = (1..=IMAGES).find(|&number| image.record["id"] == id(number));
        number.is_none() && image.status == "active"
    });
    let copy = copy.unwrap().record["id"].as_str().unwrap().to_owned();
    let is_hidden = || target.image(&copy).unwrap().record["os_hidden"] == true;
    let without = |numbers: u64| {
        let source = glance(Profile::Today);
        for number in (1..=IMAGES).filter(|&number| number != 2 && number > numbers) {
            source.add_image(ImageSpec::new(&id(number)).data(ImageContent::pattern(number, 2000)));
        }
        source
    };
    let ran = livecopy_ok(&without(0), &target, &[&DELETE[..], &ids].concat());
    assert!(
        ran.stderr.ends_with("livecopy: 1 retired, 19 unchanged\n"),
        "{ran:?}"
    );
    assert_eq!(field(&target, 2, "os_hidden"), true);
    assert!(!is_hidden());
    // Without the map it looks lost; but its original cannot be copied, and then nothing leaves.
    let ran = livecopy(&without(0), &target, &DELETE);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(!is_hidden());
    // Nor does it if that is no failure.
    let skip = ["--on-id-conflict", "skip"];
    let ran = livecopy(&without(0), &target, &[&DELETE[..], &skip].concat());
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert!(ran.stderr.contains("give the --id-map"), "{ran:?}");
    assert!(!is_hidden());
    let ran = livecopy_ok(&without(1), &target, &[&DELETE[..], &ids].concat());
    assert!(ran.stderr.contains("1 retired"), "{ran:?}");
    assert!(is_hidden());
}

fn livecopy_ok(source: &EmbeddedGlance, target: &EmbeddedGlance, options: &[&str]) -> Ran {
    let ran = livecopy(source, target, options);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

#[test]
fn an_empty_source_deletes_nothing() {
    let (_, target) = lost(2, Profile::Today);
    let empty = glance(Profile::Today);
    for grace in ["7d", "0s"] {
        let ran = livecopy(
            &empty,
            &target,
            &[&DELETE[..], &["--max-delete", "100%", "--grace", grace]].concat(),
        );
        assert_error(
            &ran,
            7,
            &["20 images are not retired or deleted: the source lists no image"],
        );
        assert!((1..=IMAGES).all(|number| field(&target, number, "os_hidden") == false));
    }
}

#[test]
fn a_selection_that_no_image_of_the_source_passes_deletes_nothing() {
    let (source, target) = lost(2, Profile::Today);
    // The mark, which the copies have alone.
    let marked = ["--select", "property:replicator_origin=prod"];
    for max in ["100%", "1"] {
        let options = [&DELETE[..], &marked, &["--max-delete", max]].concat();
        let ran = livecopy(&source, &target, &options);
        assert_eq!(ran.code, Some(7), "{ran:?}");
        let told = "are not retired or deleted: no image of the source passes the selection";
        assert!(ran.stderr.contains(told), "{ran:?}");
        assert!(ran.stderr.contains("is it the right selection?"), "{ran:?}");
        assert_eq!(field(&target, 1, "os_hidden"), false);
    }
}

#[test]
fn a_protected_image_and_one_that_is_not_ours_stay() {
    let (source, target) = lost(1, Profile::Today);
    let image = |number| ImageSpec::new(&id(number)).data(ImageContent::pattern(number, 10));
    target.add_image(image(31).property("replicator_origin", "prod").protected());
    target.add_image(image(32).property("replicator_origin", "Prod"));
    target.add_image(image(33));
    for _ in 0..2 {
        let ran = livecopy(
            &source,
            &target,
            &[&DELETE[..], &["--grace", "0s"]].concat(),
        );
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stderr.contains("skipped (protected)"), "{ran:?}");
    }
    assert!(!has(&target, 1));
    for number in [31, 32, 33] {
        assert_eq!(field(&target, number, "os_hidden"), false);
    }
}

#[test]
fn a_member_deletes_what_is_its_own() {
    let source = numbered(10);
    let target = EmbeddedGlance::builder().token("member", Caller::member("acme"));
    let target = target
        .token("admin", Caller::admin())
        .start_blocking()
        .unwrap();
    let image = |number: u64| {
        let image = ImageSpec::new(&id(number)).data(ImageContent::pattern(number, 10));
        image
            .visibility("public")
            .property("replicator_origin", "prod")
    };
    target.add_image(image(41).owner("acme").visibility("private"));
    target.add_image(image(42).owner("beta"));
    // A token alone does not say whose it is: the server refuses what is not its own.
    let ran = run(&[
        &[
            "livecopy",
            source.host_port(),
            target.host_port(),
            "--targettoken",
            "member",
            "--max-delete",
            "9",
        ],
        &DELETE[..],
    ]
    .concat());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert_eq!(field(&target, 42, "os_hidden"), false);
    assert_eq!(field(&target, 41, "os_hidden"), true);
}

fn files(dir: &Path) -> BTreeSet<String> {
    let files = fs::read_dir(dir).into_iter().flatten();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn in_an_archive_images_are_put_aside_and_back_or_removed() {
    let (whole, source) = (numbered(IMAGES), glance(Profile::Today));
    for number in 3..=IMAGES {
        source.add_image(ImageSpec::new(&id(number)).data(ImageContent::pattern(number, 2000)));
    }
    let dir = tempfile::tempdir().unwrap();
    let archive = path(dir.path());
    let aside = dir.path().join(".retired");
    let dump = |from: &EmbeddedGlance, options: &[&str]| {
        succeeded(&[&["dump", from.host_port(), archive], &DELETE[..], options].concat())
    };
    dump(&whole, &[]);
    let before = files(dir.path());
    let ran = dump(&source, &[]);
    assert!(
        ran.stderr.ends_with("dump: 2 retired, 18 unchanged\n"),
        "{ran:?}"
    );
    let names = |numbers: &[u64]| -> BTreeSet<String> {
        let names = numbers
            .iter()
            .flat_map(|&number| [id(number), format!("{}.img", id(number))]);
        names.collect()
    };
    assert_eq!(files(&aside), names(&[1, 2]));
    assert!(files(dir.path()).is_disjoint(&names(&[1, 2])));
    // It is not loaded, and not missed.
    let listed = succeeded(&["size", &format!("dir:{archive}")]);
    assert!(listed.stdout.contains("18 images"), "{listed:?}");
    let again = dump(&source, &[]);
    assert!(again.stderr.contains("2 skipped (retired)"), "{again:?}");
    // Nothing is read again of what comes back.
    whole.clear_requests();
    let back = succeeded(&["dump", whole.host_port(), archive]);
    assert!(back.stderr.contains("2 updated, 18 unchanged"), "{back:?}");
    assert_eq!(whole.count(RequestKind::Download), 0);
    assert_eq!(files(&aside), BTreeSet::new());
    let mut with_aside = before.clone();
    with_aside.insert(".retired".to_owned());
    assert_eq!(files(dir.path()), with_aside);
    succeeded(&["verify", &format!("dir:{archive}")]);
    dump(&source, &[]);
    let ran = dump(&source, &["--grace", "0s"]);
    assert!(
        ran.stderr.ends_with("dump: 2 deleted, 18 unchanged\n"),
        "{ran:?}"
    );
    assert_eq!(files(&aside), BTreeSet::new());
    // What is deleted in an archive can be dumped again.
    let ran = dump(&whole, &[]);
    assert!(ran.stderr.contains("2 copied"), "{ran:?}");
    ended(
        7,
        &[
            &["dump", glance(Profile::Today).host_port(), archive],
            &DELETE[..],
        ]
        .concat(),
    );
    assert_eq!(files(&aside), BTreeSet::new());
}

/// The arguments of a run by which ten images may leave the target at once.
fn deleting(command: &str, source: &EmbeddedGlance, target: &str) -> Vec<String> {
    let ends = [command, source.host_port(), target];
    let options = ["--max-delete", "10", "--grace", "0s"];
    let words = [&ends[..], &DELETE, &options].concat();
    words.into_iter().map(str::to_owned).collect()
}

/// A run that retires and deletes: of the first ten images, half are retired already.
struct Deleting {
    source: EmbeddedGlance,
    target: EmbeddedGlance,
}

impl Deleting {
    fn new() -> Self {
        let (some, target) = lost(5, Profile::Today);
        let ran = livecopy(
            &some,
            &target,
            &[&DELETE[..], &["--max-delete", "5"]].concat(),
        );
        assert!(ran.stderr.contains("5 retired"), "{ran:?}");
        let source = glance(Profile::Today);
        for number in 11..=IMAGES {
            source.add_image(ImageSpec::new(&id(number)).data(ImageContent::pattern(number, 2000)));
        }
        let protected = ImageSpec::new(&id(90))
            .protected()
            .data(ImageContent::pattern(9, 10));
        target.add_image(protected.property("replicator_origin", "prod"));
        target.add_image(ImageSpec::new(&id(91)).data(ImageContent::pattern(9, 10)));
        Self { source, target }
    }
}

impl Target for Deleting {
    fn args(&self) -> Vec<String> {
        deleting("livecopy", &self.source, self.target.host_port())
    }

    fn check_at_once(&self) {
        for number in (11..=IMAGES).chain([90, 91]) {
            assert!(has(&self.target, number), "{number} is gone");
            assert_eq!(field(&self.target, number, "os_hidden"), false, "{number}");
        }
        // None is deleted that was not retired before, by this run or an earlier one.
        for number in 1..=10 {
            let is_retired = field(&self.target, number, "replicator_retired_at").is_string();
            assert!(has(&self.target, number) || is_retired, "{number}");
        }
    }

    fn is_done_after(&self, ran: &Ran) -> bool {
        assert_eq!(ran.code, Some(0), "{ran:?}");
        // With no grace, the second run deletes what the first one retires.
        (1..=10).all(|number| !has(&self.target, number))
    }
}

#[test]
fn a_deleting_run_that_is_killed_deletes_nothing_else_and_the_next_one_goes_on() {
    kill_and_finish(30, Deleting::new);
}

/// The same in an archive.
struct DeletingArchive {
    source: EmbeddedGlance,
    directory: TempDir,
}

impl DeletingArchive {
    fn new() -> Self {
        let (whole, source) = (numbered(IMAGES), glance(Profile::Today));
        for number in 11..=IMAGES {
            source.add_image(ImageSpec::new(&id(number)).data(ImageContent::pattern(number, 2000)));
        }
        let directory = tempfile::tempdir().unwrap();
        succeeded(
            &[
                &["dump", whole.host_port(), path(directory.path())][..],
                &ORIGIN,
            ]
            .concat(),
        );
        Self { source, directory }
    }
}

impl Target for DeletingArchive {
    fn args(&self) -> Vec<String> {
        deleting("dump", &self.source, path(self.directory.path()))
    }

    fn check_at_once(&self) {
        let files = files(self.directory.path());
        for number in 11..=IMAGES {
            assert!(files.contains(&id(number)) && files.contains(&format!("{}.img", id(number))));
        }
        for number in (1..=10).filter(|&number| files.contains(&id(number))) {
            assert!(
                files.contains(&format!("{}.img", id(number))),
                "{number} looks whole"
            );
        }
    }

    fn is_done_after(&self, ran: &Ran) -> bool {
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let aside = files(&self.directory.path().join(".retired"));
        let gone = (1..=10).all(|number| !self.directory.path().join(id(number)).exists());
        if !gone || !aside.is_empty() {
            return false;
        }
        assert_eq!(
            files(self.directory.path()).len(),
            21,
            "stray files: {ran:?}"
        );
        true
    }
}

#[test]
fn a_deleting_dump_that_is_killed_deletes_nothing_else_and_the_next_one_goes_on() {
    kill_and_finish(30, DeletingArchive::new);
}

//! The program between embedded Glance servers and temporary archives.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::path::Path;
use std::process::Child;

use glance_client::testing::{
    At, Caller, EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::kit::background::{spawn, wait_until};
use crate::kit::program::{Ran, program, run};

fn id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn glance(profile: Profile) -> EmbeddedGlance {
    let builder = EmbeddedGlance::builder().profile(profile);
    builder.start_blocking().unwrap()
}

/// Images of every kind; the last two are not active.
fn filled(profile: Profile) -> EmbeddedGlance {
    let glance = glance(profile);
    let image = |number, len| {
        ImageSpec::new(&id(number))
            .name(&format!("image {number}"))
            .data(ImageContent::pattern(number, len))
    };
    glance.add_image(image(1, 0).visibility("public"));
    glance.add_image(image(2, 1).owner("acme").visibility("private"));
    glance.add_image(image(3, 3_000_000).protected().minima(3, 512));
    glance.add_image(
        image(4, 70_000)
            .name("\u{65e5}\u{672c} \"quoted\"")
            .property("note", "it's \u{e9}")
            .property("os_type", "linux"),
    );
    glance.add_image(image(5, 5).formats("aki", "aki").property("empty", ""));
    glance.add_image(image(6, 5).visibility("public").status("deactivated"));
    glance.add_image(ImageSpec::new(&id(7)).name("queued"));
    glance
}

/// What a server does not set by itself, of each image that has data.
fn contents(glance: &EmbeddedGlance) -> Vec<(Value, Option<String>)> {
    let active = glance.images().into_iter();
    let active = active.filter(|image| image.status == "active");
    let content = |image: glance_client::testing::ImageView| {
        let mut record = image.record;
        for field in ["created_at", "updated_at", "virtual_size"] {
            record.as_object_mut().unwrap().remove(field);
        }
        (record, image.content.map(|data| data.sha256().unwrap()))
    };
    active.map(content).collect()
}

fn summary(ran: &Ran) -> &str {
    ran.stderr.lines().last().unwrap()
}

fn path(dir: &Path) -> &str {
    dir.to_str().unwrap()
}

#[track_caller]
fn succeeded(args: &[&str]) -> Ran {
    let ran = run(args);
    assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    ran
}

#[test]
fn livecopy_makes_the_target_equal_and_the_second_run_changes_nothing() {
    use Profile::{Legacy, Today, V1Only};
    for (from, to) in [
        (Today, Today),
        (V1Only, V1Only),
        (V1Only, Today),
        (Legacy, Today),
        (Legacy, Legacy),
        (Today, V1Only),
    ] {
        let (source, target) = (filled(from), glance(to));
        let ends = [source.host_port(), target.host_port()];
        let ran = succeeded(&["livecopy", ends[0], ends[1]]);
        let counts = "0 updated, 0 unchanged, 2 skipped, 0 failed";
        assert!(
            summary(&ran).starts_with("livecopy: 5 copied (2.9 MiB in "),
            "{ran:?}"
        );
        assert!(summary(&ran).ends_with(counts), "{from:?} {to:?}: {ran:?}");
        if from == to && to != V1Only {
            assert_eq!(contents(&target), contents(&source), "{from:?} {to:?}");
        }
        succeeded(&["livecopy", ends[0], ends[1]]);

        let before = target.images().len();
        for glance in [&source, &target] {
            glance.clear_requests();
        }
        let ran = succeeded(&["livecopy", ends[0], ends[1]]);
        assert_eq!(
            summary(&ran),
            "livecopy: 0 copied, 0 updated, 5 unchanged, 2 skipped, 0 failed",
            "{from:?} {to:?}"
        );
        assert_eq!(target.images().len(), before);
        for request in source.requests().into_iter().chain(target.requests()) {
            let kind = request.kind;
            let is_reading = matches!(kind, RequestKind::Versions | RequestKind::Listing);
            assert!(is_reading, "{from:?} {to:?}: {request:?}");
        }
        // Deactivated and queued ones are no copies that are missing.
        let ran = succeeded(&["compare", "--exit-code", ends[0], ends[1]]);
        assert_eq!(ran.stdout, "", "{from:?} {to:?}");
        assert_eq!(summary(&ran), "7 images compared: 0 differ, 0 missing");
    }
}

#[test]
fn dump_and_load_carry_images_over_an_archive() {
    for profile in [Profile::Today, Profile::V1Only] {
        let (source, target) = (filled(profile), glance(profile));
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("new/archive");
        // As an administrator, v2 would have given out the data of the deactivated one.
        let (code, withheld) = match profile {
            Profile::Today => (3, 1),
            _ => (0, 0),
        };
        let dump = || {
            let ran = run(&["dump", source.host_port(), path(&archive)]);
            assert_eq!(ran.code, Some(code), "{ran:?}");
            let words = "is deactivated at the source";
            assert!(ran.stderr.contains(words), "{ran:?}");
            ran
        };
        let summary = |ran: &Ran| {
            let of_verb = |line: &&str| line.starts_with("dump: ") || line.starts_with("load: ");
            ran.stderr.lines().find(of_verb).unwrap().to_owned()
        };
        let ran = dump();
        assert!(ran.stderr.contains(&format!(
            "Storing: {} (image 3) (3000000 bytes) in {}/{}.img\n",
            id(3),
            path(&archive),
            id(3)
        )));
        assert!(
            summary(&ran).ends_with(&format!(
                ", 2 metadata only, 0 updated, 0 unchanged, 0 skipped, {withheld} failed"
            )),
            "{ran:?}"
        );
        let dir_end = format!("dir:{}", path(&archive));
        let checked = succeeded(&["compare", "--exit-code", source.host_port(), &dir_end]);
        assert_eq!(checked.stdout, "");
        let size = succeeded(&["size", &dir_end]).stdout;
        assert_eq!(
            size,
            "Total size is 3070006 bytes (2.9 MiB) across 5 images\n"
        );
        assert_eq!(size, succeeded(&["size", source.host_port()]).stdout);

        succeeded(&["load", target.host_port(), path(&archive)]);
        if profile == Profile::Today {
            assert_eq!(contents(&target), contents(&source));
        }

        source.clear_requests();
        let again = dump();
        assert_eq!(
            summary(&again),
            format!("dump: 0 copied, 0 updated, 7 unchanged, 0 skipped, {withheld} failed")
        );
        assert_eq!(
            source.count(RequestKind::Download),
            1,
            "of the deactivated one"
        );
        let again = succeeded(&["load", target.host_port(), path(&archive)]);
        assert_eq!(
            summary(&again),
            "load: 0 copied, 0 updated, 5 unchanged, 2 skipped, 0 failed"
        );
    }
}

#[test]
fn changed_metadata_is_compared_shown_and_updated() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    let image = |name: &str| {
        ImageSpec::new(&id(1))
            .name(name)
            .data(ImageContent::zeros(10))
    };
    source.add_image(image("new\n\u{1b}[31m").property("frog", "1").tag("a"));
    target.add_image(image("old").property("duck", "2").tag("b"));
    let ends = [source.host_port(), target.host_port()];
    let compared = run(&["compare", "--exit-code", ends[0], ends[1]]);
    assert_eq!(compared.code, Some(5), "{compared:?}");
    let id = id(1);
    assert_eq!(
        compared.stdout,
        format!(
            "{id}: field name differs (source is new\\n\\u{{1b}}[31m, destination is old)\n\
             {id}: field tags differs (source is a, destination is b)\n\
             {id}: field frog differs (source is 1, destination is undefined)\n"
        )
    );
    let planned = succeeded(&["livecopy", "--dry-run", ends[0], ends[1]]);
    assert_eq!(
        planned.stdout,
        format!(
            "update (metadata differs) {id} (new\\n\\u{{1b}}[31m): name from old to \
             new\\n\\u{{1b}}[31m, tags from b to a, b, frog from undefined to 1\n\
             livecopy: would copy 0 (0.0 B), write the metadata of 0, update 1; 0 unchanged, \
             0 skipped, 0 failed\n"
        )
    );
    assert_eq!(target.count(RequestKind::Update), 0);
    let ran = succeeded(&["livecopy", ends[0], ends[1]]);
    assert_eq!(
        ran.stderr,
        format!(
            "Image {id} (new\\n\\u{{1b}}[31m) metadata has changed\n\
             livecopy: 0 copied, 1 updated, 0 unchanged, 0 skipped, 0 failed\n"
        )
    );
    let updated = target.image(&id).unwrap();
    assert_eq!(updated.field("frog").unwrap(), "1");
    assert_eq!(updated.field("duck").unwrap(), "2");
    assert_eq!(target.count(RequestKind::Upload), 0);
}

#[test]
fn metaonly_opens_no_data() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let ran = succeeded(&["livecopy", source.host_port(), "-m", target.host_port()]);
    assert!(
        ran.stderr.contains("only metadata was asked for"),
        "{ran:?}"
    );
    assert!(target.images().is_empty());
    let ran = succeeded(&["--metaonly", "dump", source.host_port(), path(dir.path())]);
    assert!(
        summary(&ran).starts_with("dump: 0 copied, 7 metadata only"),
        "{ran:?}"
    );
    assert_eq!(source.count(RequestKind::Download), 0);
    // What has no data yet is completed.
    let ran = run(&["dump", source.host_port(), path(dir.path())]);
    assert_eq!(
        ran.code,
        Some(3),
        "as an administrator, of the deactivated one: {ran:?}"
    );
    assert!(ran.stderr.contains("dump: 5 copied"), "{ran:?}");
}

#[test]
fn properties_that_match_a_pattern_are_neither_sent_nor_compared() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    let image = ImageSpec::new(&id(1)).data(ImageContent::pattern(1, 1000));
    source.add_image(image.property("hw_disk", "1").property("os_type", "linux"));
    let ends = [source.host_port(), target.host_port()];
    let drop = ["--drop-property", "hw_*", "--drop-property", "x"];
    succeeded(&[&["livecopy"], &drop[..], &ends].concat());
    let copy = target.image(&id(1)).unwrap();
    assert_eq!(copy.field("hw_disk"), None);
    assert_eq!(copy.field("os_type"), Some(&Value::from("linux")));
    succeeded(&[&["compare", "--exit-code"], &drop[..], &ends].concat());
    let ran = run(&["compare", "--exit-code", ends[0], ends[1]]);
    assert_eq!(ran.code, Some(5), "{ran:?}");
    let ran = run(&["livecopy", "--drop-property", "[a", ends[0], ends[1]]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn a_dry_run_prints_the_plan_and_creates_nothing() {
    let source = filled(Profile::Today);
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    let ran = succeeded(&["dump", "--dry-run", source.host_port(), path(&archive)]);
    assert!(!archive.exists());
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 8, "{ran:?}");
    assert_eq!(
        lines[2],
        format!("copy (missing) {} (image 3) 3000000 bytes", id(3))
    );
    assert_eq!(
        lines[6],
        format!("write metadata (missing) {} (queued)", id(7))
    );
    assert_eq!(
        lines[7],
        "dump: would copy 5 (2.9 MiB), write the metadata of 2, update 0; 0 unchanged, 0 skipped, \
         0 failed"
    );
    assert_eq!(source.count(RequestKind::Download), 0);
}

#[test]
fn one_bad_image_of_twenty_does_not_stop_the_others() {
    for transfers in ["1", "7"] {
        let (source, target) = (glance(Profile::Today), glance(Profile::Today));
        for number in 1..=20 {
            let data = ImageContent::pattern(number, 1000 + number);
            source.add_image(ImageSpec::new(&id(number)).name("n\u{7}").data(data));
        }
        let download = FaultOn::kind(RequestKind::Download).image(&id(13));
        source.fault(download, FaultAction::status(403));
        let args = ["--transfers", transfers, "--retries", "0", "livecopy"];
        let ends = [source.host_port(), target.host_port()];
        let ran = run(&[&args[..], &ends].concat());
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert_eq!(contents(&target).len(), 19);
        let error = format!(
            "error: image {} (n\\u{{7}}): the source failed\ncaused by: ",
            id(13)
        );
        assert!(ran.stderr.contains(&error), "{ran:?}");
        assert!(ran.stderr.contains("403 Forbidden"), "{ran:?}");
        assert!(ran.stderr.contains("hint: "), "{ran:?}");
        let mut last = ran.stderr.lines().rev();
        let failed = format!("failed: {} (n\\u{{7}})", id(13));
        assert_eq!(last.next(), Some(&*failed));
        assert!(
            last.next().unwrap().starts_with("livecopy: 19 copied "),
            "{ran:?}"
        );

        source.clear_faults();
        let again = succeeded(&["livecopy", ends[0], ends[1]]);
        assert!(
            summary(&again).starts_with("livecopy: 1 copied "),
            "{again:?}"
        );
    }
}

#[test]
fn what_a_server_may_get_over_is_tried_again() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    for kind in [
        RequestKind::Versions,
        RequestKind::Listing,
        RequestKind::Download,
    ] {
        let busy = FaultAction::retry_after(503, 0);
        source.fault(FaultOn::kind(kind).times(1), busy);
    }
    let busy = FaultAction::retry_after(429, 0);
    target.fault(FaultOn::kind(RequestKind::Create).times(1), busy);
    let ends = [source.host_port(), target.host_port()];
    let ran = succeeded(&["livecopy", ends[0], ends[1]]);
    assert!(summary(&ran).starts_with("livecopy: 5 copied"), "{ran:?}");
    assert_eq!(contents(&target), contents(&source));

    let bell = b"{\"message\": \"\x1b[31m\x07\"}";
    let ringing = FaultAction::Answer {
        status: 503,
        headers: vec![("retry-after".to_owned(), "0".to_owned())],
        body: bell.as_slice().into(),
    };
    source.fault(FaultOn::kind(RequestKind::Listing), ringing);
    let ran = run(&["--retries", "2", "size", source.host_port()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(!ran.stderr.contains(['\u{1b}', '\u{7}']), "{ran:?}");
}

#[test]
fn wrong_content_has_an_exit_code_of_its_own() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    source.add_image(ImageSpec::new(&id(1)).data(ImageContent::pattern(1, 50_000)));
    let download = FaultOn::kind(RequestKind::Download);
    source.fault(download, FaultAction::FlipByte(40_000));
    let ends = [source.host_port(), target.host_port()];
    let ran = run(&["livecopy", "--retries", "0", ends[0], ends[1]]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(contents(&target).is_empty());

    target.add_image(ImageSpec::new(&id(1)).data(ImageContent::zeros(50_000)));
    let ran = run(&["livecopy", ends[0], ends[1]]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(
        ran.stderr
            .contains("the target has another image of that id"),
        "{ran:?}"
    );
    let compared = run(&["compare", "--exit-code", ends[0], ends[1]]);
    assert_eq!(compared.code, Some(5), "{compared:?}");
    assert!(
        compared.stdout.contains("field checksum differs"),
        "{compared:?}"
    );
}

#[test]
fn data_that_does_not_match_its_format_is_not_sent_unless_one_wants_it() {
    let (source, target) = (glance(Profile::Today), glance(Profile::V1Only));
    let today = glance(Profile::Today);
    let image = ImageSpec::new(&id(1)).formats("qcow2", "bare");
    source.add_image(image.data(ImageContent::pattern(1, 5000)));
    let ran = run(&["livecopy", source.host_port(), today.host_port()]);
    assert_eq!(ran.code, Some(7), "{ran:?}");
    assert!(
        ran.stderr.contains("caused by: its disk_format is qcow2"),
        "{ran:?}"
    );
    assert!(
        ran.stderr
            .contains("hint: v2 does not change the disk_format"),
        "{ran:?}"
    );
    // The record was made before the data was opened: it has none, and takes some later.
    assert_eq!(today.image(&id(1)).unwrap().status, "queued");
    assert_eq!(today.count(RequestKind::Upload), 0);
    let left = format!("left at the target: the record {}, queued", id(1));
    assert!(ran.stderr.contains(&left), "{ran:?}");
    let off = [
        "--format-check",
        "off",
        "livecopy",
        source.host_port(),
        target.host_port(),
    ];
    assert!(summary(&succeeded(&off)).starts_with("livecopy: 1 copied"));
}

#[test]
fn an_id_that_is_burnt_on_v1_is_found_before_any_data_moves() {
    let (source, target) = (filled(Profile::Today), glance(Profile::V1Only));
    target.burn(&id(3));
    let ran = run(&["livecopy", source.host_port(), target.host_port()]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let failed = format!("failed: {}", id(3));
    assert!(ran.stderr.contains(&failed), "{ran:?}");
    assert!(ran.stderr.contains("the image is deleted"), "{ran:?}");
    assert!(ran.stderr.contains("glance-manage db purge"), "{ran:?}");
    let requests = source.requests();
    let opened = |request: &&glance_client::testing::RequestRecord| {
        request.kind == RequestKind::Download && request.target.contains(&id(3))
    };
    assert_eq!(requests.iter().filter(opened).count(), 0);
    let dry = run(&[
        "livecopy",
        "--dry-run",
        source.host_port(),
        target.host_port(),
    ]);
    assert_eq!(dry.code, Some(3), "a dry run knows as well: {dry:?}");
}

#[test]
fn a_burnt_id_is_reported_with_both_meanings() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    target.burn(&id(2));
    let ran = run(&["livecopy", source.host_port(), target.host_port()]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("is taken"), "{ran:?}");
    assert!(
        ran.stderr
            .contains("hint: either the image was deleted there"),
        "{ran:?}"
    );
    assert!(
        summary(&ran).starts_with(&format!("failed: {}", id(2))),
        "{ran:?}"
    );
}

#[test]
fn tokens_come_from_the_command_line_the_environment_and_files_in_that_order() {
    let server = EmbeddedGlance::builder().token("s3cret", Caller::admin());
    let server = server.start_blocking().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let right = file(
        "right.conf",
        "[DEFAULT]\ntargettoken = s3cret\ndebug = False\n",
    );
    let wrong = file(
        "wrong.conf",
        "[DEFAULT]\nslavetoken = wr0ng\nlog_dirr = x\n",
    );
    let size = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = program();
        command.args(["size", server.host_port()]).args(args);
        command.envs(variables.iter().copied());
        let ran = Ran::from(command.output().unwrap());
        for token in ["s3cret", "wr0ng"] {
            assert!(!ran.stderr.contains(token), "{ran:?}");
        }
        ran
    };
    let given = ("GLANCE_REPLICATOR_TARGETTOKEN", "s3cret");
    let by_its_old_name = ("GLANCE_REPLICATOR_SLAVETOKEN", "s3cret");
    for (args, variables, code) in [
        (&[][..], &[][..], 4),
        (&["-d", "-t", "wr0ng"], &[], 4),
        (&["-t", "wr0ng", "-S", "s3cret"], &[], 0),
        (&["-t", "s3cret", "-S", ""], &[], 0),
        (&["-M", "s3cret"], &[], 4),
        (&["--slavetoken", "wr0ng"], &[given], 4),
        (
            &["--slavetoken", "s3cret"],
            &[("GLANCE_REPLICATOR_TARGETTOKEN", "wr0ng")],
            0,
        ),
        (&["--config-file", &right], &[], 0),
        (&["--config-file", &wrong], &[], 4),
        (&["--config-file", &wrong], &[given], 0),
        (&["--config-file", &wrong], &[by_its_old_name], 0),
        (&["--config-file", &wrong, "-S", "s3cret"], &[], 0),
        (&[], &[("GLANCE_REPLICATOR_CONFIG_FILE", &*right)], 0),
    ] {
        let ran = size(args, variables);
        assert_eq!(ran.code, Some(code), "{args:?} {variables:?}: {ran:?}");
        let warned = ran
            .stderr
            .contains("warning: every user of this machine can read");
        let on_command_line = ["-t", "-S", "-M", "--slavetoken"];
        let expected = args.iter().any(|arg| on_command_line.contains(arg));
        assert_eq!(warned, expected, "{args:?}: {ran:?}");
        if code == 4 {
            assert!(ran.stderr.contains("hint: give a valid token"), "{ran:?}");
        }
    }
}

#[test]
fn flags_and_values_come_from_the_environment_and_files() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("replicator.conf");
    fs::write(
        &config,
        "[DEFAULT]\ndry_run = true\nprogress: none\n[other]\nmetaonly = true\n",
    )
    .unwrap();
    let ends = ["livecopy", source.host_port(), target.host_port()];
    let mut command = program();
    command.args(ends).arg("--config-file").arg(&config);
    let ran = Ran::from(command.output().unwrap());
    assert!(ran.stdout.contains("would copy 5"), "{ran:?}");
    assert_eq!(ran.stderr, "nothing was changed (--dry-run)\n");
    let mut command = program();
    command.args(ends).env("GLANCE_REPLICATOR_METAONLY", "yes");
    let ran = Ran::from(command.output().unwrap());
    assert!(
        ran.stderr.contains("only metadata was asked for"),
        "{ran:?}"
    );
    let mut command = program();
    command
        .args(ends)
        .env("GLANCE_REPLICATOR_TRANSFERS", "many");
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(target.images().is_empty());
}

#[test]
fn the_log_is_a_file_that_holds_what_was_done_and_no_token() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let options = [
        "--log-dir",
        path(dir.path()),
        "-d",
        "-t",
        "s3cret",
        "--progress",
        "none",
    ];
    let ends = ["livecopy", source.host_port(), target.host_port()];
    let ran = succeeded(&[&options[..], &ends].concat());
    assert_eq!(
        ran.stderr.lines().count(),
        2,
        "a warning and the summary: {ran:?}"
    );
    let log = fs::read_to_string(dir.path().join("glance-replicator.log")).unwrap();
    let line = format!("Image {} (image 3) (3000000 bytes) is being synced", id(3));
    assert!(log.contains(&line), "{log}");
    assert!(log.contains("DEBUG glance_client"), "{log}");
    assert!(log.contains("livecopy: 5 copied"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}

#[test]
fn an_api_version_can_be_forced() {
    let server = filled(Profile::Legacy);
    for (version, path) in [("v1", "/v1/images"), ("v2", "/v2/images")] {
        server.clear_requests();
        succeeded(&["size", "--target-api", version, server.host_port()]);
        let listings = server.requests();
        let listing = listings
            .iter()
            .find(|request| request.kind == RequestKind::Listing);
        assert!(listing.unwrap().target.starts_with(path), "{listing:?}");
    }
    let today = glance(Profile::Today);
    let ran = run(&["size", "--target-api", "v1", today.host_port()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn damaged_images_of_an_archive_fail_and_the_others_are_loaded() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path();
    let dumped = run(&["dump", source.host_port(), path(archive)]);
    assert_eq!(dumped.code, Some(3), "of the deactivated one: {dumped:?}");
    fs::write(archive.join(id(1)), "{\"id\": ").unwrap();
    fs::write(archive.join(id(2)), "[1, 2]").unwrap();
    let data = archive.join(format!("{}.img", id(3)));
    fs::File::options()
        .write(true)
        .open(data)
        .unwrap()
        .set_len(2_000_000)
        .unwrap();
    fs::remove_file(archive.join(id(4))).unwrap();
    fs::write(archive.join("notes.txt"), "no image").unwrap();
    let ran = run(&["load", target.host_port(), path(archive)]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let warning = format!(
        "warning: image {} in {} is unfinished",
        id(4),
        path(archive)
    );
    assert!(ran.stderr.contains(&warning), "{ran:?}");
    let failed: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| line.starts_with("failed: "))
        .collect();
    assert_eq!(failed.len(), 3, "{ran:?}");
    assert!(
        ran.stderr.contains("hint: the archive is damaged there"),
        "{ran:?}"
    );
    assert_eq!(contents(&target).len(), 1);
}

#[test]
fn ctrl_c_in_the_middle_of_a_dump_leaves_nothing_that_looks_whole() {
    let source = glance(Profile::Today);
    let image = ImageSpec::new(&id(1)).data(ImageContent::pattern(1, 8_000_000));
    source.add_image(image);
    let stall = FaultAction::StallResponse(At::Byte(5_000_000), None);
    source.fault(FaultOn::kind(RequestKind::Download).times(1), stall);
    let dir = tempfile::tempdir().unwrap();
    let (archive, partial) = (
        dir.path(),
        dir.path().join(format!(".{}.img.partial", id(1))),
    );
    let child = spawn(&["dump", source.host_port(), path(archive)]);
    wait_until(|| fs::metadata(&partial).is_ok_and(|partial| partial.len() > 1_000_000));
    let ran = stop(child, Signal::INT);
    assert_eq!(ran.code, Some(130), "{ran:?}");
    assert!(ran.stderr.contains("interrupted: finishing"), "{ran:?}");
    assert!(summary(&ran).ends_with("0 failed, 1 not done"), "{ran:?}");
    assert!(!archive.join(id(1)).exists());
    assert!(!archive.join(format!("{}.img", id(1))).exists());

    source.clear_requests();
    let again = succeeded(&["dump", source.host_port(), path(archive)]);
    assert!(summary(&again).starts_with("dump: 1 copied"), "{again:?}");
    let requests = source.requests();
    let download = requests
        .iter()
        .find(|request| request.kind == RequestKind::Download);
    assert!(
        download.unwrap().header("range").is_some(),
        "the partial file is continued"
    );
    let dumped = fs::read(archive.join(format!("{}.img", id(1)))).unwrap();
    assert!(dumped == ImageContent::pattern(1, 8_000_000).to_vec().unwrap());
}

#[test]
fn ctrl_c_in_the_middle_of_a_livecopy_leaves_nothing_that_looks_whole() {
    livecopy_that_is_ended(Signal::INT, 130);
}

#[test]
fn sigterm_in_the_middle_of_a_livecopy_leaves_nothing_that_looks_whole() {
    livecopy_that_is_ended(Signal::TERM, 143);
}

fn livecopy_that_is_ended(signal: Signal, code: i32) {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    let stall = FaultAction::StallResponse(At::Byte(1_000_000), None);
    let download = FaultOn::kind(RequestKind::Download).image(&id(3));
    source.fault(download.times(1), stall);
    let child = spawn(&["livecopy", source.host_port(), target.host_port()]);
    let is_under_way = |request: &glance_client::testing::RequestRecord| {
        request.kind == RequestKind::Upload && request.body_bytes > 500_000
    };
    wait_until(|| target.requests().iter().any(is_under_way) && contents(&target).len() == 4);
    let ran = stop(child, signal);
    assert_eq!(ran.code, Some(code), "{ran:?}");
    // The end of one of the others may have been cut off as well.
    assert!(summary(&ran).ends_with(" not done"), "{ran:?}");
    assert_ne!(target.image(&id(3)).unwrap().status, "active");

    wait_until(|| target.image(&id(3)).unwrap().status == "queued");
    succeeded(&["livecopy", source.host_port(), target.host_port()]);
    assert_eq!(contents(&target), contents(&source));
}

#[test]
fn the_second_signal_ends_the_program_at_once_even_if_its_output_is_stuck() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    for number in 0..1000 {
        source.add_image(ImageSpec::new(&id(number)));
    }
    // A line for each of them, more than a pipe holds that nobody reads.
    let mut child = spawn(&["livecopy", source.host_port(), target.host_port()]);
    wait_until(|| source.count(RequestKind::Listing) > 500);
    let mut ended = None;
    wait_until(|| {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        ended = child.try_wait().unwrap();
        ended.is_some()
    });
    assert_eq!(ended.unwrap().code(), Some(130));
}

fn stop(child: Child, signal: Signal) -> Ran {
    kill_process(Pid::from_child(&child), signal).unwrap();
    Ran::from(child.wait_with_output().unwrap())
}

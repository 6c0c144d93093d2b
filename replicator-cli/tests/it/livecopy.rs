//! The program between embedded Glance servers.

use glance_client::testing::{FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind};
use serde_json::Value;

use crate::kit::images::{contents, filled, glance, id};
use crate::kit::program::{run, timeless};
use crate::kit::runs::{path, succeeded, summary};

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
        // Through v1, nobody gets the data of the deactivated one, and no target keeps it so.
        let (copied, skipped) = match [from, to].contains(&V1Only) {
            true => (
                5,
                "2 skipped (1 deactivated at the source, 1 queued at the source)",
            ),
            false => (6, "1 skipped (queued at the source)"),
        };
        assert_eq!(
            summary(&ran),
            format!("livecopy: {copied} copied (2.9 MiB in TIME), {skipped}"),
            "{from:?} {to:?}"
        );
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
            format!("livecopy: nothing to do, {copied} unchanged, {skipped}"),
            "{from:?} {to:?}"
        );
        assert_eq!(target.images().len(), before);
        for request in source.requests().into_iter().chain(target.requests()) {
            let kind = request.kind;
            let is_of_members = request.method == "GET" && request.target.ends_with("/members");
            let is_reading = matches!(kind, RequestKind::Versions | RequestKind::Listing);
            // Whether this token may read it by now.
            let is_denied = kind == RequestKind::Download && request.status == Some(403);
            let is_reading = is_reading || is_of_members || is_denied;
            assert!(is_reading, "{from:?} {to:?}: {request:?}");
        }
        // Deactivated and queued ones are no copies that are missing.
        let ran = succeeded(&["compare", "--exit-code", ends[0], ends[1]]);
        assert_eq!(ran.stdout, "", "{from:?} {to:?}");
        assert_eq!(summary(&ran), "7 images compared: no differences");
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
            "update (metadata differs) \"new\\n\\u{{1b}}[31m\" ({id}): name from old to \
             new\\n\\u{{1b}}[31m, tags from b to a, b, frog from undefined to 1\n\
             livecopy: would update 1\n"
        )
    );
    assert_eq!(target.count(RequestKind::Update), 0);
    let ran = succeeded(&["livecopy", ends[0], ends[1]]);
    assert_eq!(
        ran.stderr,
        format!(
            "Image \"new\\n\\u{{1b}}[31m\" ({id}) metadata has changed: name, tags, frog\n\
             livecopy: 1 updated\n"
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
    insta::assert_snapshot!(
        summary(&ran),
        @"dump: 7 metadata only"
    );
    assert_eq!(source.count(RequestKind::Download), 0);
    // A record that has no data yet is completed.
    let ran = succeeded(&["dump", source.host_port(), path(dir.path())]);
    assert!(ran.stderr.contains("dump: 6 copied"), "{ran:?}");
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
    insta::assert_snapshot!(ran.stdout, @r#"
    copy (missing) "image 1" (00000000-0000-4000-8000-000000000001) 0 B
    copy (missing) "image 2" (00000000-0000-4000-8000-000000000002) 1 B
    copy (missing) "image 3" (00000000-0000-4000-8000-000000000003) 2.9 MiB
    copy (missing) "日本 \"quoted\"" (00000000-0000-4000-8000-000000000004) 68.4 KiB
    copy (missing) "image 5" (00000000-0000-4000-8000-000000000005) 5 B
    copy (missing) "image 6" (00000000-0000-4000-8000-000000000006) 5 B
    write metadata (missing) "queued" (00000000-0000-4000-8000-000000000007)
    dump: would copy 6 (2.9 MiB), write the metadata of 1
    "#);
    let asked = source.count(RequestKind::Download);
    assert_eq!(asked, 1, "whether the deactivated one may be read");
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
        let error = format!("error: image \"n\\u{{7}}\" ({}): ", id(13));
        assert!(ran.stderr.contains(&error), "{ran:?}");
        assert!(ran.stderr.contains("403 Forbidden"), "{ran:?}");
        assert!(ran.stderr.contains("hint: "), "{ran:?}");
        let mut last = ran.stderr.lines().rev();
        assert_eq!(
            timeless(last.next().unwrap()),
            "livecopy: 19 copied (18.7 KiB in TIME), 1 failed"
        );
        let failed = format!("failed: \"n\\u{{7}}\" ({}): ", id(13));
        assert!(last.next().unwrap().starts_with(&failed), "{ran:?}");

        source.clear_faults();
        let again = succeeded(&["livecopy", ends[0], ends[1]]);
        assert_eq!(
            summary(&again),
            "livecopy: 1 copied (1013 B in TIME), 19 unchanged"
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
    insta::assert_snapshot!(
        summary(&ran),
        @"livecopy: 6 copied (2.9 MiB in TIME), 1 skipped (queued at the source)"
    );
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
            .contains("hint: create it anew at the source with the right disk_format"),
        "{ran:?}"
    );
    // The record was made before the data was opened: it has none, and takes some later.
    assert_eq!(today.image(&id(1)).unwrap().status, "queued");
    assert_eq!(today.count(RequestKind::Upload), 0);
    let left = "left at the target: its record, queued";
    assert!(ran.stderr.contains(left), "{ran:?}");
    let off = [
        "--format-check",
        "off",
        "livecopy",
        source.host_port(),
        target.host_port(),
    ];
    insta::assert_snapshot!(
        summary(&succeeded(&off)),
        @"livecopy: 1 copied (4.9 KiB in TIME)"
    );
}

#[test]
fn an_id_that_is_burnt_on_v1_is_found_before_any_data_moves() {
    let (source, target) = (filled(Profile::Today), glance(Profile::V1Only));
    target.burn(&id(3));
    let ran = run(&["livecopy", source.host_port(), target.host_port()]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.lists_as_failed(&id(3)), "{ran:?}");
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
        ran.stderr.contains("hint: the image was deleted there"),
        "{ran:?}"
    );
    assert!(ran.lists_as_failed(&id(2)), "{ran:?}");
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

//! The state of an image: who sees it, whether it can be deleted, is listed, and gives its data out.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "test helpers")]

use std::path::Path;

use glance_client::testing::{Caller, EmbeddedGlance, ImageContent, ImageSpec, Profile};

use crate::kit::images::{contents, glance, id};
use crate::kit::program::{Ran, run};
use crate::kit::runs::{path, succeeded, summary};

const VISIBILITIES: [&str; 4] = ["public", "community", "shared", "private"];

/// The state that an image of that number has in the tests here.
struct State {
    id: String,
    visibility: &'static str,
    is_protected: bool,
    is_hidden: bool,
    is_deactivated: bool,
}

fn every_state() -> Vec<State> {
    let states = (0..32_usize).map(|number| State {
        id: id(number as u64),
        visibility: VISIBILITIES[number % 4],
        is_protected: number & 4 > 0,
        is_hidden: number & 8 > 0,
        is_deactivated: number & 16 > 0,
    });
    states.collect()
}

/// A server to which the token of an administrator, and that of a member, are known.
fn server(profile: Profile) -> EmbeddedGlance {
    let server = EmbeddedGlance::builder().profile(profile);
    let server = server.token("admin", Caller::admin());
    let server = server.token("member", Caller::member("acme"));
    server.start_blocking().unwrap()
}

/// A server with an image of every state, all of one project.
fn with_every_state(profile: Profile) -> EmbeddedGlance {
    let server = server(profile);
    for state in every_state() {
        let mut image = ImageSpec::new(&state.id)
            .owner("acme")
            .visibility(state.visibility)
            .data(ImageContent::pattern(1, 3000));
        if state.is_protected {
            image = image.protected();
        }
        if state.is_hidden {
            image = image.hidden();
        }
        if state.is_deactivated {
            image = image.status("deactivated");
        }
        server.add_image(image);
    }
    server
}

fn ended(code: i32, token: &str, args: &[&str]) -> Ran {
    let ran = run(&[&["--token", token], args].concat());
    assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
    ran
}

#[test]
fn every_state_arrives_as_it_was_and_a_second_run_does_nothing() {
    let source = with_every_state(Profile::Today);
    let (copied, loaded) = (server(Profile::Today), server(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let archive = path(dir.path());
    let [from, to, back] = [&source, &copied, &loaded].map(EmbeddedGlance::host_port);
    for args in [
        ["livecopy", from, to],
        ["dump", from, archive],
        ["load", back, archive],
    ] {
        let ran = ended(0, "admin", &args);
        assert!(summary(&ran).contains("32 copied"), "{ran:?}");
        let again = ended(0, "admin", &args);
        assert!(
            summary(&again).ends_with(": nothing to do, 32 unchanged"),
            "{again:?}"
        );
    }
    assert_eq!(contents(&copied), contents(&source));
    assert_eq!(contents(&loaded), contents(&source));
    let dir_end = format!("dir:{archive}");
    for end in [to, back, &dir_end] {
        ended(0, "admin", &["compare", "--exit-code", from, end]);
        ended(0, "admin", &["verify", "--read-back", from, end]);
    }
}

#[test]
fn a_member_is_told_what_it_may_not_and_the_rest_arrives_as_it_was() {
    let (source, target) = (with_every_state(Profile::Today), server(Profile::Today));
    let ends = [source.host_port(), target.host_port()];
    let is_whole = |state: &State, widest: &str| {
        let copy = target.image(&state.id);
        if state.is_deactivated {
            return copy.is_none();
        }
        let record = copy.unwrap().record;
        let visibility = match state.visibility {
            "public" => widest,
            visibility => visibility,
        };
        record["visibility"] == visibility
            && record["protected"] == state.is_protected
            && record["os_hidden"] == state.is_hidden
    };
    let livecopy = ["livecopy", ends[0], ends[1]];
    let ran = ended(3, "member", &livecopy);
    let said = [
        "livecopy: 12 copied (",
        ", 16 skipped (deactivated at the source), 4 failed",
        "hint: the target lets administrators alone publish images: --visibility community",
        "it is deactivated at the source, which gives its data to administrators at most",
    ];
    for text in said {
        assert!(ran.stderr.contains(text), "no {text:?}: {ran:?}");
    }
    for state in every_state()
        .iter()
        .filter(|state| state.visibility != "public")
    {
        assert!(is_whole(state, "public"), "{}", state.id);
    }
    let widest = ["--visibility", "community"];
    ended(0, "member", &[&livecopy[..], &widest].concat());
    for state in every_state() {
        assert!(is_whole(&state, "community"), "{}", state.id);
    }
    let again = ended(0, "member", &[&livecopy[..], &widest].concat());
    insta::assert_snapshot!(
        summary(&again),
        @"livecopy: nothing to do, 16 unchanged, 16 skipped (deactivated at the source)"
    );
    // What it may not copy it does not miss, and an administrator does.
    let compare = [&["compare", "--exit-code"], &ends[..], &widest].concat();
    ended(0, "member", &compare);
    let compared = ended(5, "admin", &compare);
    let missing = "entirely missing from the destination";
    assert_eq!(compared.stdout.matches(missing).count(), 16, "{compared:?}");
}

#[test]
fn a_member_that_has_the_data_deactivates_its_own_copy() {
    let (source, target) = (with_every_state(Profile::Today), server(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let archive = path(dir.path());
    ended(0, "admin", &["dump", source.host_port(), archive]);
    let load = ["load", target.host_port(), archive, "--visibility=private"];
    ended(0, "member", &load);
    for state in every_state() {
        let copy = target.image(&state.id).unwrap();
        assert_eq!(copy.status == "deactivated", state.is_deactivated);
        assert_eq!(copy.record["visibility"], "private");
    }
    let again = ended(0, "member", &load);
    assert!(summary(&again).contains("32 unchanged"), "{again:?}");
}

#[test]
fn an_image_that_is_deactivated_later_is_deactivated_there_and_none_is_ever_activated() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let image = |number, status: &str| {
        ImageSpec::new(&id(number))
            .visibility("public")
            .data(ImageContent::pattern(number, 100))
            .status(status)
    };
    for (number, status) in [(1, "active"), (2, "deactivated")] {
        source.add_image(image(number, status));
    }
    let ends = [source.host_port(), target.host_port()];
    let archive = path(dir.path());
    succeeded(&["livecopy", ends[0], ends[1]]);
    succeeded(&["dump", ends[0], archive]);
    for (number, status) in [(1, "deactivated"), (2, "active")] {
        source.add_image(image(number, status));
    }
    let planned = succeeded(&["livecopy", "--dry-run", ends[0], ends[1]]);
    let change = "status from active to deactivated";
    assert!(planned.stdout.contains(change), "{planned:?}");
    let ran = succeeded(&["livecopy", ends[0], ends[1]]);
    let text = "it is deactivated at the target, and no run activates an image";
    assert!(ran.stderr.contains(text), "{ran:?}");
    for number in [1, 2] {
        assert_eq!(target.image(&id(number)).unwrap().status, "deactivated");
    }
    // An archive is a record of the source.
    succeeded(&["dump", ends[0], archive]);
    let compared = succeeded(&["compare", ends[0], &format!("dir:{archive}")]);
    assert_eq!(compared.stdout, "");
}

#[test]
fn a_copy_is_deactivated_before_others_may_see_it() {
    let (source, target) = (glance(Profile::Today), glance(Profile::Today));
    let image = ImageSpec::new(&id(1)).visibility("public");
    source.add_image(image.data(ImageContent::zeros(10)).status("deactivated"));
    succeeded(&["livecopy", source.host_port(), target.host_port()]);
    let requests = target.requests();
    let changes = requests.iter().filter(|request| request.method != "GET");
    let changes: Vec<_> = changes
        .map(|request| format!("{} {}", request.method, request.target))
        .collect();
    let path = format!("/v2/images/{}", id(1));
    assert_eq!(
        changes,
        [
            "POST /v2/images".to_owned(),
            format!("PUT {path}/file"),
            format!("POST {path}/actions/deactivate"),
            format!("PATCH {path}"),
        ]
    );
}

#[test]
fn a_target_with_v1_gets_no_deactivated_image_since_it_would_give_its_data_out() {
    let (source, target) = (glance(Profile::Today), glance(Profile::V1Only));
    let image = ImageSpec::new(&id(1)).data(ImageContent::zeros(10));
    source.add_image(image.status("deactivated"));
    let ends = [source.host_port(), target.host_port()];
    let ran = succeeded(&["livecopy", ends[0], ends[1]]);
    let text = "Images v1 cannot keep its data from anyone at the target";
    assert!(ran.stderr.contains(text), "{ran:?}");
    assert!(target.images().is_empty());
    succeeded(&["compare", "--exit-code", ends[0], ends[1]]);
}

#[test]
fn what_an_archive_lacks_of_a_deactivated_image_is_dumped_by_who_may_read_it() {
    let source = with_every_state(Profile::Today);
    let dir = tempfile::tempdir().unwrap();
    let archive = path(dir.path());
    let dump = ["dump", source.host_port(), archive];
    let has_data = |state: &State| {
        Path::new(archive)
            .join(format!("{}.img", state.id))
            .exists()
    };
    for _ in 0..2 {
        let ran = ended(0, "member", &dump);
        let text = "gives its data to administrators at most: the archive has its metadata alone";
        assert_eq!(ran.stderr.matches(text).count(), 16, "{ran:?}");
    }
    assert!(
        every_state()
            .iter()
            .all(|state| has_data(state) != state.is_deactivated)
    );
    let ran = ended(0, "admin", &dump);
    assert!(ran.stderr.contains("dump: 16 copied"), "{ran:?}");
    assert!(every_state().iter().all(has_data));
    // What is kept stays, whoever dumps next.
    let ran = ended(0, "member", &dump);
    assert!(summary(&ran).contains("32 unchanged"), "{ran:?}");
    ended(0, "member", &["verify", &format!("dir:{archive}")]);
}

//! Records that describe no image which could be used: each is an error of its image, on every
//! command, and the others go on.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use bytes::Bytes;
use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use serde_json::{Value, json};

use crate::kit::images::glance;
use crate::kit::program::run;

const GOOD: &str = "20000000-0000-4000-8000-000000000001";
const LAST: &str = "f0000000-0000-4000-8000-000000000001";
const ODD: &str = "a0000000-0000-4000-8000-000000000001";

fn content() -> ImageContent {
    ImageContent::bytes("12345")
}

/// A listing of one page, and what follows it.
fn list(glance: &EmbeddedGlance, records: &[Bytes]) {
    let page = |records: &[u8]| FaultAction::Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: [b"{\"images\": [", records, b"]}"].concat().into(),
    };
    let on = || FaultOn::kind(RequestKind::Listing);
    glance.fault(on().path("marker="), page(b""));
    glance.fault(on().path("os_hidden=true"), page(b""));
    glance.fault(on(), page(&records.join(&b", "[..])));
}

fn good(id: &str) -> Value {
    json!({
        "id": id, "name": "good", "status": "active", "size": 5, "checksum": "827ccb0eea8a706c4c34a16891f84e7b",
        "disk_format": "raw", "container_format": "bare", "min_disk": 0, "min_ram": 0,
        "protected": false,
    })
}

fn with(fields: &Value) -> Bytes {
    let mut record = good(ODD);
    let record_fields = record.as_object_mut().unwrap();
    record_fields.insert("name".into(), "bad\u{1b}[2J".into());
    record_fields.extend(fields.as_object().unwrap().clone());
    record.to_string().into()
}

/// A record, and the words that have to tell which one it is and what is wrong.
fn odd_records(profile: Profile) -> Vec<(Bytes, &'static [&'static str])> {
    let without = |name: &str| {
        let mut record = good(ODD);
        record.as_object_mut().unwrap().remove(name);
        Bytes::from(record.to_string())
    };
    let nested = format!(
        r#"{{"id": "{ODD}", "name": "deep", "status": "active", "odd": {}1{}}}"#,
        "[".repeat(200),
        "]".repeat(200)
    );
    vec![
        (
            with(&json!({"id": "829dda38053a4765b7bcb30df0ea3861"})),
            &["829dda38053a4765b7bcb30df0ea3861", "bad\\u{1b}[2J"],
        ),
        (with(&json!({"id": format!("{{{ODD}}}")})), &["{a0000000"]),
        (with(&json!({"id": "../\u{1b}[31m"})), &["../\\u{1b}[31m"]),
        (with(&json!({"id": 5})), &["bad", "(5)"]),
        (with(&json!({"id": null})), &["bad", "(without an id)"]),
        (without("id"), &["\"good\" (without an id)"]),
        (with(&json!({"size": -5})), &[ODD, "bad", "size", "-5"]),
        (
            with(&json!({"size": 1_180_591_620_717_411_303_424_f64})),
            &[ODD, "size"],
        ),
        (with(&json!({"min_disk": 1.5})), &[ODD, "min_disk", "1.5"]),
        (with(&json!({"min_ram": "much"})), &[ODD, "min_ram", "much"]),
        (with(&json!({"protected": 7})), &[ODD, "protected", "7"]),
        (with(&json!({"name": ["x"]})), &[ODD, "name"]),
        (with(&json!({"status": "weird"})), &[ODD, "bad", "weird"]),
        (with(&json!({"status": 1})), &[ODD, "status"]),
        (without("status"), &[ODD, "good", "status"]),
        match profile {
            Profile::V1Only => (with(&json!({"is_public": "odd"})), &[ODD, "is_public"]),
            _ => (with(&json!({"visibility": "odd"})), &[ODD, "visibility"]),
        },
        (nested.into(), &[ODD, "deep"]),
        ("null".into(), &["without an id"]),
        ("[1]".into(), &["without an id"]),
        ("\"text\"".into(), &["without an id"]),
        (
            Bytes::from(format!("{}, {}", good(ODD), good(ODD))),
            &[ODD, "2 times"],
        ),
    ]
}

fn on_both(check: impl Fn(Profile) + Sync) {
    std::thread::scope(|scope| {
        for profile in [Profile::Today, Profile::V1Only] {
            let check = &check;
            scope.spawn(move || check(profile));
        }
    });
}

#[test]
fn an_odd_record_at_the_source_is_an_error_of_that_image_on_every_command() {
    on_both(|profile| {
        for (record, words) in odd_records(profile) {
            let (source, target) = (glance(profile), glance(Profile::Today));
            for id in [GOOD, LAST] {
                source.add_image(ImageSpec::new(id).name("good").data(content()));
            }
            let [first, last] = [GOOD, LAST].map(|id| Bytes::from(good(id).to_string()));
            list(&source, &[first, record.clone(), last]);
            let above = tempfile::tempdir().unwrap();
            let archive = above.path().join("archive");
            let (from, to) = (source.host_port(), target.host_port());
            for args in [
                &["livecopy", from, to][..],
                &["dump", from, archive.to_str().unwrap()],
                &["compare", from, to],
                &["verify", from, to],
                &["size", from],
                &["check", from],
            ] {
                let ran = run(&[&["--retries", "0"], args].concat());
                let case = format!("{profile:?} {args:?} {record:?}");
                assert_eq!(ran.code, Some(3), "{case}: {ran:?}");
                let shown = format!("{}{}", ran.stdout, ran.stderr);
                for word in words {
                    assert!(shown.contains(word), "{case}: {word}: {ran:?}");
                }
            }
            for id in [GOOD, LAST] {
                assert_eq!(target.image(id).unwrap().status, "active", "{record:?}");
                assert!(archive.join(id).exists(), "{record:?}");
            }
            let ran = run(&["size", from]);
            assert!(ran.stdout.contains("10 bytes"), "{ran:?}");
            assert_eq!(above.path().read_dir().unwrap().count(), 1, "{record:?}");
            let asked = source.requests().into_iter().chain(target.requests());
            for path in asked.map(|request| request.target) {
                let is_named = path.contains("829dda") || path.contains("..");
                assert!(!is_named || path.contains("marker="), "{path}");
            }
        }
    });
}

#[test]
fn an_odd_record_at_the_target_is_an_error_of_that_image() {
    on_both(|profile| {
        for (record, words) in odd_records(profile) {
            let (source, target) = (glance(Profile::Today), glance(profile));
            source.add_image(ImageSpec::new(GOOD).name("good").data(content()));
            list(
                &target,
                &[record.clone(), Bytes::from(good(LAST).to_string())],
            );
            let (from, to) = (source.host_port(), target.host_port());
            for args in [&["livecopy", from, to][..], &["compare", from, to]] {
                let ran = run(args);
                let case = format!("{profile:?} {args:?} {record:?}");
                assert_eq!(ran.code, Some(3), "{case}: {ran:?}");
                assert!(ran.stderr.contains("target"), "{case}: {ran:?}");
                for word in words {
                    assert!(ran.stderr.contains(word), "{case}: {word}: {ran:?}");
                }
            }
            assert_eq!(target.image(GOOD).unwrap().status, "active", "{record:?}");
        }
    });
}

#[test]
fn an_image_with_an_odd_record_at_the_target_is_not_written_over() {
    on_both(|profile| {
        let (source, target) = (glance(Profile::Today), glance(profile));
        for id in [GOOD, ODD, LAST] {
            source.add_image(ImageSpec::new(id).name("good").data(content()));
        }
        list(&target, &[with(&json!({"size": -5}))]);
        let ran = run(&["livecopy", source.host_port(), target.host_port()]);
        assert_eq!(ran.code, Some(3), "{ran:?}");
        assert!(ran.stderr.contains("2 copied"), "{ran:?}");
        assert!(target.image(ODD).is_none(), "{profile:?}");
    });
}

/// Nobody can see or remove it, and no image of a source can want its id.
#[test]
fn an_id_that_is_used_up_and_none_is_passed_over() {
    let (source, target) = (glance(Profile::Today), glance(Profile::V1Only));
    source.add_image(ImageSpec::new(GOOD).name("good").data(content()));
    let burnt = with(&json!({"id": "829dda38053a4765b7bcb30df0ea3861", "status": "deleted"}));
    list(&target, &[burnt]);
    let ran = run(&["livecopy", source.host_port(), target.host_port()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("1 copied"), "{ran:?}");
}

#[test]
fn texts_that_are_no_unicode_get_replacement_characters() {
    on_both(|profile| {
        for name in [&br"bug-\ud83d"[..], b"bug-\xed\xa0\xbd", b"bug-\xff"] {
            let (source, target) = (glance(profile), glance(Profile::Today));
            source.add_image(ImageSpec::new(GOOD).data(content()));
            let record = good(GOOD).to_string();
            let (before, after) = record.split_once("\"good\"").unwrap();
            let parts: [&[u8]; 5] = [before.as_bytes(), b"\"", name, b"\"", after.as_bytes()];
            list(&source, &[parts.concat().into()]);
            for summary in ["1 copied", "1 unchanged"] {
                let ran = run(&["livecopy", source.host_port(), target.host_port()]);
                assert_eq!(ran.code, Some(0), "{name:?}: {ran:?}");
                assert!(ran.stderr.contains(summary), "{name:?}: {ran:?}");
            }
            let copied = target.image(GOOD).unwrap().record["name"].to_string();
            assert!(copied.starts_with("\"bug-\u{fffd}"), "{copied}");
        }
    });
}

/// MySQL sorts capitals among small letters, other servers before them.
#[test]
fn ids_with_capitals_may_be_listed_by_byte_or_folded_on_either_side() {
    let id = |first: &str| format!("{first}0000000-0000-4000-8000-000000000001");
    let folded = ["1", "a", "B", "c", "D", "e"].map(id);
    let by_byte = ["1", "B", "D", "a", "c", "e"].map(id);
    let unordered = ["1", "c", "B", "a"].map(id);
    let records = |ids: &[String]| -> Vec<Bytes> {
        let record = |id: &String| Bytes::from(good(id).to_string());
        ids.iter().map(record).collect()
    };
    for profile in [Profile::Today, Profile::V1Only] {
        for (at_source, at_target) in [
            (&folded, &by_byte),
            (&by_byte, &folded),
            (&folded, &folded),
            (&by_byte, &by_byte),
        ] {
            let (source, target) = (glance(profile), glance(profile));
            list(&source, &records(at_source));
            list(&target, &records(at_target));
            let ran = run(&["livecopy", source.host_port(), target.host_port()]);
            assert_eq!(ran.code, Some(0), "{profile:?}: {ran:?}");
            assert!(ran.stderr.contains("6 unchanged"), "{profile:?}: {ran:?}");
            // One is missing.
            target.clear_faults();
            list(&target, &records(&at_target[..5]));
            let ran = run(&["compare", source.host_port(), target.host_port()]);
            assert!(ran.stderr.contains("1 missing"), "{profile:?}: {ran:?}");
        }
        let source = glance(profile);
        list(&source, &records(&unordered));
        let ran = run(&["size", source.host_port()]);
        assert_eq!(ran.code, Some(1), "{profile:?}: {ran:?}");
        assert!(ran.stderr.contains("not in order"), "{profile:?}: {ran:?}");
    }
}

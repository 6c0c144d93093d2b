//! `metadefs`: namespaces of metadata definitions, whole, compared first, and repaired.

use std::fs;

use glance_client::testing::{Caller, EmbeddedGlance, FaultAction, FaultOn, Profile};
use serde_json::{Value, json};

use crate::kit::images::glance;
use crate::kit::program::run;
use crate::kit::runs::{path, succeeded};

fn namespace(name: &str) -> Value {
    json!({
        "namespace": name,
        "display_name": "Example",
        "visibility": "public",
        "protected": true,
        "owner": "admin",
        "properties": {
            "created_at": { "type": "string", "title": "Created" },
            "speed": { "type": "integer", "title": "Speed", "minimum": 1 },
        },
        "objects": [{
            "name": "disk x",
            "required": [],
            "properties": { "bus": { "type": "string", "title": "Bus" } },
        }],
        "tags": [{ "name": "gold" }, { "name": "silver" }],
        "resource_type_associations": [{ "name": "OS::Glance::Image", "prefix": "hw_" }],
    })
}

/// More than a page of them.
fn filled() -> EmbeddedGlance {
    let glance = glance(Profile::Today);
    for name in ["OS::A", "OS::B", "a b/c", "d", "e"] {
        glance.add_metadefs(&namespace(name));
    }
    glance
}

#[test]
fn namespaces_come_whole_and_a_second_copy_changes_nothing() {
    let (source, target) = (filled(), glance(Profile::Today));
    let copy = ["metadefs", "copy", source.host_port(), target.host_port()];
    let ran = succeeded(&[&copy[..], &["--dry-run"]].concat());
    assert!(ran.stdout.contains("OS::A: created"), "{ran:?}");
    assert!(target.metadefs().is_empty());
    let ran = succeeded(&copy);
    assert!(ran.stderr.contains("metadefs: 5 created"), "{ran:?}");
    assert_eq!(target.metadefs(), source.metadefs());
    target.clear_requests();
    let ran = succeeded(&copy);
    assert!(ran.stderr.contains("metadefs: 5 unchanged"), "{ran:?}");
    assert_eq!(ran.stdout, "");
    assert!(
        target
            .requests()
            .iter()
            .all(|request| request.method == "GET")
    );
}

#[test]
fn half_a_namespace_is_repaired_and_what_only_the_target_has_stays() {
    let (source, target) = (filled(), glance(Profile::Today));
    target.add_metadefs(&json!({
        "namespace": "OS::A",
        "display_name": "Another title",
        "description": "only here",
        "properties": {
            "speed": { "type": "integer", "title": "Speed", "minimum": 5 },
            "only_here": { "type": "string", "title": "Stays" },
        },
        "tags": [{ "name": "only here" }],
        "resource_type_associations": [{ "name": "OS::Glance::Image", "prefix": "cpu_" }],
    }));
    let copy = ["metadefs", "copy", source.host_port(), target.host_port()];
    let ran = succeeded(&copy);
    let line = "OS::A: updated: display_name, owner, protected, visibility, property created_at, \
                property speed, object disk x, tags gold, silver, resource type OS::Glance::Image";
    assert!(ran.stdout.contains(line), "{ran:?}");
    let repaired = &target.metadefs()[0];
    assert_eq!(repaired["description"], "only here");
    assert_eq!(repaired["display_name"], "Example");
    assert_eq!(repaired["properties"]["speed"]["minimum"], 1);
    assert!(repaired["properties"]["only_here"].is_object());
    assert_eq!(repaired["tags"].as_array().unwrap().len(), 3);
    assert_eq!(repaired["resource_type_associations"][0]["prefix"], "hw_");
    let ran = succeeded(&copy);
    assert!(ran.stderr.contains("5 unchanged"), "{ran:?}");
}

#[test]
fn a_creation_that_breaks_off_is_completed_at_once() {
    let (source, target) = (filled(), glance(Profile::Today));
    let lost = FaultOn::any().method("POST").path("/metadefs/").times(1);
    target.fault(lost, FaultAction::LoseAnswer);
    let ran = succeeded(&["metadefs", "copy", source.host_port(), target.host_port()]);
    assert!(ran.stderr.contains("5 created"), "{ran:?}");
    assert_eq!(target.metadefs(), source.metadefs());
}

#[test]
fn a_dump_has_a_file_for_each_namespace_and_is_loaded_elsewhere() {
    let (source, target) = (filled(), glance(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let directory = dir.path().join("metadefs");
    let ran = succeeded(&["metadefs", "dump", source.host_port(), path(&directory)]);
    assert!(ran.stderr.contains("5 created"), "{ran:?}");
    let file = fs::read_to_string(directory.join("OS::A.json")).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&file).unwrap(),
        namespace("OS::A")
    );
    let ran = succeeded(&["metadefs", "dump", source.host_port(), path(&directory)]);
    assert!(ran.stderr.contains("5 unchanged"), "{ran:?}");
    fs::write(directory.join("broken.json"), "{}").unwrap();
    let ran = run(&["metadefs", "load", target.host_port(), path(&directory)]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("broken.json"), "{ran:?}");
    assert!(
        ran.stderr.contains("metadefs: 5 created, 1 failed"),
        "{ran:?}"
    );
    assert_eq!(target.metadefs(), source.metadefs());
}

#[test]
fn who_may_not_write_definitions_is_told_so_and_v1_has_none() {
    let source = filled();
    let target = EmbeddedGlance::builder()
        .token("member", Caller::member("alpha"))
        .start_blocking()
        .unwrap();
    let ends = ["metadefs", "copy", source.host_port(), target.host_port()];
    let ran = run(&[&ends[..], &["--targettoken", "member"]].concat());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("403"), "{ran:?}");
    let old = glance(Profile::V1Only);
    let ran = run(&["metadefs", "copy", old.host_port(), target.host_port()]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("Images v1 has no metadata definitions"),
        "{ran:?}"
    );
    let copy = ["metadefs", "copy", source.host_port()];
    for more in [&[source.url()][..], &[], &[target.url(), "a:1"]] {
        let ran = run(&[&copy[..], more].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
    }
}

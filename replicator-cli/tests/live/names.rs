//! Properties by names and with values that one version of the API, or one request, takes
//! for something else.

use std::path::PathBuf;
use std::process::Command;

use glance_model::TargetForm;
use serde_json::{Value, json};

use crate::images::id;
use crate::server::Server;
use crate::{run, text};

/// An image of 1000 bytes with these fields.
fn image(n: u32, fields: Value) -> Value {
    let mut record = json!({
        "id": id(n), "name": "odd", "disk_format": "raw", "container_format": "bare",
        "visibility": "private", "owner": "aaa",
    });
    record
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    record
}

fn data() -> Option<Vec<u8>> {
    Some(vec![7; 1000])
}

/// The fields of a record that have one of these names.
fn some(record: &Value, names: &[&str]) -> Value {
    let fields = record.as_object().unwrap().clone().into_iter();
    fields
        .filter(|(name, _)| names.contains(&name.as_str()))
        .collect()
}

fn finds_nothing_to_do(args: &[&str]) {
    let again = text(&run(0, args).stderr);
    assert!(again.contains("nothing to do"), "{again}");
}

#[test]
fn names_of_another_version_are_properties_and_are_kept() {
    const USERS: [&str; 4] = ["is_public", "properties", "date", "description"];
    const EARLY: [&str; 3] = ["os_hidden", "stores", "location"];
    for (source, target) in [
        ("legacy-one", "today-two"),
        ("legacy-one", "legacy-two"),
        ("today-one", "today-two"),
    ] {
        let (source, target) = (Server::empty(source), Server::empty(target));
        let users = json!({
            "is_public": "True", "properties": "{}", "date": "2018-08-25", "description": "",
        });
        let mut record = image(1, users.clone());
        if !source.knows_hidden {
            let early = json!({"os_hidden": "True", "stores": "s", "location": "dc7"});
            record
                .as_object_mut()
                .unwrap()
                .extend(early.as_object().unwrap().clone());
        }
        source.create_v2(&record, data());
        let is_kept = || {
            let found = target.record_v2(&id(1));
            assert_eq!(found["visibility"], "private");
            assert_eq!(some(&found, &USERS), users);
            if !source.knows_hidden && !target.knows_hidden {
                assert_eq!(some(&found, &EARLY), some(&record, &EARLY));
            }
        };
        let said = text(&run(0, &["livecopy", &source.url, &target.url]).stderr);
        is_kept();
        assert_eq!(
            said.contains("left out: \"location\", \"os_hidden\", \"stores\", which"),
            !source.knows_hidden && target.knows_hidden,
            "{said}"
        );
        finds_nothing_to_do(&["livecopy", &source.url, &target.url]);
        run(0, &["compare", "--exit-code", &source.url, &target.url]);

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("archive");
        let path = path.to_str().unwrap();
        target.wipe();
        run(0, &["dump", &source.url, path]);
        run(0, &["load", &target.url, path]);
        is_kept();
        finds_nothing_to_do(&["load", &target.url, path]);
    }
}

#[test]
fn properties_of_v1_by_the_names_of_fields_are_kept_by_v1_and_named_by_v2() {
    let source = Server::empty("v1-one");
    let fields = [
        ("id", &*id(1)),
        ("disk_format", "raw"),
        ("container_format", "bare"),
        ("property-date", "20180825"),
        ("property-location", "dc7"),
        ("property-created_at", "x"),
        ("property-visibility", "public"),
        ("property-is_public", "True"),
    ];
    source.create_v1(&fields, data());
    let target = Server::empty("v1-two");
    run(0, &["livecopy", &source.url, &target.url]);
    assert_eq!(target.facts()[&id(1)], source.facts()[&id(1)]);
    finds_nothing_to_do(&["livecopy", &source.url, &target.url]);

    let target = Server::empty("today-two");
    let said = text(&run(0, &["livecopy", &source.url, &target.url]).stderr);
    let named = "left out: \"created_at\", \"location\", \"visibility\", which";
    assert!(said.contains(named), "{said}");
    let found = target.record_v2(&id(1));
    assert_eq!(found["visibility"], "shared");
    assert_eq!(found["is_public"], "True");
    assert_eq!(found["date"], "20180825");
    finds_nothing_to_do(&["livecopy", &source.url, &target.url]);
}

#[test]
fn an_update_changes_only_what_it_names() {
    for (source, target) in [("today-one", "today-two"), ("legacy-one", "legacy-two")] {
        let (source, target) = (Server::empty(source), Server::empty(target));
        let other = id(2);
        target.create_v2(&image(2, json!({})), data());
        let odd = json!({
            "visibility ": "public", "owner ": "bbb", "name\t": "other", " os_distro": "x",
            "self ": "y", "image_id": other, "extra_properties": "z", "plain": "1",
        });
        source.create_v2(&image(1, odd), data());
        target.create_v2(&image(1, json!({})), data());
        let before = target.record_v2(&other);

        let said = text(&run(0, &["livecopy", &source.url, &target.url]).stderr);
        assert!(said.contains("1 updated"), "{said}");
        for name in [
            "\"visibility \"",
            "\"owner \"",
            "\"name\\t\"",
            "\"image_id\"",
        ] {
            assert!(said.contains(name), "{name}: {said}");
        }
        let found = target.record_v2(&id(1));
        let kept = json!({"visibility": "private", "owner": "aaa", "name": "odd", "plain": "1"});
        assert_eq!(
            some(
                &found,
                &["visibility", "owner", "name", "plain", "os_distro"]
            ),
            kept
        );
        assert_eq!(target.record_v2(&other), before);
        finds_nothing_to_do(&["livecopy", &source.url, &target.url]);

        // A new record can have them.
        target.wipe();
        run(0, &["livecopy", &source.url, &target.url]);
        let found = target.record_v2(&id(1));
        assert_eq!(found["visibility "], "public");
        assert_eq!(found["visibility"], "private");
        finds_nothing_to_do(&["livecopy", &source.url, &target.url]);
        run(0, &["compare", "--exit-code", &source.url, &target.url]);
    }
}

#[test]
fn a_null_property_is_left_out_where_a_schema_refuses_an_empty_text() {
    let target = Server::empty("today-two");
    let arrived = || {
        let found = target.record_v2(&id(1));
        assert!(
            found["kernel_id"].is_null() && found["ramdisk_id"].is_null(),
            "{found}"
        );
    };
    let directory = tempfile::tempdir().unwrap();
    for name in ["today-one", "legacy-one", "v1-one"] {
        let source = Server::empty(name);
        if source.is_v2 {
            let nulls = json!({"kernel_id": null, "ramdisk_id": null});
            source.create_v2(&image(1, nulls), data());
        } else {
            let fields = [
                ("id", &*id(1)),
                ("disk_format", "raw"),
                ("container_format", "bare"),
                ("property-kernel_id", ""),
                ("property-ramdisk_id", ""),
            ];
            source.create_v1(&fields, data());
        }
        target.wipe();
        run(0, &["livecopy", &source.url, &target.url]);
        arrived();
        finds_nothing_to_do(&["livecopy", &source.url, &target.url]);
        run(0, &["compare", "--exit-code", &source.url, &target.url]);

        let path = directory.path().join(name);
        let archive = path.to_str().unwrap();
        run(0, &["dump", &source.url, archive]);
        // As the Python tool has it of a property that was made empty through v2.
        let file = path.join(id(1));
        let record = std::fs::read_to_string(&file).unwrap();
        let empty = record.replace("\"kernel_id\": null", "\"kernel_id\": \"\"");
        for record in [record, empty] {
            std::fs::write(&file, record).unwrap();
            target.wipe();
            run(0, &["load", &target.url, archive]);
            arrived();
            finds_nothing_to_do(&["load", &target.url, archive]);
        }
    }
}

#[test]
fn what_a_schema_refuses_is_told_with_its_cure() {
    let (source, target) = (Server::empty("v1-one"), Server::empty("today-two"));
    let fields = [
        ("id", &*id(1)),
        ("disk_format", "raw"),
        ("container_format", "bare"),
        ("property-kernel_id", "None"),
    ];
    source.create_v1(&fields, data());
    let said = text(&run(3, &["livecopy", &source.url, &target.url]).stderr);
    assert!(said.contains("--drop-property"), "{said}");
    // Its schema has told it, and nobody has tried.
    assert!(
        said.contains("kernel_id is \"None\", which does not match"),
        "{said}"
    );
    assert!(target.by_creation().is_empty());
    let drop = ["--drop-property", "kernel_*"];
    run(
        0,
        &[&["livecopy", &source.url, &target.url][..], &drop].concat(),
    );
}

/// The certificate of a signature cannot be had here, so that the data is refused.
#[test]
fn a_record_that_a_failed_run_left_gets_what_is_to_be_sent_now() {
    let (source, target) = (Server::empty("today-one"), Server::empty("today-two"));
    source.create_v2(&image(1, json!({"kept": "1", "tags": ["a"]})), data());
    for (name, value) in [
        ("img_signature", "c2lnbmF0dXJl"),
        ("img_signature_hash_method", "SHA-256"),
        ("img_signature_key_type", "RSA-PSS"),
        (
            "img_signature_certificate_uuid",
            "b1f4c1c2-1d5a-4b0a-9d0e-0a4b0e0e0e0e",
        ),
    ] {
        source.add_v2(&id(1), name, value);
    }
    let said = text(&run(3, &["livecopy", &source.url, &target.url]).stderr);
    assert!(said.contains("--drop-property"), "{said}");
    assert_eq!(
        target.record_v2(&id(1))["img_signature_key_type"],
        "RSA-PSS"
    );
    let drop = ["--drop-property", "img_signature*"];
    run(
        0,
        &[&["livecopy", &source.url, &target.url][..], &drop].concat(),
    );
    let found = target.record_v2(&id(1));
    assert_eq!(found["status"], "active");
    assert_eq!(
        (&found["kept"], &found["tags"]),
        (&json!("1"), &json!(["a"]))
    );
    assert_eq!(found["img_signature_key_type"], Value::Null);
}

#[test]
fn a_property_that_no_header_of_v1_can_hold_is_named_and_left_out() {
    let (source, target) = (Server::empty("today-one"), Server::empty("v1-two"));
    let longest = 16383 - "x-image-meta-property-fits: \r\n".len();
    let long = json!({"fits": "v".repeat(longest), "long": "v".repeat(longest + 1)});
    source.create_v2(&image(1, long), data());
    let many: Value = (0..100)
        .map(|n| (format!("p{n:02}"), json!("v".repeat(1000))))
        .collect();
    source.create_v2(&image(2, many), data());
    let said = text(&run(0, &["livecopy", &source.url, &target.url]).stderr);
    assert!(
        said.contains("left out: \"long\", which the target cannot hold"),
        "{said}"
    );
    let facts = target.facts();
    assert_eq!(facts[&id(1)].properties["fits"].len(), longest);
    assert!(facts[&id(2)].properties.len() > 50);
    finds_nothing_to_do(&["livecopy", &source.url, &target.url]);
    run(0, &["compare", "--exit-code", &source.url, &target.url]);
}

/// The names that Glance's own objects have: a patch would set them.
#[test]
fn no_attribute_of_glances_own_objects_is_ever_patched() {
    const ATTRIBUTES: &str = "
import glance.domain, glance.location, glance.notifier, glance.quota
from glance import context
admin = context.RequestContext(is_admin=True)
image = glance.domain.ImageFactory().new_image(image_id='x')
image = glance.location.ImageProxy(image, admin, None, None)
image = glance.quota.ImageProxy(image, admin, None, None)
image = glance.notifier.ImageProxy(image, admin, None)
print('\\n'.join(dir(image)))
";
    let clouds = PathBuf::from(std::env::var("GLANCE_LAB_CLOUDS").unwrap());
    let python = clouds.with_file_name("today-env").join("bin/python");
    let output = Command::new(python)
        .args(["-W", "ignore", "-c", ATTRIBUTES])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let form = TargetForm::V2 { hidden: true };
    let names = text(&output.stdout);
    let names: Vec<&str> = names.lines().collect();
    assert!(names.contains(&"image_id") && names.len() > 50, "{names:?}");
    let patched: Vec<_> = names.iter().filter(|name| form.can_update(name)).collect();
    assert!(patched.is_empty(), "{patched:?}");
}

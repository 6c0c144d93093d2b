//! The chapter of the book on migrating a cloud, step by step between two clouds with a Keystone each.

use std::path::Path;

use serde_json::json;

use super::clouds::bytes;
use super::owners::Cloud;
use crate::keystone::PASSWORD;
use crate::kit::book::Machine;
use crate::server::Server;

/// The password in the book, which no other word contains.
const BOOK_PASSWORD: &str = "the-password";

#[test]
fn each_step_of_a_migration_does_and_prints_what_the_book_says() {
    let (source, _target) = (Server::empty("region-one"), Server::empty("region-other"));
    let old = Cloud::new("REGION_ONE", "KEYSTONE");
    let new = Cloud::new("REGION_OTHER", "KEYSTONE_OTHER");
    for project in ["web", "research"] {
        old.ensure_project(project);
        new.ensure_project(project);
    }
    old.ensure_project("legacy");
    let of = old.projects();
    for (number, name, owner, visibility) in [
        (1, "debian-13", "Default/web", "public"),
        (2, "web-frontend", "Default/web", "shared"),
        (3, "orders-db", "Default/legacy", "private"),
        (4, "scratch", "Default/research", "private"),
    ] {
        let record = json!({
            "id": id(number), "name": name, "owner": of[owner], "visibility": visibility,
            "disk_format": "raw", "container_format": "bare",
        });
        source.create_v2(&record, Some(bytes(number)));
    }
    old.share(&id(2), &of["Default/research"], "accepted");

    let mut yaml = String::from("clouds:\n");
    let mut names = Vec::new();
    for (name, region, cloud) in [("old", "RegionOne", &old), ("new", "RegionOther", &new)] {
        let auth_url = format!("https://keystone.{name}.example:5000/v3");
        yaml += &format!(
            "  {name}:\n    region_name: {region}\n    auth: {{auth_url: '{auth_url}', username: admin, \
             password: {BOOK_PASSWORD}, project_name: admin, user_domain_id: default, \
             project_domain_id: default}}\n"
        );
        names.push((auth_url, format!("{}/v3", cloud.keystone)));
        names.push((
            format!("https://glance.{name}.example:9292"),
            cloud.glance.clone(),
        ));
    }
    let machine = Machine::new(&yaml, &names, (BOOK_PASSWORD, PASSWORD));
    let chapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/migrating.md");
    let counts = machine.run_document(&chapter);
    assert!(counts.run >= 8 && counts.not_run == 0, "{counts:?}");

    // What the output does not show: who owns the copies, and with whom they are shared.
    let of = new.projects();
    for (number, owner) in [(1, "Default/web"), (2, "Default/web"), (3, "Default/web")] {
        assert_eq!(new.owner(&id(number)), of[owner], "{number}");
    }
    assert_eq!(new.members(&id(2))[&of["Default/research"]], "accepted");
}

fn id(number: usize) -> String {
    format!("{number}f4be0c9-52ab-4c9e-8d0c-7a2f0be9d602")
}

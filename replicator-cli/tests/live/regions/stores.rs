//! Stores of a real Glance, which the regions have two of; and a file that is pushed to them.

use serde_json::{Value, json};

use crate::keystone::{Shell, sign_in};
use crate::server::Server;

const ID: &str = "00000000-0000-4000-8000-0000000000a1";

fn stores(server: &Server, id: &str) -> String {
    server.record_v2(id)["stores"].as_str().unwrap().to_owned()
}

#[test]
fn data_goes_to_the_chosen_store_and_is_copied_to_the_other_by_the_server() {
    let (one, two) = (Server::empty("region-one"), Server::empty("region-two"));
    let record = json!({
        "id": ID, "name": "stored", "disk_format": "raw", "container_format": "bare",
    });
    one.create_v2(&record, Some(vec![7; 3_000_000]));
    let shell = Shell::of_lab();
    let copy = ["livecopy", "cloud:admin-one", "cloud:admin-two"];
    let ran = shell.run(2, &[&copy[..], &["--store", "nosuch"]].concat());
    assert!(
        ran.stderr
            .contains("it has no store nosuch, but main, second"),
        "{}",
        ran.stderr
    );
    shell.run(0, &[&copy[..], &["--store", "second"]].concat());
    assert_eq!(stores(&two, ID), "second");
    let all = [&copy[..], &["--copy-to-stores", "all"]].concat();
    let ran = shell.run(0, &all);
    assert!(ran.stderr.contains("1 updated"), "{}", ran.stderr);
    let mut both: Vec<String> = stores(&two, ID).split(',').map(str::to_owned).collect();
    both.sort();
    assert_eq!(both, ["main", "second"]);
    let ran = shell.run(0, &all);
    assert!(ran.stderr.contains("1 unchanged"), "{}", ran.stderr);
    assert_eq!(two.data(ID), vec![7; 3_000_000]);
}

#[test]
fn a_file_is_pushed_to_both_regions_under_one_id_and_published_last() {
    let (one, two) = (Server::empty("region-one"), Server::empty("region-two"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("disk.raw");
    let data: Vec<u8> = (0..5_000_000_u32).flat_map(u32::to_le_bytes).collect();
    std::fs::write(&file, &data).unwrap();
    let shell = Shell::of_lab();
    let push = [
        "push",
        file.to_str().unwrap(),
        "cloud:admin-one",
        "cloud:admin-two",
        "--id",
        ID,
        "--visibility",
        "public",
        "--property",
        "os_type=linux",
        "--tag",
        "gold",
        "--protected",
        "--store",
        "second",
        "--copy-to-stores",
        "main",
    ];
    let ran = shell.run(0, &push);
    assert_eq!(ran.stdout.matches("created").count(), 2, "{}", ran.stdout);
    for server in [&one, &two] {
        let record: Value = server.record_v2(ID);
        assert_eq!(record["name"], "disk.raw");
        assert_eq!(record["visibility"], "public");
        assert_eq!(record["protected"], true);
        assert_eq!(record["os_type"], "linux");
        assert_eq!(record["tags"][0], "gold");
        assert_eq!(server.data(ID), data);
    }
    let ran = shell.run(0, &push);
    assert_eq!(ran.stdout.matches("unchanged").count(), 2, "{}", ran.stdout);
    std::fs::write(&file, b"another").unwrap();
    let ran = shell.run(6, &push);
    assert!(
        ran.stderr.contains("another image of that id"),
        "{}",
        ran.stderr
    );
    // A cloud that lets nobody in, beside one that is right.
    let token = sign_in("alice", "alpha").token;
    let member = [
        "push",
        file.to_str().unwrap(),
        &one.url,
        "--token",
        &token,
        "--visibility",
        "public",
    ];
    let ran = shell.run(3, &member);
    assert!(ran.stderr.contains("publicize_image"), "{}", ran.stderr);
}

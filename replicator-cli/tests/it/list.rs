//! `list`: the images of an end.

use std::fs;

use glance_client::testing::{ImageContent, ImageSpec, Profile};
use serde_json::Value;

use crate::kit::images::{filled, glance, id};
use crate::kit::program::run;
use crate::kit::runs::{path, succeeded};

/// A line a name, as they come.
#[track_caller]
fn listed(args: &[&str]) -> Vec<String> {
    let ran = succeeded(&[&["list", "-f", "value", "--column", "name"], args].concat());
    ran.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn additional_properties_are_columns_of_lists_and_comparisons() {
    let server = glance(Profile::default());
    for (number, distro) in [(1, Some("ubuntu")), (2, None), (3, Some("debian"))] {
        let image = ImageSpec::new(&id(number)).name(&format!("image {number}"));
        let image = image.data(ImageContent::pattern(number, 20));
        server.add_image(match distro {
            Some(distro) => image.property("os_distro", distro),
            None => image,
        });
    }
    let columns = ["-f", "value", "--column", "name,property:os_distro"];
    let (server, empty) = (server.url(), glance(Profile::default()));
    let by_distro = ["list", server, "--sort", "property:os_distro"];
    let ran = succeeded(&[&by_distro[..], &columns].concat());
    assert_eq!(ran.stdout, "image 3 debian\nimage 1 ubuntu\nimage 2 None\n");
    let ran = succeeded(&[&["compare", server, empty.url()][..], &columns].concat());
    assert_eq!(ran.stdout, "image 1 ubuntu\nimage 2 None\nimage 3 debian\n");
    let ran = run(&["size", server, "--column", "property:os_distro"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

#[test]
fn same_images_are_listed_of_servers_of_both_versions_and_of_archives() {
    let v2 = filled(Profile::default());
    let v1 = filled(Profile::V1Only);
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    succeeded(&[
        "dump",
        v2.url(),
        path(&archive),
        "--select",
        "status=active",
    ]);
    let archive = format!("dir:{}", path(&archive));
    let fields = "id,name,size,disk_format,container_format";
    let list = |end: &str| {
        let select = ["--select", "status=active"];
        let args = ["list", end, "-f", "csv", "--column", fields];
        succeeded(&[&args[..], &select].concat()).stdout
    };
    let expected = list(v2.url());
    assert_eq!(expected.lines().count(), 6, "{expected}");
    assert_eq!(list(v1.url()), expected);
    assert_eq!(list(&archive), expected);
}

#[test]
fn images_come_by_name_as_people_order_names_and_by_what_is_asked_for() {
    let server = glance(Profile::default());
    let image = |number, name: &str, len| {
        let image = ImageSpec::new(&id(number)).name(name);
        image.data(ImageContent::pattern(number, len))
    };
    server.add_image(image(1, "ubuntu 10.04", 30));
    server.add_image(image(2, "Ubuntu 9.10", 20));
    server.add_image(image(3, "debian", 20));
    let server = server.url();
    assert_eq!(listed(&[server]), ["debian", "Ubuntu 9.10", "ubuntu 10.04"]);
    assert_eq!(
        listed(&[server, "--sort", "id"]),
        ["ubuntu 10.04", "Ubuntu 9.10", "debian"]
    );
    let by_size = ["ubuntu 10.04", "debian", "Ubuntu 9.10"];
    assert_eq!(listed(&[server, "--sort", "size:desc"]), by_size);
    let by_both = ["ubuntu 10.04", "Ubuntu 9.10", "debian"];
    assert_eq!(
        listed(&[server, "--sort", "size:desc", "--sort", "name:desc"]),
        by_both
    );
    assert_eq!(listed(&[server, "--sort", "size:desc,name:desc"]), by_both);
    let slip = run(&["list", server, "--sort", "nam"]);
    assert_eq!(slip.code, Some(2));
    let expected = "error: \"nam\" is no column of the result: near ones are name\n";
    assert_eq!(slip.stderr, expected);
}

#[test]
fn text_is_a_table_and_has_more_if_it_is_asked_for() {
    let server = glance(Profile::default());
    let image = ImageSpec::new(&id(1))
        .name("an image")
        .property("os_type", "linux");
    server.add_image(image.data(ImageContent::pattern(1, 2048)));
    let list = |options: &[&str]| succeeded(&[&["list", server.url()], options].concat()).stdout;
    let short = list(&[]);
    let header = "id                                    name      status  visibility  owner  \
                  size     disk_format  container_format  created\n";
    let header: Vec<&str> = header.split_whitespace().collect();
    let first: Vec<&str> = short.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(first, header);
    assert!(short.contains(" 2.0 KiB "), "{short}");
    assert!(!short.contains("linux"), "{short}");
    let long = list(&["--long"]);
    assert!(long.contains("os_type=linux"), "{long}");
    let json: Value = serde_json::from_str(&list(&["-f", "json"])).unwrap();
    assert_eq!(json["images"][0]["properties"]["os_type"], "linux");
    assert_eq!(json["images"][0]["size"], 2048);
}

#[test]
fn image_that_cannot_be_used_is_told_and_the_others_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    let server = filled(Profile::default());
    succeeded(&[
        "dump",
        server.url(),
        path(&archive),
        "--select",
        "status=active",
    ]);
    fs::write(archive.join(id(1)), "no metadata").unwrap();
    let end = format!("dir:{}", path(&archive));
    let ran = run(&["list", &end, "-f", "json"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(document["totals"]["unusable"], 1);
    assert!(ran.stderr.contains(&id(1)), "{ran:?}");
}

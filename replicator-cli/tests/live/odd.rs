//! Odd cases that a real server shows by itself: the order of creation, ids that are none, and a
//! restart in the middle of uploads.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::images::{bytes, id};
use crate::kit::background::{spawn, wait_until};
use crate::kit::program::{Ran, run};
use crate::server::Server;

fn image(number: u32, len: usize, server: &Server) {
    let record = json!({
        "id": id(number), "name": "image", "visibility": "private",
        "disk_format": "raw", "container_format": "bare",
    });
    server.create_v2(&record, Some(bytes(number, len)));
}

#[test]
fn images_of_one_name_keep_their_order_of_creation_whatever_the_transfers() {
    let source = Server::empty("today-one");
    // Neither the order of ids nor that of sizes.
    let numbers = [7, 2, 9, 4, 1, 8];
    for number in numbers {
        image(number, number as usize * 300_000, &source);
        // A source tells seconds.
        thread::sleep(Duration::from_millis(1100));
    }
    let wanted = numbers.map(id);
    for target in ["today-two", "legacy-one"] {
        let target = Server::empty(target);
        for transfers in ["1", "4"] {
            target.wipe();
            let livecopy = [
                "livecopy",
                "--transfers",
                transfers,
                &source.url,
                &target.url,
            ];
            let ran = run(&livecopy);
            assert_eq!(ran.code, Some(0), "{ran:?}");
            assert_eq!(target.by_creation(), wanted, "{transfers}");
        }
    }
}

#[test]
fn an_id_of_v1_that_is_none_fails_alone_and_holds_nobody_up_once_it_is_deleted() {
    const DASHLESS: &str = "829dda38053a4765b7bcb30df0ea3861";
    let fields = |id| {
        [
            ("id", id),
            ("name", "bug"),
            ("disk_format", "raw"),
            ("container_format", "bare"),
        ]
    };
    let (v1, today) = (Server::empty("v1-one"), Server::empty("today-two"));
    let good = id(5);
    for id in [DASHLESS, &good] {
        v1.create_v1(&fields(id), Some(bytes(5, 1000)));
    }
    for args in [
        &["livecopy", &v1.url, &today.url][..],
        &["size", &v1.url],
        &["compare", &v1.url, &today.url],
        &["verify", &v1.url, &today.url],
        &["check", &v1.url],
    ] {
        let ran = run(args);
        assert_eq!(ran.code, Some(3), "{args:?}: {ran:?}");
        let shown = format!("{}{}", ran.stdout, ran.stderr);
        assert!(shown.contains(DASHLESS), "{args:?}: {ran:?}");
    }
    assert_eq!(today.facts()[&good].status, "active");

    // As a target, where what was deleted is listed for ever.
    v1.delete_v1(DASHLESS);
    image(6, 1000, &today);
    let ran = run(&["livecopy", &today.url, &v1.url]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(v1.facts()[&id(6)].status, "active");
}

/// Stops and starts a server of the lab, and keeps its images.
fn restart(name: &str) {
    let fresh = std::env::var("GLANCE_LAB_FRESH").expect("set by `cargo xtask live`");
    let lab = Path::new(&fresh).with_file_name("lab");
    for command in ["down", "up"] {
        let status = Command::new(&lab).args([command, name]).status().unwrap();
        assert!(status.success(), "lab {command} {name}");
    }
}

#[test]
fn uploads_that_a_restart_leaves_in_saving_are_named_until_they_are_there() {
    let (source, target) = (Server::empty("today-one"), Server::empty("today-two"));
    for number in 1..=2 {
        image(number, 6_000_000, &source);
    }
    let livecopy = ["livecopy", &source.url, &target.url];
    let slow = ["--bwlimit", "500K", "--retry-max-time", "30"];
    let running = spawn(&[&slow[..], &livecopy].concat());
    let is_saving = || {
        let facts = target.facts();
        let saving = facts.values().filter(|facts| facts.status == "saving");
        saving.count() == 2
    };
    wait_until(is_saving);
    restart("today-two");
    let ran = Ran::from(running.wait_with_output().unwrap());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    if is_saving() {
        let ran = run(&[&["--retries", "0"], &livecopy[..]].concat());
        assert_eq!(ran.code, Some(3), "{ran:?}");
        for number in 1..=2 {
            let named = format!("not at the target yet: \"image\" ({})", id(number));
            assert!(ran.stderr.contains(&named), "{ran:?}");
        }
    }
}

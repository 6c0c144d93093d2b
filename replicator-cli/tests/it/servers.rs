//! Servers that are not there, are no Glance, or are behind a proxy.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::thread;

use glance_client::testing::{FaultAction, FaultOn, RequestKind};
use serde_json::{Value, json};

use crate::kit::images::{id, numbered};
use crate::kit::program::{Ran, program, run};
use crate::kit::runs::assert_error;

#[test]
fn a_server_that_cannot_be_reached_is_an_error_and_no_directory_is_created() {
    let free = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    let ran = run(&["dump", &free, archive.to_str().unwrap()]);
    assert_error(
        &ran,
        1,
        &[&free, "Connection refused", "hint: is the server running"],
    );
    assert!(!archive.exists());
    let ran = run(&["size", "no.such.host.invalid:9292"]);
    assert_error(&ran, 1, &["no.such.host.invalid", "hint: "]);
}

fn listing(images: &[Value]) -> FaultAction {
    let next = "/v2/images?marker=00000000-0000-4000-8000-000000000009";
    FaultAction::json(&json!({ "images": images, "next": next, "first": "/v2/images" }))
}

fn record(number: u64) -> Value {
    json!({ "id": id(number), "status": "active", "size": 1 })
}

fn raw(answer: &'static [u8]) -> FaultAction {
    FaultAction::Raw(answer.into())
}

#[test]
fn servers_that_are_no_glance_are_errors_and_the_target_stays_as_it_is() {
    let page = "<html><title>Welcome</title></html>";
    let anything = FaultOn::any;
    let listings = || FaultOn::kind(RequestKind::Listing);
    let text = |body: &'static [u8]| FaultAction::Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.into(),
    };
    for (name, on, action, code) in [
        ("html", anything(), FaultAction::html(page), 1),
        ("html for a listing", listings(), FaultAction::html(page), 1),
        ("no http", anything(), raw(b"SSH-2.0-OpenSSH_9.9\r\n"), 1),
        ("nothing", anything(), FaultAction::Close, 1),
        ("invalid json", listings(), text(b"{\"images\": ["), 1),
        ("a list", listings(), text(b"[1, 2]"), 1),
        ("no images", listings(), text(b"{}"), 1),
        (
            "out of order",
            listings(),
            listing(&[record(5), record(3)]),
            1,
        ),
        (
            "a page for ever",
            listings(),
            listing(&[record(1), record(2)]),
            1,
        ),
        ("300", listings(), FaultAction::status(300), 1),
        ("404", listings(), FaultAction::status(404), 1),
        ("500", listings(), FaultAction::status(500), 1),
        ("520", listings(), FaultAction::status(520), 1),
        ("401", anything(), FaultAction::status(401), 4),
        ("403", listings(), FaultAction::status(403), 4),
    ] {
        let (source, target) = (numbered(1), numbered(0));
        source.fault(on, action);
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("archive");
        for args in [
            ["livecopy", source.host_port(), target.host_port()],
            ["dump", source.host_port(), archive.to_str().unwrap()],
            ["compare", source.host_port(), target.host_port()],
        ] {
            let args = [&["--retries", "0"], &args[..]].concat();
            let ran = run(&args);
            assert_eq!(ran.code, Some(code), "{name}: {args:?}: {ran:?}");
            assert!(ran.stderr.starts_with("error: "), "{name}: {ran:?}");
        }
        assert!(target.images().is_empty(), "{name}");
        let files = fs::read_dir(&archive).into_iter().flatten();
        assert_eq!(files.count(), 0, "{name}");
    }
}

#[test]
fn a_header_that_is_not_utf_8_does_no_harm() {
    let source = numbered(1);
    let answer = b"HTTP/1.1 401 No\r\nx-openstack-request-id: \xff\xfe\r\n\
        content-length: 9\r\n\r\n\xff\x1b[31mred!";
    source.fault(FaultOn::any(), raw(answer));
    let ran = run(&["size", source.host_port()]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
}

/// The first line of the request that reaches a proxy, which answers that it
/// cannot pass it on.
fn asked_of_a_proxy(variable: &str, server: &str) -> (String, Ran) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        let answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        (&stream).write_all(answer).unwrap();
        line.trim_end().to_owned()
    });
    let mut command = program();
    command.args(["size", "--retries", "0", server]);
    let ran = Ran::from(command.env(variable, proxy).output().unwrap());
    (asked.join().unwrap(), ran)
}

#[test]
fn requests_go_through_the_proxy_of_the_environment() {
    let (asked, ran) = asked_of_a_proxy("http_proxy", "glance.invalid:9292");
    // They are sent at once.
    let first = ["/versions", "/v2/images?"];
    let first = first.map(|path| format!("GET http://glance.invalid:9292{path}"));
    let is_first = first.iter().any(|path| asked.starts_with(path));
    assert!(is_first && asked.ends_with(" HTTP/1.1"), "{asked}");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let (asked, ran) = asked_of_a_proxy("https_proxy", "https://glance.invalid");
    assert_eq!(asked, "CONNECT glance.invalid:443 HTTP/1.1");
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn what_no_proxy_names_is_reached_directly() {
    let glance = numbered(0);
    let mut command = program();
    command.args(["size", glance.host_port()]);
    command.env("http_proxy", "http://127.0.0.1:1");
    command.env("no_proxy", "127.0.0.1,localhost");
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

//! Servers that mean harm: what they say does nothing to a terminal, to a path, to a URL, and not to
//! the memory either.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::thread;

use bytes::Bytes;
use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use serde_json::{Value, json};

use crate::kit::program::{Ran, run};

const ID: &str = "00000000-0000-4000-8000-000000000001";

/// Clears a screen, rings, goes back to the start of the line, begins a new one, changes the
/// direction of writing; by 7 bits, and by 8.
const EVIL: &str = "evil\u{1b}[2J\u{7}\r\n\u{9b}2J\u{202e}\u{85}\u{7f}\t";

fn glance() -> EmbeddedGlance {
    EmbeddedGlance::builder().start_blocking().unwrap()
}

fn listing(images: &[Value]) -> FaultAction {
    FaultAction::json(&json!({ "images": images, "first": "/v2/images" }))
}

/// Nothing that a terminal obeys, but for the ends of lines.
#[track_caller]
fn assert_harmless(ran: &Ran, text: &str, case: &str) {
    let obeyed = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2028}".contains(c);
    let found = text.lines().find(|line| line.contains(obeyed));
    assert_eq!(found, None, "{case}: {ran:?}");
    let torn = text.lines().find(|line| line.starts_with("\\u{9b}"));
    assert_eq!(torn, None, "{case}: a line break of theirs is one: {ran:?}");
}

#[track_caller]
fn check(ran: &Ran, case: &str) -> bool {
    for text in [&ran.stdout, &ran.stderr] {
        assert_harmless(ran, text, case);
    }
    let shown = format!("{}{}", ran.stdout, ran.stderr);
    shown.contains("evil\\u{1b}[2J")
}

#[test]
fn what_a_listing_says_is_escaped_wherever_it_is_shown() {
    let record = |status: &str, visibility: &str| {
        json!({
            "id": ID, "name": EVIL, "status": status, "size": 5, "checksum": EVIL,
            "os_hash_algo": EVIL, "os_hash_value": EVIL, "disk_format": EVIL, "owner": EVIL,
            "container_format": EVIL, "visibility": visibility, "tags": [EVIL], EVIL: EVIL,
            "created_at": EVIL, "updated_at": EVIL, "protected": false, "os_hidden": false,
        })
    };
    let (source, target) = (glance(), glance());
    let other = ImageContent::bytes("other");
    target.add_image(ImageSpec::new(ID).name("other").data(other));
    let empty = glance();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let log = log.to_str().unwrap();
    for (status, visibility) in [("active", "public"), (EVIL, "public"), ("active", EVIL)] {
        let listed = listing(&[record(status, visibility)]);
        source.clear_faults();
        source.fault(FaultOn::kind(RequestKind::Listing), listed);
        let download = FaultAction::Answer {
            status: 200,
            headers: vec![("content-length".to_owned(), "5".to_owned())],
            body: "12345".into(),
        };
        source.fault(FaultOn::kind(RequestKind::Download), download);
        let archive = tempfile::tempdir().unwrap();
        let archive = archive.path().to_str().unwrap();
        let (from, to, new) = (source.host_port(), target.host_port(), empty.host_port());
        let mut shown = 0;
        for args in [
            &["size", from][..],
            &["check", from],
            &["compare", from, to],
            &["compare", to, from],
            &["status", from, to],
            &["verify", from, to],
            &["livecopy", "--dry-run", from, new],
            &["livecopy", from, to],
            &["livecopy", from, new],
            &["dump", from, archive],
            &["dump", from, archive],
            &["load", "--dry-run", new, archive],
        ] {
            let options = ["-d", "--retries", "0", "--logfile", log];
            let ran = run(&[&options, args].concat());
            let case = format!("{args:?} {status:?} {visibility:?}");
            shown += usize::from(check(&ran, &case));
            assert_harmless(&ran, &fs::read_to_string(log).unwrap(), &case);
        }
        assert!(shown > 4, "{status:?}: {shown} commands show it");
    }
}

#[test]
fn what_a_server_says_of_itself_and_of_its_errors_is_escaped() {
    use RequestKind::{Create, Download, Listing, Other, Show, Upload, Versions};
    let quoted = json!({ "message": EVIL, "code": EVIL, "title": EVIL }).to_string();
    let page = format!("<html><title>{EVIL}</title></html>");
    let versions = json!({ "versions": [{ "id": EVIL, "status": EVIL }] }).to_string();
    let stores = json!({
        "stores": [{ "id": EVIL, "default": "true" }],
        "import-methods": { "value": [EVIL] }, "usage": { EVIL: { "usage": 1, "limit": 2 } },
    });
    let (mut shown, mut ids) = (0, 0);
    for (kind, status, body) in [
        (Versions, 300, &versions),
        (Versions, 200, &versions),
        (Versions, 503, &quoted),
        (Listing, 403, &quoted),
        (Listing, 500, &page),
        (Listing, 200, &quoted),
        (Download, 404, &page),
        (Download, 410, &quoted),
        (Create, 400, &quoted),
        (Create, 409, &page),
        (Upload, 413, &quoted),
        (Upload, 415, &page),
        (Upload, 500, &EVIL.to_owned()),
        (Show, 404, &quoted),
        (Other, 200, &stores.to_string()),
    ] {
        // A header holds no control characters of 7 bits: those are no HTTP.
        let headers = [
            ("x-openstack-request-id", "evil\u{9b}2J"),
            ("location", "evil\u{9b}2J"),
            ("retry-after", "evil\u{9b}2J"),
            ("date", "evil\u{9b}2J"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (source, target) = (glance(), glance());
        source.add_image(ImageSpec::new(ID).data(ImageContent::pattern(1, 1000)));
        for glance in [&source, &target] {
            let action = FaultAction::Answer {
                status,
                headers: headers.to_vec(),
                body: Bytes::from(body.clone()),
            };
            glance.fault(FaultOn::kind(kind), action);
        }
        for args in [
            &["livecopy", source.host_port(), target.host_port()][..],
            &["check", source.host_port()],
        ] {
            let ran = run(&[&["-d", "--retries", "0"], args].concat());
            shown += usize::from(check(&ran, &format!("{kind:?} {status} {args:?}")));
            ids += usize::from(ran.stderr.contains("(request evil\\u{9b}2J)"));
        }
    }
    assert!(shown > 12, "{shown} show it");
    assert!(ids > 8, "{ids} show the id of the request");
}

#[test]
fn an_id_that_is_none_never_becomes_a_path_or_a_url() {
    for id in [
        "../../../../../../../../tmp/evil",
        "..",
        ".",
        "",
        "/etc/passwd",
        "a/../b",
        "%2e%2e%2f",
        "00000000000040008000000000000001",
        "{00000000-0000-4000-8000-000000000001}",
        "urn:uuid:00000000-0000-4000-8000-000000000001",
        "00000000-0000-4000-8000-00000000000g",
        "00000000-0000-4000-8000-000000000001/../x",
        "00000000-0000-4000-8000-000000000001?x",
        "00000000-0000-4000-8000-000000000001\r\nHost: evil",
        "00000000-0000-4000-8000-00000000000\u{661}",
        "00000000-0000-4000-8000-000000000001\0",
    ] {
        for profile in [Profile::Today, Profile::V1Only] {
            let source = EmbeddedGlance::builder().profile(profile);
            let (source, target) = (source.start_blocking().unwrap(), glance());
            let image = json!({
                "id": id, "name": "x", "status": "active", "size": 5, "checksum": null,
                "properties": {}, "deleted": false, "is_public": false, "protected": false,
                "min_disk": 0, "min_ram": 0, "disk_format": "raw", "container_format": "bare",
            });
            let listings = || FaultOn::kind(RequestKind::Listing);
            source.fault(listings().path("marker="), listing(&[]));
            source.fault(listings(), listing(&[image]));
            let above = tempfile::tempdir().unwrap();
            let archive = above.path().join("archive");
            for args in [
                ["livecopy", source.host_port(), target.host_port()],
                ["dump", source.host_port(), archive.to_str().unwrap()],
            ] {
                let ran = run(&args);
                assert_eq!(ran.code, Some(3), "{id:?}: {ran:?}");
                assert!(ran.stderr.contains("without a valid id"), "{ran:?}");
            }
            for request in source.requests().into_iter().chain(target.requests()) {
                let kind = request.kind;
                let asks = matches!(kind, RequestKind::Versions | RequestKind::Listing);
                assert!(asks, "{id:?}: {request:?}");
                let path = request.target.split('?').next();
                let is_known = ["/", "/versions", "/v1/images/detail", "/v2/images"];
                assert!(
                    path.is_some_and(|path| is_known.contains(&path)),
                    "{request:?}"
                );
            }
            assert_eq!(fs::read_dir(&archive).unwrap().count(), 0, "{id:?}");
            assert_eq!(fs::read_dir(above.path()).unwrap().count(), 1, "{id:?}");
        }
    }
}

/// An image that the server says has 1000 bytes, and answers with a body that does not end.
fn endless(head: &str, repeated: Bytes) -> EmbeddedGlance {
    let source = glance();
    source.add_image(ImageSpec::new(ID).data(ImageContent::pattern(1, 1000)));
    let start = format!("HTTP/1.1 200 OK\r\n{head}\r\n").into();
    let action = FaultAction::RawForever { start, repeated };
    source.fault(FaultOn::kind(RequestKind::Download), action);
    source
}

#[test]
fn data_that_does_not_end_is_cut_off_as_a_failure() {
    let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
    let cases = [
        ("transfer-encoding: chunked\r\n", Bytes::from(chunk)),
        ("connection: close\r\n", Bytes::from(vec![b'x'; 0x10000])),
    ];
    thread::scope(|scope| {
        for (head, repeated) in cases {
            scope.spawn(move || {
                let (source, target) = (endless(head, repeated), glance());
                let ran = run(&["livecopy", source.host_port(), target.host_port()]);
                assert_eq!(ran.code, Some(6), "{head:?}: {ran:?}");
                let words = "and its record says 1000";
                assert!(ran.stderr.contains(words), "{head:?}: {ran:?}");
                let left = target.image(ID).map(|image| image.status);
                assert_ne!(left.as_deref(), Some("active"), "{head:?}");

                let dir = tempfile::tempdir().unwrap();
                let ran = run(&["dump", source.host_port(), dir.path().to_str().unwrap()]);
                assert_eq!(ran.code, Some(6), "{head:?}: {ran:?}");
                for file in fs::read_dir(dir.path()).unwrap() {
                    let file = file.unwrap();
                    let len = file.metadata().unwrap().len();
                    let is_partial = file.file_name().to_str().unwrap().starts_with('.');
                    assert!(is_partial && len <= 1000, "{file:?} has {len} bytes");
                }
            });
        }
    });
}

/// The forms in which a server may repeat a secret.
fn repeated(secret: &str) -> String {
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let unicode: String = secret
        .chars()
        .map(|c| format!("\\u{:04x}", u32::from(c)))
        .collect();
    let quoted = json!({ "password": secret }).to_string();
    format!("{secret} {percent} {unicode} {quoted} ?t={secret}&u")
}

#[track_caller]
fn assert_masked(text: &str, secret: &str, case: &str) {
    let percent: String = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for form in [secret, &percent, &secret.replace('"', "\\\"")] {
        let part = form.get(..16).unwrap_or(form);
        assert!(!text.contains(part), "{case}: {part} is shown: {text}");
    }
}

#[test]
fn a_token_that_a_server_repeats_is_masked_wherever_it_is_shown_or_logged() {
    use RequestKind::{Create, Listing, Show, Upload, Versions};
    let token = format!("gAAAAABm{}", "Zx0_-9".repeat(30));
    let said = repeated(&token);
    let quoted = json!({ "message": said, "code": said, "title": said }).to_string();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut masked = 0;
    for (kind, status) in [
        (Versions, 401),
        (Versions, 302),
        (Listing, 401),
        (Listing, 302),
        (Create, 403),
        (Upload, 401),
        (Upload, 302),
        (Show, 500),
    ] {
        let (source, target) = (glance(), glance());
        let image = ImageSpec::new(ID).name(&token);
        source.add_image(image.data(ImageContent::pattern(1, 1000)));
        // Cut short, it is still a secret.
        let headers = [
            ("x-openstack-request-id", format!("req-{token}")),
            (
                "location",
                format!("http://elsewhere.example/{}{token}", "x".repeat(60)),
            ),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value));
        let action = FaultAction::Answer {
            status,
            headers: headers.to_vec(),
            body: Bytes::from(quoted.clone()),
        };
        target.fault(FaultOn::kind(kind), action);
        for to_file in [false, true] {
            let logfile = ["--logfile", log.to_str().unwrap()];
            let options = ["-d", "--retries", "0", "livecopy"];
            let ran = crate::kit::program::program()
                .args(logfile.iter().filter(|_| to_file))
                .args(options)
                .args([source.host_port(), target.host_port()])
                .env("GLANCE_REPLICATOR_TOKEN", &token)
                .output()
                .unwrap();
            let ran = Ran::from(ran);
            let case = format!("{kind:?} {status}");
            assert!(
                ran.code == Some(3) || status == 500 || kind != Upload,
                "{case}: {ran:?}"
            );
            masked += usize::from(ran.stderr.contains("***"));
            for text in [&ran.stdout, &ran.stderr] {
                assert_masked(text, &token, &case);
            }
            if to_file {
                assert_masked(&fs::read_to_string(&log).unwrap(), &token, &case);
            }
        }
    }
    assert!(masked > 12, "{masked} runs show a mask");
}

#[test]
fn a_keystone_that_quotes_its_request_shows_no_password() {
    use std::io::{Read as _, Write as _};

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v3", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            while !request.ends_with(b"}}") {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(count) => request.extend_from_slice(&buffer[..count]),
                }
            }
            let request = String::from_utf8_lossy(&request);
            let quoted = request.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let body = json!({ "error": { "message": quoted, "code": 401 } }).to_string();
            let len = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 401 Unauthorized\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    let password = "a \"quoted\"/pass\\word";
    for (kind, variables) in [
        (
            "password",
            vec![("OS_USERNAME", "someone"), ("OS_PASSWORD", password)],
        ),
        (
            "application_credential",
            vec![
                ("OS_AUTH_TYPE", "v3applicationcredential"),
                ("OS_APPLICATION_CREDENTIAL_ID", "an-id"),
                ("OS_APPLICATION_CREDENTIAL_SECRET", password),
            ],
        ),
    ] {
        let ran = crate::kit::program::program()
            .args(["-d", "size", "env:"])
            .env("OS_AUTH_URL", &url)
            .envs(variables)
            .output()
            .unwrap();
        let ran = Ran::from(ran);
        assert_eq!(ran.code, Some(4), "{kind}: {ran:?}");
        assert!(ran.stderr.contains("***"), "{kind}: {ran:?}");
        assert_masked(&ran.stderr, password, kind);
    }
}

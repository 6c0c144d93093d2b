//! The time for which the program waits: for answers, for uploads that are not answered, and between retries;
//! and that it does not try again what cannot come right, such as `http://` to a port of TLS.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use glance_client::testing::{
    At, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};

use crate::kit::images::glance;
use crate::kit::program::{Ran, program, run};

const ONE: &str = "00000000-0000-4000-8000-000000000001";
const LEN: u64 = 100_000;
/// Far less than what would be waited for, far more than what a busy machine takes.
const SOON: Duration = Duration::from_secs(50);

fn image() -> ImageSpec {
    ImageSpec::new(ONE)
        .name("an image")
        .data(ImageContent::pattern(1, LEN))
}

/// Runs a command that has to end soon.
#[track_caller]
fn soon(args: &[&str], code: i32, words: &[&str]) -> Ran {
    let begun = Instant::now();
    let ran = run(args);
    assert!(begun.elapsed() < SOON, "{args:?}: {ran:?}");
    assert_eq!(ran.code, Some(code), "{args:?}: {ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "{word}: {args:?}: {ran:?}");
    }
    ran
}

fn never() -> FaultAction {
    FaultAction::StallResponse(At::Byte(0), None)
}

/// A server of few words: gives what comes, once a head is there, to `answer`. Counts connections.
fn server(
    answer: impl Fn(&mut TcpStream, &[u8]) + Send + Sync + 'static,
) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (answer, connections) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&connections);
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            counted.fetch_add(1, Ordering::Relaxed);
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let mut seen = vec![0; 64 * 1024];
                let count = stream.read(&mut seen).unwrap_or(0);
                answer(&mut stream, seen.get(..count).unwrap_or_default());
            });
        }
    });
    (address, connections)
}

fn hold(_: &mut TcpStream, _: &[u8]) {
    thread::sleep(Duration::from_secs(120));
}

#[test]
fn every_request_that_is_sent_whole_is_given_up_after_the_stall_timeout() {
    use RequestKind::{Create, Listing, Update, Versions};
    for (profile, kind, code) in [
        (Profile::Today, Versions, 1),
        (Profile::Today, Listing, 1),
        (Profile::Today, Create, 3),
        (Profile::Today, Update, 3),
        (Profile::V1Only, Listing, 1),
        (Profile::V1Only, Update, 3),
    ] {
        let (source, target) = (glance(profile), glance(profile));
        source.add_image(image());
        if kind == Update {
            target.add_image(image().name("another name"));
        }
        target.fault(FaultOn::kind(kind), never());
        let options = ["--stall-timeout", "1", "--retries", "0"];
        let ends = ["livecopy", source.host_port(), target.host_port()];
        soon(
            &[&options[..], &ends].concat(),
            code,
            &["no progress for too long"],
        );
    }
}

/// Runs the program with the variables of a cloud whose Keystone is at this address.
fn signing_in(keystone: &str, args: &[&str]) -> Ran {
    let variables = [
        ("OS_AUTH_URL", &*format!("http://{keystone}/v3")),
        ("OS_USERNAME", "someone"),
        ("OS_PASSWORD", "a-password-of-theirs"),
    ];
    let mut command = program();
    Ran::from(command.args(args).envs(variables).output().unwrap())
}

#[test]
fn keystone_is_given_up_after_the_stall_timeout() {
    let (address, connections) = server(hold);
    let begun = Instant::now();
    let ran = signing_in(
        &address,
        &[
            "--stall-timeout",
            "1",
            "--retry-max-time",
            "1",
            "size",
            "env:",
        ],
    );
    assert!(begun.elapsed() < SOON, "{ran:?}");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(connections.load(Ordering::Relaxed), 1, "{ran:?}");
}

#[test]
fn an_upload_that_is_never_answered_is_looked_at_and_not_sent_again() {
    let source = glance(Profile::Today);
    source.add_image(image());
    // It has taken the data, and does not say so.
    let target = glance(Profile::Today);
    target.fault(FaultOn::kind(RequestKind::Upload), never());
    let options = ["--answer-timeout", "1", "--retries", "5"];
    let ends = ["livecopy", source.host_port(), target.host_port()];
    let args = [&options[..], &ends].concat();
    soon(&args, 0, &["1 copied"]);
    assert_eq!(target.count(RequestKind::Upload), 1);

    // It has not taken it, and never says so.
    let (address, _) = server({
        let record = format!(
            r#"{{"id": "{ONE}", "status": "queued", "name": "an image", "disk_format": "raw", "container_format": "bare", "visibility": "shared", "protected": false, "tags": []}}"#
        );
        move |stream, head| {
            let head = String::from_utf8_lossy(head).into_owned();
            let (status, body) = if head.starts_with("PUT") {
                return hold(stream, &[]);
            } else if head.starts_with("POST") {
                (201, record.as_str())
            } else if head.contains("/versions") {
                (300, r#"{"versions": [{"id": "v2.15"}]}"#)
            } else if head.contains(ONE) {
                (200, record.as_str())
            } else {
                (200, r#"{"images": []}"#)
            };
            let len = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} x\r\ncontent-length: {len}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    let ends = [
        "livecopy",
        "--format-check",
        "off",
        source.host_port(),
        &address,
    ];
    let words = ["without an answer", "--answer-timeout"];
    let ran = soon(&[&options[..], &ends].concat(), 3, &words);
    assert!(!ran.stderr.contains("again (1)"), "{ran:?}");
}

#[test]
fn what_a_server_asks_for_is_not_waited_for_beyond_the_longest_time_of_the_run() {
    use RequestKind::{Create, Listing, Update, Upload, Versions};
    for asked in ["12", "86400", "18446744073709551615"] {
        for (kind, code) in [
            (Versions, 1),
            (Listing, 1),
            (Create, 3),
            (Upload, 3),
            (Update, 3),
        ] {
            let (source, target) = (glance(Profile::Today), glance(Profile::Today));
            source.add_image(image());
            if kind == Update {
                target.add_image(image().name("another name"));
            }
            let busy = FaultAction::Answer {
                status: 503,
                headers: vec![("retry-after".to_owned(), asked.to_owned())],
                body: r#"{"message": "come back later"}"#.into(),
            };
            target.fault(FaultOn::kind(kind), busy);
            let begun = Instant::now();
            let args = [
                "--retry-max-time",
                "4",
                "livecopy",
                source.host_port(),
                target.host_port(),
            ];
            let waits = format!("to be asked again after {asked} s");
            soon(&args, code, &["come back later", &waits]);
            assert!(
                begun.elapsed() < Duration::from_secs(12),
                "{asked} {kind:?}"
            );
            // Two queries make a listing, and go at the same time.
            let requests = if kind == Listing { 2 } else { 1 };
            assert_eq!(target.count(kind), requests, "{asked} {kind:?}");
        }
    }
}

#[test]
fn retries_of_listings_and_of_discovery_end_with_the_longest_time_of_the_run() {
    for kind in [RequestKind::Versions, RequestKind::Listing] {
        let glance = glance(Profile::Today);
        let busy = FaultAction::Answer {
            status: 503,
            headers: Vec::new(),
            body: "".into(),
        };
        glance.fault(FaultOn::kind(kind), busy);
        let begun = Instant::now();
        soon(
            &["--retry-max-time", "2", "size", glance.host_port()],
            1,
            &["503"],
        );
        // Without the option it were 31 s.
        assert!(begun.elapsed() < Duration::from_secs(20), "{kind:?}");
    }
}

/// An alert of TLS: a handshake that failed.
const ALERT: &[u8] = &[21, 3, 3, 0, 2, 2, 40];

/// The answers of servers that want TLS to those who speak plainly.
#[derive(Clone, Copy, Debug)]
enum Plain {
    Alert,
    Close,
    /// As nginx, Apache and Go do.
    BadRequest,
}

fn tls_server(plain: Plain) -> (String, Arc<AtomicUsize>) {
    server(move |stream, seen| {
        let is_tls = seen.first() == Some(&22);
        let _ = match plain {
            _ if is_tls => stream.write_all(ALERT),
            Plain::Alert => stream.write_all(ALERT),
            Plain::Close => Ok(()),
            Plain::BadRequest => {
                let body = "The plain HTTP request was sent to HTTPS port";
                let len = body.len();
                write!(
                    stream,
                    "HTTP/1.1 400 Bad Request\r\ncontent-length: {len}\r\n\r\n{body}"
                )
            }
        };
    })
}

#[test]
fn plain_http_to_a_port_of_tls_is_told_at_once_and_so_is_the_other_way_round() {
    for plain in [Plain::Alert, Plain::Close, Plain::BadRequest] {
        let (address, connections) = tls_server(plain);
        soon(&["size", &address], 1, &["speaks TLS", "https://"]);
        // The versions and the first pages of two queries, each once more if the connection was
        // closed, and the look whether it is TLS.
        assert!(connections.load(Ordering::Relaxed) <= 8, "{plain:?}");

        let (address, _) = tls_server(plain);
        let ran = signing_in(&address, &["size", "env:"]);
        assert!(ran.stderr.contains("write https://"), "{plain:?}: {ran:?}");
    }
    let glance = glance(Profile::Today);
    let url = format!("https://{}", glance.host_port());
    soon(&["size", &url], 1, &["is it http://?"]);
    assert_eq!(glance.count(RequestKind::Versions), 0);
    // Nothing but a server of TLS is taken for one.
    let (address, _) = server(|_, _| ());
    let ran = soon(
        &["--retries", "0", "size", &address],
        1,
        &["the connection broke"],
    );
    assert!(!ran.stderr.contains("TLS"), "{ran:?}");
}

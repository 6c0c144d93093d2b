//! What an administrator, a member and a reader may do on a real cloud: each verb and its exit code.

use std::time::{SystemTime, UNIX_EPOCH};

use reqwest::Method;
use reqwest::blocking::Client;
use serde_json::json;

use super::clouds::bytes;
use crate::keystone::{Shell, sign_in};
use crate::server::Server;

fn id(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// Three images of alpha, which alice and carol are of, and three of others.
fn fill(one: &Server) {
    let alpha = sign_in("alice", "alpha").project_id;
    let beta = sign_in("bob", "beta").project_id;
    let admin = sign_in("admin", "admin").project_id;
    for (number, owner, visibility) in [
        (1, &alpha, "private"),
        (2, &alpha, "shared"),
        (3, &alpha, "public"),
        (4, &beta, "public"),
        (5, &beta, "private"),
        (6, &admin, "community"),
    ] {
        let record = json!({
            "id": id(number), "name": format!("image {number}"), "owner": owner,
            "disk_format": "raw", "container_format": "bare", "visibility": visibility,
        });
        one.create_v2(&record, Some(bytes(number)));
    }
}

/// A verb with its arguments, in which USER stands for who runs it; and of each of the three users, the
/// exit code and a text of the output.
type Case = (&'static str, [(i32, &'static str); 3]);

const LEFT_OUT: &str = "of other projects left out";

const CASES: [Case; 19] = [
    (
        "check cloud:USER-one",
        [
            (0, "sees         all images"),
            (0, "warning: not an administrator"),
            (0, "warning: a reader's token"),
        ],
    ),
    (
        "list cloud:USER-one --column id",
        [(0, "000000000006"), (0, LEFT_OUT), (0, LEFT_OUT)],
    ),
    (
        "size cloud:USER-one",
        [
            (0, "across 6 images"),
            (0, "across 3 images"),
            (0, "across 3 images"),
        ],
    ),
    (
        "size --all-visible cloud:USER-one",
        [
            (0, "across 6 images"),
            (0, "across 5 images"),
            (0, "across 5 images"),
        ],
    ),
    (
        "compare cloud:USER-one cloud:USER-two",
        [(0, "6 missing"), (0, "3 missing"), (0, "3 missing")],
    ),
    (
        "compare --exit-code cloud:USER-one cloud:USER-two",
        [(5, "6 missing"), (5, "3 missing"), (5, "3 missing")],
    ),
    (
        "livecopy --dry-run cloud:USER-one cloud:USER-two",
        [
            (0, "would copy 6"),
            (3, "would fail: \"image 3\""),
            (3, "would copy nothing; 3 would fail"),
        ],
    ),
    (
        "livecopy cloud:USER-one cloud:USER-two",
        [
            (0, "6 copied"),
            (3, "the target lets administrators alone publish images"),
            (3, "the source gives image data to members alone"),
        ],
    ),
    (
        "livecopy cloud:USER-one cloud:USER-two",
        [
            (0, "6 unchanged"),
            (3, "2 unchanged, 1 failed"),
            (3, "3 failed"),
        ],
    ),
    (
        "verify cloud:USER-one cloud:USER-two",
        [
            (0, "6 same digest on record"),
            (6, "2 same digest on record, 1 missing"),
            (6, "3 missing"),
        ],
    ),
    (
        "verify --read-back --image 00000000-0000-4000-8000-000000000001 cloud:USER-one cloud:USER-two",
        [
            (0, "1 verified by reading"),
            (0, "1 verified by reading"),
            (6, "1 missing"),
        ],
    ),
    (
        "dump cloud:USER-one of-USER",
        [(0, "6 copied"), (0, "3 copied"), (3, "3 failed")],
    ),
    (
        "dump --metaonly cloud:USER-one records-of-USER",
        [
            (0, "6 metadata only"),
            (0, "3 metadata only"),
            (0, "3 metadata only"),
        ],
    ),
    (
        "load cloud:USER-two of-admin",
        [
            (0, "6 unchanged"),
            (3, "2 unchanged, 4 failed"),
            (3, "6 failed"),
        ],
    ),
    (
        "load --owner mine --visibility shared cloud:USER-two of-admin",
        [(0, ""), (0, ""), (3, "6 failed")],
    ),
    (
        "push --name one disk.raw cloud:USER-one cloud:USER-two",
        [
            (0, "created"),
            (0, "created"),
            (3, "the target takes images from members alone"),
        ],
    ),
    (
        "push --visibility public disk.raw cloud:USER-two",
        [
            (0, "created"),
            (3, "the target lets administrators alone publish images"),
            (3, "the target takes images from members alone"),
        ],
    ),
    (
        "metadefs dump cloud:USER-two definitions-of-USER",
        [(0, ""); 3],
    ),
    (
        "metadefs load cloud:USER-two namespace-USER",
        [(0, "created"), (3, "403"), (3, "403")],
    ),
];

#[test]
fn each_verb_ends_for_administrator_member_and_reader_as_documented() {
    let (one, two) = (Server::empty("region-one"), Server::empty("region-two"));
    let shell = Shell::of_lab();
    let home = shell.path().parent().unwrap().to_owned();
    std::fs::write(home.join("disk.raw"), vec![7; 100_000]).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for (place, user) in ["admin", "alice", "carol"].into_iter().enumerate() {
        one.wipe();
        two.wipe();
        fill(&one);
        let directory = home.join(format!("namespace-{user}"));
        std::fs::create_dir(&directory).unwrap();
        let namespace = format!("Live::{user}::{}", now.as_nanos());
        let definition = json!({ "namespace": namespace, "visibility": "private" });
        std::fs::write(directory.join("one.json"), definition.to_string()).unwrap();
        for (command, users) in CASES {
            let command = command.replace("USER", user);
            let args: Vec<&str> = command.split(' ').collect();
            let (code, text) = users[place];
            let ran = shell.run(code, &args);
            let said = ran.stdout + &ran.stderr;
            assert!(said.contains(text), "{command}: no {text:?}: {said}");
        }
        // Other tests count the namespaces.
        let url = format!("{}/v2/metadefs/namespaces/{namespace}", two.url);
        let token = sign_in("admin", "admin").token;
        let delete = Client::new().delete(url).header("X-Auth-Token", token);
        let expected = if user == "admin" { 204 } else { 404 };
        assert_eq!(delete.send().unwrap().status(), expected);
    }
}

// The same statuses as those of the embedded server in glance-client/tests/it/embedded/v2.rs.
#[test]
fn real_server_gives_a_reader_records_and_members_and_nothing_else() {
    let one = Server::empty("region-one");
    fill(&one);
    let carol = sign_in("carol", "alpha").token;
    for (method, path, status) in [
        (Method::GET, String::new(), 200),
        (Method::POST, String::new(), 403),
        (Method::GET, format!("/{}", id(2)), 200),
        (Method::GET, format!("/{}/members", id(2)), 200),
        (Method::GET, format!("/{}/file", id(2)), 403),
        (Method::GET, format!("/{}/file", id(4)), 403),
        (Method::PUT, format!("/{}/file", id(2)), 403),
        (Method::POST, format!("/{}/actions/deactivate", id(2)), 403),
        (Method::DELETE, format!("/{}", id(2)), 403),
    ] {
        let url = format!("{}/v2/images{path}", one.url);
        let request = Client::new().request(method.clone(), url);
        let request = request.header("X-Auth-Token", &carol);
        let request = match method {
            Method::PUT => request.header("Content-Type", "application/octet-stream"),
            Method::POST if path.is_empty() => request
                .header("Content-Type", "application/json")
                .body("{}"),
            _ => request,
        };
        assert_eq!(request.send().unwrap().status(), status, "{method} {path}");
    }
}

//! The embedded Glance behaves as the real servers were seen to behave.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use glance_client::testing::{
    At, Caller, EmbeddedGlance, EmbeddedGlanceBuilder, FaultAction, FaultOn, HashAlgorithm,
    ImageContent, ImageSpec, Profile, RangeSupport, RequestKind,
};
use reqwest::{Client, Method, RequestBuilder, Response, Url};
use serde_json::{Value, json};

const ONE: &str = "11111111-1111-4111-8111-111111111111";
const TWO: &str = "22222222-2222-4222-8222-222222222222";
const THREE: &str = "33333333-3333-4333-8333-333333333333";
const PATCH_TYPE: &str = "application/openstack-images-v2.1-json-patch";

/// A server and a client without any comfort.
struct Lab {
    glance: EmbeddedGlance,
    http: Client,
}

impl Lab {
    fn new(builder: EmbeddedGlanceBuilder) -> Self {
        let http = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            glance: builder.start_blocking().unwrap(),
            http,
        }
    }

    fn today() -> Self {
        Self::new(EmbeddedGlance::builder())
    }

    fn legacy() -> Self {
        Self::new(EmbeddedGlance::builder().profile(Profile::Legacy))
    }

    fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let url = Url::parse(&format!("{}{path}", self.glance.url())).unwrap();
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.http
            .request(method, url)
            .header("accept", "application/json")
    }

    async fn send(&self, method: &str, path: &str) -> Response {
        self.request(method, path).send().await.unwrap()
    }

    async fn status(&self, method: &str, path: &str) -> u16 {
        self.send(method, path).await.status().as_u16()
    }

    async fn get_json(&self, path: &str) -> Value {
        let response = self.send("GET", path).await;
        assert_eq!(response.status(), 200, "{path}");
        json_of(response).await
    }

    async fn create(&self, body: &Value) -> Response {
        self.request("POST", "/v2/images")
            .body(body.to_string())
            .send()
            .await
            .unwrap()
    }

    async fn patch(&self, id: &str, body: &Value) -> u16 {
        let request = self.request("PATCH", &format!("/v2/images/{id}"));
        let request = request
            .header("content-type", PATCH_TYPE)
            .body(body.to_string());
        request.send().await.unwrap().status().as_u16()
    }

    fn upload(&self, id: &str, data: impl Into<reqwest::Body>) -> RequestBuilder {
        let request = self.request("PUT", &format!("/v2/images/{id}/file"));
        request
            .header("content-type", "application/octet-stream")
            .body(data)
    }

    async fn upload_status(&self, id: &str, data: &'static [u8]) -> u16 {
        self.upload(id, data)
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    }

    fn field(&self, id: &str, name: &str) -> Value {
        self.glance
            .image(id)
            .unwrap()
            .field(name)
            .cloned()
            .unwrap_or_default()
    }

    fn status_of(&self, id: &str) -> String {
        self.glance.image(id).unwrap().status
    }

    /// Waits for what happens after a connection broke.
    async fn wait_for_status(&self, id: &str, status: &str) {
        let begin = Instant::now();
        while self.status_of(id) != status {
            assert!(
                begin.elapsed() < Duration::from_secs(10),
                "{id} is {}",
                self.status_of(id)
            );
            tokio::task::yield_now().await;
        }
    }

    fn v1_post(&self, headers: &[(&str, &str)]) -> RequestBuilder {
        headers.iter().fold(
            self.request("POST", "/v1/images"),
            |request, (name, value)| {
                request.header(format!("x-image-meta-{name}"), value.as_bytes())
            },
        )
    }

    async fn ids(&self, path: &str) -> Vec<String> {
        let page = self.get_json(path).await;
        page["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|image| image["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Sends these bytes, closes the sending side, and returns what comes back.
    fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.glance.host_port()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

fn active(id: &str) -> ImageSpec {
    ImageSpec::new(id)
        .name("active")
        .data(ImageContent::pattern(1, 100_000))
}

fn bytes_of(id: &str, lab: &Lab) -> Vec<u8> {
    lab.glance
        .image(id)
        .unwrap()
        .content
        .unwrap()
        .to_vec()
        .unwrap()
}

#[tokio::test]
async fn versions_follow_the_profile_and_unknown_paths_answer_300() {
    struct Case {
        profile: Profile,
        has: &'static [&'static str],
        lacks: &'static [&'static str],
        unknown: &'static str,
    }
    let cases = [
        Case {
            profile: Profile::Today,
            has: &["v2.17", "v2.0"],
            lacks: &["v1.1", "v2.14"],
            unknown: "/v1/images/detail",
        },
        Case {
            profile: Profile::Legacy,
            has: &["v2.5", "v1.1"],
            lacks: &["v2.7"],
            unknown: "/v3/images",
        },
        Case {
            profile: Profile::V1Only,
            has: &["v1.0", "v1.1"],
            lacks: &["v2.5"],
            unknown: "/v2/images",
        },
    ];
    for Case {
        profile,
        has,
        lacks,
        unknown,
    } in cases
    {
        let lab = Lab::new(EmbeddedGlance::builder().profile(profile));
        let versions = lab.get_json("/versions").await.to_string();
        assert!(
            has.iter().all(|id| versions.contains(&format!("\"{id}\""))),
            "{profile:?}: {versions}"
        );
        assert!(
            !lacks
                .iter()
                .any(|id| versions.contains(&format!("\"{id}\""))),
            "{profile:?}: {versions}"
        );
        for path in ["/", unknown] {
            let answer = lab.send("GET", path).await;
            assert_eq!(answer.status(), 300, "{profile:?} {path}");
            assert_eq!(json_of(answer).await.to_string(), versions);
        }
    }
}

#[tokio::test]
async fn every_answer_has_a_request_id_and_errors_follow_accept() {
    let lab = Lab::today();
    let answer = lab.send("GET", &format!("/v2/images/{ONE}")).await;
    assert_eq!(answer.status(), 404);
    assert!(
        answer.headers()["x-openstack-request-id"]
            .to_str()
            .unwrap()
            .starts_with("req-")
    );
    let error = json_of(answer).await;
    assert_eq!(error["code"], "404 Not Found");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .starts_with("No image found with ID"),
        "{error}"
    );
    let url = format!("{}/v2/images/{ONE}", lab.glance.url());
    let html = lab
        .http
        .get(&url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(html.starts_with("<html>"), "{html}");
    let text = lab.raw(&format!("GET /v2/images/{ONE} HTTP/1.1\r\nHost: x\r\n\r\n"));
    assert!(text.contains("404 Not Found\n\nNo image found"), "{text}");
}

#[tokio::test]
async fn pages_are_small_by_id_in_byte_order_and_end_without_next() {
    let lab = Lab::today();
    for id in [THREE, ONE, TWO, "AAAAAAAA-1111-4111-8111-111111111111"] {
        lab.glance.add_image(active(id));
    }
    let first = lab.get_json("/v2/images?sort=id:asc&limit=1000").await;
    assert_eq!(first["images"].as_array().unwrap().len(), 2);
    assert!(
        first["next"]
            .as_str()
            .unwrap()
            .ends_with(&format!("marker={TWO}"))
    );
    let second = lab
        .get_json(&format!("/v2/images?sort=id:asc&marker={TWO}"))
        .await;
    assert_eq!(
        second["images"][1]["id"],
        "AAAAAAAA-1111-4111-8111-111111111111"
    );
    let third = lab
        .get_json("/v2/images?sort=id:asc&marker=AAAAAAAA-1111-4111-8111-111111111111")
        .await;
    assert_eq!(third["images"], json!([]));
    assert!(third.get("next").is_none(), "{third}");
    assert_eq!(
        lab.ids("/v2/images").await[0],
        "AAAAAAAA-1111-4111-8111-111111111111",
        "newest first"
    );
    for bad in [
        "marker=nope",
        "limit=-1",
        "limit=x",
        "sort=shoe:asc",
        "sort=id:up",
        "visibility=some",
        "changes-since=1",
    ] {
        assert_eq!(
            lab.status("GET", &format!("/v2/images?{bad}")).await,
            400,
            "{bad}"
        );
    }
    assert_eq!(
        lab.ids("/v2/images?is_public=none").await,
        [""; 0],
        "unknown names are property filters"
    );
}

#[tokio::test]
async fn a_marker_that_was_deleted_serves_admins_and_v1() {
    let admin = || EmbeddedGlance::builder().token("admin", Caller::admin());
    let lab = Lab::new(
        admin()
            .token("member", Caller::member("alpha"))
            .profile(Profile::Legacy),
    );
    for id in [ONE, TWO, THREE] {
        lab.glance.add_image(active(id).owner("alpha"));
    }
    lab.glance.burn(TWO);
    let unknown = "44444444-1111-4111-8111-111111111111";
    for (token, path, status) in [
        ("member", format!("/v2/images?marker={TWO}"), 400),
        ("admin", format!("/v2/images?marker={TWO}"), 200),
        ("admin", format!("/v2/images?marker={unknown}"), 400),
        ("member", format!("/v1/images/detail?marker={TWO}"), 200),
        ("admin", format!("/v1/images/detail?marker={unknown}"), 400),
        ("admin", "/v1/images/detail?marker=".to_owned(), 400),
    ] {
        let request = lab.request("GET", &path).header("x-auth-token", token);
        assert_eq!(
            request.send().await.unwrap().status(),
            status,
            "{token} {path}"
        );
    }
    let path = format!("/v1/images/detail?is_public=None&sort_key=id&sort_dir=asc&marker={TWO}");
    let request = lab.request("GET", &path).header("x-auth-token", "admin");
    let page = json_of(request.send().await.unwrap()).await;
    assert_eq!(
        (&page["images"][0]["id"], &page["images"][1]),
        (&json!(THREE), &Value::Null)
    );
}

#[tokio::test]
async fn listings_show_what_the_caller_may_see() {
    let builder = EmbeddedGlance::builder().page_size(1000);
    let builder = builder
        .token("admin", Caller::admin())
        .token("alice", Caller::member("alpha"));
    let lab = Lab::new(builder);
    let id = |letter: &str| format!("{}-1111-4111-8111-111111111111", letter.repeat(8));
    let images = [
        ("1", "alpha", "private"),
        ("2", "alpha", "community"),
        ("3", "beta", "private"),
        ("4", "beta", "community"),
        ("5", "beta", "public"),
        ("6", "beta", "shared"),
        ("7", "beta", "shared"),
    ];
    for (letter, owner, visibility) in images {
        let spec = ImageSpec::new(&id(letter))
            .owner(owner)
            .visibility(visibility);
        lab.glance.add_image(if letter == "6" {
            spec.member("alpha", "accepted")
        } else {
            spec.member("alpha", "pending")
        });
    }
    lab.glance
        .add_image(ImageSpec::new(&id("8")).owner("alpha").hidden());
    for (token, query, expected) in [
        ("alice", "", "1256"),
        ("alice", "visibility=all", "12456"),
        ("alice", "visibility=community", "24"),
        ("alice", "os_hidden=true", "8"),
        ("alice", "member_status=pending", "1257"),
        ("alice", "visibility=private", "1"),
        ("admin", "", "13567"),
        ("admin", "visibility=all", "1234567"),
        ("admin", "visibility=all&os_hidden=true", "8"),
    ] {
        let request = lab
            .request("GET", &format!("/v2/images?sort=id:asc&{query}"))
            .header("x-auth-token", token);
        let page = json_of(request.send().await.unwrap()).await;
        let letters: String = page["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(|image| &image["id"].as_str().unwrap()[..1])
            .collect();
        assert_eq!(letters, expected, "{token} {query}");
    }
    let alice = async |method, path: String| {
        let request = lab.request(method, &path).header("x-auth-token", "alice");
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(alice("GET", format!("/v2/images/{}", id("3"))).await, 404);
    assert_eq!(
        alice("GET", format!("/v2/images/{}", id("7"))).await,
        200,
        "pending members may look"
    );
    assert_eq!(
        alice("DELETE", format!("/v2/images/{}", id("5"))).await,
        403
    );
    let anonymous = lab.send("GET", "/v2/images").await;
    assert_eq!(anonymous.status(), 401);
    assert!(anonymous.headers().contains_key("www-authenticate"));
    assert_eq!(lab.status("GET", "/versions").await, 200, "needs no token");
}

#[tokio::test]
async fn creation_refuses_what_glance_refuses() {
    let lab = Lab::today();
    let long = "x".repeat(256);
    let many: serde_json::Map<_, _> = (0..129)
        .map(|index| (format!("p{index}"), json!("")))
        .collect();
    let many_tags: Vec<_> = (0..129).map(|index| format!("t{index}")).collect();
    let cases = [
        (json!({ "id": "11111111111141118111111111111111" }), 400),
        (json!({ "status": "active" }), 403),
        (json!({ "size": 5 }), 403),
        (json!({ "stores": "main" }), 403),
        (json!({ "locations": [] }), 403),
        (json!({ "deleted": "False" }), 403),
        (json!({ "deleted": false }), 400),
        (json!({ "os_glance_x": "1" }), 403),
        (json!({ "min_disk": null }), 400),
        (json!({ "min_ram": -1 }), 400),
        (json!({ "p": null }), 400),
        (json!({ "p": 5 }), 400),
        (json!({ "p": "\u{1f600}" }), 400),
        (json!({ "name": "\u{1f600}" }), 400),
        (json!({ "name": long }), 400),
        (json!({ "tags": [long] }), 400),
        (json!({ long.clone(): "" }), 400),
        (json!({ "disk_format": "floppy" }), 400),
        (json!({ "protected": "yes" }), 400),
        (json!(many), 413),
        (json!({ "tags": many_tags }), 413),
        (json!([]), 500),
        (json!({ "os_hash_algo": "md5", "os_hidden": true }), 201),
        (
            json!({ "name": null, "disk_format": null, "p": "", "owner": "acme" }),
            201,
        ),
        (json!({}), 201),
    ];
    for (body, status) in cases {
        let answer = lab.create(&body).await;
        assert_eq!(answer.status(), status, "{body}");
    }
    assert_eq!(
        lab.request("POST", "/v2/images")
            .body("{")
            .send()
            .await
            .unwrap()
            .status(),
        400
    );
    let record = json_of(
        lab.create(&json!({ "id": ONE, "tags": ["b", "a", "b"], "p": "v" }))
            .await,
    )
    .await;
    assert_eq!(record["tags"], json!(["a", "b"]));
    assert_eq!(
        (record["p"].as_str(), record["status"].as_str()),
        (Some("v"), Some("queued"))
    );
    assert_eq!(record["visibility"], "shared");
    assert_eq!(record["file"], format!("/v2/images/{ONE}/file"));
}

#[tokio::test]
async fn an_id_is_used_up_for_good() {
    let lab = Lab::legacy();
    lab.glance.add_image(active(ONE));
    lab.glance.burn(TWO);
    assert_eq!(lab.create(&json!({ "id": ONE })).await.status(), 409);
    assert_eq!(
        lab.status("DELETE", &format!("/v2/images/{ONE}")).await,
        204
    );
    assert_eq!(
        lab.status("DELETE", &format!("/v2/images/{ONE}")).await,
        404
    );
    for id in [ONE, TWO] {
        assert_eq!(lab.create(&json!({ "id": id })).await.status(), 409);
        assert_eq!(lab.status("GET", &format!("/v2/images/{id}")).await, 404);
        assert_eq!(
            lab.v1_post(&[("id", id)]).send().await.unwrap().status(),
            409
        );
        assert_eq!(
            lab.status("HEAD", &format!("/v1/images/{id}")).await,
            200,
            "an admin sees deleted images"
        );
        assert_eq!(lab.status("GET", &format!("/v1/images/{id}")).await, 404);
    }
}

#[tokio::test]
async fn patches_are_all_or_nothing() {
    let lab = Lab::today();
    lab.glance
        .add_image(active(ONE).property("old", "1").protected());
    let cases = [
        (
            json!([{ "op": "add", "path": "/a", "value": "1" }, { "op": "replace", "path": "/b", "value": "1" }]),
            409,
        ),
        (json!([{ "op": "remove", "path": "/name" }]), 403),
        (json!([{ "op": "remove", "path": "/a" }]), 409),
        (json!([{ "op": "test", "path": "/name", "value": "" }]), 400),
        (json!([{ "op": "add", "path": "/a/b", "value": "" }]), 400),
        (
            json!([{ "op": "replace", "path": "/size", "value": 1 }]),
            403,
        ),
        (
            json!([{ "op": "replace", "path": "/id", "value": TWO }]),
            403,
        ),
        (
            json!([{ "op": "replace", "path": "/os_hash_value", "value": "" }]),
            403,
        ),
        (
            json!([{ "op": "add", "path": "/os_glance_x", "value": "" }]),
            403,
        ),
        (
            json!([{ "op": "replace", "path": "/disk_format", "value": "qcow2" }]),
            403,
        ),
        (json!([{ "op": "add", "path": "/a", "value": null }]), 400),
        (json!([]), 200),
        (json!({}), 400),
        (
            json!([{ "op": "add", "path": "/x~1y~0z", "value": "v" }, { "op": "replace", "path": "/tags", "value": ["t"] },
            { "op": "remove", "path": "/old" }, { "op": "replace", "path": "/name", "value": null }]),
            200,
        ),
    ];
    for (body, status) in cases {
        assert_eq!(lab.patch(ONE, &body).await, status, "{body}");
    }
    let image = lab.glance.image(ONE).unwrap();
    assert_eq!(image.field("x/y~z"), Some(&json!("v")));
    assert_eq!(image.field("tags"), Some(&json!(["t"])));
    assert_eq!(
        (image.field("a"), image.field("old"), image.field("name")),
        (None, None, Some(&Value::Null))
    );
    let wrong_type = lab
        .request("PATCH", &format!("/v2/images/{ONE}"))
        .header("content-type", "application/json");
    let answer = wrong_type.body("[]").send().await.unwrap();
    assert_eq!(answer.status(), 415);
    assert!(answer.headers().contains_key("accept-patch"));
    assert_eq!(
        lab.status("DELETE", &format!("/v2/images/{ONE}")).await,
        403,
        "protected"
    );
}

#[tokio::test]
async fn an_upload_makes_the_image_active_with_its_digests() {
    let lab = Lab::new(EmbeddedGlance::builder().hashing_algorithm(HashAlgorithm::Sha256));
    lab.glance.add_image(ImageSpec::new(ONE));
    assert_eq!(lab.upload_status(ONE, b"hello world").await, 204);
    assert_eq!(
        lab.field(ONE, "checksum"),
        "5eb63bbbe01eeed093cb22bb8f5acdc3"
    );
    assert_eq!(lab.field(ONE, "os_hash_algo"), "sha256");
    assert_eq!(
        lab.field(ONE, "os_hash_value"),
        "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
    );
    assert_eq!(
        (lab.field(ONE, "status"), lab.field(ONE, "size")),
        (json!("active"), json!(11))
    );
    assert_eq!(
        lab.get_json(&format!("/v2/images/{ONE}")).await["stores"],
        "main"
    );
    assert_eq!(lab.upload_status(ONE, b"again").await, 409);
    // Large enough to leave memory for a file.
    lab.glance.add_image(ImageSpec::new(TWO));
    let large = ImageContent::pattern(9, 3_000_000).to_vec().unwrap();
    assert_eq!(
        lab.upload(TWO, large.clone())
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    let downloaded = lab
        .send("GET", &format!("/v2/images/{TWO}/file"))
        .await
        .bytes()
        .await
        .unwrap();
    assert!(downloaded == large && bytes_of(TWO, &lab) == large);
    lab.glance.add_image(ImageSpec::new(THREE));
    assert_eq!(lab.upload_status(THREE, b"").await, 204);
    assert_eq!(
        (lab.field(THREE, "status"), lab.field(THREE, "size")),
        (json!("active"), json!(0))
    );
}

#[tokio::test]
async fn refused_uploads_leave_the_image_queued() {
    let lab = Lab::new(EmbeddedGlance::builder().size_cap(1000).quota(100));
    lab.glance.add_image(ImageSpec::new(ONE));
    lab.glance.add_image(ImageSpec::new(TWO).without_formats());
    let sized = |size: &str, data: &'static [u8]| {
        lab.upload(ONE, data).header("x-openstack-image-size", size)
    };
    assert_eq!(sized("5", b"four").send().await.unwrap().status(), 400);
    assert_eq!(sized("x", b"four").send().await.unwrap().status(), 400);
    assert_eq!(
        lab.upload(ONE, "x")
            .header("x-image-meta-store", "nope")
            .send()
            .await
            .unwrap()
            .status(),
        400
    );
    assert_eq!(
        lab.upload(ONE, vec![0; 1001])
            .send()
            .await
            .unwrap()
            .status(),
        413
    );
    assert_eq!(
        lab.upload(ONE, vec![0; 101]).send().await.unwrap().status(),
        413
    );
    let untyped = lab
        .request("PUT", &format!("/v2/images/{ONE}/file"))
        .body("data")
        .send()
        .await
        .unwrap();
    assert_eq!(untyped.status(), 415);
    assert_eq!(lab.upload_status(TWO, b"x").await, 400);
    assert_eq!(
        (lab.status_of(ONE).as_str(), lab.status_of(TWO).as_str()),
        ("queued", "queued")
    );
    assert_eq!(lab.upload_status(ONE, b"four").await, 204);
}

#[tokio::test]
async fn an_upload_that_breaks_off_returns_the_image_to_queued() {
    let lab = Lab::today();
    lab.glance.add_image(ImageSpec::new(ONE));
    let head = format!(
        "PUT /v2/images/{ONE}/file HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
    );
    lab.raw(&format!("{head}Content-Length: 100\r\n\r\nshort"));
    lab.wait_for_status(ONE, "queued").await;
    lab.raw(&format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n"
    ));
    lab.wait_for_status(ONE, "queued").await;
    assert_eq!(lab.glance.requests().last().unwrap().body_bytes, 5);
    assert_eq!(lab.upload_status(ONE, b"whole").await, 204);
}

#[tokio::test]
async fn data_of_another_format_spoils_the_record() {
    let lab = Lab::today();
    lab.glance
        .add_image(ImageSpec::new(ONE).formats("qcow2", "bare"));
    let answer = lab.upload(ONE, "no qcow2").send().await.unwrap();
    assert_eq!(answer.status(), 415);
    assert!(
        answer
            .text()
            .await
            .unwrap()
            .contains("Image disk_format qcow2 does not match stream data raw")
    );
    assert_eq!(
        (lab.field(ONE, "status"), lab.field(ONE, "size")),
        (json!("queued"), Value::Null)
    );
    assert!(lab.field(ONE, "checksum").is_string());
    assert_eq!(lab.field(ONE, "stores"), "main");
    assert_eq!(lab.upload_status(ONE, b"QFI\xfb right now").await, 500);
    // The same data, as what it is, goes to another store; no other data does.
    let patch = json!([{ "op": "add", "path": "/disk_format", "value": "raw" }]);
    let path = format!("/v2/images/{ONE}");
    let patch = lab.request("PATCH", &path).body(patch.to_string());
    let patch = patch.header(
        "content-type",
        "application/openstack-images-v2.1-json-patch",
    );
    assert_eq!(patch.send().await.unwrap().status(), 200);
    assert_eq!(lab.upload_status(ONE, b"no qcow2").await, 500);
    for (data, status) in [("other data", 500), ("no qcow2", 204)] {
        let upload = lab.upload(ONE, data).header("x-image-meta-store", "spare");
        assert_eq!(upload.send().await.unwrap().status(), status, "{data}");
    }
    assert_eq!(lab.field(ONE, "stores"), "main,spare");
    assert_eq!(lab.field(ONE, "status"), "active");
    lab.glance
        .add_image(ImageSpec::new(TWO).formats("qcow2", "bare"));
    assert_eq!(lab.upload_status(TWO, b"QFI\xfb").await, 204);
}

#[tokio::test]
async fn ranges_are_honoured_refused_or_ignored() {
    let lab = Lab::today();
    lab.glance.add_image(active(ONE));
    lab.glance
        .add_image(ImageSpec::new(TWO).data(ImageContent::zeros(0)));
    lab.glance.add_image(ImageSpec::new(THREE));
    let all = bytes_of(ONE, &lab);
    let get = async |id: &str, range: &str| {
        let answer = lab
            .request("GET", &format!("/v2/images/{id}/file"))
            .header("range", range)
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.headers().get("content-range").cloned(),
            answer.bytes().await.unwrap(),
        )
    };
    let (status, range, part) = get(ONE, "bytes=70000-").await;
    assert_eq!(
        (status, range.unwrap().to_str().unwrap()),
        (206, "bytes 70000-99999/100000")
    );
    assert_eq!(part, all[70_000..]);
    for (range, from, to) in [
        ("bytes=0-99", 0, 100),
        ("bytes=-100", 99_900, 100_000),
        ("bytes=5-999999", 5, 100_000),
        ("bytes=-0", 0, 100_000),
    ] {
        let (status, _, part) = get(ONE, range).await;
        assert!(status == 206 && part == all[from..to], "{range}");
    }
    for (id, range, status) in [
        (ONE, "bytes=100000-", 416),
        (ONE, "bytes=x", 416),
        (ONE, "pages=1-", 416),
        (ONE, "bytes=0-1,3-4", 400),
        (TWO, "bytes=0-", 416),
    ] {
        assert_eq!(get(id, range).await.0, status, "{range}");
    }
    let queued = lab
        .request("GET", &format!("/v2/images/{THREE}/file"))
        .header("range", "bytes=0-")
        .send()
        .await;
    assert!(queued.is_err(), "the connection closes without an answer");
    for (range, status) in [(RangeSupport::Refused, 400), (RangeSupport::Ignored, 200)] {
        let lab = Lab::new(EmbeddedGlance::builder().range(range));
        lab.glance.add_image(active(ONE));
        let path = format!("/v2/images/{ONE}/file");
        assert_eq!(
            lab.request("GET", &path)
                .header("range", "bytes=5-")
                .send()
                .await
                .unwrap()
                .status(),
            status
        );
    }
}

#[tokio::test]
async fn downloads_without_data_answer_204_and_deactivated_ones_403() {
    let lab = Lab::new(
        EmbeddedGlance::builder()
            .token("alice", Caller::member("alpha"))
            .token("admin", Caller::admin()),
    );
    lab.glance.add_image(active(ONE).owner("alpha"));
    lab.glance
        .add_image(ImageSpec::new(TWO).owner("alpha").data_gone(5));
    lab.glance.add_image(ImageSpec::new(THREE).owner("alpha"));
    let as_user = async |token: &str, method: &str, path: String| {
        let request = lab.request(method, &path).header("x-auth-token", token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(
        as_user("alice", "GET", format!("/v2/images/{TWO}/file")).await,
        204
    );
    assert_eq!(
        as_user("alice", "GET", format!("/v2/images/{THREE}/file")).await,
        204
    );
    assert_eq!(
        as_user(
            "alice",
            "POST",
            format!("/v2/images/{ONE}/actions/deactivate")
        )
        .await,
        204
    );
    assert_eq!(
        as_user("alice", "GET", format!("/v2/images/{ONE}/file")).await,
        403
    );
    assert_eq!(
        as_user("admin", "GET", format!("/v2/images/{ONE}/file")).await,
        200
    );
    assert_eq!(
        as_user(
            "alice",
            "POST",
            format!("/v2/images/{THREE}/actions/deactivate")
        )
        .await,
        403
    );
    lab.glance.revoke_token("alice");
    assert_eq!(as_user("alice", "GET", "/v2/images".to_owned()).await, 401);
}

#[tokio::test]
async fn glance_of_2017_knows_no_hidden_images_and_no_visibility_all() {
    let lab = Lab::legacy();
    lab.glance.add_image(active(ONE));
    assert_eq!(lab.status("GET", "/v2/images?visibility=all").await, 400);
    assert_eq!(lab.ids("/v2/images?os_hidden=false").await, [""; 0]);
    assert_eq!(
        lab.create(&json!({ "os_hidden": true })).await.status(),
        400
    );
    let record = json_of(
        lab.create(&json!({ "id": TWO, "os_hash_algo": "sha512" }))
            .await,
    )
    .await;
    assert_eq!(record["os_hash_algo"], "sha512", "it becomes a property");
    let record = lab.get_json(&format!("/v2/images/{ONE}")).await;
    assert!(
        ["os_hash_algo", "os_hidden", "stores"]
            .iter()
            .all(|name| record.get(name).is_none()),
        "{record}"
    );
    lab.glance.add_image(ImageSpec::new(THREE));
    let wrong_size = lab
        .upload(THREE, "hello world")
        .header("x-openstack-image-size", "5");
    assert_eq!(wrong_size.send().await.unwrap().status(), 204);
    assert_eq!(lab.status("GET", "/v2/info/stores").await, 404);
}

#[tokio::test]
async fn v1_lists_by_is_public_and_shows_burnt_ids_with_changes_since() {
    let lab = Lab::new(
        EmbeddedGlance::builder()
            .profile(Profile::Legacy)
            .page_size(100),
    );
    let id = |letter: &str| format!("{}-1111-4111-8111-111111111111", letter.repeat(8));
    lab.glance.add_image(active(&id("1")).visibility("public"));
    lab.glance
        .add_image(active(&id("2")).null_property("none").property("some", ""));
    lab.glance
        .add_image(active(&id("3")).visibility("community"));
    lab.glance
        .add_image(ImageSpec::new(&id("4")).status("killed"));
    lab.glance.burn(&id("5"));
    let letters = async |query: &str| -> String {
        let ids = lab
            .ids(&format!(
                "/v1/images/detail?sort_key=id&sort_dir=asc&{query}"
            ))
            .await;
        ids.iter().map(|id| &id[..1]).collect()
    };
    assert_eq!(letters("").await, "1");
    assert_eq!(letters("is_public=None").await, "12");
    assert_eq!(letters("is_public=False").await, "2");
    assert_eq!(
        letters("is_public=none&changes-since=1970-01-01T00:00:00Z").await,
        "1245"
    );
    assert_eq!(
        lab.status("GET", "/v1/images/detail?is_public=maybe").await,
        400
    );
    assert_eq!(lab.status("HEAD", "/v1/images/detail").await, 405);
    let page = lab.get_json("/v1/images/detail?is_public=False").await;
    assert_eq!(
        page["images"][0]["properties"],
        json!({ "none": null, "some": "" })
    );
    assert_eq!(page["images"][0].as_object().unwrap().len(), 18);
}

#[tokio::test]
async fn v1_creates_with_and_without_data() {
    let lab = Lab::legacy();
    let formats = [("disk_format", "raw"), ("container-format", "bare")];
    let answer = lab
        .v1_post(&formats)
        .header("x-image-meta-id", ONE)
        .header("x-image-meta-property-OS-type", "linux")
        .header("x-image-meta-size", "11")
        .header("x-image-meta-checksum", "5eb63bbbe01eeed093cb22bb8f5acdc3")
        .header("content-type", "application/octet-stream")
        .body("hello world")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 201);
    assert_eq!(answer.headers()["etag"], "5eb63bbbe01eeed093cb22bb8f5acdc3");
    let image = json_of(answer).await["image"].clone();
    assert_eq!(
        (
            image["status"].as_str(),
            image["properties"]["os_type"].as_str()
        ),
        (Some("active"), Some("linux"))
    );
    for (id, headers, status, size) in [
        (TWO, vec![], "queued", 0),
        (THREE, vec![("size", "7")], "queued", 7),
        (
            "44444444-1111-4111-8111-111111111111",
            vec![("size", "0")],
            "active",
            0,
        ),
    ] {
        let answer = lab
            .v1_post(&headers)
            .header("x-image-meta-id", id)
            .send()
            .await
            .unwrap();
        let image = json_of(answer).await["image"].clone();
        assert_eq!(
            (image["status"].as_str(), image["size"].as_u64()),
            (Some(status), Some(size)),
            "{id}"
        );
    }
}

#[tokio::test]
async fn v1_refuses_bad_headers_and_values() {
    let lab = Lab::legacy();
    let cases: [(&[(&str, &str)], u16); 12] = [
        (&[("foo", "1")], 400),
        (&[("id", "x")], 400),
        (&[("size", "")], 500),
        (&[("min_ram", "None")], 400),
        (&[("virtual_size", "None")], 201),
        (&[("disk_format", "floppy")], 400),
        (&[("disk_format", "")], 400),
        (&[("disk_format", "aki"), ("container_format", "bare")], 400),
        (&[("disk_format", "aki")], 201),
        (&[("created_at", "2020-01-01T00:00:00")], 500),
        (&[("name", "\u{1f600}")], 400),
        (&[("name", "東京"), ("status", "active")], 201),
    ];
    for (headers, status) in cases {
        assert_eq!(
            lab.v1_post(headers).send().await.unwrap().status(),
            status,
            "{headers:?}"
        );
    }
    let latin1 = lab
        .request("POST", "/v1/images")
        .header("x-image-meta-name", &b"\xe9"[..]);
    assert_eq!(latin1.send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_v1_upload_that_fails_kills_the_image() {
    let lab = Lab::legacy();
    let post = |id: &str, headers: &[(&str, &str)]| {
        let request = lab.v1_post(headers).header("x-image-meta-id", id);
        request
            .header("x-image-meta-disk_format", "raw")
            .header("x-image-meta-container_format", "bare")
    };
    let octets = "application/octet-stream";
    let wrong_checksum = post(ONE, &[("checksum", "00000000000000000000000000000000")]);
    assert_eq!(
        wrong_checksum
            .header("content-type", octets)
            .body("data")
            .send()
            .await
            .unwrap()
            .status(),
        400
    );
    let wrong_size = post(TWO, &[("size", "5")]);
    assert_eq!(
        wrong_size
            .header("content-type", octets)
            .body("data")
            .send()
            .await
            .unwrap()
            .status(),
        400
    );
    assert_eq!(
        post(THREE, &[]).body("data").send().await.unwrap().status(),
        400,
        "no content type"
    );
    let cut = "44444444-1111-4111-8111-111111111111";
    let answer = lab.raw(&format!(
        "POST /v1/images HTTP/1.1\r\nHost: x\r\nx-image-meta-id: {cut}\r\nx-image-meta-disk_format: raw\r\n\
         x-image-meta-container_format: bare\r\nContent-Type: {octets}\r\nContent-Length: 100\r\n\r\nshort"
    ));
    assert!(
        answer.is_empty() || answer.contains("400 Bad Request"),
        "{answer}"
    );
    lab.wait_for_status(cut, "killed").await;
    for id in [ONE, TWO, THREE, cut] {
        assert_eq!(lab.status_of(id), "killed");
        assert_eq!(
            lab.v1_post(&[("id", id)]).send().await.unwrap().status(),
            409
        );
    }
    let unformatted = lab
        .v1_post(&[("id", "55555555-1111-4111-8111-111111111111")])
        .header("content-type", octets);
    assert_eq!(unformatted.body("data").send().await.unwrap().status(), 400);
    assert_eq!(
        lab.status_of("55555555-1111-4111-8111-111111111111"),
        "queued"
    );
}

#[tokio::test]
async fn a_v1_change_purges_properties_unless_told_otherwise() {
    let lab = Lab::legacy();
    lab.glance
        .add_image(active(ONE).property("a", "1").property("b", "2"));
    let put = |headers: &[(&str, &str)]| {
        headers.iter().fold(
            lab.request("PUT", &format!("/v1/images/{ONE}")),
            |request, (name, value)| request.header(*name, *value),
        )
    };
    let kept = put(&[
        ("x-glance-registry-purge-props", "False"),
        ("x-image-meta-property-b", "3"),
        ("x-image-meta-name", "new"),
    ]);
    let image = json_of(kept.send().await.unwrap()).await["image"].clone();
    assert_eq!(
        (&image["properties"], &image["name"]),
        (&json!({ "a": "1", "b": "3" }), &json!("new"))
    );
    let image = json_of(
        put(&[("x-image-meta-property-b", "")])
            .send()
            .await
            .unwrap(),
    )
    .await["image"]
        .clone();
    assert_eq!(
        (&image["properties"], &image["size"]),
        (&json!({ "b": null }), &json!(100_000))
    );
    for (headers, status) in [
        (&[("x-image-meta-status", "queued")][..], 403),
        (&[("x-image-meta-status", "active")], 200),
        (&[("x-image-meta-id", TWO)], 403),
    ] {
        assert_eq!(
            put(headers).body("").send().await.unwrap().status(),
            status,
            "{headers:?}"
        );
    }
    let empty = lab.raw(&format!(
        "PUT /v1/images/{ONE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ));
    assert!(
        empty.contains("409 Conflict"),
        "an empty chunked body counts as data: {empty}"
    );
    lab.glance.burn(ONE);
    assert_eq!(put(&[]).send().await.unwrap().status(), 403);
    assert_eq!(lab.status("PUT", &format!("/v1/images/{TWO}")).await, 404);
    assert_eq!(
        lab.v1_post(&[
            ("id", TWO),
            ("disk_format", "raw"),
            ("container_format", "bare"),
            ("property-p", "1")
        ])
        .send()
        .await
        .unwrap()
        .status(),
        201
    );
    let data = lab
        .request("PUT", &format!("/v1/images/{TWO}"))
        .header("content-type", "application/octet-stream")
        .body("data");
    let image = json_of(data.send().await.unwrap()).await["image"].clone();
    assert_eq!(
        (&image["status"], &image["properties"]),
        (&json!("active"), &json!({ "p": "1" }))
    );
}

#[tokio::test]
async fn v1_shows_images_in_capitalised_headers() {
    let lab = Lab::legacy();
    lab.glance.add_image(
        active(ONE)
            .name("名")
            .property("os_type", "linux")
            .null_property("none")
            .size(7),
    );
    let answer = lab.raw(&format!(
        "HEAD /v1/images/{ONE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ));
    for header in [
        "X-Image-Meta-Is_public: False",
        "X-Image-Meta-Property-Os_type: linux",
        "X-Image-Meta-Name: 名",
        "X-Image-Meta-Size: 7",
        "Content-Length: 0",
    ] {
        assert!(answer.contains(header), "{header} in {answer}");
    }
    assert!(!answer.contains("none"), "{answer}");
    let data = lab
        .request("GET", &format!("/v1/images/{ONE}"))
        .header("range", "bytes=5-")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (
            data.status().as_u16(),
            data.headers()["x-image-meta-size"].to_str().unwrap()
        ),
        (200, "100000"),
        "the store's size"
    );
    assert_eq!(data.bytes().await.unwrap().len(), 100_000);
    lab.glance.add_image(ImageSpec::new(TWO));
    assert_eq!(
        lab.status("GET", &format!("/v1/images/{TWO}")).await,
        404,
        "not active"
    );
}

#[tokio::test]
async fn v1_sends_line_breaks_and_blanks_raw() {
    let lab = Lab::legacy();
    let broken = active(ONE)
        .property("note", "one\ntwo")
        .property("a blank", "x");
    lab.glance.add_image(broken);
    let head = format!("GET /v1/images/{ONE} HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = lab.raw(&head);
    assert!(
        answer.contains("X-Image-Meta-Property-Note: one\ntwo\r\n"),
        "{answer:.2000}"
    );
    assert!(
        answer.contains("X-Image-Meta-Property-A blank: x\r\n"),
        "{answer:.2000}"
    );
    let strict = lab
        .request("GET", &format!("/v1/images/{ONE}"))
        .send()
        .await;
    assert!(strict.is_err(), "a strict client cannot read it");
    let lenient = Client::builder()
        .http1_ignore_invalid_headers_in_responses(true)
        .build()
        .unwrap();
    let url = format!("{}/v1/images/{ONE}", lab.glance.url());
    let data = lenient
        .get(url)
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert!(data == bytes_of(ONE, &lab), "a lenient one can");
}

#[tokio::test]
async fn faults_befall_the_answers_they_select() {
    let lab = Lab::today();
    lab.glance.add_image(active(ONE));
    let all = bytes_of(ONE, &lab);
    let path = format!("/v2/images/{ONE}/file");
    let once = || FaultOn::kind(RequestKind::Download).image(ONE).times(1);

    lab.glance
        .fault(once().skip(1), FaultAction::retry_after(503, 7));
    assert_eq!(lab.status("GET", &path).await, 200, "the first passes");
    let answer = lab.send("GET", &path).await;
    assert_eq!(
        (
            answer.status().as_u16(),
            answer.headers()["retry-after"].to_str().unwrap()
        ),
        (503, "7")
    );

    for silent in [
        FaultAction::Close,
        FaultAction::Reset,
        FaultAction::LoseAnswer,
    ] {
        // Without a body, the client repeats what a pooled connection lost: each on a fresh one.
        lab.glance.fault(once(), silent.clone());
        let client = Client::new();
        assert!(
            client
                .get(format!("{}{path}", lab.glance.url()))
                .send()
                .await
                .is_err(),
            "{silent:?}"
        );
    }

    lab.glance
        .fault(once(), FaultAction::CutResponse(At::Byte(70_000)));
    let mut answer = lab.send("GET", &path).await;
    assert_eq!(answer.content_length(), Some(100_000));
    let mut got = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        got.extend_from_slice(&chunk);
    }
    assert_eq!(got, all[..70_000]);

    for (at, ends_well) in [(At::Byte(70_000), false), (At::Percent(100), true)] {
        lab.glance.fault(once(), FaultAction::ResetResponse(at));
        let answer = lab.send("GET", &path).await;
        assert_eq!(answer.content_length(), Some(100_000));
        let got = answer.bytes().await;
        assert_eq!(got.is_ok(), ends_well, "{at:?}: {got:?}");
    }

    lab.glance
        .fault(once(), FaultAction::ShortenResponse(At::Percent(50)));
    assert_eq!(
        lab.send("GET", &path).await.bytes().await.unwrap(),
        all[..50_000]
    );
    lab.glance.fault(once(), FaultAction::ExtendResponse(3));
    let longer = lab.send("GET", &path).await.bytes().await.unwrap();
    assert!(longer.len() == 100_003 && longer.starts_with(&all));
    lab.glance.fault(once(), FaultAction::FlipByte(66_000));
    let flipped = lab.send("GET", &path).await.bytes().await.unwrap();
    assert_eq!(
        (flipped[66_000] ^ all[66_000], &flipped[..66_000]),
        (1, &all[..66_000])
    );

    lab.glance
        .fault(once(), FaultAction::StallResponse(At::Byte(10), None));
    let mut answer = lab.send("GET", &path).await;
    assert_eq!(answer.chunk().await.unwrap().unwrap().len(), 10);
    assert!(
        tokio::time::timeout(Duration::from_millis(200), answer.chunk())
            .await
            .is_err()
    );
    assert_eq!(
        lab.send("GET", &path).await.bytes().await.unwrap(),
        all,
        "all faults are used up"
    );
}

#[tokio::test]
async fn a_lost_answer_was_processed_all_the_same() {
    let lab = Lab::today();
    lab.glance
        .fault(FaultOn::kind(RequestKind::Create), FaultAction::LoseAnswer);
    let lost = lab
        .request("POST", "/v2/images")
        .body(json!({ "id": ONE }).to_string())
        .send()
        .await;
    assert!(lost.is_err());
    assert_eq!(lab.status_of(ONE), "queued");
    assert_eq!(
        lab.glance.requests()[0].body,
        json!({ "id": ONE }).to_string()
    );
    assert_eq!(lab.glance.requests()[0].status, None);

    lab.glance.clear_faults();
    lab.glance.fault(
        FaultOn::kind(RequestKind::Create),
        FaultAction::FailAfterwards(500),
    );
    assert_eq!(lab.create(&json!({ "id": TWO })).await.status(), 500);
    assert_eq!(lab.status_of(TWO), "queued");
}

#[tokio::test]
async fn uploads_can_be_cut_and_stalled_by_the_server() {
    let lab = Lab::today();
    lab.glance.add_image(ImageSpec::new(ONE));
    lab.glance.fault(
        FaultOn::kind(RequestKind::Upload).times(1),
        FaultAction::CutRequest(1000),
    );
    assert!(lab.upload(ONE, vec![1; 4_000_000]).send().await.is_err());
    lab.wait_for_status(ONE, "queued").await;
    lab.glance.fault(
        FaultOn::kind(RequestKind::Upload).times(1),
        FaultAction::StallRequest(1000, None),
    );
    let stalled = lab.upload(ONE, vec![1; 8_000_000]).send();
    assert!(
        tokio::time::timeout(Duration::from_millis(200), stalled)
            .await
            .is_err()
    );
    assert_eq!(lab.glance.count(RequestKind::Upload), 2);
}

#[tokio::test]
async fn anything_at_all_can_be_answered() {
    let lab = Lab::today();
    let listing = FaultOn::kind(RequestKind::Listing);
    lab.glance.fault(
        listing.clone().times(1),
        FaultAction::json(&json!({ "images": [{ "id": "../../etc/passwd" }] })),
    );
    assert_eq!(lab.ids("/v2/images").await, ["../../etc/passwd"]);
    lab.glance.fault(
        listing.clone().times(1),
        FaultAction::Raw("SSH-2.0-OpenSSH\r\n".into()),
    );
    assert!(lab.request("GET", "/v2/images").send().await.is_err());
    lab.glance.fault(
        listing.clone().times(1),
        FaultAction::Raw(
            (&b"HTTP/1.1 200 OK\r\nConnection: close\r\nX-Odd: \xff\xfe\r\nContent-Length: 2\r\n\r\n{}"[..]).into(),
        ),
    );
    let odd = lab.send("GET", "/v2/images").await;
    assert_eq!(odd.headers()["x-odd"].as_bytes(), b"\xff\xfe");
    let start = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".into();
    lab.glance.fault(
        listing.times(1),
        FaultAction::RawForever {
            start,
            repeated: vec![b' '; 10_000].into(),
        },
    );
    let mut endless = lab.send("GET", "/v2/images").await;
    let mut count = 0;
    while count < 5_000_000 {
        count += endless.chunk().await.unwrap().unwrap().len();
    }
    drop(endless);
    assert_eq!(
        lab.status("GET", "/v2/images").await,
        200,
        "the server goes on"
    );
}

#[tokio::test]
async fn rate_and_latency_are_limited() {
    let lab = Lab::new(
        EmbeddedGlance::builder()
            .throttle(400_000)
            .latency(Duration::from_millis(50)),
    );
    lab.glance.add_image(active(ONE));
    lab.glance.add_image(ImageSpec::new(TWO));
    let begin = Instant::now();
    lab.send("GET", &format!("/v2/images/{ONE}/file"))
        .await
        .bytes()
        .await
        .unwrap();
    assert!(
        begin.elapsed() >= Duration::from_millis(290),
        "{:?}",
        begin.elapsed()
    );
    let begin = Instant::now();
    assert_eq!(
        lab.upload(TWO, vec![0; 100_000])
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    assert!(
        begin.elapsed() >= Duration::from_millis(290),
        "{:?}",
        begin.elapsed()
    );
}

#[tokio::test]
async fn image_data_of_any_size_takes_no_memory() {
    let lab = Lab::new(EmbeddedGlance::builder().without_digests());
    lab.glance.add_image(
        ImageSpec::new(ONE)
            .data(ImageContent::zeros(1 << 40))
            .without_digests(),
    );
    let last = lab
        .request("GET", &format!("/v2/images/{ONE}/file"))
        .header("range", "bytes=1099511627775-");
    assert_eq!(last.send().await.unwrap().bytes().await.unwrap().len(), 1);
    lab.glance.add_image(ImageSpec::new(TWO));
    assert_eq!(
        lab.upload(TWO, vec![1; 5_000_000])
            .send()
            .await
            .unwrap()
            .status(),
        204
    );
    assert_eq!(
        (lab.field(TWO, "size"), lab.field(TWO, "checksum")),
        (json!(5_000_000), Value::Null)
    );
}

#[tokio::test]
async fn digests_are_stated_for_uploads_of_the_length_that_they_are_known_for() {
    let lab = Lab::new(EmbeddedGlance::builder().stated_digests(3, "m", "sha512", "s"));
    for (id, data, checksum) in [(ONE, "abc", json!("m")), (TWO, "abcd", Value::Null)] {
        lab.glance.add_image(ImageSpec::new(id));
        let uploaded = lab.upload(id, data.as_bytes().to_vec()).send().await;
        assert_eq!(uploaded.unwrap().status(), 204);
        assert_eq!(lab.field(id, "checksum"), checksum);
    }
    assert_eq!(lab.field(ONE, "os_hash_value"), json!("s"));
}

#[tokio::test]
async fn a_listing_of_many_images_costs_what_it_shows() {
    let lab = Lab::new(EmbeddedGlance::builder().page_size(1000));
    for index in 0..20_000 {
        lab.glance.add_image(ImageSpec::new(&format!(
            "{index:08x}-1111-4111-8111-111111111111"
        )));
    }
    let (mut marker, mut seen) = (String::new(), 0);
    loop {
        let ids = lab
            .ids(&format!("/v2/images?sort=id:asc&limit=1000{marker}"))
            .await;
        let Some(last) = ids.last() else { break };
        marker = format!("&marker={last}");
        seen += ids.len();
    }
    assert_eq!((seen, lab.glance.count(RequestKind::Listing)), (20_000, 21));
}

#[tokio::test]
async fn members_are_listed_and_added() {
    let lab = Lab::today();
    lab.glance.add_image(active(ONE));
    lab.glance.add_image(active(TWO).visibility("private"));
    let add = |id: &str| {
        lab.request("POST", &format!("/v2/images/{id}/members"))
            .body(json!({ "member": "beta" }).to_string())
    };
    assert_eq!(
        json_of(add(ONE).send().await.unwrap()).await["status"],
        "pending"
    );
    assert_eq!(add(ONE).send().await.unwrap().status(), 409);
    assert_eq!(add(TWO).send().await.unwrap().status(), 403);
    assert_eq!(
        lab.get_json(&format!("/v2/images/{ONE}/members")).await["members"][0]["member_id"],
        "beta"
    );
    assert_eq!(
        lab.get_json("/v2/info/stores").await["stores"][0],
        json!({ "id": "main", "default": "true" })
    );
}

#[tokio::test]
async fn a_server_that_went_away_comes_back_with_its_images() {
    let lab = Lab::today();
    lab.glance.add_image(active(ONE));
    lab.glance.add_image(ImageSpec::new(TWO));
    let stall = FaultAction::StallResponse(At::Byte(10), None);
    lab.glance
        .fault(FaultOn::kind(RequestKind::Download), stall);
    let download = lab.send("GET", &format!("/v2/images/{ONE}/file")).await;
    let mut upload = TcpStream::connect(lab.glance.host_port()).unwrap();
    let request = format!(
        "PUT /v2/images/{TWO}/file HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\
         Content-Type: application/octet-stream\r\n\r\nshort"
    );
    upload.write_all(request.as_bytes()).unwrap();
    lab.wait_for_status(TWO, "saving").await;

    lab.glance.go_away();
    assert!(download.bytes().await.is_err());
    lab.wait_for_status(TWO, "queued").await;
    assert!(TcpStream::connect(lab.glance.host_port()).is_err());

    lab.glance.come_back();
    assert_eq!(lab.status("GET", "/versions").await, 200);
    assert_eq!(lab.status_of(ONE), "active");
}

#[tokio::test]
async fn dropping_the_server_closes_its_port() {
    let lab = Lab::today();
    let address = lab.glance.host_port().to_owned();
    assert_eq!(lab.status("GET", "/versions").await, 200);
    drop(lab);
    assert!(TcpStream::connect(address).is_err());
}

//! Images v2: records, patches, uploads and downloads.

use glance_client::testing::{
    Caller, EmbeddedGlance, HashAlgorithm, ImageContent, ImageSpec, RangeSupport,
};
use serde_json::{Value, json};

use super::{Lab, active, bytes_of, json_of};
use crate::kit::{ONE, THREE, TWO};

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
    for (token, method, id, path, status) in [
        ("alice", "GET", TWO, "file", 204),
        ("alice", "GET", THREE, "file", 204),
        ("alice", "POST", ONE, "actions/deactivate", 204),
        ("alice", "GET", ONE, "file", 403),
        ("admin", "GET", ONE, "file", 200),
        ("alice", "POST", THREE, "actions/deactivate", 403),
    ] {
        let path = format!("/v2/images/{id}/{path}");
        let found = lab.status_as(token, method, &path).await;
        assert_eq!(found, status, "{token}: {method} {path}");
    }
    lab.glance.revoke_token("alice");
    assert_eq!(lab.status_as("alice", "GET", "/v2/images").await, 401);
}

// The same statuses as those of a real server in replicator-cli/tests/live/regions/member.rs.
#[tokio::test]
async fn reader_gets_records_and_members_and_nothing_else() {
    let lab = Lab::new(EmbeddedGlance::builder().token("carol", Caller::reader("alpha")));
    let image = |id| active(id).visibility("shared");
    lab.glance.add_image(image(ONE).owner("alpha"));
    lab.glance
        .add_image(active(TWO).owner("beta").visibility("public"));
    for (method, path, status) in [
        ("GET", String::new(), 200),
        ("POST", String::new(), 403),
        ("GET", format!("/{ONE}"), 200),
        ("GET", format!("/{ONE}/members"), 200),
        ("GET", format!("/{ONE}/file"), 403),
        ("GET", format!("/{TWO}/file"), 403),
        ("POST", format!("/{ONE}/actions/deactivate"), 403),
        ("DELETE", format!("/{ONE}"), 403),
    ] {
        let path = format!("/v2/images{path}");
        let found = lab.status_as("carol", method, &path).await;
        assert_eq!(found, status, "{method} {path}");
    }
}

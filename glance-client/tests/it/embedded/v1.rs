//! Images v1, as the Glance of 2017 has it.

use glance_client::testing::{EmbeddedGlance, ImageSpec, Profile};
use reqwest::Client;
use serde_json::json;

use super::{Lab, active, bytes_of, json_of};
use crate::kit::{ONE, THREE, TWO};

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

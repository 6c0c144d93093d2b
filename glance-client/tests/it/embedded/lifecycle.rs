//! The server itself: its versions, its data of any size, its going away and its end.

use std::io::Write as _;
use std::net::TcpStream;

use glance_client::testing::{
    At, EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use serde_json::{Value, json};

use super::{Lab, active, json_of};
use crate::kit::{ONE, TWO};

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

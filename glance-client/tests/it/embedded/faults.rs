//! Faults on demand, rates and latency.

use std::time::{Duration, Instant};

use glance_client::testing::{At, EmbeddedGlance, FaultAction, FaultOn, ImageSpec, RequestKind};
use reqwest::Client;
use serde_json::json;

use super::{Lab, active, bytes_of};
use crate::kit::{ONE, TWO};

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

//! Uploads that are refused, stall or end badly.

use std::error::Error as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageContent, Profile, RequestKind,
};
use glance_client::{ErrorKind, GlanceClient, Upload};
use glance_model::ImageStatus;

use super::{config, start};
use crate::kit::{ONE, TWO, id, image};

fn endless_zeros() -> impl futures_util::Stream<Item = Result<Bytes, std::io::Error>> {
    stream::repeat_with(|| Ok(Bytes::from_static(&[0; 65536])))
}

#[tokio::test]
async fn an_upload_that_is_refused_early_says_why() {
    const LEN: u64 = 1 << 40;
    let glance = EmbeddedGlance::builder().size_cap(1000).start().await;
    let client = GlanceClient::connect(&config(&glance)).await.unwrap();
    let error = client
        .create_image(&image(LEN), Upload::new(Some(LEN), endless_zeros()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error:?}");
    assert_eq!(glance.image(ONE).unwrap().status, "queued");
}

#[tokio::test]
async fn an_upload_that_the_server_stops_taking_is_given_up() {
    const LEN: u64 = 1 << 40;
    for profile in [Profile::Today, Profile::V1Only] {
        let (glance, client) = start(profile).await;
        let on = FaultOn::kind(RequestKind::Upload);
        glance.fault(on, FaultAction::StallRequest(1_000_000, None));
        let started = Instant::now();
        let error = client
            .create_image(&image(LEN), Upload::new(Some(LEN), endless_zeros()))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Stalled, "{error:?}");
        assert!(started.elapsed() >= Duration::from_millis(300));
    }
}

#[tokio::test]
async fn a_source_that_pauses_is_not_a_server_that_stalls() {
    let (_glance, client) = start(Profile::Today).await;
    let slow = stream::iter([b"01234", b"56789"]).then(async |chunk| {
        tokio::time::sleep(Duration::from_millis(700)).await;
        Ok::<_, std::io::Error>(Bytes::from_static(chunk))
    });
    let written = client
        .create_image(&image(10), Upload::new(Some(10), slow.boxed()))
        .await;
    assert_eq!(written.unwrap().size, Some(10));
}

#[tokio::test]
async fn the_answer_to_an_upload_is_waited_for_longer_and_not_for_ever() {
    let (glance, client) = start(Profile::Today).await;
    let on = || FaultOn::kind(RequestKind::Upload).times(1);
    glance.fault(
        on(),
        FaultAction::StallRequest(0, Some(Duration::from_millis(450))),
    );
    let written = client
        .create_image(&image(1), Upload::from_bytes("x"))
        .await;
    assert_eq!(written.unwrap().status, ImageStatus::Active);
    glance.fault(on(), FaultAction::StallRequest(0, None));
    let mut other = image(1);
    other.id = id(TWO);
    let error = client
        .create_image(&other, Upload::from_bytes("x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unanswered);
    assert!(
        error.message().unwrap().contains("without an answer"),
        "{error}"
    );
}

#[tokio::test]
async fn an_upload_that_is_cut_leaves_a_record_that_can_be_filled() {
    let (glance, client) = start(Profile::Today).await;
    let data = ImageContent::pattern(1, 3_000_000).to_vec().unwrap();
    let image = image(data.len() as u64);
    let on = FaultOn::kind(RequestKind::Upload).times(1);
    glance.fault(on, FaultAction::CutRequest(100_000));
    let upload = || Upload::from_bytes(data.clone());
    let error = client.create_image(&image, upload()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error:?}");
    let written = client.upload(&image, upload()).await.unwrap();
    assert_eq!(written.status, ImageStatus::Active);
}

#[tokio::test]
async fn data_that_ends_badly_is_never_taken_for_whole() {
    #[derive(Debug, thiserror::Error)]
    #[error("the disk is on fire")]
    struct OnFire;
    let good = || Ok(Bytes::from_static(b"01234"));
    for (name, len, chunks, says) in [
        (
            "an error in the middle",
            10,
            vec![good(), Err(OnFire), good()],
            "fire",
        ),
        (
            "an error behind the last byte",
            10,
            vec![good(), good(), Err(OnFire)],
            "fire",
        ),
        ("an error and no bytes", 0, vec![Err(OnFire)], "fire"),
        ("too short", 15, vec![good(), good()], "shorter"),
        ("too long", 9, vec![good(), good()], "longer"),
        ("more than nothing", 0, vec![good()], "longer"),
    ] {
        for profile in [Profile::Today, Profile::V1Only] {
            let (glance, client) = start(profile).await;
            let upload = Upload::new(
                Some(len),
                stream::iter(
                    chunks
                        .iter()
                        .map(|c| match c {
                            Ok(chunk) => Ok(chunk.clone()),
                            Err(OnFire) => Err(OnFire),
                        })
                        .collect::<Vec<_>>(),
                ),
            );
            let error = client.create_image(&image(len), upload).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UploadSource, "{name}: {error:?}");
            let source = error.into_source().unwrap();
            assert!(source.to_string().contains(says), "{name}: {source}");
            let is_active = |glance: &EmbeddedGlance| {
                glance
                    .image(ONE)
                    .is_some_and(|image| image.status == "active")
            };
            let until = Instant::now() + Duration::from_secs(5);
            while glance
                .image(ONE)
                .is_some_and(|image| image.status == "saving")
            {
                assert!(Instant::now() < until, "{name}: still saving");
                tokio::task::yield_now().await;
            }
            assert!(!is_active(&glance), "{name}");
        }
    }
}

#[tokio::test]
async fn what_no_header_can_hold_is_not_sent() {
    let (glance, client) = start(Profile::V1Only).await;
    glance.clear_requests();
    let mut image = image(1);
    image.name = Some("two\nlines".into());
    let error = client
        .create_image(&image, Upload::from_bytes("x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidRequest);
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("x-image-meta-name")
    );
    let error = client.upload(&image, Upload::from_bytes("x")).await;
    let path = format!("/v1/images/{ONE}");
    assert!(error.unwrap_err().url().ends_with(&path), "it is blamed");
    assert_eq!(glance.total_requests(), 0);
}

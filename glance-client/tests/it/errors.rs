//! What goes wrong, and what is said of it.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::error::Error as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use glance_client::testing::{
    At, Caller, EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use glance_client::{
    ApiChoice, AuthToken, ClientConfig, Endpoint, Error, ErrorKind, GlanceClient, TokenError,
    TokenSource, Upload,
};
use glance_model::{ImageId, ImageMetadata, ImageStatus};
use serde_json::json;

const ONE: &str = "11111111-1111-4111-8111-111111111111";
const TWO: &str = "22222222-2222-4222-8222-222222222222";

fn id(text: &str) -> ImageId {
    ImageId::parse(text).unwrap()
}

fn config(glance: &EmbeddedGlance) -> ClientConfig {
    let mut config = ClientConfig::new(Endpoint::parse(glance.url()).unwrap());
    config.stall_timeout = Duration::from_millis(300);
    config.answer_timeout = Duration::from_millis(600);
    config
}

async fn start(profile: Profile) -> (EmbeddedGlance, GlanceClient) {
    let glance = EmbeddedGlance::builder().profile(profile).start().await;
    let client = GlanceClient::connect(&config(&glance)).await.unwrap();
    (glance, client)
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> FaultAction {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    FaultAction::Answer {
        status,
        headers: headers.iter().map(owned).collect(),
        body: body.into(),
    }
}

fn image(len: u64) -> ImageMetadata {
    let mut image = ImageMetadata::new(id(ONE), ImageStatus::Active);
    image.disk_format = Some("raw".into());
    image.container_format = Some("bare".into());
    image.size = Some(len);
    image
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let (glance, client) = start(Profile::Today).await;
    let elsewhere = "https://elsewhere.example/v2/images";
    let moved = answer(301, &[("location", elsewhere)], "");
    glance.fault(FaultOn::any(), moved);
    let error = client.find_image(&id(ONE)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotGlance);
    let said = format!("it redirects to {elsewhere}, and is not followed");
    assert_eq!(error.message(), Some(&*said));
}

#[tokio::test]
async fn every_status_has_its_kind() {
    use ErrorKind as K;
    let (glance, client) = start(Profile::Today).await;
    for (status, kind) in [
        (302, K::NotGlance),
        (300, K::NotGlance),
        (400, K::Rejected),
        (401, K::Unauthorized),
        (403, K::Forbidden),
        (404, K::NotFound),
        (405, K::Rejected),
        (408, K::Stalled),
        (409, K::Conflict),
        (410, K::Gone),
        (413, K::TooLarge),
        (415, K::UnsupportedContent),
        (429, K::RateLimited),
        (500, K::Server),
        (503, K::Server),
    ] {
        let body = json!({"message": "a reason<br /><br />\n\n", "code": "x", "title": "y"});
        let headers = [
            ("retry-after", "7"),
            ("location", "http://127.0.0.1:1/elsewhere"),
        ];
        glance.clear_faults();
        glance.fault(FaultOn::any(), answer(status, &headers, body.to_string()));
        let error = client.download(&id(ONE), 0).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{status}");
        assert_eq!(error.status().unwrap().as_u16(), status);
        assert_eq!(error.method().as_str(), "GET");
        assert_eq!(
            error.url(),
            format!("{}/v2/images/{ONE}/file", glance.url())
        );
        let request_id = error.request_id().unwrap();
        assert!(request_id.starts_with("req-"), "{request_id}");
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        let text = error.to_string();
        assert!(
            text.starts_with(&format!("GET {}: {status} ", error.url())),
            "{text}"
        );
        if status >= 400 {
            let end = format!(": a reason (request {request_id})");
            assert!(text.ends_with(&end), "{text}");
        }
    }
}

#[tokio::test]
async fn a_taken_id_differs_from_other_conflicts() {
    for profile in [Profile::Today, Profile::V1Only] {
        let (glance, client) = start(profile).await;
        glance.add_image(ImageSpec::new(ONE).data(ImageContent::bytes(&b"x"[..])));
        let error = client.create_record(&image(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DuplicateId);
        let message = error.message().unwrap();
        assert!(
            message.contains(ONE) && message.contains("already exists"),
            "{message}"
        );
        let error = client
            .upload(&image(1), Upload::from_bytes("x"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
    }
}

#[tokio::test]
async fn what_is_no_glance_is_said_to_be_none() {
    let glance = EmbeddedGlance::builder().start().await;
    for (name, action) in [
        (
            "a web page",
            FaultAction::html("<html><title>Welcome</title></html>"),
        ),
        ("nothing", FaultAction::status(404)),
        ("other JSON", FaultAction::json(&json!({"hello": "world"}))),
        ("no versions", FaultAction::json(&json!({"versions": []}))),
        (
            "v3 alone",
            FaultAction::json(&json!({"versions": [{"id": "v3.0"}]})),
        ),
        ("a redirect", answer(301, &[("location", "/login")], "")),
        (
            "no HTTP",
            FaultAction::Raw("SSH-2.0-OpenSSH_9.9\r\n".into()),
        ),
    ] {
        glance.clear_faults();
        glance.fault(FaultOn::any(), action);
        let error = GlanceClient::connect(&config(&glance)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotGlance, "{name}: {error}");
        assert!(error.to_string().contains(glance.url()), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_version_that_is_not_offered_is_an_error() {
    for (profile, api) in [
        (Profile::Today, ApiChoice::V1),
        (Profile::V1Only, ApiChoice::V2),
    ] {
        let glance = EmbeddedGlance::builder().profile(profile).start().await;
        let error = GlanceClient::connect(&config(&glance).with_api(api))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotGlance);
        assert!(
            error.message().unwrap().contains("among its versions: v"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn a_server_that_is_down_cannot_be_reached() {
    let glance = EmbeddedGlance::builder().start().await;
    let mut config = config(&glance);
    config.listing_retries = 5;
    drop(glance);
    let started = Instant::now();
    let error = GlanceClient::connect(&config).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    assert!(error.source().is_some());
    assert!(
        started.elapsed() < Duration::from_millis(900),
        "given up at once"
    );
}

#[tokio::test]
async fn a_connection_that_closes_once_is_opened_again() {
    for action in [FaultAction::Close, FaultAction::Reset] {
        let (glance, client) = start(Profile::Today).await;
        glance.add_image(ImageSpec::new(ONE));
        glance.fault(FaultOn::any().times(1), action.clone());
        assert!(client.find_image(&id(ONE)).await.unwrap().is_some());
        glance.fault(FaultOn::any(), action);
        let error = client.find_image(&id(ONE)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Disconnected, "{error:?}");
    }
}

#[tokio::test]
async fn a_creation_is_never_sent_twice() {
    let (glance, client) = start(Profile::Today).await;
    glance.clear_requests();
    glance.fault(FaultOn::any().times(1), FaultAction::LoseAnswer);
    let error = client.create_record(&image(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Disconnected, "{error:?}");
    assert_eq!(glance.total_requests(), 1);
    assert_eq!(glance.image(ONE).unwrap().status, "queued");
}

#[tokio::test]
async fn an_answer_that_stalls_is_given_up() {
    let (glance, client) = start(Profile::Today).await;
    glance.add_image(ImageSpec::new(ONE).data(ImageContent::zeros(1000)));
    glance.fault(
        FaultOn::kind(RequestKind::Listing),
        FaultAction::StallResponse(At::Byte(5), None),
    );
    let listed: Result<Vec<_>, _> = client.images().try_collect().await;
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::Stalled);
    glance.fault(
        FaultOn::kind(RequestKind::Download),
        FaultAction::StallResponse(At::Byte(5), None),
    );
    let data = client.download(&id(ONE), 0).await.unwrap().unwrap();
    let read: Result<Vec<_>, _> = data.chunks.try_collect().await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Stalled);
}

#[tokio::test]
async fn a_reader_that_takes_a_rest_is_not_a_server_that_stalls() {
    const LEN: u64 = 8 << 20;
    let (glance, client) = start(Profile::Today).await;
    glance.add_image(ImageSpec::new(ONE).data(ImageContent::zeros(LEN)));
    let mut data = client.download(&id(ONE), 0).await.unwrap().unwrap();
    let first = data.chunks.next().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(450)).await;
    let rest: Vec<_> = data.chunks.try_collect().await.unwrap();
    let rest: usize = rest.iter().map(Bytes::len).sum();
    assert_eq!((first.len() + rest) as u64, LEN);
}

#[tokio::test]
async fn an_answer_that_drips_is_given_up() {
    let (glance, client) = start(Profile::Today).await;
    glance.add_image(ImageSpec::new(ONE).data(ImageContent::zeros(1000)));
    for kind in [RequestKind::Listing, RequestKind::Download] {
        glance.fault(FaultOn::kind(kind), FaultAction::ThrottleResponse(20));
    }
    let listed: Result<Vec<_>, _> = client.images().try_collect().await;
    let error = listed.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Stalled);
    assert!(error.to_string().contains("bytes came in"), "{error}");
    let data = client.download(&id(ONE), 0).await.unwrap().unwrap();
    let read: Result<Vec<_>, _> = data.chunks.try_collect().await;
    assert_eq!(read.unwrap_err().kind(), ErrorKind::Stalled);
}

async fn listing_error(client: &GlanceClient) -> Error {
    let mut images = client.images();
    let error = loop {
        match images.next().await.unwrap() {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(
        images.next().await.is_none(),
        "after an error the stream ends"
    );
    error
}

#[tokio::test]
async fn a_listing_that_cannot_be_right_is_an_error() {
    let record = |id: &str| json!({"id": id, "status": "active"});
    for (name, action) in [
        ("a page of HTML", FaultAction::html("<html>")),
        ("cut JSON", answer(200, &[], r#"{"images": [{"id": ""#)),
        ("a list", FaultAction::json(&json!([]))),
        ("without images", FaultAction::json(&json!({"next": "x"}))),
        (
            "out of order",
            FaultAction::json(&json!({"images": [record(TWO), record(ONE)]})),
        ),
        (
            "a page that repeats for ever",
            FaultAction::json(&json!({"images": [record(ONE), record(TWO)], "next": "x"})),
        ),
    ] {
        for profile in [Profile::Today, Profile::V1Only] {
            let (glance, client) = start(profile).await;
            glance.fault(FaultOn::kind(RequestKind::Listing), action.clone());
            let error = listing_error(&client).await;
            assert_eq!(error.kind(), ErrorKind::InvalidAnswer, "{name}: {error:?}");
            let url = format!("{}/v", glance.url());
            assert!(error.to_string().contains(&url), "{name}: {error}");
            assert!(glance.total_requests() < 10, "{name}");
        }
    }
}

#[tokio::test]
async fn pages_and_errors_are_read_up_to_a_limit() {
    let (glance, client) = start(Profile::Today).await;
    let endless = |head: &str| FaultAction::RawForever {
        start: format!("HTTP/1.1 {head}\r\n\r\n").into(),
        repeated: Bytes::from(vec![b' '; 65536]),
    };
    glance.fault(
        FaultOn::kind(RequestKind::Listing).times(10),
        endless("200 OK"),
    );
    let error = listing_error(&client).await;
    assert_eq!(error.kind(), ErrorKind::TooLong, "{error:?}");
    glance.fault(FaultOn::any().times(1), endless("502 Bad Gateway"));
    let error = client.find_image(&id(ONE)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server, "{error:?}");
    assert!(error.to_string().len() < 4000);
    for repeated in ["x-filler: x\r\n", "x"] {
        let repeated = Bytes::from(repeated.repeat(5000));
        let start = "HTTP/1.1 200 OK\r\nx-a: ".into();
        let headers = FaultAction::RawForever { start, repeated };
        glance.fault(FaultOn::any().times(1), headers);
        let error = client.find_image(&id(ONE)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidAnswer, "{error:?}");
    }
}

#[tokio::test]
async fn a_header_that_is_not_utf_8_is_read_with_replacements() {
    let (glance, client) = start(Profile::V1Only).await;
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nX-Image-Meta-Id: {ONE}\r\n\
         X-Image-Meta-Status: active\r\nX-Image-Meta-Name: gr"
    );
    let raw = [head.as_bytes(), b"\xfcn\r\n\r\n"].concat();
    glance.fault(FaultOn::any(), FaultAction::Raw(raw.into()));
    let found = client.find_image(&id(ONE)).await.unwrap().unwrap();
    assert_eq!(found.name.as_deref(), Some("gr\u{fffd}n"));
}

/// v1 answers with such headers for properties that came through v2.
#[tokio::test]
async fn headers_that_are_none_do_no_harm() {
    let (glance, client) = start(Profile::V1Only).await;
    let raw = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Image-Meta-Id: {ONE}\r\n\
         X-Image-Meta-Property-Two: one\r\n or two\r\nlines\r\n\
         X-Image-Meta-Property-With blank: x\r\nX-Image-Meta-Status: active\r\n\
         X-Image-Meta-Size: 5\r\nX-Image-Meta-Is_public: False\r\n\
         X-Image-Meta-Updated_at: 2026-11-26T19:54:14\r\n\r\n01234"
    );
    glance.fault(FaultOn::any(), FaultAction::Raw(raw.into()));
    let found = client.find_image(&id(ONE)).await.unwrap().unwrap();
    assert_eq!(found.status, ImageStatus::Active);
    let data = client.download(&id(ONE), 0).await.unwrap().unwrap();
    let chunks: Vec<Bytes> = data.chunks.try_collect().await.unwrap();
    assert_eq!(chunks.concat(), b"01234");
}

/// As Glance 15.0.2 answers for a property that came through v2.
#[tokio::test]
async fn headers_that_a_property_ends_are_told_and_their_rest_is_not_taken_for_data() {
    let (glance, client) = start(Profile::V1Only).await;
    let raw = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Image-Meta-Status: active\r\n\
         X-Image-Meta-Property-One: a\n\nb\r\nX-Image-Meta-Id: {ONE}\r\n\
         X-Image-Meta-Size: 5\r\n\r\n01234"
    );
    glance.fault(FaultOn::any(), FaultAction::Raw(raw.into()));
    let error = client.download(&id(ONE), 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidAnswer);
    assert!(
        error.to_string().contains("an empty line in its value"),
        "{error}"
    );
}

#[tokio::test]
async fn an_image_of_more_properties_than_any_has_is_read_through_v1() {
    let (glance, client) = start(Profile::V1Only).await;
    let image = ImageSpec::new(ONE).data(ImageContent::pattern(1, 10));
    let image = (0..1000).fold(image, |image, number| {
        image.property(&format!("property_{number}"), "some value or other")
    });
    glance.add_image(image);
    let found = client.find_image(&id(ONE)).await.unwrap().unwrap();
    assert_eq!(found.properties.len(), 1000);
    let data = client.download(&id(ONE), 0).await.unwrap().unwrap();
    assert_eq!(data.len_bytes, Some(10));
}

#[tokio::test]
async fn an_answer_about_another_image_is_an_error() {
    let (glance, client) = start(Profile::Today).await;
    glance.fault(
        FaultOn::any(),
        FaultAction::json(&json!({"id": TWO, "status": "active"})),
    );
    let error = client.find_image(&id(ONE)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidAnswer);
}

#[tokio::test]
async fn a_download_that_is_cut_ends_in_an_error() {
    for profile in [Profile::Today, Profile::V1Only] {
        let (glance, client) = start(profile).await;
        glance.add_image(ImageSpec::new(ONE).data(ImageContent::pattern(1, 300_000)));
        glance.fault(
            FaultOn::kind(RequestKind::Download),
            FaultAction::CutResponse(At::Percent(50)),
        );
        let mut data = client.download(&id(ONE), 0).await.unwrap().unwrap();
        assert_eq!(data.len_bytes, Some(300_000));
        let mut seen = 0;
        let error = loop {
            match data.chunks.next().await.unwrap() {
                Ok(chunk) => seen += chunk.len(),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::BrokenBody, "{error:?}");
        assert!(seen <= 150_000, "{seen}");
        assert!(data.chunks.next().await.is_none());
    }
}

#[tokio::test]
async fn data_that_is_gone_from_the_store_is_none() {
    let (glance, client) = start(Profile::Today).await;
    glance.add_image(ImageSpec::new(ONE).data_gone(1000));
    assert!(client.download(&id(ONE), 0).await.unwrap().is_none());
    let error = client.download(&id(TWO), 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_partial_answer_that_begins_elsewhere_is_an_error() {
    let (glance, client) = start(Profile::Today).await;
    for range in ["bytes 0-9/10", "bytes */10", "nonsense"] {
        glance.clear_faults();
        glance.fault(
            FaultOn::any(),
            answer(206, &[("content-range", range)], "01234"),
        );
        let error = client.download(&id(ONE), 5).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidAnswer, "{range}");
    }
}

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
    assert_eq!(glance.total_requests(), 0);
}

/// Gives out one token after the other.
#[derive(Default)]
struct Tokens {
    current: Mutex<usize>,
    renewed: AtomicUsize,
    lives: Mutex<Vec<Duration>>,
    is_broken: bool,
}

impl Tokens {
    fn nth(number: usize) -> AuthToken {
        AuthToken::new(&format!("secret-{number}")).unwrap()
    }
}

#[async_trait::async_trait]
impl TokenSource for Tokens {
    async fn token(&self, life: Duration) -> Result<AuthToken, TokenError> {
        self.lives.lock().unwrap().push(life);
        Ok(Self::nth(*self.current.lock().unwrap()))
    }

    async fn renew(&self, rejected: &AuthToken) -> Result<Option<AuthToken>, TokenError> {
        if self.is_broken {
            let (kind, source) = (ErrorKind::Connect, "Keystone is away".into());
            return Err(TokenError { kind, source });
        }
        let mut current = self.current.lock().unwrap();
        if Self::nth(*current) == *rejected {
            *current += 1;
            self.renewed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Some(Self::nth(*current)))
    }
}

#[tokio::test]
async fn an_upload_whose_token_is_rejected_may_be_sent_again_with_a_new_one() {
    let glance = EmbeddedGlance::builder()
        .token("secret-0", Caller::admin())
        .start()
        .await;
    let tokens = std::sync::Arc::new(Tokens::default());
    let mut config = config(&glance);
    config.tokens = Some(tokens.clone());
    let client = GlanceClient::connect(&config).await.unwrap();
    client.create_record(&image(1)).await.unwrap();
    glance.revoke_token("secret-0");
    glance.add_token("secret-1", Caller::admin());
    let error = client
        .upload(&image(1), Upload::from_bytes("x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.is_transient());
    let uploaded = client.upload(&image(1), Upload::from_bytes("x")).await;
    assert!(uploaded.unwrap().is_active());
    let lives = tokens.lives.lock().unwrap();
    assert_eq!(lives.iter().max(), Some(&Duration::from_secs(300)));
    assert_eq!(lives.iter().min(), Some(&Duration::ZERO));
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_told_with_its_reason() {
    let glance = EmbeddedGlance::builder()
        .token("secret-1", Caller::admin())
        .start()
        .await;
    let mut config = config(&glance);
    config.tokens = Some(std::sync::Arc::new(Tokens {
        is_broken: true,
        ..Tokens::default()
    }));
    let client = GlanceClient::connect(&config).await.unwrap();
    let error = client.find_image(&id(ONE)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(error.source().unwrap().to_string(), "Keystone is away");
}

#[tokio::test]
async fn a_rejected_token_is_renewed_once_and_never_shows() {
    let glance = EmbeddedGlance::builder()
        .token("secret-1", Caller::admin())
        .start()
        .await;
    glance.add_image(ImageSpec::new(ONE));
    let tokens = std::sync::Arc::new(Tokens::default());
    let mut config = config(&glance);
    config.tokens = Some(tokens.clone());
    let client = GlanceClient::connect(&config).await.unwrap();
    assert!(client.find_image(&id(ONE)).await.unwrap().is_some());
    assert_eq!(tokens.renewed.load(Ordering::Relaxed), 1);

    glance.revoke_token("secret-1");
    glance.clear_requests();
    let error = client.find_image(&id(ONE)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(glance.total_requests(), 2, "once more, with the new token");
    for text in [
        format!("{error} {error:?}"),
        format!("{client:?} {config:?}"),
    ] {
        assert!(!text.contains("secret"), "{text}");
    }
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_request_is_one_line_in_the_log_and_the_token_is_in_none() {
    let glance = EmbeddedGlance::builder()
        .token("secret-1", Caller::admin())
        .start()
        .await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let config = config(&glance).with_token(AuthToken::new("secret-1").unwrap());
    let client = GlanceClient::connect(&config).await.unwrap();
    client
        .create_image(&image(1), Upload::from_bytes("x"))
        .await
        .unwrap();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("secret"), "{text}");
    let ours: Vec<_> = text
        .lines()
        .filter(|line| line.contains(" DEBUG glance_client"))
        .collect();
    assert_eq!(ours.len(), 4, "{ours:?}");
    let put = format!(
        "method=PUT url=\"{}/v2/images/{ONE}/file\" status=204",
        glance.url()
    );
    assert!(
        ours[2].contains(&put) && ours[2].contains("req-"),
        "{}",
        ours[2]
    );
}

mod ports {
    //! What a use case is told.

    use super::*;
    use glance_client::GlanceEnd;
    use glance_model::Omit;
    use replicator_core::{FailureKind, ImageData, ImageSource as _, ImageTarget as _, PortError};

    async fn start_end(profile: Profile) -> (EmbeddedGlance, GlanceEnd) {
        let (glance, client) = start(profile).await;
        (glance, client.into())
    }

    #[tokio::test]
    async fn failures_are_told_apart_by_what_can_be_done() {
        use FailureKind as K;
        let retry_after = Some(Duration::from_secs(2));
        let (glance, end) = start_end(Profile::Today).await;
        for (name, action, kind) in [
            (
                "429",
                FaultAction::retry_after(429, 2),
                K::Transient { retry_after },
            ),
            (
                "503",
                FaultAction::retry_after(503, 2),
                K::Transient { retry_after },
            ),
            (
                "500",
                FaultAction::status(500),
                K::Transient { retry_after: None },
            ),
            (
                "408",
                FaultAction::status(408),
                K::Transient { retry_after: None },
            ),
            (
                "closed",
                FaultAction::Close,
                K::Transient { retry_after: None },
            ),
            ("501", FaultAction::status(501), K::Refused),
            ("300", FaultAction::status(300), K::Refused),
            ("html", FaultAction::html("<html>"), K::Refused),
            ("401", FaultAction::status(401), K::Denied),
            ("403", FaultAction::status(403), K::Denied),
            ("400", FaultAction::status(400), K::Refused),
            ("413", FaultAction::status(413), K::Refused),
        ] {
            glance.clear_faults();
            glance.fault(FaultOn::any(), action);
            let error = end.find_image(&id(ONE)).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{name}: {error:?}");
        }
    }

    #[tokio::test]
    async fn cut_data_may_be_read_again() {
        let (glance, end) = start_end(Profile::Today).await;
        glance.add_image(ImageSpec::new(ONE).data(ImageContent::zeros(1000)));
        let on = FaultOn::kind(RequestKind::Download);
        glance.fault(on, FaultAction::CutResponse(At::Byte(10)));
        let data = end.image_data(&id(ONE), 0).await.unwrap();
        let read: Result<Vec<_>, _> = data.unwrap().chunks.try_collect().await;
        assert!(read.unwrap_err().is_transient());
    }

    #[tokio::test]
    async fn the_error_of_the_data_comes_back_as_it_was() {
        let (_glance, end) = start_end(Profile::Today).await;
        let data = ImageData::new(Some(10), stream::iter([Err(PortError::Cancelled)]));
        let error = end.write_image(&image(10), None, data).await.unwrap_err();
        assert!(matches!(error, PortError::Cancelled), "{error:?}");
    }

    /// A try before this one may have left its record.
    #[tokio::test]
    async fn a_record_whose_data_never_came_is_filled() {
        let (glance, end) = start_end(Profile::Today).await;
        glance.add_image(ImageSpec::new(ONE).name("old").property("kept", "1"));
        let mut image = image(1);
        image.name = Some("new".into());
        let data = ImageData::from_bytes("x");
        let written = end.write_image(&image, None, data).await.unwrap();
        assert!(written.is_active());
        assert_eq!(written.name.as_deref(), Some("new"));
    }

    /// Glance of 2017 would take both, and leave the image in `saving` for ever.
    #[tokio::test]
    async fn a_record_of_v1_takes_no_data_while_somebody_else_sends_some() {
        let (glance, end) = start_end(Profile::V1Only).await;
        glance.add_image(ImageSpec::new(ONE));
        let image = image(2);
        let queued = end.find_image(&id(ONE)).await.unwrap();
        let (finish, finished) = tokio::sync::oneshot::channel();
        let last = async { finished.await.map(|()| Bytes::from("b")) };
        let data = stream::iter([Ok(Bytes::from("a"))]).chain(stream::once(last));
        let theirs = end.client().upload(&image, Upload::new(Some(2), data));
        let ours = async {
            let data = ImageData::from_bytes("ab");
            let error = end
                .write_image(&image, queued.as_ref(), data)
                .await
                .unwrap_err();
            assert!(matches!(error, PortError::Busy { .. }), "{error:?}");
            finish.send(()).unwrap();
        };
        let (theirs, ()) = futures_util::future::join(theirs, ours).await;
        assert!(theirs.unwrap().is_active());
        assert_eq!(glance.count(RequestKind::Upload), 1);
    }

    #[tokio::test]
    async fn a_burnt_or_invisible_id_already_exists() {
        let (glance, end) = start_end(Profile::Today).await;
        glance.burn(ONE);
        let data = ImageData::from_bytes("x");
        let error = end.write_image(&image(1), None, data).await.unwrap_err();
        assert!(
            matches!(error, PortError::AlreadyExists { .. }),
            "{error:?}"
        );
    }

    #[tokio::test]
    async fn an_image_is_published_only_by_the_caller() {
        let (glance, end) = start_end(Profile::Today).await;
        let mut image = image(1);
        image.visibility = Some(glance_model::Visibility::Public);
        image.protected = Some(true);
        image.hidden = Some(true);
        let data = ImageData::from_bytes("x");
        let written = end.write_image(&image, None, data).await.unwrap();
        let view = glance.image(ONE).unwrap();
        for (name, value) in [
            ("visibility", json!("private")),
            ("protected", json!(false)),
            ("os_hidden", json!(false)),
        ] {
            assert_eq!(view.field(name), Some(&value), "{name}");
        }
        let filter = Omit::default();
        let diff = glance_model::MetadataDiff::between(&image, &written, &filter);
        let published = end.update_metadata(&written, &diff).await.unwrap();
        assert_eq!(published.visibility, image.visibility);
        assert_eq!(
            (published.protected, published.hidden),
            (Some(true), Some(true))
        );
    }
}

//! Answers that are refusals, or not what was asked for.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use glance_client::{ApiChoice, Error, ErrorKind, GlanceClient, Upload};
use glance_model::ImageStatus;
use serde_json::json;

use super::{answer, config, start};
use crate::kit::{ONE, TWO, id, image};

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
        // Of each of two queries.
        FaultOn::kind(RequestKind::Listing).times(20),
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

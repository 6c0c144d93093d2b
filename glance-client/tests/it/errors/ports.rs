//! Failures as the ports of the replicator tell them.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use glance_client::testing::{
    At, EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use glance_client::{GlanceEnd, Upload};
use glance_model::Omit;
use replicator_core::{FailureKind, ImageData, ImageSource as _, ImageTarget as _, PortError};
use serde_json::json;

use super::start;
use crate::kit::{ONE, id, image};

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

//! Connections that fail, close or stall.

use std::error::Error as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};
use glance_client::testing::{
    At, EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, Profile, RequestKind,
};
use glance_client::{ErrorKind, GlanceClient};

use super::{config, start};
use crate::kit::{ONE, id, image};

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

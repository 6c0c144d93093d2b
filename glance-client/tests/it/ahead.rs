//! The first page of a listing, which is asked for before it is known what the server is.

use futures_util::TryStreamExt as _;
use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageSpec, Profile, RequestKind,
};
use glance_client::{ApiChoice, ClientConfig, ErrorKind, GlanceClient};

use crate::kit::{self, ONE, TWO};

async fn start(profile: Profile) -> (EmbeddedGlance, ClientConfig) {
    let builder = EmbeddedGlance::builder().profile(profile).page_size(1000);
    let glance = builder.start().await;
    for id in [ONE, TWO] {
        glance.add_image(ImageSpec::new(id));
    }
    let mut config = kit::config(&glance);
    config.lists_all_first = true;
    (glance, config)
}

#[tokio::test]
async fn a_server_of_today_is_asked_once() {
    let (glance, config) = start(Profile::Today).await;
    let client = GlanceClient::connect(&config).await.unwrap();
    let images: Vec<_> = client.images().try_collect().await.unwrap();
    assert_eq!(images.len(), 2);
    assert_eq!(glance.count(RequestKind::Listing), 2, "and the hidden ones");
    assert_eq!(glance.total_requests(), 3, "and the versions");
    // What is asked later is answered as it is then.
    glance.add_image(ImageSpec::new(kit::THREE));
    let images: Vec<_> = client.images().try_collect().await.unwrap();
    assert_eq!(images.len(), 3);
}

#[tokio::test]
async fn any_other_server_answers_as_if_nothing_had_been_asked() {
    for (profile, api) in [
        (Profile::Legacy, ApiChoice::Auto),
        (Profile::Legacy, ApiChoice::V1),
        (Profile::V1Only, ApiChoice::Auto),
    ] {
        let (_glance, config) = start(profile).await;
        let client = GlanceClient::connect(&config.with_api(api)).await.unwrap();
        let images: Vec<_> = client.images().try_collect().await.unwrap();
        assert_eq!(images.len(), 2, "{profile:?}, {api:?}");
    }
}

#[tokio::test]
async fn a_listing_that_failed_ahead_has_failed() {
    let (glance, config) = start(Profile::Today).await;
    let refused = FaultAction::status(403);
    glance.fault(FaultOn::kind(RequestKind::Listing), refused);
    let client = GlanceClient::connect(&config).await.unwrap();
    let listed = client.images().try_collect::<Vec<_>>().await;
    assert_eq!(listed.unwrap_err().kind(), ErrorKind::Forbidden);
    assert_eq!(glance.count(RequestKind::Listing), 2, "it is asked once");
}

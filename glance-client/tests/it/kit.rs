//! The kit of the tests: ids, images, and clients of embedded servers.
#![expect(clippy::unwrap_used, reason = "test helpers")]

pub(crate) mod behaviour;

use glance_client::testing::{EmbeddedGlance, EmbeddedGlanceBuilder};
use glance_client::{ClientConfig, Endpoint, GlanceClient};
use glance_model::{ImageId, ImageMetadata, ImageStatus};

pub(crate) const ONE: &str = "11111111-1111-4111-8111-111111111111";
pub(crate) const TWO: &str = "22222222-2222-4222-8222-222222222222";
pub(crate) const THREE: &str = "33333333-3333-4333-8333-333333333333";

pub(crate) fn id(text: &str) -> ImageId {
    ImageId::parse(text).unwrap()
}

/// Image [`ONE`], of this length and of formats that take any data.
pub(crate) fn image(len: u64) -> ImageMetadata {
    let mut image = ImageMetadata::new(id(ONE), ImageStatus::Active);
    image.disk_format = Some("raw".into());
    image.container_format = Some("bare".into());
    image.size = Some(len);
    image
}

pub(crate) fn config(glance: &EmbeddedGlance) -> ClientConfig {
    ClientConfig::new(Endpoint::parse(glance.url()).unwrap())
}

/// Starts a server and connects to it; the requests for that are not counted.
pub(crate) async fn start(builder: EmbeddedGlanceBuilder) -> (EmbeddedGlance, GlanceClient) {
    let glance = builder.start().await;
    let client = GlanceClient::connect(&config(&glance)).await.unwrap();
    glance.clear_requests();
    (glance, client)
}

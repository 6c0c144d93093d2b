//! Errors: each failure has its kind and its words.
#![expect(clippy::unwrap_used, reason = "test helpers")]

mod connections;
mod downloads;
mod ports;
mod statuses;
mod tokens;
mod uploads;

use std::time::Duration;

use bytes::Bytes;
use glance_client::testing::{EmbeddedGlance, FaultAction, Profile};
use glance_client::{ClientConfig, Endpoint, GlanceClient};
use glance_model::{ImageId, ImageMetadata, ImageStatus};

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

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
use glance_client::{ClientConfig, GlanceClient};

use crate::kit;

/// The settings of a client that waits for no more than some hundred milliseconds.
fn config(glance: &EmbeddedGlance) -> ClientConfig {
    let mut config = kit::config(glance);
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

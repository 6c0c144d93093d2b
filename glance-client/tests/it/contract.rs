//! The client keeps its contract on the embedded Glance, as it does on real ones
//! (`tests/live`).

use glance_client::testing::{EmbeddedGlance, EmbeddedGlanceBuilder, Profile, RangeSupport};
use glance_client::{ApiChoice, GlanceEnd};
use replicator_core::testing::contract;

use crate::kit::behaviour::{self, Server};

async fn holds_on(builder: EmbeddedGlanceBuilder, api: ApiChoice) {
    let glance = builder.start().await;
    let url = glance.url().to_owned();
    behaviour::holds_on(&Server { url, api }).await;
}

#[tokio::test]
async fn todays_glance() {
    holds_on(EmbeddedGlance::builder(), ApiChoice::Auto).await;
}

#[tokio::test]
async fn a_server_that_closes_each_connection() {
    let builder = EmbeddedGlance::builder().without_keep_alive();
    holds_on(builder, ApiChoice::Auto).await;
}

#[tokio::test]
async fn v2_of_2017() {
    let builder = EmbeddedGlance::builder().profile(Profile::Legacy);
    holds_on(builder, ApiChoice::Auto).await;
}

#[tokio::test]
async fn v1_of_2017() {
    let builder = EmbeddedGlance::builder().profile(Profile::Legacy);
    holds_on(builder, ApiChoice::V1).await;
}

#[tokio::test]
async fn v1_alone() {
    let builder = EmbeddedGlance::builder().profile(Profile::V1Only);
    holds_on(builder, ApiChoice::Auto).await;
}

#[tokio::test]
async fn v1_beside_v2() {
    let builder = EmbeddedGlance::builder().profile(Profile::Legacy);
    let glance = builder.start().await;
    behaviour::what_v2_wrote_is_read_through_v1(glance.url()).await;
}

/// No real server of the lab has such a store.
#[tokio::test]
async fn a_store_that_cannot_start_in_the_middle() {
    for range in [RangeSupport::Refused, RangeSupport::Ignored] {
        let glance = EmbeddedGlance::builder().range(range).start().await;
        let url = glance.url().to_owned();
        let api = ApiChoice::Auto;
        let client = Server { url, api }.client().await;
        contract::target(&GlanceEnd::new(client)).await;
    }
}

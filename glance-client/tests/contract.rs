//! `GlanceClient` honours the contract of sources and targets on every Glance.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use glance_client::testing::{EmbeddedGlance, EmbeddedGlanceBuilder, Profile, RangeSupport};
use glance_client::{ApiChoice, ClientConfig, Endpoint, GlanceClient};
use replicator_core::testing::contract::{self, BrokenWrite};

async fn client_of(glance: &EmbeddedGlance, api: ApiChoice) -> GlanceClient {
    let config = ClientConfig::new(Endpoint::parse(glance.host_port()).unwrap()).with_api(api);
    GlanceClient::connect(&config).await.unwrap()
}

async fn honours(builder: EmbeddedGlanceBuilder, api: ApiChoice) {
    let glance = builder.start().await;
    let client = client_of(&glance, api).await;
    contract::target(&client, BrokenWrite::CanBeRepeated).await;
}

/// Everything but `updated_metadata_is_equal`: HEAD, by which v1 shows one image,
/// leaves null properties out.
async fn honours_as_v1_can(builder: EmbeddedGlanceBuilder, api: ApiChoice) {
    let glance = builder.start().await;
    let client = client_of(&glance, api).await;
    contract::written_image_reads_back(&client).await;
    contract::empty_image_is_active(&client).await;
    contract::data_is_read_from_an_offset(&client).await;
    contract::images_are_listed_once_and_in_order(&client).await;
    contract::taken_id_is_refused(&client).await;
    contract::unknown_image_is_not_found(&client).await;
    contract::record_has_no_data_and_takes_it_later(&client).await;
    contract::broken_data_leaves_no_image(&client, BrokenWrite::BurnsTheId).await;
    contract::dropped_write_leaves_no_image(&client).await;
}

#[tokio::test]
async fn todays_glance() {
    let builder = EmbeddedGlance::builder();
    honours(builder, ApiChoice::Auto).await;
}

#[tokio::test]
async fn a_store_that_cannot_start_in_the_middle() {
    let builder = EmbeddedGlance::builder().range(RangeSupport::Refused);
    honours(builder, ApiChoice::Auto).await;
}

#[tokio::test]
async fn a_server_that_closes_each_connection() {
    let builder = EmbeddedGlance::builder().without_keep_alive();
    honours(builder, ApiChoice::Auto).await;
}

#[tokio::test]
async fn v2_of_2017() {
    let builder = EmbeddedGlance::builder().profile(Profile::Legacy);
    honours(builder, ApiChoice::Auto).await;
}

#[tokio::test]
async fn v1_of_2017() {
    let builder = EmbeddedGlance::builder().profile(Profile::Legacy);
    honours_as_v1_can(builder, ApiChoice::V1).await;
}

#[tokio::test]
async fn v1_alone() {
    let builder = EmbeddedGlance::builder().profile(Profile::V1Only);
    honours_as_v1_can(builder, ApiChoice::Auto).await;
}

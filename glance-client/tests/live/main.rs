//! The client keeps its contract on real servers; `cargo xtask live` starts them
//! and runs this.
#![expect(clippy::panic, reason = "test helpers")]

use glance_client::{ApiChoice, ApiVersion};

use behaviour::Server;

#[path = "../it/kit/behaviour.rs"]
mod behaviour;

/// A server of the lab; without it, the test fails.
fn server(name: &str, api: ApiChoice) -> Server {
    let variable = format!("GLANCE_LAB_{name}");
    let Ok(url) = std::env::var(&variable) else {
        panic!("{variable} is not set: `cargo xtask live` starts the servers and runs the tests");
    };
    Server { url, api }
}

#[tokio::test]
async fn todays_glance() {
    for name in ["TODAY_ONE", "TODAY_TWO"] {
        let server = server(name, ApiChoice::Auto);
        assert!(server.client().await.version().has_hidden());
        behaviour::holds_on(&server).await;
    }
}

#[tokio::test]
async fn v2_of_2017() {
    for name in ["LEGACY_ONE", "LEGACY_TWO"] {
        let server = server(name, ApiChoice::Auto);
        let version = server.client().await.version();
        assert_eq!(version.to_string(), "v2.5");
        behaviour::holds_on(&server).await;
    }
}

#[tokio::test]
async fn v1_of_2017() {
    for name in ["LEGACY_ONE", "LEGACY_TWO"] {
        behaviour::holds_on(&server(name, ApiChoice::V1)).await;
    }
}

#[tokio::test]
async fn v1_alone() {
    for name in ["V1_ONE", "V1_TWO"] {
        let server = server(name, ApiChoice::Auto);
        assert_eq!(server.client().await.version(), ApiVersion::V1);
        behaviour::holds_on(&server).await;
    }
}

#[tokio::test]
async fn v1_beside_v2() {
    let server = server("LEGACY_ONE", ApiChoice::Auto);
    behaviour::what_v2_wrote_is_read_through_v1(&server.url).await;
}

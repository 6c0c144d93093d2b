#![doc = include_str!("../README.md")]
#![cfg_attr(
    not(feature = "replicator"),
    expect(dead_code, reason = "the ports alone use some parts of a session")
)]

mod api;
mod auth;
mod client;
#[cfg(feature = "cloud")]
pub mod cloud;
mod config;
mod download;
mod endpoint;
mod error;
#[cfg(feature = "replicator")]
mod failure;
mod http;
mod limit;
mod metadefs;
mod paging;
#[cfg(feature = "replicator")]
mod ports;
mod proxy;
#[cfg(feature = "replicator")]
mod remote_file;
mod requirements;
mod session;
mod stores;
mod survey;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;

pub use api::ApiVersion;
pub use auth::{AuthToken, InvalidToken, TokenError, TokenSource};
pub use client::GlanceClient;
pub use config::{ApiChoice, ClientConfig};
pub use download::Download;
pub use endpoint::{Endpoint, EndpointProblem, InvalidEndpoint};
pub use error::{Error, ErrorKind};
pub use http::Upload;
pub use limit::{Limits, Rate};
#[cfg(feature = "replicator")]
pub use ports::GlanceEnd;
#[cfg(feature = "replicator")]
pub use remote_file::RemoteFile;
pub use stores::{Store, StoreChoice};
#[doc(hidden)]
pub use survey::{Quota, Survey};
pub use tls::{InvalidPem, Tls, TlsFailure};

#![doc = include_str!("../README.md")]

mod api;
mod auth;
mod body;
mod client;
#[cfg(feature = "cloud")]
pub mod cloud;
mod config;
mod endpoint;
mod error;
mod http;
mod limit;
mod paging;
#[cfg(feature = "replicator")]
mod ports;
mod proxy;
mod stores;
mod survey;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;

pub use api::ApiVersion;
pub use auth::{AuthToken, InvalidToken, TokenError, TokenSource};
pub use body::{Download, Upload};
pub use client::GlanceClient;
pub use config::{ApiChoice, ClientConfig};
pub use endpoint::{Endpoint, EndpointProblem, ParseEndpointError};
pub use error::{Error, ErrorKind};
pub use limit::{Limits, Rate};
pub use proxy::{InvalidProxy, Proxy};
pub use stores::Store;
pub use survey::{Quota, Survey};
pub use tls::{InvalidPem, Tls, is_spoken_at as speaks_tls};

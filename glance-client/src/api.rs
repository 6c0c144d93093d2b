//! The versions of the Image API, and what differs between them.

use std::fmt;

use http::StatusCode;
use serde::Deserialize;

use crate::http::{Http, Request};
use crate::{ApiChoice, Error, ErrorKind};

pub(crate) mod v1;
pub(crate) mod v2;

/// The version of the Image API that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ApiVersion {
    /// Images v1.
    V1,
    /// Images v2, and the highest minor version that the server offers.
    V2 {
        /// 15 in `v2.15`.
        minor: u32,
    },
}

impl ApiVersion {
    /// Says whether images can be hidden (`os_hidden`, v2.7).
    #[must_use]
    pub fn has_hidden(self) -> bool {
        matches!(self, Self::V2 { minor: 7.. })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V1 => f.write_str("v1"),
            Self::V2 { minor } => write!(f, "v2.{minor}"),
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct Versions {
    pub(crate) versions: Vec<VersionEntry>,
}

#[derive(Deserialize)]
pub(crate) struct VersionEntry {
    pub(crate) id: String,
}

/// Finds out which version to speak.
pub(crate) async fn discover(http: &Http, choice: ApiChoice) -> Result<ApiVersion, Error> {
    let request = Request::get("/versions");
    let mut failed = 0;
    let offered = loop {
        let mut offered = offered_at(http, &request).await;
        if offered.as_ref().is_err_and(is_elsewhere) {
            offered = offered_at(http, &Request::get("/")).await;
        }
        match offered {
            Ok(offered) => break offered,
            // A wrong address is more likely than a server that comes back.
            Err(error) if error.kind() == ErrorKind::Connect => return Err(error),
            Err(error) => {
                failed += 1;
                let waited = http.before_retry(failed, error).await;
                waited.map_err(as_no_glance)?;
            }
        }
    };
    let minor = |entry: &VersionEntry| entry.id.strip_prefix("v2.")?.parse().ok();
    let v2 = offered.versions.iter().filter_map(minor).max();
    let has_v1 = offered.versions.iter().any(|v| v.id.starts_with("v1"));
    let version = match (choice, v2) {
        (ApiChoice::Auto | ApiChoice::V2, Some(minor)) => Some(ApiVersion::V2 { minor }),
        (ApiChoice::Auto | ApiChoice::V1, _) if has_v1 => Some(ApiVersion::V1),
        _ => None,
    };
    version.ok_or_else(|| {
        let ids: Vec<&str> = offered.versions.iter().map(|v| &*v.id).collect();
        let wanted = match choice {
            ApiChoice::Auto => "neither v2 nor v1",
            ApiChoice::V1 => "no v1",
            ApiChoice::V2 => "no v2",
        };
        http.error(ErrorKind::NotGlance, &request)
            .with_message(format!("{wanted} among its versions: {}", ids.join(", ")))
    })
}

async fn offered_at(http: &Http, request: &Request) -> Result<Versions, Error> {
    let answer = http.send_for_any(request).await?;
    match answer.response.status() {
        // A server answers 300 to every path that it does not know.
        StatusCode::MULTIPLE_CHOICES => answer.json().await,
        _ => answer.successful().await?.json().await,
    }
}

fn is_elsewhere(error: &Error) -> bool {
    error
        .status()
        .is_some_and(|status| !status.is_server_error())
}

/// What is no list of versions is no Glance.
fn as_no_glance(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Rejected | ErrorKind::InvalidAnswer => {
            error.with_kind(ErrorKind::NotGlance)
        }
        _ => error,
    }
}

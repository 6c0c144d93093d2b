//! The versions of the Image API, and which of them a server speaks.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;

use self::v1::V1;
use self::v2::V2;
use crate::http::{Http, Request};
use crate::{ApiChoice, ClientConfig, Endpoint, Error, ErrorKind};

mod dialect;
mod filters;
mod page;
mod v1;
mod v2;

pub use self::dialect::ApiVersion;
pub(crate) use self::dialect::{Dialect, UsedIds};
pub(crate) use self::page::{Listed, Next, Page, encoded};
pub(crate) use self::v2::PATCH_TYPE;

#[derive(Deserialize)]
pub(crate) struct Versions {
    pub(crate) versions: Vec<VersionEntry>,
}

#[derive(Deserialize)]
pub(crate) struct VersionEntry {
    pub(crate) id: String,
}

/// Asks for the first page of all images before it is known which version the server speaks.
pub(crate) fn list_ahead(http: &Arc<Http>, config: &ClientConfig) {
    if !config.lists_all_first || config.api == ApiChoice::V1 {
        return;
    }
    let today = V2 { minor: 7 };
    for view in today.views(UsedIds::LeftOut).queries {
        http.send_ahead(today.list(config.page_limit, view, None));
    }
}

/// Finds out which version to speak. Nothing else asks which one it is.
pub(crate) async fn discover(
    http: &Http,
    endpoint: &Endpoint,
    choice: ApiChoice,
) -> Result<Arc<dyn Dialect>, Error> {
    let request = Request::get("/versions");
    let is_for_v2 = endpoint.names_v2() && choice != ApiChoice::V1;
    let offered = match offered(http, &request).await {
        Ok(offered) => offered,
        // The user named v2. The list of versions stands above it, and may be another service's, or
        // closed to us.
        Err(error) if error.status().is_some() && (is_for_v2 || choice == ApiChoice::V2) => {
            tracing::info!(%error, "no list of versions; v2 is used");
            return Ok(Arc::new(v2_by_schema(http).await));
        }
        Err(error) => return Err(as_no_glance(error)),
    };
    let v2 = offered
        .versions
        .iter()
        .filter_map(VersionEntry::minor_of_v2);
    let v2 = v2.max();
    let has_v1 = offered.versions.iter().any(|v| v.id.starts_with("v1"));
    match (choice, v2) {
        (ApiChoice::Auto | ApiChoice::V2, Some(Some(minor))) => Ok(Arc::new(V2 { minor })),
        (ApiChoice::Auto | ApiChoice::V2, Some(None)) => Ok(Arc::new(v2_by_schema(http).await)),
        (ApiChoice::Auto | ApiChoice::V1, _) if has_v1 => Ok(Arc::new(V1)),
        // The list is another service's.
        _ if is_for_v2 => Ok(Arc::new(v2_by_schema(http).await)),
        _ => {
            let ids: Vec<&str> = offered.versions.iter().map(|v| &*v.id).collect();
            let wanted = match choice {
                ApiChoice::Auto => "neither v2 nor v1",
                ApiChoice::V1 => "no v1",
                ApiChoice::V2 => "no v2",
            };
            let message = format!("{wanted} among its versions: {}", ids.join(", "));
            let error = http.error(ErrorKind::NotGlance, &request);
            Err(error.with_message(message))
        }
    }
}

impl VersionEntry {
    /// Returns the minor version of a v2; `v2` alone has none.
    fn minor_of_v2(&self) -> Option<Option<u32>> {
        match self.id.strip_prefix("v2")? {
            "" => Some(None),
            minor => Some(Some(minor.strip_prefix('.')?.parse().ok()?)),
        }
    }
}

/// Returns the v2 of a server that does not say its minor version, by the schema of images. A
/// server without a schema is taken for the oldest.
async fn v2_by_schema(http: &Http) -> V2 {
    #[derive(Deserialize)]
    struct Schema {
        properties: Properties,
    }
    #[derive(Deserialize)]
    struct Properties {
        os_hidden: Option<serde::de::IgnoredAny>,
    }
    let schema = async {
        let answer = http.send(&Request::get(v2::SCHEMA)).await.ok()?;
        answer.json::<Schema>().await.ok()
    };
    let has_hidden = schema
        .await
        .is_some_and(|schema| schema.properties.os_hidden.is_some());
    V2 {
        minor: if has_hidden { 7 } else { 0 },
    }
}

/// Asks for the list of versions until it comes, or the error is one that does not pass.
async fn offered(http: &Http, request: &Request) -> Result<Versions, Error> {
    let mut failed = 0;
    loop {
        let mut offered = offered_at(http, request).await;
        if offered.as_ref().is_err_and(is_elsewhere) {
            offered = offered_at(http, &Request::get("/")).await;
        }
        match offered {
            // A server that is not reached is more likely a wrong address than one that will come
            // back.
            Err(error) if error.kind() != ErrorKind::Connect => {
                if failed == 0 && http.wants_tls(&error).await {
                    return Err(http.error(ErrorKind::SpeaksTls, request));
                }
                failed += 1;
                http.before_retry(failed, error).await?;
            }
            offered => return offered,
        }
    }
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

/// A server without a list of versions is no Glance.
fn as_no_glance(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Rejected | ErrorKind::InvalidAnswer => {
            error.with_kind(ErrorKind::NotGlance)
        }
        _ => error,
    }
}

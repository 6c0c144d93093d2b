//! Finds the image service in the catalog.

use std::collections::BTreeSet;

use glance_client::Endpoint;
use serde::Deserialize;

use super::error::AuthError;

/// A service of the catalog.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    #[serde(rename = "type")]
    service_type: String,
    endpoints: Vec<CatalogEndpoint>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct CatalogEndpoint {
    interface: String,
    region_id: Option<String>,
    region: Option<String>,
    url: String,
}

impl CatalogEndpoint {
    fn region(&self) -> Option<&str> {
        self.region_id.as_deref().or(self.region.as_deref())
    }
}

/// Which endpoint is wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// Instead of one from the catalog.
    pub(super) endpoint_override: Option<String>,
    pub(super) region: Option<String>,
    /// In this order.
    pub(super) interfaces: Vec<String>,
}

/// Finds the endpoint of the image service.
///
/// # Errors
///
/// [`AuthError`] with what there is instead.
pub(super) fn image_endpoint(
    cloud: &str,
    choice: &Choice,
    catalog: Option<&[Service]>,
) -> Result<Endpoint, AuthError> {
    let parse = |url: &str| {
        Endpoint::parse(url).map_err(|source| AuthError::Endpoint {
            cloud: cloud.to_owned(),
            source,
        })
    };
    if let Some(url) = &choice.endpoint_override {
        return parse(url);
    }
    let cloud = || cloud.to_owned();
    let catalog = catalog.ok_or_else(|| AuthError::NoScope { cloud: cloud() })?;
    let images = catalog
        .iter()
        .filter(|service| service.service_type == "image");
    let endpoints: Vec<_> = images.flat_map(|service| &service.endpoints).collect();
    if endpoints.is_empty() {
        return Err(AuthError::NoImageService { cloud: cloud() });
    }
    let regions: BTreeSet<_> = endpoints
        .iter()
        .filter_map(|endpoint| endpoint.region())
        .collect();
    let known = || regions.iter().map(|&region| region.to_owned()).collect();
    let region = match &choice.region {
        Some(region) if !regions.contains(&**region) => {
            return Err(AuthError::UnknownRegion {
                cloud: cloud(),
                region: region.clone(),
                known: known(),
            });
        }
        None if regions.len() > 1 => {
            return Err(AuthError::AmbiguousRegion {
                cloud: cloud(),
                known: known(),
            });
        }
        region => region.as_deref(),
    };
    let here = endpoints
        .iter()
        .filter(|endpoint| region.is_none() || endpoint.region() == region);
    let found = choice.interfaces.iter().find_map(|interface| {
        here.clone()
            .find(|endpoint| endpoint.interface == *interface)
    });
    let Some(found) = found else {
        let known: BTreeSet<_> = here.map(|endpoint| endpoint.interface.clone()).collect();
        return Err(AuthError::NoInterface {
            cloud: cloud(),
            interface: choice.interfaces.join(", "),
            known: known.into_iter().collect(),
        });
    };
    parse(&found.url)
}

//! Finds the image service in the catalog.

use std::collections::BTreeSet;

use crate::Endpoint;
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;

use super::error::AuthError;

/// A service of the catalog. What is not there may also be null.
#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct Service {
    #[serde(rename = "type")]
    service_type: Option<String>,
    name: Option<String>,
    #[serde(deserialize_with = "usable")]
    endpoints: Vec<CatalogEndpoint>,
}

/// Reads a list (null is an empty one), and leaves out elements that cannot be read: they need not
/// be the one that is looked for.
pub(super) fn usable<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let list: Option<Vec<Value>> = Deserialize::deserialize(deserializer)?;
    let list = list.into_iter().flatten();
    Ok(list
        .filter_map(|value| serde_json::from_value(value).ok())
        .collect())
}

#[derive(Clone, Debug, Default, serde::Deserialize)]
#[serde(default)]
struct CatalogEndpoint {
    interface: Option<String>,
    region_id: Option<String>,
    region: Option<String>,
    url: Option<String>,
}

impl CatalogEndpoint {
    fn region(&self) -> Option<&str> {
        let id = self.region_id.as_deref().filter(|id| !id.is_empty());
        id.or(self.region.as_deref())
    }
}

/// The endpoint that is wanted.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    /// Instead of one from the catalog.
    pub(super) endpoint_override: Option<String>,
    pub(super) region: Option<String>,
    /// In this order.
    pub(super) interfaces: Vec<String>,
    /// Other than `image`.
    pub(super) service_type: Option<String>,
    /// The name of the service, if several are of that type.
    pub(super) service_name: Option<String>,
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
    let wanted_type = choice.service_type.as_deref().unwrap_or("image");
    let images = catalog.iter().filter(|service| {
        let names = (service.name.as_deref(), choice.service_name.as_deref());
        // A service without a name may well be the one.
        let is_other =
            matches!(names, (Some(name), Some(wanted)) if !name.is_empty() && name != wanted);
        service.service_type.as_deref() == Some(wanted_type) && !is_other
    });
    let endpoints: Vec<_> = images
        .flat_map(|service| &service.endpoints)
        .filter_map(|endpoint| {
            let url = endpoint.url.as_deref().filter(|url| !url.is_empty())?;
            Some((endpoint, endpoint.interface.as_deref()?, url))
        })
        .collect();
    if endpoints.is_empty() {
        return Err(AuthError::NoImageService { cloud: cloud() });
    }
    let regions: BTreeSet<_> = endpoints
        .iter()
        .filter_map(|(endpoint, ..)| endpoint.region())
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
        .filter(|(endpoint, ..)| region.is_none() || endpoint.region() == region);
    let mut interfaces = choice.interfaces.iter();
    let found =
        interfaces.find_map(|wanted| here.clone().find(|(_, interface, _)| interface == wanted));
    let Some((.., url)) = found else {
        let known: BTreeSet<_> = here
            .map(|(_, interface, _)| (*interface).to_owned())
            .collect();
        return Err(AuthError::NoInterface {
            cloud: cloud(),
            interface: choice.interfaces.join(", "),
            known: known.into_iter().collect(),
        });
    };
    parse(url)
}

//! Signs in to clouds: clouds.yaml or `OS_*`, Keystone, catalog, tokens, TLS.
//!
//! The environment is given ([`Environment`]), and so is the time of day: nothing here asks the
//! process for them. The rules are those of openstacksdk, as are the places where files are looked
//! for.
//!
//! Secrets never show in `Debug` forms and errors, from the moment they are read.

mod catalog;
mod credentials;
mod details;
mod document;
mod entry;
mod env;
mod error;
mod files;
mod keystone;
mod projects;
mod secret;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::{ClientConfig, Endpoint, Tls};

use self::catalog::Choice;
use self::credentials::Credentials;
pub use self::details::{Details, Named};
use self::entry::{Entry, Region, Regions, Settings};
pub use self::env::Environment;
pub use self::error::{AuthError, AuthErrorKind};
use self::files::Found;
use self::keystone::Keystone;
pub use self::tokens::CloudTokens;

/// Options over what the settings of a cloud say. By default, the settings count.
#[derive(Clone, Debug, Default)]
pub struct CloudOptions {
    /// The region whose image service is used.
    pub region: Option<String>,
    /// The interface of its endpoint: `public`, `internal` or `admin`.
    pub interface: Option<String>,
    /// A file with the certificates to be trusted.
    pub cacert: Option<PathBuf>,
    /// Certificates are not verified.
    pub insecure: bool,
    /// The longest wait for an answer of Keystone; 60 s by default.
    pub stall_timeout: Option<Duration>,
    /// The moment from which signing in is no longer tried again.
    pub retry_until: Option<Instant>,
    /// The time of day, by which a token that was given, and not obtained by signing in, is known
    /// to end soon. Without it, the first 401 tells.
    pub clock: Option<fn() -> SystemTime>,
    /// A function that is told each secret that is used or obtained, so that a log can mask it.
    pub learn_secret: Option<fn(&str)>,
}

/// A cloud, and how to sign in there. Nothing has been sent yet.
#[derive(Debug)]
pub struct Cloud {
    keystone: Keystone,
    choice: Choice,
    tls: Tls,
}

/// A cloud that has let us in.
#[derive(Debug)]
pub struct SignedIn {
    /// The endpoint of its image service.
    pub endpoint: Endpoint,
    /// The user and the project that the token is of.
    pub details: Details,
    /// The tokens, which are renewed in time.
    pub tokens: Arc<CloudTokens>,
    /// The certificates to be trusted, and the one to be shown.
    pub tls: Tls,
}

impl Cloud {
    /// Finds a cloud in clouds.yaml.
    ///
    /// # Errors
    ///
    /// [`AuthError`] if it is not there, or cannot be used as it is written.
    pub fn named(
        name: &str,
        region: Option<&str>,
        side: &CloudOptions,
        env: &Environment,
    ) -> Result<Self, AuthError> {
        match files::entry_of(name, env) {
            Err(AuthError::UnknownCloud { .. }) if name == env.own_cloud() => {
                Self::of_variables(region, side, env)
            }
            found => Self::of(&format!("cloud:{name}"), found?, region, side, env),
        }
    }

    /// Returns the names of the clouds in clouds.yaml, in order; none if it cannot be read.
    #[must_use]
    pub fn names(env: &Environment) -> Vec<String> {
        files::names(env)
    }

    /// Returns the regions that clouds.yaml, or the profile of the cloud, names; none if that cannot
    /// be read.
    #[must_use]
    pub fn regions(cloud: &str, env: &Environment) -> Vec<String> {
        match files::entry_of(cloud, env).map(|found| found.layers.regions()) {
            Ok(Regions::Listed(regions)) => regions.into_iter().map(|region| region.name).collect(),
            Ok(Regions::Named(names)) => names,
            Err(_) => Vec::new(),
        }
    }

    /// Takes the cloud that the `OS_*` variables describe, or name (`OS_CLOUD`).
    ///
    /// # Errors
    ///
    /// [`AuthError`] if they do not describe one.
    pub fn from_env(side: &CloudOptions, env: &Environment) -> Result<Self, AuthError> {
        let Some(name) = env.get("OS_CLOUD") else {
            return Self::of_variables(None, side, env);
        };
        // As in openstacksdk, nothing of a cloud is taken from two places.
        let ignored = env.ignored_beside_cloud();
        if !ignored.is_empty() {
            tracing::warn!(
                "OS_CLOUD names {name}, so nothing is taken from {}",
                ignored.join(", ")
            );
        }
        Self::named(name, env.get("OS_REGION_NAME"), side, env)
    }

    /// Takes the cloud that the `OS_*` variables describe.
    fn of_variables(
        region: Option<&str>,
        side: &CloudOptions,
        env: &Environment,
    ) -> Result<Self, AuthError> {
        let found = files::with_profile(Settings::of_texts(env.openstack()), None, env)?;
        Self::of("env", found, region, side, env)
    }

    fn of(
        cloud: &str,
        found: Found,
        region: Option<&str>,
        side: &CloudOptions,
        env: &Environment,
    ) -> Result<Self, AuthError> {
        let wrong = |problem| AuthError::Setting {
            cloud: cloud.to_owned(),
            problem,
        };
        let unknown_profile = found.unknown_profile.clone();
        let (entry, region) = in_region(cloud, found, side.region.as_deref().or(region))?;
        if let Some(profile) = &unknown_profile {
            tracing::warn!(
                "{cloud} has the profile {profile:?}, which is in no clouds-public.yaml; it is \
                 used without it"
            );
        }
        credentials::method_names(&entry).map_err(wrong)?;
        let tls = tls::tls_of(cloud, &entry, side, env)?;
        let choice = choice(cloud, &entry, region, side).map_err(wrong)?;
        let auth_url = match (entry.auth_url().map_err(wrong)?, unknown_profile) {
            (Some(auth_url), _) => auth_url,
            (None, Some(profile)) => {
                return Err(AuthError::UnknownProfile {
                    cloud: cloud.strip_prefix("cloud:").unwrap_or(cloud).to_owned(),
                    profile,
                    files: files::profile_places(env),
                });
            }
            (None, None) => return Err(wrong("auth_url is missing".to_owned())),
        };
        let credentials = Credentials::of(cloud, &entry)?;
        if let Some(learn) = side.learn_secret {
            credentials.secrets().for_each(learn);
        }
        let keystone = Keystone::new(cloud, &auth_url, credentials, &tls, side, env)?;
        Ok(Self {
            keystone,
            choice,
            tls,
        })
    }

    /// Returns its name in messages, such as `cloud:NAME`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.keystone.cloud()
    }

    /// Returns the certificates that it trusts.
    #[must_use]
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// Signs in, and finds the image service.
    ///
    /// # Errors
    ///
    /// [`AuthError`] if Keystone does not let us in, or is not there, or has no
    /// image service of that region and interface.
    pub async fn sign_in(self) -> Result<SignedIn, AuthError> {
        let grant = self.keystone.sign_in().await?;
        let catalog = grant.details.catalog.as_deref();
        let endpoint = catalog::image_endpoint(self.keystone.cloud(), &self.choice, catalog)?;
        Ok(SignedIn {
            endpoint,
            details: grant.details.clone(),
            tokens: Arc::new(CloudTokens::new(self.keystone, grant)),
            tls: self.tls,
        })
    }
}

impl SignedIn {
    /// Returns how a client reaches the image service there.
    #[must_use]
    pub fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new(self.endpoint.clone());
        config.tls = self.tls.clone();
        config.tokens = Some(Arc::clone(&self.tokens) as _);
        config
    }
}

/// Reads `OS_CACERT`, `OS_CERT`, `OS_KEY` and `OS_INSECURE`, for a server that is named by its
/// address.
///
/// # Errors
///
/// [`AuthError`] for a certificate that cannot be used.
pub fn tls_from_env(side: &CloudOptions, env: &Environment) -> Result<Tls, AuthError> {
    let entry = Entry::of(Settings::of_texts(env.openstack()));
    tls::tls_of("env", &entry, side, env)
}

/// Lays what an entry says of one region over what it says of all.
fn in_region(
    cloud: &str,
    found: Found,
    region: Option<&str>,
) -> Result<(Entry, Option<String>), AuthError> {
    let layers = found.layers;
    let region = match (layers.regions(), region) {
        (Regions::Listed(listed), None) => match <[Region; 1]>::try_from(listed) {
            Ok([only]) => Some(only),
            Err(several) => {
                return Err(AuthError::AmbiguousRegion {
                    cloud: cloud.to_owned(),
                    known: several.into_iter().map(|region| region.name).collect(),
                });
            }
        },
        (Regions::Listed(listed), Some(wanted)) => {
            let known = || listed.iter().map(|region| region.name.clone()).collect();
            match listed.iter().find(|region| region.name == wanted) {
                Some(region) => Some(region.clone()),
                None => {
                    return Err(AuthError::UnknownRegion {
                        cloud: cloud.to_owned(),
                        region: wanted.to_owned(),
                        known: known(),
                    });
                }
            }
        }
        (Regions::Named(_), Some(wanted)) => Some(Region::named(wanted.to_owned())),
        (Regions::Named(names), None) => {
            if let [first, _, ..] = names.as_slice() {
                tracing::warn!(
                    "{cloud}: region_name names {}, and {first} is used",
                    names.join(", ")
                );
            }
            // If there is none, the catalog will tell.
            names.into_iter().next().map(Region::named)
        }
    };
    let name = region.as_ref().map(|region| region.name.clone());
    Ok((layers.in_region(region), name))
}

/// Settings of images that say nothing about where they are.
const OF_NO_ENDPOINT: [&str; 10] = [
    "image_api_use_tasks",
    "image_api_version",
    "image_concurrency",
    "image_connect_retries",
    "image_connect_retry_delay",
    "image_format",
    "image_rate_limit",
    "image_retriable_status_codes",
    "image_status_code_retries",
    "image_status_code_retry_delay",
];
const OF_THE_ENDPOINT: [&str; 6] = [
    "image_endpoint",
    "image_endpoint_override",
    "image_interface",
    "image_region_name",
    "image_service_name",
    "image_service_type",
];

/// Chooses the endpoint: by the options, else by the settings of images, else by those of all
/// services.
fn choice(
    cloud: &str,
    entry: &Entry,
    region: Option<String>,
    side: &CloudOptions,
) -> Result<Choice, String> {
    for name in entry.beginning_with("image_") {
        if !OF_THE_ENDPOINT.contains(&name) && !OF_NO_ENDPOINT.contains(&name) {
            tracing::warn!("{cloud}: {name} is not known, and does nothing");
        }
    }
    let of_images = entry.text("image_region_name").map(str::to_owned);
    let region = match (side.region.is_some(), of_images) {
        (false, Some(of_images)) => {
            if let Some(other) = region.filter(|region| *region != of_images) {
                tracing::info!("{cloud}: the images of {other} are in {of_images}");
            }
            Some(of_images)
        }
        _ => region,
    };
    let mut endpoint_override = entry.filled("image_endpoint_override")?;
    if endpoint_override.is_none() {
        endpoint_override = entry.filled("image_endpoint")?;
    }
    Ok(Choice {
        endpoint_override,
        region,
        interfaces: interfaces(side, entry),
        service_type: entry.text("image_service_type").map(str::to_owned),
        service_name: entry.text("image_service_name").map(str::to_owned),
    })
}

fn interfaces(side: &CloudOptions, entry: &Entry) -> Vec<String> {
    let named = ["image_interface", "interface"].map(|name| entry.list(name));
    let mut wanted = match &side.interface {
        Some(interface) => vec![interface.clone()],
        None => named
            .into_iter()
            .find(|list| !list.is_empty())
            .unwrap_or_default(),
    };
    for interface in &mut wanted {
        // `publicURL` is as old as Keystone v2.
        *interface = interface.trim_end_matches("URL").to_owned();
    }
    if wanted.is_empty() {
        wanted.push("public".to_owned());
    }
    wanted
}

//! Signs in to clouds: clouds.yaml or `OS_*`, Keystone, catalog, tokens, TLS.
//!
//! Secrets are in [`secret::Secret`] from the moment they are read.

mod catalog;
mod credentials;
mod entry;
mod env;
mod error;
mod files;
mod keystone;
mod secret;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;

use std::path::PathBuf;
use std::sync::Arc;

use glance_client::{Endpoint, Tls};

use self::catalog::Choice;
use self::credentials::Credentials;
use self::entry::Entry;
pub(crate) use self::env::Environment;
pub(crate) use self::error::{AuthError, AuthErrorKind, hint_of_connection};
use self::keystone::Keystone;
pub(crate) use self::keystone::{Details, Named};
pub(crate) use self::tokens::CloudTokens;

/// What the command line says of one side, over what its cloud says.
#[derive(Clone, Debug, Default)]
pub(crate) struct SideOptions {
    pub(crate) region: Option<String>,
    pub(crate) interface: Option<String>,
    pub(crate) cacert: Option<PathBuf>,
    pub(crate) insecure: bool,
}

/// A cloud, and how to sign in there. Nothing has been sent yet.
#[derive(Debug)]
pub(crate) struct Cloud {
    keystone: Keystone,
    choice: Choice,
    tls: Tls,
}

/// A cloud that has let us in.
#[derive(Debug)]
pub(crate) struct SignedIn {
    /// Where its images are.
    pub(crate) endpoint: Endpoint,
    /// Who we are there.
    pub(crate) details: Details,
    pub(crate) tokens: Arc<CloudTokens>,
    pub(crate) tls: Tls,
}

impl Cloud {
    /// Finds a cloud in clouds.yaml.
    ///
    /// # Errors
    ///
    /// [`AuthError`] if it is not there, or cannot be used as it is written.
    pub(crate) fn named(
        name: &str,
        region: Option<&str>,
        side: &SideOptions,
        env: &Environment,
    ) -> Result<Self, AuthError> {
        let entry = files::entry_of(name, env)?;
        Self::of(&format!("cloud:{name}"), entry, region, side, env)
    }

    /// Takes the cloud that the `OS_*` variables describe, or name (`OS_CLOUD`).
    ///
    /// # Errors
    ///
    /// [`AuthError`] if they do not describe one.
    pub(crate) fn from_env(side: &SideOptions, env: &Environment) -> Result<Self, AuthError> {
        let region = env.get("OS_REGION_NAME");
        if let (Some(name), None) = (env.get("OS_CLOUD"), env.get("OS_AUTH_URL")) {
            return Self::named(name, region, side, env);
        }
        Self::of("env:", Entry::flat(env.openstack()), region, side, env)
    }

    fn of(
        cloud: &str,
        entry: Entry,
        region: Option<&str>,
        side: &SideOptions,
        env: &Environment,
    ) -> Result<Self, AuthError> {
        let region = side.region.as_deref().or(region);
        let (entry, region) = in_region(cloud, entry, region)?;
        let tls = tls::tls_of(cloud, &entry, side, env)?;
        let choice = Choice {
            endpoint_override: entry.text("image_endpoint_override").map(str::to_owned),
            region,
            interfaces: interfaces(side, &entry),
        };
        let auth_url = entry
            .auth(&["auth_url"])
            .ok_or_else(|| AuthError::Setting {
                cloud: cloud.to_owned(),
                problem: "auth_url is missing".to_owned(),
            })?;
        let credentials = Credentials::of(cloud, &entry)?;
        let keystone = Keystone::new(cloud, auth_url.expose(), credentials, &tls)?;
        Ok(Self {
            keystone,
            choice,
            tls,
        })
    }

    /// How it is named in messages.
    pub(crate) fn name(&self) -> &str {
        self.keystone.cloud()
    }

    /// Whom it trusts.
    pub(crate) fn tls(&self) -> &Tls {
        &self.tls
    }

    /// Signs in, and finds the image service.
    ///
    /// # Errors
    ///
    /// [`AuthError`] if Keystone does not let us in, or is not there, or has no
    /// image service of that region and interface.
    pub(crate) async fn sign_in(self) -> Result<SignedIn, AuthError> {
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

/// What `OS_CACERT`, `OS_CERT`, `OS_KEY` and `OS_INSECURE` say, for a server that
/// is named by its address.
///
/// # Errors
///
/// [`AuthError`] for a certificate that cannot be used.
pub(crate) fn tls_from_env(side: &SideOptions, env: &Environment) -> Result<Tls, AuthError> {
    tls::tls_of("env:", &Entry::flat(env.openstack()), side, env)
}

/// Lays what an entry says of one region over what it says of all.
fn in_region(
    cloud: &str,
    entry: Entry,
    region: Option<&str>,
) -> Result<(Entry, Option<String>), AuthError> {
    let own = ["image_region_name", "region_name"]
        .into_iter()
        .find_map(|name| entry.text(name));
    let region = region.or(own).map(str::to_owned);
    let cloud = || cloud.to_owned();
    let known = || {
        entry
            .regions()
            .iter()
            .map(|region| region.name.clone())
            .collect()
    };
    let listed = match (entry.regions(), region) {
        // The catalog will tell.
        ([], region) => return Ok((entry, region)),
        ([only], None) => only,
        (regions, Some(region)) => match regions.iter().find(|listed| listed.name == region) {
            Some(listed) => listed,
            None => {
                return Err(AuthError::UnknownRegion {
                    cloud: cloud(),
                    region,
                    known: known(),
                });
            }
        },
        (_, None) => {
            return Err(AuthError::AmbiguousRegion {
                cloud: cloud(),
                known: known(),
            });
        }
    };
    let (region, values) = (listed.name.clone(), listed.values.clone());
    Ok((values.over(entry), Some(region)))
}

fn interfaces(side: &SideOptions, entry: &Entry) -> Vec<String> {
    let names = ["image_interface", "interface", "endpoint_type"];
    let named = names.into_iter().map(|name| entry.list(name));
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

//! The environment variables that say how to reach a cloud.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::secret::Secret;

/// Environment variables, such as those of a process: `std::env::vars().collect()`. Its `Debug`
/// form shows no values.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, Secret>);

impl Environment {
    /// Returns the proxies that are named here, with their passwords.
    pub fn proxies(&self) -> impl Iterator<Item = &str> {
        let names = ["http_proxy", "https_proxy", "all_proxy"];
        let is_proxy = move |name: &str| names.contains(&&*name.to_ascii_lowercase());
        let proxies = self.filled().filter(move |(name, _)| is_proxy(name));
        proxies.map(|(_, url)| url.expose())
    }

    /// Returns the value of a variable, unless it is empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.even_empty(name).filter(|value| !value.is_empty())
    }

    /// Returns the value of a variable that is set, be it to nothing.
    pub(super) fn even_empty(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(Secret::expose)
    }

    fn filled(&self) -> impl Iterator<Item = (&str, &Secret)> {
        let filled = self
            .0
            .iter()
            .filter(|(_, value)| !value.expose().is_empty());
        filled.map(|(name, value)| (name.as_str(), value))
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(|path| self.expand(path))
    }

    /// Returns the variables that begin with `OS_`, without that and in lower case; those of tests
    /// and logs are left out.
    pub(super) fn openstack(&self) -> impl Iterator<Item = (String, Secret)> {
        self.filled().filter_map(|(name, value)| {
            let name = name.strip_prefix("OS_")?;
            if ["TEST", "STD", "LOG"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            {
                return None;
            }
            Some((name.to_ascii_lowercase(), value.clone()))
        })
    }

    /// Returns the name of the cloud that the variables themselves describe.
    pub(super) fn own_cloud(&self) -> &str {
        self.get("OS_CLOUD_NAME").unwrap_or("envvars")
    }

    /// The variables that describe a cloud while `OS_CLOUD` names another one.
    pub(super) fn ignored_beside_cloud(&self) -> Vec<&str> {
        let describes = |name: &&str| {
            let what = [
                "OS_AUTH_",
                "OS_USER",
                "OS_PASSWORD",
                "OS_PROJECT_",
                "OS_TENANT_",
                "OS_DOMAIN_",
                "OS_SYSTEM_SCOPE",
                "OS_TRUST_ID",
                "OS_APPLICATION_CREDENTIAL_",
                "OS_TOKEN",
                "OS_IMAGE_",
                "OS_INTERFACE",
                "OS_ENDPOINT_TYPE",
                "OS_CACERT",
                "OS_CERT",
                "OS_KEY",
                "OS_INSECURE",
                "OS_VERIFY",
            ];
            what.iter().any(|prefix| name.starts_with(prefix))
        };
        self.filled()
            .map(|(name, _)| name)
            .filter(describes)
            .collect()
    }

    /// Puts the home directory in the place of `~`.
    pub(super) fn expand(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.get("HOME")) {
            (Some(rest), Some(home)) => Path::new(home).join(rest),
            _ => PathBuf::from(path),
        }
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into().into()));
        Self(variables.collect())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

//! Whom a client trusts, and what it shows of itself.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity, redirect};

use crate::Endpoint;

/// Whom a client trusts, and what it shows of itself. By default these are the
/// system's roots, and nothing.
#[derive(Clone, Default)]
pub struct Tls {
    roots: Vec<Certificate>,
    identity: Option<Identity>,
    is_insecure: bool,
}

/// A text that has no certificate in it, or no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {0} in PEM form in it")]
pub struct InvalidPem(&'static str);

impl Tls {
    /// Trusts these certificates, and no longer those of the system.
    ///
    /// # Errors
    ///
    /// [`InvalidPem`] if there is none in it.
    pub fn with_roots(mut self, pem: &[u8]) -> Result<Self, InvalidPem> {
        let roots = Certificate::from_pem_bundle(pem).unwrap_or_default();
        if roots.is_empty() {
            return Err(InvalidPem("certificate"));
        }
        self.roots = roots;
        Ok(self)
    }

    /// Shows a certificate to servers that ask for one. The text has it in it,
    /// those above it, and its key.
    ///
    /// # Errors
    ///
    /// [`InvalidPem`] if one of them is missing.
    pub fn with_identity(mut self, pem: &[u8]) -> Result<Self, InvalidPem> {
        let identity = Identity::from_pem(pem);
        let identity = identity.map_err(|_| InvalidPem("certificate with its private key"))?;
        self.identity = Some(identity);
        Ok(self)
    }

    /// Trusts everybody.
    #[must_use]
    pub fn insecure(mut self) -> Self {
        self.is_insecure = true;
        self
    }

    /// Says whether everybody is trusted.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        self.is_insecure
    }

    /// Has another HTTP client do so, too: one that speaks to Keystone.
    pub fn apply(&self, mut builder: ClientBuilder) -> ClientBuilder {
        if !self.roots.is_empty() {
            builder = builder.tls_certs_only(self.roots.iter().cloned());
        }
        if let Some(identity) = &self.identity {
            builder = builder.identity(identity.clone());
        }
        builder.tls_danger_accept_invalid_certs(self.is_insecure)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("roots", &self.roots.len())
            .field("identity", &self.identity.is_some())
            .field("is_insecure", &self.is_insecure)
            .finish()
    }
}

/// How long a server is asked whether it speaks TLS.
const PROBE: Duration = Duration::from_secs(5);

/// Returns whether the server of an `http://` URL speaks TLS there.
///
/// Nobody is trusted for that, so the handshake ends at the server's certificate, and no request
/// is sent.
pub async fn is_spoken_at(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://") else {
        return false;
    };
    let client = Client::builder()
        .tls_certs_only([])
        .redirect(redirect::Policy::none())
        .timeout(PROBE);
    let Ok(client) = client.build() else {
        return false;
    };
    let Err(error) = client.get(format!("https://{rest}")).send().await else {
        return true;
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if text.contains("invalid peer certificate") || text.contains("received fatal alert") {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Says whether there may be TLS on the way: of the server, or of a proxy before it.
pub(crate) fn may_be_used(endpoint: &Endpoint, env: impl Fn(&str) -> Option<String>) -> bool {
    let proxies = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
    let mut urls = proxies.into_iter().filter_map(env);
    let is_tls = |url: &str| url.to_ascii_lowercase().starts_with("https:");
    is_tls(endpoint.as_str()) || urls.any(|proxy| is_tls(&proxy))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_uses_tls_only_by_a_proxy() {
        let plain = Endpoint::parse("glance:9292").unwrap();
        let secure = Endpoint::parse("https://glance:9292").unwrap();
        let none = |_: &str| None;
        assert!(!may_be_used(&plain, none));
        assert!(may_be_used(&secure, none));
        for (proxy, is_used) in [("http://proxy:1", false), ("HTTPS://proxy:1", true)] {
            let env = |name: &str| (name == "ALL_PROXY").then(|| proxy.to_owned());
            assert_eq!(may_be_used(&plain, env), is_used, "{proxy}");
        }
    }

    #[test]
    fn what_is_no_pem_is_refused() {
        for text in ["", "secret", "-----BEGIN CERTIFICATE-----\n"] {
            let error = Tls::default().with_roots(text.as_bytes()).unwrap_err();
            assert_eq!(error, InvalidPem("certificate"), "{text:?}");
            assert!(Tls::default().with_identity(text.as_bytes()).is_err());
        }
    }
}

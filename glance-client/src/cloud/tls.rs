//! Reads the certificates that a cloud's settings name.

use std::fs;
use std::path::Path;

use crate::Tls;

use super::CloudOptions;
use super::entry::Entry;
use super::env::Environment;
use super::error::AuthError;

/// Returns the TLS of a cloud: by the options, else by its settings.
///
/// # Errors
///
/// [`AuthError::Read`] or [`AuthError::Pem`] for a certificate that cannot be
/// used.
pub(super) fn tls_of(
    cloud: &str,
    entry: &Entry,
    side: &CloudOptions,
    env: &Environment,
) -> Result<Tls, AuthError> {
    let path = |name: &str| {
        let path = entry.filled(name).map_err(|problem| AuthError::Setting {
            cloud: cloud.to_owned(),
            problem,
        })?;
        Ok(path.map(|path| env.expand(&path)))
    };
    let mut tls = Tls::default();
    if side.insecure || entry.flag("insecure") == Some(true) || entry.flag("verify") == Some(false)
    {
        tls = tls.insecure();
    } else {
        // `verify` is a switch, or a file as in the library that openstacksdk uses.
        let bundle = match entry.flag("verify") {
            Some(_) => None,
            None => path("verify")?,
        };
        let named = path("cacert")?.or(bundle);
        if let Some(path) = side.cacert.clone().or(named) {
            let no_pem = |source| AuthError::Pem {
                path: path.clone(),
                source,
            };
            tls = tls.with_roots(&read(&path)?).map_err(no_pem)?;
        }
    }
    if let Some(cert) = path("cert")? {
        let mut pem = read(&cert)?;
        if let Some(key) = path("key")? {
            pem.push(b'\n');
            pem.extend(read(&key)?);
        }
        let no_pem = |source| AuthError::Pem { path: cert, source };
        tls = tls.with_identity(&pem).map_err(no_pem)?;
    }
    Ok(tls)
}

fn read(path: &Path) -> Result<Vec<u8>, AuthError> {
    fs::read(path).map_err(|source| AuthError::Read {
        path: path.to_owned(),
        source,
    })
}

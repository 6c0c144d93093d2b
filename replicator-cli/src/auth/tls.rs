//! Reads the certificates that a cloud's settings name.

use std::fs;
use std::path::Path;

use glance_client::Tls;

use super::SideOptions;
use super::entry::Entry;
use super::env::Environment;
use super::error::AuthError;

/// What a cloud's settings, and over them those of the side, say of TLS.
///
/// # Errors
///
/// [`AuthError::Read`] or [`AuthError::Pem`] for a certificate that cannot be
/// used.
pub(super) fn tls_of(
    cloud: &str,
    entry: &Entry,
    side: &SideOptions,
    env: &Environment,
) -> Result<Tls, AuthError> {
    let mut tls = Tls::default();
    let named = entry.text("cacert").map(|path| env.expand(path));
    if let Some(path) = side.cacert.clone().or(named) {
        let no_pem = |source| AuthError::Pem {
            cloud: cloud.to_owned(),
            path: path.clone(),
            source,
        };
        tls = tls.with_roots(&read(&path)?).map_err(no_pem)?;
    }
    if let Some(cert) = entry.text("cert").map(|path| env.expand(path)) {
        let no_pem = |source| AuthError::Pem {
            cloud: cloud.to_owned(),
            path: cert.clone(),
            source,
        };
        let mut pem = read(&cert)?;
        if let Some(key) = entry.text("key").map(|path| env.expand(path)) {
            pem.push(b'\n');
            pem.extend(read(&key)?);
        }
        tls = tls.with_identity(&pem).map_err(no_pem)?;
    }
    let verifies = entry.flag("insecure").map(|insecure| !insecure);
    let verifies = verifies.or_else(|| entry.flag("verify")).unwrap_or(true);
    if side.insecure || !verifies {
        tls = tls.insecure();
    }
    Ok(tls)
}

fn read(path: &Path) -> Result<Vec<u8>, AuthError> {
    fs::read(path).map_err(|source| AuthError::Read {
        path: path.to_owned(),
        source,
    })
}

//! The certificates that a client trusts and shows.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, redirect};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, InconsistentKeys, RootCertStore,
    SignatureScheme,
};

/// The certificates that a client trusts, and the one that it shows. By default it trusts the
/// system's roots, and shows none.
#[derive(Clone, Default)]
pub struct Tls {
    roots: Vec<CertificateDer<'static>>,
    identity: Option<Arc<CertifiedKey>>,
    is_insecure: bool,
}

/// Certificates or a key that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPem(&'static str);

const NO_CERTIFICATE: InvalidPem = InvalidPem("there is no certificate in PEM form in it");
const BROKEN: InvalidPem = InvalidPem("a certificate in it is broken");
const NO_SYSTEM: InvalidPem = InvalidPem("the system has no certificates of CAs; name some");

impl Tls {
    /// Trusts these certificates, and no longer those of the system. A server may also show one of
    /// them as its own.
    ///
    /// # Errors
    ///
    /// [`InvalidPem`] if there is none in it, or one cannot be read.
    pub fn with_roots(mut self, pem: &[u8]) -> Result<Self, InvalidPem> {
        self.roots = certificates(pem)?;
        anchors(&self.roots)?;
        Ok(self)
    }

    /// Shows a certificate to servers that ask for one. The text holds the certificate, those above
    /// it, and its key.
    ///
    /// # Errors
    ///
    /// [`InvalidPem`] if one of them is missing or broken, or the key is not that of the
    /// certificate.
    pub fn with_identity(mut self, pem: &[u8]) -> Result<Self, InvalidPem> {
        let chain = certificates(pem)?;
        let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
            let is_encrypted = String::from_utf8_lossy(pem).contains("ENCRYPTED");
            InvalidPem(match is_encrypted {
                true => "its private key has a password, which cannot be given",
                false => "there is no private key in PEM form in it",
            })
        })?;
        let key = provider().key_provider.load_private_key(key);
        let key = key.map_err(|_| InvalidPem("its private key cannot be read"))?;
        let identity = CertifiedKey::new(chain, key);
        // A certificate that rustls cannot read, such as one of X.509 v1, is for the server to
        // judge.
        match identity.keys_match() {
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                return Err(InvalidPem("the private key is not that of the certificate"));
            }
            Err(Error::InvalidCertificate(CertificateError::BadEncoding)) => return Err(BROKEN),
            _ => {}
        }
        self.identity = Some(Arc::new(identity));
        Ok(self)
    }

    /// Trusts everybody.
    #[must_use]
    pub fn insecure(mut self) -> Self {
        self.is_insecure = true;
        self
    }

    /// Returns whether every server is trusted.
    #[must_use]
    pub fn is_insecure(&self) -> bool {
        self.is_insecure
    }

    /// Has an HTTP client trust and show these certificates.
    ///
    /// # Errors
    ///
    /// [`InvalidPem`] if no certificate is given, and the system has none.
    pub(crate) fn apply(&self, builder: ClientBuilder) -> Result<ClientBuilder, InvalidPem> {
        if self.roots.is_empty() && self.identity.is_none() {
            return Ok(builder.tls_danger_accept_invalid_certs(self.is_insecure));
        }
        Ok(builder.tls_backend_preconfigured(self.config()?))
    }

    fn config(&self) -> Result<ClientConfig, InvalidPem> {
        let provider = provider();
        let listed = match (self.is_insecure, self.roots.as_slice()) {
            (true, _) => None,
            (false, []) => Some(rustls_native_certs::load_native_certs().certs),
            (false, roots) => Some(roots.to_vec()),
        };
        let trusted = match listed {
            None => None,
            Some(listed) => {
                let roots = Arc::new(anchors(&listed).map_err(|_| NO_SYSTEM)?);
                let builder = WebPkiServerVerifier::builder_with_provider(roots, provider.clone());
                Some((builder.build().map_err(|_| NO_SYSTEM)?, listed))
            }
        };
        let verifier = Verifier {
            trusted,
            provider: Arc::clone(&provider),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| InvalidPem("there is no version of TLS"))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let identity = SingleCertAndKey::from(Arc::clone(identity));
                config.with_client_cert_resolver(Arc::new(identity))
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
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

/// A reason for which a TLS connection fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The server's certificate is of no CA that is trusted.
    UnknownIssuer,
    /// The server's certificate has expired.
    Expired,
    /// The server's certificate is for another host.
    OtherName,
    /// The server has no cipher and no version in common with us, or wants a client certificate.
    NothingInCommon,
    /// The server wants a client certificate.
    CertificateRequired,
    /// The server does not speak TLS.
    NotTls,
    /// The server breaks off the handshake: it may not speak TLS.
    BrokenOff,
}

impl TlsFailure {
    /// Finds the reason in an error and its sources, of which the libraries say it in words only.
    #[must_use]
    pub fn find(error: &(dyn StdError + 'static)) -> Option<Self> {
        const WORDS: [(&str, TlsFailure); 12] = [
            ("UnknownIssuer", TlsFailure::UnknownIssuer),
            ("CaUsedAsEndEntity", TlsFailure::UnknownIssuer),
            ("self-signed", TlsFailure::UnknownIssuer),
            ("Expired", TlsFailure::Expired),
            ("certificate expired", TlsFailure::Expired),
            ("NotValidForName", TlsFailure::OtherName),
            ("not valid for name", TlsFailure::OtherName),
            ("HandshakeFailure", TlsFailure::NothingInCommon),
            ("CertificateRequired", TlsFailure::CertificateRequired),
            ("InvalidContentType", TlsFailure::NotTls),
            ("corrupt message", TlsFailure::NotTls),
            ("handshake eof", TlsFailure::BrokenOff),
        ];
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            let mut found = WORDS.iter().filter(|(word, _)| text.contains(word));
            if let Some((_, failure)) = found.next() {
                return Some(*failure);
            }
            next = error.source();
        }
        None
    }
}

/// The longest wait for a server to show whether it speaks TLS.
const PROBE: Duration = Duration::from_secs(5);

/// Returns whether the server of an `http://` URL speaks TLS there.
///
/// No certificate is trusted, so the handshake ends at the server's certificate, and no request is
/// sent.
pub(crate) async fn is_spoken_at(url: &str) -> bool {
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

fn provider() -> Arc<CryptoProvider> {
    let default = CryptoProvider::get_default().cloned();
    default.unwrap_or_else(|| Arc::new(aws_lc_rs::default_provider()))
}

/// Takes the CAs that can be used. One that cannot does no harm in a long list.
fn anchors(listed: &[CertificateDer<'static>]) -> Result<RootCertStore, InvalidPem> {
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(listed.iter().cloned()) {
        (0, _) => Err(BROKEN),
        _ => Ok(roots),
    }
}

/// Reads the certificates of a file in PEM form.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidPem> {
    let text = String::from_utf8_lossy(pem);
    let text = text.trim_start_matches('\u{feff}');
    // OpenSSL's names for a certificate that is followed by its trusted uses.
    let text = ["TRUSTED ", "X509 "]
        .iter()
        .fold(text.to_owned(), |text, word| {
            text.replace(&format!("{word}CERTIFICATE-----"), "CERTIFICATE-----")
        });
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let certificate = certificate.map_err(|_| BROKEN)?;
        let len = der_len(&certificate).ok_or(BROKEN)?;
        let alone = certificate.get(..len).ok_or(BROKEN)?;
        certificates.push(CertificateDer::from(alone.to_vec()));
    }
    match certificates.is_empty() {
        true => Err(NO_CERTIFICATE),
        false => Ok(certificates),
    }
}

/// Returns the length of the first element of a DER text (X.690, 8.1.3).
fn der_len(der: &[u8]) -> Option<usize> {
    let first = *der.get(1)?;
    if first < 0x80 {
        return Some(2 + usize::from(first));
    }
    let bytes = usize::from(first & 0x7f);
    let len = der
        .get(2..2 + bytes)
        .filter(|len| (1..=4).contains(&len.len()))?;
    let len = len
        .iter()
        .fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
    Some(2 + bytes + len)
}

/// Trusts the CAs that are listed, and servers that show a listed certificate itself, as OpenSSL
/// does. To the library, a CA's certificate is no server's (RFC 5280), but most self-signed ones
/// are both.
#[derive(Debug)]
struct Verifier {
    /// `None` trusts everybody.
    trusted: Option<(Arc<WebPkiServerVerifier>, Vec<CertificateDer<'static>>)>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some((verifier, listed)) = &self.trusted else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // The library finds these only after it has found the certificate to be in force.
            Err(Error::InvalidCertificate(error))
                if is_of_issuer(&error) && listed.contains(end_entity) =>
            {
                let certificate = ParsedCertificate::try_from(end_entity)?;
                rustls::client::verify_server_name(&certificate, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.trusted {
            None => Ok(HandshakeSignatureValid::assertion()),
            Some((verifier, _)) => verifier.verify_tls12_signature(message, certificate, signature),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match &self.trusted {
            None => Ok(HandshakeSignatureValid::assertion()),
            Some((verifier, _)) => verifier.verify_tls13_signature(message, certificate, signature),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// Returns whether a certificate was refused for its issuer alone.
fn is_of_issuer(error: &CertificateError) -> bool {
    match error {
        CertificateError::UnknownIssuer => true,
        // The reason has no name of its own in rustls.
        CertificateError::Other(error) => format!("{error:?}").contains("CaUsedAsEndEntity"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pem_is_refused() {
        for (text, error) in [
            ("", NO_CERTIFICATE),
            ("secret", NO_CERTIFICATE),
            ("-----BEGIN CERTIFICATE-----\n", BROKEN),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                BROKEN,
            ),
            (
                "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n",
                BROKEN,
            ),
        ] {
            let found = Tls::default().with_roots(text.as_bytes()).unwrap_err();
            assert_eq!(found, error, "{text:?}");
            assert!(Tls::default().with_identity(text.as_bytes()).is_err());
        }
    }
}

//! Whom a client trusts, against a server that shows the certificates of `tls/`, which are valid
//! until 2120 unless their name says otherwise.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::sync::Arc;

use glance_client::{ClientConfig, Endpoint, GlanceClient, Tls};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

fn pem(name: &str) -> Vec<u8> {
    std::fs::read(format!("tests/it/tls/{name}.pem")).unwrap()
}

/// Starts a server that shows a certificate, and says to whoever trusts it that it has Images v2.
async fn glance(certificate: &str) -> Endpoint {
    let pem = pem(certificate);
    let chain = CertificateDer::pem_slice_iter(&pem).map(Result::unwrap);
    let key = PrivateKeyDer::from_pem_slice(&pem).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.collect(), key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // A client that does not trust it ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let body = r#"{"versions": [{"id": "v2.16", "status": "CURRENT", "links": []}]}"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    Endpoint::parse(&format!("https://127.0.0.1:{port}")).unwrap()
}

/// Connects to a server that shows a certificate; returns why not.
async fn refusal(shown: &str, trusted: &[u8]) -> Option<String> {
    let mut config = ClientConfig::new(glance(shown).await);
    config.tls = Tls::default().with_roots(trusted).unwrap();
    let error = GlanceClient::connect(&config).await.err()?;
    Some(format!("{error:?}"))
}

#[tokio::test]
async fn a_certificate_that_is_listed_may_be_shown_by_the_server_itself() {
    assert_eq!(refusal("self-signed", &pem("self-signed")).await, None);
    let both = [pem("ca"), pem("self-signed")].concat();
    assert_eq!(refusal("self-signed", &both).await, None);
    assert_eq!(refusal("issued", &both).await, None);
}

#[tokio::test]
async fn a_listed_certificate_is_for_its_host_and_its_time_alone() {
    for (shown, why) in [("other-host", "NotValidForName"), ("expired", "Expired")] {
        let error = refusal(shown, &pem(shown)).await;
        assert!(
            error.as_ref().is_some_and(|error| error.contains(why)),
            "{shown}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_listed_is_not_trusted() {
    for (shown, trusted) in [
        ("self-signed", "ca"),
        ("self-signed", "other-host"),
        ("issued", "self-signed"),
        // Its own certificate is a server's, and not in the list.
        ("self-signed", "issued"),
    ] {
        let error = refusal(shown, &pem(trusted)).await;
        let why = ["UnknownIssuer", "CaUsedAsEndEntity", "BadSignature"];
        let is_refused = |error: &String| why.iter().any(|why| error.contains(why));
        assert!(
            error.as_ref().is_some_and(is_refused),
            "{shown}, {trusted}: {error:?}"
        );
    }
}

#[tokio::test]
async fn certificates_are_read_as_openssl_and_editors_write_them() {
    let marked = [b"\xef\xbb\xbf", &*pem("self-signed")].concat();
    assert_eq!(refusal("self-signed", &marked).await, None);
    assert_eq!(refusal("self-signed", &pem("trusted")).await, None);
}

#[test]
fn a_client_certificate_of_x509_v1_is_taken_and_one_with_another_key_is_not() {
    assert!(Tls::default().with_identity(&pem("client-v1")).is_ok());
    let text = |name| String::from_utf8(pem(name)).unwrap();
    let (certificate, _) = split_before_key(&text("issued"));
    let (_, key) = split_before_key(&text("ca"));
    let mixed = Tls::default().with_identity(format!("{certificate}{key}").as_bytes());
    let Err(error) = mixed else {
        panic!("the key of another certificate was taken");
    };
    assert_eq!(
        error.to_string(),
        "the private key is not that of the certificate"
    );
}

fn split_before_key(pem: &str) -> (String, String) {
    let at = pem.find("-----BEGIN PRIVATE KEY-----").unwrap();
    let (certificate, key) = pem.split_at(at);
    (certificate.to_owned(), key.to_owned())
}

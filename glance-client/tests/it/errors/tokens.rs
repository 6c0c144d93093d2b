//! Tokens that are rejected or cannot be had, and the log, which holds none.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::error::Error as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use glance_client::testing::{Caller, EmbeddedGlance, ImageSpec};
use glance_client::{AuthToken, ErrorKind, GlanceClient, TokenError, TokenSource, Upload};

use super::config;
use crate::kit::{ONE, id, image};

/// Gives out one token after the other.
#[derive(Default)]
struct Tokens {
    current: Mutex<usize>,
    renewed: AtomicUsize,
    lives: Mutex<Vec<Duration>>,
    is_broken: bool,
}

impl Tokens {
    fn nth(number: usize) -> AuthToken {
        AuthToken::new(&format!("secret-{number}")).unwrap()
    }
}

#[async_trait::async_trait]
impl TokenSource for Tokens {
    async fn token(&self, life: Duration) -> Result<AuthToken, TokenError> {
        self.lives.lock().unwrap().push(life);
        Ok(Self::nth(*self.current.lock().unwrap()))
    }

    async fn renew(&self, rejected: &AuthToken) -> Result<Option<AuthToken>, TokenError> {
        if self.is_broken {
            let (kind, source) = (ErrorKind::Connect, "Keystone is away".into());
            return Err(TokenError { kind, source });
        }
        let mut current = self.current.lock().unwrap();
        if Self::nth(*current) == *rejected {
            *current += 1;
            self.renewed.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Some(Self::nth(*current)))
    }
}

#[tokio::test]
async fn an_upload_whose_token_is_rejected_may_be_sent_again_with_a_new_one() {
    let glance = EmbeddedGlance::builder()
        .token("secret-0", Caller::admin())
        .start()
        .await;
    let tokens = std::sync::Arc::new(Tokens::default());
    let mut config = config(&glance);
    config.tokens = Some(tokens.clone());
    let client = GlanceClient::connect(&config).await.unwrap();
    client.create_record(&image(1)).await.unwrap();
    glance.revoke_token("secret-0");
    glance.add_token("secret-1", Caller::admin());
    let error = client
        .upload(&image(1), Upload::from_bytes("x"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(error.is_transient());
    let uploaded = client.upload(&image(1), Upload::from_bytes("x")).await;
    assert!(uploaded.unwrap().is_active());
    let lives = tokens.lives.lock().unwrap();
    assert_eq!(lives.iter().max(), Some(&Duration::from_secs(300)));
    assert_eq!(lives.iter().min(), Some(&Duration::ZERO));
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_told_with_its_reason() {
    let glance = EmbeddedGlance::builder()
        .token("secret-1", Caller::admin())
        .start()
        .await;
    let mut config = config(&glance);
    config.tokens = Some(std::sync::Arc::new(Tokens {
        is_broken: true,
        ..Tokens::default()
    }));
    let client = GlanceClient::connect(&config).await.unwrap();
    let error = client.find_image(&id(ONE)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert_eq!(error.source().unwrap().to_string(), "Keystone is away");
}

#[tokio::test]
async fn a_rejected_token_is_renewed_once_and_never_shows() {
    let glance = EmbeddedGlance::builder()
        .token("secret-1", Caller::admin())
        .start()
        .await;
    glance.add_image(ImageSpec::new(ONE));
    let tokens = std::sync::Arc::new(Tokens::default());
    let mut config = config(&glance);
    config.tokens = Some(tokens.clone());
    let client = GlanceClient::connect(&config).await.unwrap();
    assert!(client.find_image(&id(ONE)).await.unwrap().is_some());
    assert_eq!(tokens.renewed.load(Ordering::Relaxed), 1);

    glance.revoke_token("secret-1");
    glance.clear_requests();
    let error = client.find_image(&id(ONE)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(glance.total_requests(), 2, "once more, with the new token");
    for text in [
        format!("{error} {error:?}"),
        format!("{client:?} {config:?}"),
    ] {
        assert!(!text.contains("secret"), "{text}");
    }
}

/// Collects what is logged.
#[derive(Clone, Default)]
struct Log(std::sync::Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn each_request_is_one_line_in_the_log_and_the_token_is_in_none() {
    let glance = EmbeddedGlance::builder()
        .token("secret-1", Caller::admin())
        .start()
        .await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let config = config(&glance).with_token(AuthToken::new("secret-1").unwrap());
    let client = GlanceClient::connect(&config).await.unwrap();
    client
        .create_image(&image(1), Upload::from_bytes("x"))
        .await
        .unwrap();
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("secret"), "{text}");
    let ours: Vec<_> = text
        .lines()
        .filter(|line| line.contains(" DEBUG glance_client"))
        .collect();
    assert_eq!(ours.len(), 4, "{ours:?}");
    let put = format!(
        "method=PUT url=\"{}/v2/images/{ONE}/file\" status=204",
        glance.url()
    );
    assert!(
        ours[2].contains(&put) && ours[2].contains("req-"),
        "{}",
        ours[2]
    );
}

//! Tokens that are renewed in time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::{AuthToken, ErrorKind, TokenError, TokenSource};
use async_trait::async_trait;
use glance_model::Projects;
use tokio::sync::Mutex;

use super::error::{AuthError, AuthErrorKind};
use super::keystone::{Grant, Keystone};

/// A token is renewed when this much of its life is left, or a quarter of it if that is less.
const LITTLE: Duration = Duration::from_secs(60);
/// The pause after a renewal that failed, while the token still lives.
const REST: Duration = Duration::from_secs(10);

/// The tokens of one who is signed in. They are renewed once for all who wait.
#[derive(Debug)]
pub struct CloudTokens {
    keystone: Keystone,
    state: Mutex<State>,
    has_warned: AtomicBool,
}

#[derive(Debug)]
struct State {
    grant: Grant,
    /// The last renewal, if it failed, and when it did.
    failure: Option<(Instant, Arc<AuthError>)>,
}

impl CloudTokens {
    pub(super) fn new(keystone: Keystone, grant: Grant) -> Self {
        let failure = None;
        Self {
            keystone,
            state: Mutex::new(State { grant, failure }),
            has_warned: AtomicBool::new(false),
        }
    }

    /// Asks Keystone for its projects, by ids and names: an administrator is told all, anybody
    /// else those that the user has a role in.
    ///
    /// # Errors
    ///
    /// [`AuthError`] if Keystone does not answer.
    pub async fn projects(&self) -> Result<Projects, AuthError> {
        let (token, project) = {
            let mut state = self.state.lock().await;
            if state.grant.is_due(Instant::now(), Duration::ZERO) && self.keystone.can_renew() {
                // With an old token, the request itself says what is wrong.
                drop(self.renew_in(&mut state, Instant::now()).await);
            }
            let grant = &state.grant;
            (grant.token.clone(), grant.details.project.clone())
        };
        let domain = project.and_then(|project| project.domain);
        let known: Vec<_> = domain.map(|domain| *domain).into_iter().collect();
        self.keystone.projects(&token, &known).await
    }

    /// Returns the URL of the tokens of the Keystone.
    #[must_use]
    pub fn url(&self) -> &str {
        self.keystone.url()
    }

    /// Returns a token for a request that needs it for `needed`.
    async fn token_for(&self, needed: Duration) -> Result<AuthToken, Arc<AuthError>> {
        let asked_at = Instant::now();
        let mut state = self.state.lock().await;
        let Some(left) = state.grant.left(Instant::now()) else {
            return Ok(state.grant.token.clone());
        };
        if !self.keystone.can_renew() {
            if left < needed {
                self.warn(format_args!(
                    "{}: the token lives for another {left:.0?} and cannot be renewed; a transfer \
                     may take longer, and then fails",
                    self.keystone.cloud()
                ));
            }
            return Ok(state.grant.token.clone());
        }
        if state.grant.is_due(Instant::now(), needed) {
            let tried_lately = state.failed_since(Instant::now().checked_sub(REST));
            if left.is_zero() || tried_lately.is_none() {
                let renewed = self.renew_in(&mut state, asked_at).await;
                if state.grant.left(Instant::now()) == Some(Duration::ZERO) {
                    renewed?;
                }
            }
        }
        if state.grant.left(Instant::now()) < Some(needed) && state.failure.is_none() {
            self.warn(format_args!(
                "{}: tokens live for {:.0?} alone, and a transfer may take longer; if the store \
                 of the target uses the token to the end, it fails",
                self.keystone.cloud(),
                state.grant.life.unwrap_or_default()
            ));
        }
        Ok(state.grant.token.clone())
    }

    /// Returns another token than the one that was refused.
    async fn token_after(&self, rejected: &AuthToken) -> Result<Option<AuthToken>, Arc<AuthError>> {
        let asked_at = Instant::now();
        let mut state = self.state.lock().await;
        if state.grant.token == *rejected {
            if !self.keystone.can_renew() {
                return Ok(None);
            }
            self.renew_in(&mut state, asked_at).await?;
        }
        Ok(Some(state.grant.token.clone()))
    }

    /// Signs in again, unless that has failed while the caller waited.
    async fn renew_in(&self, state: &mut State, asked_at: Instant) -> Result<(), Arc<AuthError>> {
        if let Some(error) = state.failed_since(Some(asked_at)) {
            return Err(error);
        }
        // A user who is refused again and again may be locked out.
        if let Some(error) = state.failed_since(asked_at.checked_sub(LITTLE))
            && error.kind() == AuthErrorKind::Denied
        {
            return Err(error);
        }
        match self.keystone.sign_in().await {
            Ok(grant) => {
                tracing::debug!(life = ?grant.life, "{}: a new token", self.keystone.cloud());
                *state = State {
                    grant,
                    failure: None,
                };
                Ok(())
            }
            Err(error) => {
                tracing::warn!("the token cannot be renewed: {error}");
                let error = Arc::new(error);
                state.failure = Some((Instant::now(), Arc::clone(&error)));
                Err(error)
            }
        }
    }

    /// Warns once in a session.
    fn warn(&self, what: std::fmt::Arguments<'_>) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!("{what}");
        }
    }
}

impl State {
    fn failed_since(&self, instant: Option<Instant>) -> Option<Arc<AuthError>> {
        let (failed_at, error) = self.failure.as_ref()?;
        (Some(*failed_at) >= instant).then(|| Arc::clone(error))
    }
}

impl Grant {
    /// Returns how much of its life is left, if that is known.
    fn left(&self, now: Instant) -> Option<Duration> {
        let used = now.saturating_duration_since(self.obtained_at);
        Some(self.life?.saturating_sub(used))
    }

    /// Returns whether it has to be renewed for a request that needs it for `needed`. A fresh token
    /// is not: the next one would live no longer.
    fn is_due(&self, now: Instant, needed: Duration) -> bool {
        let (Some(left), Some(life)) = (self.left(now), self.life) else {
            return false;
        };
        let little = LITTLE.min(life / 4);
        let is_fresh = life - left < little;
        left <= little || (left < needed && !is_fresh)
    }
}

#[async_trait]
impl TokenSource for CloudTokens {
    async fn token(&self, life: Duration) -> Result<AuthToken, TokenError> {
        self.token_for(life).await.map_err(token_error)
    }

    async fn renew(&self, rejected: &AuthToken) -> Result<Option<AuthToken>, TokenError> {
        self.token_after(rejected).await.map_err(token_error)
    }

    fn signs_in(&self) -> bool {
        true
    }
}

fn token_error(error: Arc<AuthError>) -> TokenError {
    let kind = match error.kind() {
        AuthErrorKind::Unavailable => ErrorKind::Connect,
        _ => ErrorKind::Unauthorized,
    };
    let source = Box::new(error);
    TokenError { kind, source }
}

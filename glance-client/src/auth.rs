//! Tokens, and where they come from.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderValue;

use crate::ErrorKind;

/// A token of Keystone. It never shows in logs, errors or its `Debug` form.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthToken(HeaderValue);

/// A text that cannot be sent as a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token has characters in it that no token has")]
pub struct InvalidToken;

impl AuthToken {
    /// Takes the text of a token.
    ///
    /// # Errors
    ///
    /// [`InvalidToken`] if there are blanks or other than visible ASCII
    /// characters in it, or none at all.
    pub fn new(text: &str) -> Result<Self, InvalidToken> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidToken);
        }
        let mut value = HeaderValue::from_str(text).map_err(|_| InvalidToken)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    pub(crate) fn header_value(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for AuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A failure to get a token.
#[derive(Debug)]
pub struct TokenError {
    /// The kind of the failure: [`ErrorKind::Unauthorized`] if the credentials are not taken,
    /// [`ErrorKind::Connect`] if it may work later.
    pub kind: ErrorKind,
    /// The reason.
    pub source: Box<dyn StdError + Send + Sync>,
}

/// Gives out the token that requests are sent with.
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// Returns the token for a request that is about to be sent, and that needs it for `life`.
    async fn token(&self, life: Duration) -> Result<AuthToken, TokenError>;

    /// Returns a new token in place of one that a server answered 401 to, or `None` if there is
    /// no other one. It is asked once a request. The data of an upload cannot be sent again: its
    /// error is transient then ([`Error::is_transient`](crate::Error::is_transient)).
    async fn renew(&self, rejected: &AuthToken) -> Result<Option<AuthToken>, TokenError>;

    /// Returns whether tokens are had by signing in, so that nobody can give another one.
    fn signs_in(&self) -> bool {
        false
    }
}

/// A token that stays the same.
#[async_trait]
impl TokenSource for AuthToken {
    async fn token(&self, _: Duration) -> Result<Self, TokenError> {
        Ok(self.clone())
    }

    async fn renew(&self, _: &Self) -> Result<Option<Self>, TokenError> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_show() {
        let token = AuthToken::new("gAAAAABsecret").unwrap();
        assert_eq!(format!("{token:?}"), "***");
    }

    #[test]
    fn what_cannot_be_in_a_header_is_no_token() {
        for text in ["", "a b", "a\n", "a\r\nx-evil: 1", "t\u{f6}ken"] {
            assert_eq!(AuthToken::new(text), Err(InvalidToken), "{text:?}");
        }
    }
}

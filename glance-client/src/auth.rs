//! Tokens, and where they come from.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{self, BoxFuture};
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

/// No token can be had.
#[derive(Debug)]
pub struct TokenError {
    /// What sort of failure it is: [`ErrorKind::Unauthorized`] if the credentials
    /// are not taken, [`ErrorKind::Connect`] if it may work later.
    pub kind: ErrorKind,
    /// Why.
    pub source: Box<dyn StdError + Send + Sync>,
}

/// Gives out the token that requests are sent with.
pub trait TokenSource: Send + Sync {
    /// The token for a request that is about to be sent, and that needs it for
    /// so long; `None` sends none.
    fn token(&self, life: Duration) -> BoxFuture<'_, Result<Option<AuthToken>, TokenError>>;

    /// A new token in place of one that a server answered 401 to, or `None` if
    /// there is none other. It is asked once a request. The data of an upload
    /// cannot be sent again: its error is [`ErrorKind::TokenRenewed`] then.
    fn renew<'a>(
        &'a self,
        rejected: &'a AuthToken,
    ) -> BoxFuture<'a, Result<Option<AuthToken>, TokenError>>;

    /// Returns whether tokens are had by signing in, so that nobody can give another one.
    fn signs_in(&self) -> bool {
        false
    }
}

/// A token that stays the same, or none.
impl TokenSource for Option<AuthToken> {
    fn token(&self, _: Duration) -> BoxFuture<'_, Result<Option<AuthToken>, TokenError>> {
        future::ready(Ok(self.clone())).boxed()
    }

    fn renew<'a>(
        &'a self,
        _: &'a AuthToken,
    ) -> BoxFuture<'a, Result<Option<AuthToken>, TokenError>> {
        future::ready(Ok(None)).boxed()
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

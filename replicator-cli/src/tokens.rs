//! The tokens that options and the environment give.

use glance_client::AuthToken;

use crate::args::Options;
use crate::error::CliError;
use crate::secrets;
use glance_client::cloud::Environment;

/// The tokens of both sides.
pub(crate) struct Tokens {
    pub(crate) source: Option<AuthToken>,
    pub(crate) target: Option<AuthToken>,
}

impl Tokens {
    /// Reads the tokens that the options give.
    pub(crate) fn new(options: &Options, env: &Environment) -> Result<Self, CliError> {
        Ok(Self {
            source: token(options, env, "sourcetoken", options.sourcetoken.as_deref())?,
            target: token(options, env, "targettoken", options.targettoken.as_deref())?,
        })
    }
}

fn token(
    options: &Options,
    env: &Environment,
    own_name: &'static str,
    own: Option<&str>,
) -> Result<Option<AuthToken>, CliError> {
    let (option, text) = match own {
        // As the Python tool takes it, an empty token is none.
        None | Some("") => ("token", options.token.as_deref().unwrap_or_default()),
        Some(own) => (own_name, own),
    };
    let (option, text) = match (text, env.get("OS_TOKEN")) {
        ("", Some(token)) => ("OS_TOKEN", token),
        ("", None) => return Ok(None),
        (text, _) => (option, text),
    };
    secrets::know(text);
    let token = AuthToken::new(text);
    token
        .map(Some)
        .map_err(|source| CliError::Token { option, source })
}

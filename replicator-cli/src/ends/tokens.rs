//! The tokens that options and the environment give.

use glance_client::AuthToken;
use glance_client::cloud::Environment;

use crate::args::Given;
use crate::error::CliError;
use crate::secrets;

/// Returns the token of a side: its own, or the one for both sides, or that of the environment.
///
/// As the Python tool takes it, an empty token is none.
pub(super) fn token(
    own: Option<&Given>,
    both: Option<&str>,
    env: &Environment,
) -> Result<Option<AuthToken>, CliError> {
    let own = own.map(|given| (given.option, given.value.as_str()));
    let both = both.filter(|text| !text.is_empty());
    let token = own
        .or(both.map(|text| ("token", text)))
        .or(env.get("OS_TOKEN").map(|text| ("OS_TOKEN", text)));
    let Some((option, text)) = token else {
        return Ok(None);
    };
    secrets::know(text);
    let token = AuthToken::new(text);
    token
        .map(Some)
        .map_err(|source| CliError::Token { option, source })
}

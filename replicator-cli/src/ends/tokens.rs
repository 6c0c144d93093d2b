//! The tokens that options and the environment give.

use glance_client::AuthToken;
use glance_client::cloud::Environment;

use crate::error::CliError;
use crate::secrets;

/// Returns the token of a side: its own, or the one for both sides, or that of the environment.
///
/// As the Python tool takes it, an empty token is none.
pub(super) fn token(
    own: (&'static str, Option<&str>),
    both: Option<&str>,
    env: &Environment,
) -> Result<Option<AuthToken>, CliError> {
    let given = [own, ("token", both), ("OS_TOKEN", env.get("OS_TOKEN"))];
    let token = given
        .into_iter()
        .find_map(|(option, text)| Some((option, text.filter(|text| !text.is_empty())?)));
    let Some((option, text)) = token else {
        return Ok(None);
    };
    secrets::know(text);
    let token = AuthToken::new(text);
    token
        .map(Some)
        .map_err(|source| CliError::Token { option, source })
}

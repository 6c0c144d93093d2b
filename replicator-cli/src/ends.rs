//! Ends: what the user names them by, and how they are opened.

mod connect;
mod file;
mod location;
mod nothing;
mod place;
mod tokens;

use glance_client::EndpointProblem;

pub(crate) use self::connect::{
    Access, Connected, Opening, Source, Taken, glance, source, stage, target,
};
pub(crate) use self::file::file;
pub(crate) use self::location::End;
use self::location::ParseEndError;
use crate::error::CliError;

impl From<ParseEndError> for CliError {
    fn from(error: ParseEndError) -> Self {
        let hint = match &error {
            ParseEndError::Endpoint(error) if error.problem == EndpointProblem::NoPort => {
                Some("Glance mostly is at port 9292; a directory is written dir:PATH")
            }
            ParseEndError::NoDirectory { .. } => Some(
                "livecopy copies from server to server; a directory that is called so is written \
                 dir:NAME or ./NAME",
            ),
            _ => None,
        };
        let problem = error.to_string();
        Self::End { problem, hint }
    }
}

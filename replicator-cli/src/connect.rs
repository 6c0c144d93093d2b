//! Puts ends and adapters together: the only module that names both adapters.

mod nothing;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use glance_client::{ApiChoice, AuthToken, ClientConfig, Endpoint, GlanceClient};
use replicator_core::{End as Side, ImageSource, ImageTarget};
use replicator_fs::{ArchiveError, ImageArchive};

use self::nothing::Nothing;
use crate::args::{Api, Options};
use crate::command::Run;
use crate::error::CliError;

/// An end, as the user names it. Nothing has been opened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Glance(Endpoint),
    Archive(PathBuf),
}

/// What an archive is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// It has to be there, and stays as it is.
    Read,
    /// It is created if need be.
    Write,
    /// It stays as it is, and one that is missing is taken for an empty one.
    DryRun,
}

impl End {
    /// Reads `host:port`, a URL, or `dir:PATH`.
    pub(crate) fn parse(text: &OsStr) -> Result<Self, CliError> {
        if let Some(path) = path_in(text) {
            return Ok(Self::Archive(path));
        }
        let Some(text) = text.to_str() else {
            let text = text.to_string_lossy().into_owned();
            return Err(CliError::EndpointText { text });
        };
        Ok(Self::Glance(Endpoint::parse(text)?))
    }

    /// Reads the path of an archive, with or without `dir:`.
    pub(crate) fn archive(text: &OsStr) -> Self {
        Self::Archive(path_in(text).unwrap_or_else(|| text.into()))
    }
}

/// The tokens of both sides.
pub(crate) struct Tokens {
    source: Option<AuthToken>,
    target: Option<AuthToken>,
}

impl Tokens {
    /// Reads the tokens that the options give.
    pub(crate) fn new(options: &Options) -> Result<Self, CliError> {
        Ok(Self {
            source: token(options, "sourcetoken", options.sourcetoken.as_deref())?,
            target: token(options, "targettoken", options.targettoken.as_deref())?,
        })
    }
}

fn token(
    options: &Options,
    own_name: &'static str,
    own: Option<&str>,
) -> Result<Option<AuthToken>, CliError> {
    let (option, text) = match own {
        // As the Python tool takes it, an empty token is none.
        None | Some("") => ("token", options.token.as_deref().unwrap_or_default()),
        Some(own) => (own_name, own),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let token = AuthToken::new(text);
    token
        .map(Some)
        .map_err(|source| CliError::Token { option, source })
}

fn path_in(text: &OsStr) -> Option<PathBuf> {
    let path = text.as_bytes().strip_prefix(b"dir:")?;
    Some(OsStr::from_bytes(path).into())
}

/// Opens the end that images come from.
pub(crate) async fn source(run: &Run<'_>, end: &End) -> Result<Arc<dyn ImageSource>, CliError> {
    let path = match end {
        End::Glance(endpoint) => return Ok(glance(run, endpoint, Side::Source).await?),
        End::Archive(path) => path,
    };
    let archive = ImageArchive::open(path)?;
    let unfinished = archive.unfinished().await;
    for id in unfinished.map_err(|source| CliError::Unfinished { source })? {
        run.console.warning(&format!(
            "image {id} in {} is unfinished: it has data, but no metadata yet",
            path.display()
        ));
    }
    Ok(Arc::new(archive))
}

/// Opens the end that images go to, or that is only looked at.
pub(crate) async fn target(
    run: &Run<'_>,
    end: &End,
    opening: Opening,
) -> Result<Arc<dyn ImageTarget>, CliError> {
    let path = match end {
        End::Glance(endpoint) => return Ok(glance(run, endpoint, Side::Target).await?),
        End::Archive(path) => path,
    };
    let archive = match opening {
        Opening::Write => ImageArchive::create(path)?,
        Opening::Read => ImageArchive::open(path)?,
        Opening::DryRun => match ImageArchive::open(path) {
            Err(ArchiveError::Missing { .. }) => return Ok(Arc::new(Nothing)),
            opened => opened?,
        },
    };
    Ok(Arc::new(archive))
}

async fn glance(
    run: &Run<'_>,
    endpoint: &Endpoint,
    end: Side,
) -> Result<Arc<GlanceClient>, CliError> {
    let config = config(run, endpoint, end);
    let connected = run
        .ctx
        .until_cancelled(GlanceClient::connect(&config))
        .await
        .map_err(|_| run.interrupted())?;
    match connected {
        Ok(client) => {
            tracing::info!(%endpoint, version = %client.version(), "connected to the {end}");
            Ok(Arc::new(client))
        }
        Err(source) => Err(CliError::Connect {
            endpoint: endpoint.to_string(),
            source,
        }),
    }
}

fn config(run: &Run<'_>, endpoint: &Endpoint, end: Side) -> ClientConfig {
    let (token, api) = match end {
        Side::Source => (&run.tokens.source, run.options.source_api),
        Side::Target => (&run.tokens.target, run.options.target_api),
    };
    let api = match api {
        Api::Auto => ApiChoice::Auto,
        Api::V1 => ApiChoice::V1,
        Api::V2 => ApiChoice::V2,
    };
    let mut config = ClientConfig::new(endpoint.clone()).with_api(api);
    config.stall_timeout = Duration::from_secs(run.options.stall_timeout.get());
    config.listing_retries = run.options.retries;
    match token {
        Some(token) => config.with_token(token.clone()),
        None => config,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_server_or_a_directory() {
        let end = |text: &str| End::parse(OsStr::new(text));
        assert_eq!(end("dir:a:b").unwrap(), End::Archive("a:b".into()));
        assert!(matches!(end("localhost:9292").unwrap(), End::Glance(_)));
        assert!(end("aaa").is_err());
        assert!(End::parse(OsStr::from_bytes(b"\xff:9292")).is_err());
        for text in ["archive", "dir:archive"] {
            let archive = End::archive(OsStr::new(text));
            assert_eq!(archive, End::Archive("archive".into()));
        }
    }
}

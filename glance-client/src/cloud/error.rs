//! Failures to use a cloud.

use std::io;
use std::path::PathBuf;

use crate::{InvalidEndpoint, InvalidPem};

/// A cloud that cannot be reached, or does not let the caller in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[expect(
    missing_docs,
    reason = "a variant without a comment says the same as its message, and its fields are in it"
)]
pub enum AuthError {
    #[error("there is no cloud {cloud:?} in {}", list_of_paths(files))]
    UnknownCloud {
        cloud: String,
        known: Vec<String>,
        files: Vec<PathBuf>,
    },
    #[error(
        "cloud {cloud:?} has the profile {profile:?}, which is not in {}",
        list_of_paths(files)
    )]
    UnknownProfile {
        cloud: String,
        profile: String,
        files: Vec<PathBuf>,
    },
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}, line {line}, column {column}: {problem}", path.display())]
    Syntax {
        path: PathBuf,
        line: u64,
        column: u64,
        problem: String,
    },
    #[error("{cloud}: {problem}")]
    Setting { cloud: String, problem: String },
    /// Of an entry, or of the caller's own.
    #[error("cannot use {}", path.display())]
    Pem { path: PathBuf, source: InvalidPem },
    #[error("{cloud} has no region {region:?} for images")]
    UnknownRegion {
        cloud: String,
        region: String,
        known: Vec<String>,
    },
    #[error("{cloud} has several regions, and none is named")]
    AmbiguousRegion { cloud: String, known: Vec<String> },
    #[error("{cloud} has no image service in its catalog")]
    NoImageService { cloud: String },
    #[error("{cloud} has no {interface:?} endpoint of the image service")]
    NoInterface {
        cloud: String,
        interface: String,
        known: Vec<String>,
    },
    #[error("{cloud}: the token is not for a project, and so there is no catalog")]
    NoScope { cloud: String },
    #[error("{cloud}: the endpoint of the image service cannot be used")]
    Endpoint {
        cloud: String,
        source: InvalidEndpoint,
    },
    /// Keystone does not know the caller, or does not let it in.
    #[error(
        "{cloud}: Keystone at {url} refuses to sign in with {methods}: {status}{}",
        said(message)
    )]
    Refused {
        cloud: String,
        url: String,
        methods: String,
        status: u16,
        message: Option<String>,
    },
    #[error(
        "{cloud}: the token is expired or not valid, and there are no credentials for another one"
    )]
    TokenExpired { cloud: String },
    /// The credentials are right as far as they go.
    #[error("{cloud}: Keystone at {url} wants more than {methods}: {wanted}")]
    MoreWanted {
        cloud: String,
        url: String,
        methods: String,
        wanted: String,
    },
    /// The request makes no sense to Keystone.
    #[error(
        "{cloud}: Keystone at {url} does not take the sign-in: {status}{}",
        said(message)
    )]
    NotTaken {
        cloud: String,
        url: String,
        status: u16,
        message: Option<String>,
    },
    /// Keystone is not there, or fails.
    #[error("{cloud}: Keystone at {url} fails: {status}{}", said(message))]
    Failed {
        cloud: String,
        url: String,
        status: u16,
        message: Option<String>,
    },
    #[error("{cloud}: Keystone at {url} cannot be reached{}", said(proxy))]
    Unreachable {
        cloud: String,
        url: String,
        /// The part of a proxy in it.
        proxy: Option<String>,
        source: reqwest::Error,
    },
    #[error("{cloud}: what Keystone at {url} answers cannot be used: {problem}")]
    Answer {
        cloud: String,
        url: String,
        problem: String,
    },
    #[error("{cloud}: what answers at {url} is no Keystone: {problem}")]
    NotKeystone {
        cloud: String,
        url: String,
        problem: String,
    },
}

/// The kind of an error, by who can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthErrorKind {
    /// The user: a name, a file or a setting is missing or makes no sense.
    Usage,
    /// The owner of the credentials: Keystone does not take them.
    Denied,
    /// Time: Keystone fails or is not there, and may work later.
    Unavailable,
}

impl AuthError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> AuthErrorKind {
        match self {
            Self::Refused { .. } | Self::MoreWanted { .. } | Self::TokenExpired { .. } => {
                AuthErrorKind::Denied
            }
            Self::Failed { .. } | Self::Unreachable { .. } => AuthErrorKind::Unavailable,
            _ => AuthErrorKind::Usage,
        }
    }
}

fn said(message: &Option<String>) -> String {
    message
        .as_ref()
        .map_or_else(String::new, |text| format!(": {text}"))
}

fn list_of_paths(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

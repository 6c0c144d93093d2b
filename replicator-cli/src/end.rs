//! What a user names an end by. Nothing is opened here, and no server is asked.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use glance_client::{Endpoint, ParseEndpointError};

/// An end, as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Glance(Endpoint),
    /// An entry of clouds.yaml, and one of its regions.
    Cloud(String, Option<String>),
    /// What the `OS_*` variables describe.
    Environment,
    Archive(PathBuf),
}

/// A text that names no end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseEndError {
    #[error(transparent)]
    Endpoint(#[from] ParseEndpointError),
    #[error("{text:?} is no Glance endpoint: it is not UTF-8")]
    NotUtf8 { text: String },
    #[error("{text:?} names no cloud: write cloud:NAME or cloud:NAME/REGION")]
    Cloud { text: String },
}

impl End {
    /// Reads `host:port`, a URL, `cloud:NAME[/REGION]`, `env:` or `dir:PATH`.
    pub(crate) fn parse(text: &OsStr) -> Result<Self, ParseEndError> {
        if let Some(path) = path_in(text) {
            return Ok(Self::Archive(path));
        }
        let Some(text) = text.to_str() else {
            let text = text.to_string_lossy();
            // What stands before it may be a password.
            let text = match text.rsplit_once('@') {
                Some((_, host)) => format!("***@{host}"),
                None => text.into_owned(),
            };
            return Err(ParseEndError::NotUtf8 { text });
        };
        if text == "env:" {
            return Ok(Self::Environment);
        }
        if let Some(cloud) = text.strip_prefix("cloud:") {
            let (name, region) = match cloud.split_once('/') {
                Some((name, region)) => (name, Some(region.to_owned())),
                None => (cloud, None),
            };
            if name.is_empty() || region.as_deref() == Some("") {
                return Err(ParseEndError::Cloud {
                    text: text.to_owned(),
                });
            }
            return Ok(Self::Cloud(name.to_owned(), region));
        }
        Ok(Self::Glance(Endpoint::parse(text)?))
    }

    /// Reads the path of an archive, with or without `dir:`.
    pub(crate) fn archive(text: &OsStr) -> Self {
        Self::Archive(path_in(text).unwrap_or_else(|| text.into()))
    }
}

fn path_in(text: &OsStr) -> Option<PathBuf> {
    let path = text.as_bytes().strip_prefix(b"dir:")?;
    Some(OsStr::from_bytes(path).into())
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
        let region = Some("RegionOne".to_owned());
        assert_eq!(end("cloud:a").unwrap(), End::Cloud("a".into(), None));
        assert_eq!(
            end("cloud:a/RegionOne").unwrap(),
            End::Cloud("a".into(), region)
        );
        assert_eq!(end("env:").unwrap(), End::Environment);
        assert!(end("cloud:").is_err() && end("cloud:a/").is_err());
        assert!(End::parse(OsStr::from_bytes(b"\xff:9292")).is_err());
        let error = End::parse(OsStr::from_bytes(b"me:secret\xff@host:9292")).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
        for text in ["archive", "dir:archive"] {
            let archive = End::archive(OsStr::new(text));
            assert_eq!(archive, End::Archive("archive".into()));
        }
    }
}

//! The names by which users call ends. Nothing is opened here, and no server is asked.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use glance_client::{Endpoint, InvalidEndpoint};

/// An end, as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Glance(Endpoint),
    /// An entry of clouds.yaml, and one of its regions.
    Cloud(String, Option<String>),
    /// The cloud that the `OS_*` variables describe.
    Environment,
    Archive(PathBuf),
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Glance(endpoint) => endpoint.fmt(f),
            Self::Cloud(name, None) => write!(f, "cloud:{name}"),
            Self::Cloud(name, Some(region)) => write!(f, "cloud:{name}/{region}"),
            Self::Environment => f.write_str("env:"),
            Self::Archive(path) => path.display().fmt(f),
        }
    }
}

/// A text that names no end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseEndError {
    #[error(transparent)]
    Endpoint(#[from] InvalidEndpoint),
    #[error("{text:?} is no Glance endpoint: it is not UTF-8")]
    NotUtf8 { text: String },
    #[error("{text:?} is written like a server, and a directory is wanted")]
    NoDirectory { text: String },
    #[error("{text:?} names no end: is a variable of a script not set?")]
    Empty { text: String },
    #[error("{text:?} names no cloud: write cloud:NAME or cloud:NAME/REGION")]
    Cloud { text: String },
}

impl End {
    /// Reads `host:port`, a URL, `cloud:NAME[/REGION]`, `env:` or `dir:PATH`.
    pub(crate) fn parse(text: &OsStr) -> Result<Self, ParseEndError> {
        if let Some(path) = path_in(text)? {
            return Ok(Self::Archive(path));
        }
        let Some(text) = text.to_str() else {
            let text = without_user(&text.to_string_lossy());
            return Err(ParseEndError::NotUtf8 { text });
        };
        if text == "env:" {
            return Ok(Self::Environment);
        }
        if let Some(cloud) = text.strip_prefix("cloud:") {
            return Self::cloud(cloud);
        }
        Ok(Self::Glance(Endpoint::parse(text)?))
    }

    /// Reads `NAME[/REGION]`.
    pub(crate) fn cloud(text: &str) -> Result<Self, ParseEndError> {
        let (name, region) = match text.split_once('/') {
            Some((name, region)) => (name, Some(region.to_owned())),
            None => (text, None),
        };
        if name.is_empty() || region.as_deref() == Some("") {
            let text = format!("cloud:{text}");
            return Err(ParseEndError::Cloud { text });
        }
        Ok(Self::Cloud(name.to_owned(), region))
    }

    /// Reads the path of an archive, with or without `dir:`. Without it, what is written like
    /// a server is none: a dump would go into a directory of that name.
    pub(crate) fn archive(text: &OsStr) -> Result<PathBuf, ParseEndError> {
        if let Some(path) = path_in(text)? {
            return Ok(path);
        }
        let shown = text.to_string_lossy();
        if is_like_a_server(&shown) {
            let text = without_user(&shown);
            return Err(ParseEndError::NoDirectory { text });
        }
        Ok(text.into())
    }
}

/// Returns whether a text looks like a cloud, a URL or `host:port`, be it a right one or not.
pub(super) fn is_like_a_server(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let begins = ["cloud:", "env:", "dir:", "http:", "https:"];
    if begins.iter().any(|begin| lower.starts_with(begin)) || text.contains("://") {
        return true;
    }
    let authority = text.split('/').next().unwrap_or_default();
    let authority = authority.rsplit('@').next().unwrap_or_default();
    authority.rsplit_once(':').is_some_and(|(host, port)| {
        // Not the time of day, as in `2026-11-26T10:30:00`.
        let is_host = host.ends_with(']') || !host.contains(':');
        is_host && port.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Leaves out what may be a password.
fn without_user(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => text.to_owned(),
    }
}

fn path_in(text: &OsStr) -> Result<Option<PathBuf>, ParseEndError> {
    match text.as_bytes() {
        b"" | b"dir:" => {
            let text = text.to_string_lossy().into_owned();
            Err(ParseEndError::Empty { text })
        }
        text => {
            let path = text.strip_prefix(b"dir:");
            Ok(path.map(|path| OsStr::from_bytes(path).into()))
        }
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
            assert_eq!(archive, Ok("archive".into()));
        }
    }

    #[test]
    fn what_is_written_like_a_server_is_no_directory() {
        let archive = |text: &str| End::archive(OsStr::new(text));
        for text in [
            "cloud:DR",
            "Cloud:DR/One",
            "cloud:",
            "env:",
            "DIR:x",
            "https://host",
            "http:/host",
            "s3://bucket",
            "host:9292",
            "host:9292/image",
            "host:",
            "127.0.0.1:99999",
            "[::1]:9292",
            "me:secret@host:9292",
            "https://me:secret@host",
        ] {
            let error = archive(text).unwrap_err();
            assert!(matches!(error, ParseEndError::NoDirectory { .. }), "{text}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        for text in [
            "./host:9292",
            "/backup/cloud:DR",
            "dir:cloud:DR",
            "dir:host:9292",
            "backup",
            "../x:1",
            "2026-11-26T10:30:00",
            "2026-11-26T10:30:00+00:00",
            "images@home",
            "a:b",
        ] {
            assert!(archive(text).is_ok(), "{text}");
        }
    }
}

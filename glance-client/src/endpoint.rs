//! The address of a Glance: `host:port`, or a URL.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use reqwest::Url;

/// The address of a Glance, without the version of its API. With it or without, it is the same
/// address.
#[derive(Clone, Debug)]
pub struct Endpoint {
    url: String,
    /// Whether it was given with `/v2` at the end.
    names_v2: bool,
}

/// A text that is no address of a Glance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no Glance endpoint: {problem} (write HOST:PORT or http(s)://HOST[:PORT][/PATH])"
)]
pub struct InvalidEndpoint {
    /// The text, cut to 200 characters, without a password.
    pub text: String,
    /// The problem with it.
    pub problem: EndpointProblem,
}

/// A problem with the address of a Glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointProblem {
    /// There is no port, and no scheme that implies one.
    #[error("it has no port")]
    NoPort,
    /// The port is no number between 1 and 65535.
    #[error("the port is no number from 1 to 65535")]
    Port,
    /// There is no host.
    #[error("it has no host")]
    NoHost,
    /// The host is neither a name nor an IP address; IPv6 stands in brackets.
    #[error("the host is neither a name nor an IP address (IPv6 stands in brackets)")]
    Host,
    /// The scheme is neither `http` nor `https`.
    #[error("it is neither http nor https")]
    Scheme,
    /// It has a user name or a password, which Glance does not take.
    #[error("it has a user name in it")]
    UserInfo,
    /// It has a query or a fragment.
    #[error("it has a query or a fragment")]
    Query,
}

impl Endpoint {
    /// Reads `host:port`, which means plain HTTP, or a URL. IPv6 addresses stand
    /// in brackets. A version at the end (`/v2`, `/v1.1`) is dropped.
    ///
    /// # Errors
    ///
    /// [`InvalidEndpoint`] if it is neither.
    pub fn parse(text: &str) -> Result<Self, InvalidEndpoint> {
        parse(text).map_err(|problem| Self::invalid(text, problem))
    }

    /// The error of a text that is no URL.
    pub(crate) fn invalid(text: &str, problem: EndpointProblem) -> InvalidEndpoint {
        InvalidEndpoint {
            text: without_user(text).chars().take(200).collect(),
            problem,
        }
    }

    /// Returns the URL, without a slash at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Returns whether it was given as that of Images v2, with `/v2` at the end.
    pub(crate) fn names_v2(&self) -> bool {
        self.names_v2
    }

    /// Returns the URL of a path below the endpoint; the path begins with a slash.
    pub(crate) fn join(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url
    }
}

impl Eq for Endpoint {}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

fn parse(text: &str) -> Result<Endpoint, EndpointProblem> {
    use EndpointProblem as Problem;
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
        None => (None, text),
    };
    if !matches!(scheme.as_deref(), None | Some("http" | "https")) {
        return Err(Problem::Scheme);
    }
    if rest.contains(['?', '#']) {
        return Err(Problem::Query);
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err(Problem::UserInfo);
    }
    let (host, port) = split_port(authority)?;
    check_host(host)?;
    match port {
        None if scheme.is_none() => return Err(Problem::NoPort),
        Some(port) => check_port(port)?,
        None => {}
    }
    let scheme = scheme.as_deref().unwrap_or("http");
    let url = format!("{scheme}://{authority}{path}");
    // The HTTP library must take it as well. It also puts names and paths into another form, which
    // is the one that counts: `\u{2474}` is no host, since it becomes `(1)`, and `/v2/.` is `/v2/`.
    let url = Url::parse(&url).map_err(|_| Problem::Host)?;
    check_host(url.host_str().unwrap_or_default())?;
    let origin = url.as_str().strip_suffix(url.path());
    let path = without_version(url.path());
    let version = url.path().strip_prefix(path).unwrap_or_default();
    let last = version.split('/').rfind(|part| !part.is_empty());
    Ok(Endpoint {
        url: format!("{}{path}", origin.unwrap_or_default()),
        names_v2: last.is_some_and(|version| version.starts_with("v2")),
    })
}

fn without_version(path: &str) -> &str {
    let mut path = path.trim_end_matches('/');
    while let Some((base, last)) = path.rsplit_once('/')
        && is_version(last)
    {
        path = base.trim_end_matches('/');
    }
    path
}

/// Returns whether a segment of a path is a version, as glanceclient has it
/// (`v\d+\.?\d*`, in `utils.strip_version`).
fn is_version(segment: &str) -> bool {
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    segment.strip_prefix('v').is_some_and(|version| {
        let (major, minor) = version.split_once('.').unwrap_or((version, ""));
        !major.is_empty() && are_digits(major) && are_digits(minor)
    })
}

fn split_port(authority: &str) -> Result<(&str, Option<&str>), EndpointProblem> {
    let after_host = match authority.rfind(']') {
        Some(at) => at + 1,
        None => authority.find(':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(after_host);
    match port.strip_prefix(':') {
        // An IPv6 address without brackets.
        Some(port) if port.contains(':') => Err(EndpointProblem::Host),
        Some(port) => Ok((host, Some(port))),
        None if port.is_empty() => Ok((host, None)),
        None => Err(EndpointProblem::Host),
    }
}

fn check_host(host: &str) -> Result<(), EndpointProblem> {
    if host.is_empty() {
        return Err(EndpointProblem::NoHost);
    }
    let is_host = match host.strip_prefix('[') {
        Some(address) => address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => host
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_')),
    };
    if is_host {
        Ok(())
    } else {
        Err(EndpointProblem::Host)
    }
}

fn check_port(port: &str) -> Result<(), EndpointProblem> {
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse::<u16>() {
        Ok(1..) if digits => Ok(()),
        _ => Err(EndpointProblem::Port),
    }
}

/// Leaves out everything before the last `@` except a scheme: it may be a password.
fn without_user(text: &str) -> String {
    let Some((user, host)) = text.rsplit_once('@') else {
        return text.to_owned();
    };
    // RFC 3986, 3.1: the letters of a scheme, which `user:secret` has not.
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    match user.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(is_scheme) => format!("{scheme}://***@{host}"),
        _ => format!("***@{host}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_ports_and_urls_are_endpoints() {
        for (text, url) in [
            ("localhost:9292", "http://localhost:9292"),
            ("my_host.example:1", "http://my_host.example:1"),
            ("127.0.0.1:9292/", "http://127.0.0.1:9292"),
            ("[::1]:9292", "http://[::1]:9292"),
            ("http://[::1]/", "http://[::1]"),
            ("https://glance.example", "https://glance.example"),
            (
                "HTTPS://glance.example:443/image/v2/",
                "https://glance.example/image",
            ),
            ("http://glance:9292/v1", "http://glance:9292"),
            ("http://glance:9292//v2//", "http://glance:9292"),
            ("http://glance:9292/v1/v2", "http://glance:9292"),
            ("http://glance:9292/v1.0", "http://glance:9292"),
            ("http://glance:9292/image/v1.1/", "http://glance:9292/image"),
            ("http://glance:9292/v2.0/", "http://glance:9292"),
            ("http://glance:9292/v2.17", "http://glance:9292"),
            ("http://glance:9292/v2.", "http://glance:9292"),
            ("http://glance:9292/v", "http://glance:9292/v"),
            ("http://glance:9292/v2x", "http://glance:9292/v2x"),
            ("http://glance:9292/v2.0.1", "http://glance:9292/v2.0.1"),
            ("http://glance:9292/v2/a", "http://glance:9292/v2/a"),
            ("http://glance:9292/a/../v2/. ", "http://glance:9292"),
            ("http://glance:9292/a\\v2", "http://glance:9292/a"),
            (
                "https://example/region-1/image",
                "https://example/region-1/image",
            ),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().as_str(), url, "{text}");
            assert_eq!(Endpoint::parse(url).unwrap().as_str(), url, "{text}");
        }
    }

    #[test]
    fn an_endpoint_of_v2_says_so_and_is_the_same_as_one_without() {
        for (text, names_v2) in [
            ("http://glance:9292/image/v2", true),
            ("http://glance:9292/image/v2/", true),
            ("http://glance:9292/image/v1", false),
            ("http://glance:9292/image", false),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(endpoint.names_v2(), names_v2, "{text}");
            assert_eq!(endpoint, Endpoint::parse(endpoint.as_str()).unwrap());
        }
    }

    #[test]
    fn no_error_shows_a_user_or_a_password() {
        for (text, shown) in [
            ("http://user:secret@host:80", "http://***@host:80"),
            ("user:secret@host:80", "***@host:80"),
            ("user:secret@http://host:80", "***@http://host:80"),
            ("user:secret://@host:80", "***@host:80"),
            ("http:/user:secret@host", "***@host"),
            ("http://a:secret@b:secret@host", "http://***@host"),
        ] {
            let error = Endpoint::parse(text).unwrap_err();
            assert_eq!(error.text, shown);
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn everything_else_is_refused_and_the_error_says_why() {
        use EndpointProblem as Problem;
        for (text, problem) in [
            ("aaa", Problem::NoPort),
            ("", Problem::NoHost),
            (":9292", Problem::NoHost),
            ("http://", Problem::NoHost),
            ("http://:80", Problem::NoHost),
            ("host:", Problem::Port),
            ("host:0", Problem::Port),
            ("host:70000", Problem::Port),
            ("host:x", Problem::Port),
            ("host:+80", Problem::Port),
            ("http://host:0/x", Problem::Port),
            ("::1:9292", Problem::Host),
            ("fe80::1:9292", Problem::Host),
            ("[::1", Problem::Host),
            ("[::g]:80", Problem::Host),
            ("ho st:80", Problem::Host),
            ("http://1.2.3.999:80", Problem::Host),
            ("\u{2474}:80", Problem::Host),
            ("ftp://host:21", Problem::Scheme),
            ("http://user:secret@host:80", Problem::UserInfo),
            ("http://host:80?a=b", Problem::Query),
        ] {
            let error = Endpoint::parse(text).unwrap_err();
            assert_eq!(error.problem, problem, "{text}");
        }
    }
}

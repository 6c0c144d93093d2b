//! The proxy of a server, as the environment names it.

use std::error::Error;
use std::fmt;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{ClientBuilder, Url};

/// A proxy on the way to one server. Its password shows nowhere.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Proxy {
    url: Url,
    variable: &'static str,
}

/// A variable that names no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no URL of a proxy (http://HOST:PORT, https, socks5 or socks5h)")]
pub(crate) struct InvalidProxy(&'static str);

impl Proxy {
    /// Finds the proxy to a URL in the environment of this process: `http_proxy`, `https_proxy`,
    /// `all_proxy`, unless `no_proxy` has its host, and all of these in capitals.
    ///
    /// # Errors
    ///
    /// [`InvalidProxy`] if there is one that cannot be used.
    pub(crate) fn of_process(url: &str) -> Result<Option<Self>, InvalidProxy> {
        Self::find(url, |name| std::env::var(name).ok())
    }

    /// The same, in any environment.
    pub(crate) fn find(
        url: &str,
        env: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Option<Self>, InvalidProxy> {
        let Ok(server) = Url::parse(url) else {
            return Ok(None);
        };
        // As in Python: of two spellings the lower one counts, even if it is empty.
        let first = |names: [&'static str; 2]| {
            let mut set = names.into_iter();
            let (name, value) = set.find_map(|name| Some((name, env(name)?)))?;
            Some((name, value)).filter(|(_, value)| !value.trim().is_empty())
        };
        // In a CGI script, HTTP_PROXY is a header that any client may send.
        let of_scheme = match server.scheme() {
            "http" if env("REQUEST_METHOD").is_some() => return Ok(None),
            "http" => first(["http_proxy", "HTTP_PROXY"]),
            _ => first(["https_proxy", "HTTPS_PROXY"]),
        };
        let Some((variable, proxy)) = of_scheme.or_else(|| first(["all_proxy", "ALL_PROXY"]))
        else {
            return Ok(None);
        };
        if let Some((_, no_proxy)) = first(["no_proxy", "NO_PROXY"])
            && is_direct(&server, &no_proxy)
        {
            return Ok(None);
        }
        let proxy = proxy.trim();
        let proxy = match proxy.contains("://") {
            true => proxy.to_owned(),
            false => format!("http://{proxy}"),
        };
        let url = Url::parse(&proxy).map_err(|_| InvalidProxy(variable))?;
        let schemes = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
        if !schemes.contains(&url.scheme()) || !url.has_host() {
            return Err(InvalidProxy(variable));
        }
        Ok(Some(Self { url, variable }))
    }

    /// Has an HTTP client go through a proxy, or through none whatever the environment says.
    ///
    /// # Errors
    ///
    /// [`InvalidProxy`] if the HTTP library does not take it.
    pub(crate) fn apply(
        this: Option<&Self>,
        builder: ClientBuilder,
    ) -> Result<ClientBuilder, InvalidProxy> {
        let builder = builder.no_proxy();
        match this {
            None => Ok(builder),
            Some(proxy) => {
                let all = reqwest::Proxy::all(proxy.url.clone());
                Ok(builder.proxy(all.map_err(|_| InvalidProxy(proxy.variable))?))
            }
        }
    }

    /// Returns what the proxy has to do with a connection that failed.
    pub(crate) fn part_in(&self, error: &(dyn Error + 'static)) -> String {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            // Only the proxy itself is connected to from here.
            if text.contains("tcp connect error") || text.contains("dns error") {
                return format!("the proxy {self} cannot be reached");
            }
            next = error.source();
        }
        format!("the way is through the proxy {self}")
    }

    /// Returns whether the proxy itself is spoken to with TLS.
    pub(crate) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }
}

/// The proxy without its password, and the variable that sets it.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.host_str().unwrap_or_default();
        write!(f, "{}://{host}", self.url.scheme())?;
        if let Some(port) = self.url.port() {
            write!(f, ":{port}")?;
        }
        write!(f, " ({})", self.variable)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns whether a list of exceptions has a server in it. The list has hosts (and domains),
/// addresses and networks, each with or without a port, or `*` for all.
fn is_direct(server: &Url, no_proxy: &str) -> bool {
    let port = server
        .port_or_known_default()
        .map(|port| format!(":{port}"));
    let entries = no_proxy.split(',').map(str::trim);
    let entries: Vec<&str> = entries
        .map(|entry| {
            let host = port.as_deref().and_then(|port| entry.strip_suffix(port));
            // An IPv6 address without brackets ends like one with a port.
            host.filter(|host| !host.contains(':') || host.ends_with(']'))
                .unwrap_or(entry)
        })
        .collect();
    if entries.contains(&"*") {
        return true;
    }
    let matcher = Matcher::builder()
        .all("http://proxy")
        .no(entries.join(","))
        .build();
    let uri = server.as_str().parse();
    uri.is_ok_and(|uri| matcher.intercept(&uri).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str, env: &[(&str, &str)]) -> Result<Option<String>, InvalidProxy> {
        let get = |name: &str| {
            let mut env = env.iter();
            let found = env.find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let found = Proxy::find(url, get)?;
        Ok(found.map(|proxy| format!("{proxy} {proxy:?}").replace(&format!(" {proxy}"), "")))
    }

    #[test]
    fn the_environment_names_the_proxy_of_a_server() {
        let (http, https) = ("http://glance:9292", "https://glance:9292");
        for (url, env, found) in [
            (http, vec![], None),
            (
                http,
                vec![("http_proxy", "http://p:1")],
                Some("http://p:1 (http_proxy)"),
            ),
            (
                http,
                vec![("HTTP_PROXY", "p:1")],
                Some("http://p:1 (HTTP_PROXY)"),
            ),
            (http, vec![("HTTPS_PROXY", "http://p:1")], None),
            (
                https,
                vec![("HTTPS_PROXY", "http://u:s3cret@p:1")],
                Some("http://p:1 (HTTPS_PROXY)"),
            ),
            (
                https,
                vec![("ALL_PROXY", "socks5h://p:1")],
                Some("socks5h://p:1 (ALL_PROXY)"),
            ),
            (
                http,
                vec![("HTTP_PROXY", "http://p:1"), ("http_proxy", "http://q:1")],
                Some("http://q:1 (http_proxy)"),
            ),
            (
                http,
                vec![("HTTP_PROXY", "http://p:1"), ("http_proxy", "")],
                None,
            ),
            (
                http,
                vec![("HTTP_PROXY", "http://p:1"), ("REQUEST_METHOD", "GET")],
                None,
            ),
        ] {
            assert_eq!(proxy(url, &env).unwrap().as_deref(), found, "{url} {env:?}");
        }
        for wrong in ["ftp://p:1", "http://", "http://p:x"] {
            let error = proxy(http, &[("http_proxy", wrong)]).unwrap_err();
            assert_eq!(error, InvalidProxy("http_proxy"), "{wrong}");
        }
    }

    #[test]
    fn whatever_is_excepted_goes_through_no_proxy() {
        for (url, no_proxy, is_direct) in [
            ("http://127.0.0.1:5000", "*", true),
            ("http://glance:9292", "*", true),
            ("http://[::1]:5000", " * ", true),
            ("http://127.0.0.1:5000", "a, *", true),
            ("http://127.0.0.1:5000", "127.0.0.1", true),
            ("http://127.0.0.1:5000", "127.0.0.1:5000", true),
            ("http://127.0.0.1:5001", "127.0.0.1:5000", false),
            ("http://127.0.0.1:5000", "127.0.0.0/8", true),
            ("http://[::1]:5000", "::1", true),
            ("http://[2001:db8::5]:80", "2001:db8::/32", true),
            ("http://glance.example:9292", "example", true),
            ("http://glance.example:9292", ".example", true),
            ("http://glance.example:9292", "glance.example:9292", true),
            ("https://glance.example", "glance.example:443", true),
            ("http://other.example:9292", "glance.example", false),
            ("http://10.0.0.1:5000", "127.0.0.1,localhost", false),
            ("http://10.0.0.1:5000", "", false),
        ] {
            let env = [
                ("http_proxy", "http://p:1"),
                ("https_proxy", "http://p:1"),
                ("no_proxy", no_proxy),
            ];
            let found = proxy(url, &env).unwrap();
            assert_eq!(found.is_none(), is_direct, "{url} {no_proxy}: {found:?}");
        }
    }
}

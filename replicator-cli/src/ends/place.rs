//! The true place of an end, whatever it is called.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Two ends with the same place are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The URL of an endpoint.
    Server(String),
    /// The device and the inode of a directory, to which many paths may lead.
    Directory(u64, u64),
    /// The path of a directory that is not there yet, without links.
    NewDirectory(PathBuf),
}

impl Place {
    /// The place of a server, by the URL that it was reached at. Two names of one host are not
    /// told to be so, but for this machine's own.
    pub(crate) fn of_server(endpoint: &str) -> Self {
        let (scheme, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (authority, ""),
        };
        Self::Server(format!("{scheme}://{}:{port}{path}", canonical(host)))
    }

    pub(crate) fn of_directory(path: &Path) -> Self {
        if let Ok(found) = fs::metadata(path) {
            return Self::Directory(found.dev(), found.ino());
        }
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let there = path
            .ancestors()
            .find_map(|above| Some((above, above.canonicalize().ok()?)));
        Self::NewDirectory(match there {
            Some((above, real)) => real.join(path.strip_prefix(above).unwrap_or(&path)),
            None => path,
        })
    }
}

fn canonical(host: &str) -> String {
    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    let host = host.trim_end_matches('.');
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address
        .parse()
        .map(|address: IpAddr| address.to_canonical());
    match address {
        Ok(IpAddr::V6(Ipv6Addr::LOCALHOST)) => LOCAL.to_string(),
        Ok(address) if address.is_unspecified() => LOCAL.to_string(),
        Ok(address) => address.to_string(),
        Err(_) if host == "localhost" => LOCAL.to_string(),
        Err(_) => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_of_one_server_are_one_place() {
        let place = Place::of_server;
        for name in [
            "localhost",
            "localhost.",
            "[::1]",
            "0.0.0.0",
            "[::ffff:127.0.0.1]",
        ] {
            let (one, other) = (format!("http://{name}:9292"), "http://127.0.0.1:9292");
            assert_eq!(place(&one), place(other), "{name}");
        }
        assert_eq!(place("https://a./image"), place("https://a/image"));
        for other in [
            "http://a:1/b",
            "http://a:2",
            "https://a:1",
            "http://b:1",
            "http://[::2]:1",
        ] {
            assert_ne!(place("http://a:1"), place(other), "{other}");
        }
    }

    #[test]
    fn two_paths_to_one_directory_are_one_place() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(dir.path(), &link).unwrap();
        let place = Place::of_directory;
        assert_eq!(place(&link), place(dir.path()));
        assert_eq!(
            place(&link.join("new/a")),
            place(&dir.path().join("./new/a"))
        );
        assert_ne!(place(&link.join("new")), place(&link.join("old")));
    }
}

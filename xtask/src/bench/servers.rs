//! The servers between which is copied: pairs of embedded ones, and nginx in front.

use std::error::Error;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use serde_json::Value;

use super::http;
use super::measure;
use crate::embedded::{self, Server};

/// Which Images API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    V1,
    V2,
}

/// What the images of a source hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Random,
    /// A tenth of it is data.
    MostlyZeros,
}

impl Content {
    fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::MostlyZeros => "mostly-zeros",
        }
    }
}

/// Images that are all alike, and what they hash to.
#[derive(Clone, Debug)]
pub(super) struct Images {
    pub(super) count: u32,
    pub(super) bytes: u64,
    pub(super) content: Content,
    /// Visible to all projects, which a copy has to be made at its end.
    is_public: bool,
    /// MD5 and SHA-512, as the embedded Glance takes them.
    digests: String,
}

impl Images {
    /// Finds out what the images hash to: computed once, and kept in `dir`.
    pub(super) fn new(
        dir: &Path,
        count: u32,
        bytes: u64,
        content: Content,
    ) -> Result<Self, Box<dyn Error>> {
        let kept = dir.join(format!("digests-{}-{bytes}", content.name()));
        let mut images = Self {
            count: 1,
            bytes,
            content,
            is_public: false,
            digests: String::new(),
        };
        images.digests = match fs::read_to_string(&kept) {
            Ok(digests) => digests,
            Err(_) => {
                println!("  hashing {bytes} bytes, once");
                let server = Server::start(images.source(Api::V2))?;
                let url = format!("http://{}", server.address);
                let image = list(&url, Api::V2)?.images.into_iter().next();
                let image = image.ok_or("the embedded Glance has no image")?;
                let digests = format!("{}:{}", image.md5, image.sha512);
                fs::write(&kept, &digests)?;
                digests
            }
        };
        images.count = count;
        Ok(images)
    }

    pub(super) fn public(self) -> Self {
        Self {
            is_public: true,
            ..self
        }
    }

    /// How many bytes all of them have.
    pub(super) fn total_bytes(&self) -> f64 {
        as_f64(self.bytes) * f64::from(self.count)
    }

    fn server(&self, api: Api) -> Command {
        let mut command = embedded::command();
        command.args(["--image-bytes", &self.bytes.to_string()]);
        if !self.digests.is_empty() {
            command.args(["--digests", &self.digests]);
        }
        if api == Api::V1 {
            command.args(["--profile", "v1"]);
        }
        command
    }

    /// A command that starts an embedded Glance with these images.
    pub(super) fn source(&self, api: Api) -> Command {
        let mut command = self.server(api);
        command.args(["--content", self.content.name()]);
        command.args(["--images", &self.count.to_string()]);
        if self.is_public {
            command.arg("--public");
        }
        command
    }

    /// A command that starts an embedded Glance without images, which forgets what is uploaded
    /// but knows what these hash to.
    pub(super) fn sink(&self, api: Api) -> Command {
        let mut command = self.server(api);
        command.arg("--discard");
        command
    }
}

/// What the bench has to know of an image on a server.
#[derive(Default)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) bytes: u64,
    pub(super) md5: String,
    pub(super) sha512: String,
}

/// The most images that a Glance puts on a page.
const PAGE: usize = 1000;

/// A listing of a server, read by pages.
pub(super) struct Listing {
    pub(super) images: Vec<Image>,
    /// The JSON of all pages together.
    pub(super) bytes: u64,
}

/// Lists what is on a server.
pub(super) fn list(url: &str, api: Api) -> Result<Listing, Box<dyn Error>> {
    let first = match api {
        Api::V1 => "/v1/images/detail?is_public=None&sort_key=id&sort_dir=asc",
        Api::V2 => "/v2/images?visibility=all&sort_key=id&sort_dir=asc",
    };
    let mut listing = Listing {
        images: Vec::new(),
        bytes: 0,
    };
    loop {
        let last = listing.images.last();
        let marker = last.map_or_else(String::new, |image| format!("&marker={}", image.id));
        let page = format!("{url}{first}&limit={PAGE}{marker}");
        let page = http::request("GET", &page, &[], b"")?;
        let parsed: Value = serde_json::from_slice(&page)?;
        let records = parsed.get("images").and_then(Value::as_array);
        let records = records.ok_or("a listing without images")?;
        let is_last = records.len() < PAGE;
        listing.bytes += page.len() as u64;
        listing.images.extend(records.iter().map(|record| {
            let text = |name| record.get(name).and_then(Value::as_str).unwrap_or_default();
            Image {
                id: text("id").to_owned(),
                bytes: record
                    .get("size")
                    .and_then(Value::as_u64)
                    .unwrap_or_default(),
                md5: text("checksum").to_owned(),
                sha512: text("os_hash_value").to_owned(),
            }
        }));
        if is_last {
            return Ok(listing);
        }
    }
}

/// An nginx with one process and the configuration that it is given; dropping it stops it.
pub(super) struct Nginx {
    process: Child,
    pub(super) port: u16,
}

impl Nginx {
    /// Starts it in `dir`. `locations` is the inside of its `server` block.
    pub(super) fn start(dir: &Path, tls: bool, locations: &str) -> Result<Self, Box<dyn Error>> {
        let dir = dir.join("nginx");
        fs::create_dir_all(&dir)?;
        let port = free_port()?;
        let (ssl, certificate) = match tls {
            true => {
                certificate(&dir)?;
                (
                    " ssl",
                    "ssl_certificate tls.crt; ssl_certificate_key tls.key;",
                )
            }
            false => ("", ""),
        };
        let configuration = format!(
            "daemon off; master_process off; pid {port}.pid; error_log error.log;\n\
             events {{ }}\n\
             http {{\n access_log off; sendfile on; client_max_body_size 0; keepalive_requests 1000000;\n \
             client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; \
             uwsgi_temp_path uwsgi; scgi_temp_path scgi;\n \
             server {{\n  listen 127.0.0.1:{port}{ssl}; {certificate}\n{locations}\n }}\n}}\n"
        );
        let file = dir.join(format!("{port}.conf"));
        fs::write(&file, configuration)?;
        let process = Command::new(installed("nginx", "nginx")?)
            .arg("-p")
            .arg(&dir)
            .arg("-c")
            .arg(&file)
            .arg("-e")
            .arg(dir.join("error.log"))
            .stdin(Stdio::null())
            .spawn()?;
        let server = Self { process, port };
        server.wait_until_up()?;
        Ok(server)
    }

    fn wait_until_up(&self) -> Result<(), Box<dyn Error>> {
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(5) {
            if std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err("nginx did not start: see target/bench/nginx/error.log".into())
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself; nothing else can be done here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What nginx serves so that it looks like a Glance of today with one image, out of files in `dir`.
pub(super) fn one_image(dir: &Path, source: &str, data: &Path) -> Result<String, Box<dyn Error>> {
    let files = dir.join("nginx");
    fs::create_dir_all(&files)?;
    let id = &list(source, Api::V2)?.images.pop().ok_or("no image")?.id;
    for (file, path) in [("versions", "versions"), ("listing", "v2/images")] {
        let answer = http::request("GET", &format!("{source}/{path}"), &[], b"")?;
        fs::write(files.join(file), answer)?;
    }
    let json = "default_type application/json";
    Ok(format!(
        "  location = /versions {{ {json}; alias {files}/versions; }}\n  \
           location = /v2/images {{ {json}; if ($arg_os_hidden = true) {{ return 200 '{{\"images\": []}}'; }} \
           alias {files}/listing; }}\n  \
           location = /v2/images/{id}/file {{ default_type application/octet-stream; alias {data}; }}",
        files = files.display(),
        data = data.display()
    ))
}

/// What nginx does in front of another server.
pub(super) fn in_front_of(address: &str) -> String {
    format!(
        "  location / {{ proxy_pass http://{address}; proxy_http_version 1.1; \
         proxy_request_buffering off; proxy_buffering off; }}"
    )
}

/// Makes the certificate of 127.0.0.1 that [`Nginx`] uses for TLS, signed by itself.
fn certificate(dir: &Path) -> Result<(), Box<dyn Error>> {
    if dir.join("tls.crt").is_file() {
        return Ok(());
    }
    let made = Command::new(installed("openssl", "openssl")?)
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650",
        ])
        .args([
            "-subj",
            "/CN=bench",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "tls.key", "-out", "tls.crt"])
        .current_dir(dir)
        .stderr(Stdio::null())
        .status()?;
    match made.success() {
        true => Ok(()),
        false => Err(format!("openssl: {made}").into()),
    }
}

/// Finds a program, or says how to get it.
pub(super) fn installed(program: &str, package: &str) -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian keeps servers where only root looks.
    let places = env::split_paths(&path).chain(["/usr/sbin".into()]);
    places
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
        .ok_or_else(|| format!("not installed: apt-get install {package}"))
}

fn free_port() -> Result<u16, Box<dyn Error>> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Two servers for one run.
pub(super) struct Pair {
    pub(super) source: Server,
    pub(super) target: Server,
}

impl Pair {
    /// Starts a source with these images, and a sink for them.
    pub(super) fn start(images: &Images, api: Api) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            source: Server::start(images.source(api))?,
            target: Server::start(images.sink(api))?,
        })
    }
}

/// The CPU time of servers so far.
pub(super) fn cpu_of(ids: &[u32]) -> f64 {
    // One that has ended meanwhile is found out otherwise.
    ids.iter()
        .map(|id| measure::cpu_of(*id).unwrap_or_default())
        .sum()
}

/// Sizes and counts are far from where a float becomes inexact.
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
pub(super) fn as_f64(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_that_is_missing_is_named_with_its_package() {
        assert!(installed("sh", "dash").is_ok());
        let missing = installed("no-such-program", "some-package").unwrap_err();
        assert_eq!(missing, "not installed: apt-get install some-package");
    }
}

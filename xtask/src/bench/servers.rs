//! The images of the embedded servers between which is copied, and what is asked of these servers.

use std::error::Error;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::Bench;
use crate::embedded::{Profile, Server};
use crate::shell;

/// The Images API that a server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    V1,
    V2,
}

/// Images that are all alike, and what they hash to.
#[derive(Clone, Debug)]
pub(super) struct Images {
    pub(super) count: u32,
    pub(super) bytes: u64,
    /// `random`, or `mostly-zeros`: a tenth of it is data.
    content: &'static str,
    /// Visible to all projects, which a copy has to be made at its end.
    pub(super) is_public: bool,
    /// Whether the servers are a round trip of 50 ms away.
    pub(super) are_far: bool,
    /// The bytes a second that each transfer of the source gives, or what it can.
    pub(super) throttle: Option<u64>,
    /// MD5 and SHA-512, as the embedded Glance takes them.
    digests: String,
    profile: Profile,
}

impl Images {
    /// Finds out what the images hash to: computed once, and kept.
    pub(super) fn new(
        bench: &Bench,
        count: u32,
        bytes: u64,
        content: &'static str,
    ) -> Result<Self, Box<dyn Error>> {
        let mut images = Self {
            count: 1,
            bytes,
            content,
            is_public: false,
            are_far: false,
            throttle: None,
            digests: String::new(),
            profile: bench.profile,
        };
        let kept = bench.dir.join(format!("digests-{content}-{bytes}"));
        images.digests = match fs::read_to_string(&kept) {
            Ok(digests) => digests,
            Err(_) => {
                println!("  hashing {bytes} bytes, once");
                let image = first_image(&Server::start(images.source(Api::V2))?.address)?;
                let [md5, sha512] = ["checksum", "os_hash_value"].map(|name| text(&image, name));
                let digests = format!("{}:{}", md5?, sha512?);
                fs::write(&kept, &digests)?;
                digests
            }
        };
        images.count = count;
        Ok(images)
    }

    /// The bytes of all of them together.
    pub(super) fn total_bytes(&self) -> f64 {
        as_f64(self.bytes) * f64::from(self.count)
    }

    fn server(&self, api: Api) -> Command {
        let mut command = self.profile.embedded_glance();
        command.args(["--image-bytes", &self.bytes.to_string()]);
        if !self.digests.is_empty() {
            command.args(["--digests", &self.digests]);
        }
        if api == Api::V1 {
            command.args(["--profile", "v1"]);
        }
        if self.are_far {
            command.args(["--round-trip", "50"]);
        }
        command
    }

    /// A command that starts an embedded Glance with these images.
    pub(super) fn source(&self, api: Api) -> Command {
        let mut command = self.server(api);
        command.args(["--content", self.content]);
        command.args(["--images", &self.count.to_string()]);
        if self.is_public {
            command.arg("--public");
        }
        if let Some(rate) = self.throttle {
            command.args(["--throttle", &rate.to_string()]);
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

/// The answer to a GET of a server, or to a POST of JSON.
fn ask(url: &str, posted: Option<&Value>) -> Result<String, Box<dyn Error>> {
    let mut curl = Command::new("curl");
    curl.args(["-sSf", "--noproxy", "*", url]);
    if let Some(posted) = posted {
        curl.args(["-H", "Content-Type: application/json", "-d"]);
        curl.arg(posted.to_string());
    }
    shell::output(&mut curl)
}

/// The first page of a listing, of up to 1,000 images.
pub(super) fn first_page(server: &str) -> Result<String, Box<dyn Error>> {
    ask(&format!("http://{server}/v2/images?limit=1000"), None)
}

fn first_image(server: &str) -> Result<Value, Box<dyn Error>> {
    let page: Value = serde_json::from_str(&first_page(server)?)?;
    Ok(page
        .pointer("/images/0")
        .ok_or("the source has no image")?
        .clone())
}

fn text(image: &Value, name: &str) -> Result<String, String> {
    let value = image.get(name).and_then(Value::as_str);
    Ok(value
        .ok_or_else(|| format!("an image without {name}"))?
        .to_owned())
}

fn data_url(server: &str, image: &Value) -> Result<String, Box<dyn Error>> {
    Ok(format!(
        "http://{server}/v2/images/{}/file",
        text(image, "id")?
    ))
}

/// The URL of the data of a source's only image.
pub(super) fn data_at(source: &str) -> Result<String, Box<dyn Error>> {
    data_url(source, &first_image(source)?)
}

/// The URLs of the data of a source's only image there and at a target, which is given its record.
pub(super) fn data_at_both(source: &str, target: &str) -> Result<[String; 2], Box<dyn Error>> {
    let image = first_image(source)?;
    let id = text(&image, "id")?;
    let record = json!({ "id": id, "disk_format": "raw", "container_format": "bare" });
    ask(&format!("http://{target}/v2/images"), Some(&record))?;
    Ok([data_url(source, &image)?, data_url(target, &image)?])
}

/// Sizes and counts are far from where a float becomes inexact.
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
pub(super) fn as_f64(number: u64) -> f64 {
    number as f64
}

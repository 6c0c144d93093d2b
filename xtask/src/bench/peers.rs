//! The programs that are compared: the product, and what else can do the same work.

use std::env;
use std::path::Path;
use std::process::Command;

use super::http;
use super::servers::{Api, Image, installed};
use crate::embedded::built;
use crate::lab;
use crate::shell::root;

/// What today's Python tool has to leave out: it fails on the null fields of v1 otherwise.
const LEFT_OUT: &str = "created_at date deleted_at location updated_at virtual_size owner";

/// A program that sees nothing of the environment but what it needs: no proxy, no settings.
fn program(path: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(path);
    command.env_clear();
    for name in ["PATH", "GLANCE_LAB_DIR"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// The product.
pub(super) fn product(arguments: &[&str]) -> Command {
    let mut command = program(built("glance-replicator"));
    command.args(["--progress", "none"]).args(arguments);
    command
}

/// How fast one core hashes, by what the product uses.
pub(super) fn hashing(algorithm: &str, bytes: u64) -> Command {
    let mut command = program(built("examples/hash_speed"));
    command.args([algorithm, &bytes.to_string()]);
    command
}

/// A program of the bench itself.
pub(super) fn part(arguments: &[&str]) -> Result<Command, String> {
    let xtask = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = program(xtask);
    command.arg("bench-part").args(arguments);
    Ok(command)
}

/// The way of one image's data, as whoever knows only HTTP goes it.
pub(super) struct Job {
    pub(super) from: String,
    method: &'static str,
    pub(super) to: String,
    headers: Vec<String>,
}

impl Job {
    pub(super) fn new(api: Api, source: &str, target: &str, image: &Image) -> Self {
        let id = &image.id;
        let octets = "Content-Type: application/octet-stream".to_owned();
        match api {
            Api::V1 => Self {
                from: format!("{source}/v1/images/{id}"),
                method: "POST",
                to: format!("{target}/v1/images"),
                headers: vec![
                    octets,
                    format!("X-Image-Meta-Id: {id}"),
                    "X-Image-Meta-Name: bench".to_owned(),
                    "X-Image-Meta-Disk_format: raw".to_owned(),
                    "X-Image-Meta-Container_format: bare".to_owned(),
                    format!("X-Image-Meta-Size: {}", image.bytes),
                ],
            },
            Api::V2 => Self {
                from: format!("{source}/v2/images/{id}/file"),
                method: "PUT",
                to: format!("{target}/v2/images/{id}/file"),
                headers: vec![octets],
            },
        }
    }

    /// Makes the record that v2 wants before it takes data.
    pub(super) fn prepare(
        &self,
        api: Api,
        target: &str,
        image: &Image,
    ) -> Result<(), Box<dyn std::error::Error>> {
        if api == Api::V1 {
            return Ok(());
        }
        let record = format!(
            r#"{{"id": "{}", "disk_format": "raw", "container_format": "bare"}}"#,
            image.id
        );
        let json = ["Content-Type: application/json".to_owned()];
        http::request(
            "POST",
            &format!("{target}/v2/images"),
            &json,
            record.as_bytes(),
        )?;
        Ok(())
    }
}

/// The relay that does nothing, for all images at once.
pub(super) fn relay(jobs: &[Job]) -> Result<Vec<Command>, String> {
    let mut command = part(&["relay"])?;
    for job in jobs {
        command.args([&job.from, job.method, &job.to, &job.headers.join("\n")]);
    }
    Ok(vec![command])
}

/// `curl FROM | curl -T - TO`, with the certificate to trust for TLS.
pub(super) fn curl_pipe(job: &Job, trust: Option<&Path>) -> Result<Vec<Command>, String> {
    let curl = || -> Result<Command, String> {
        let mut command = program(installed("curl", "curl")?);
        command.args(["--silent", "--show-error", "--fail"]);
        if let Some(trust) = trust {
            command.arg("--cacert").arg(trust);
        }
        Ok(command)
    };
    let (mut from, mut to) = (curl()?, curl()?);
    from.arg(&job.from);
    // Without `Expect` it need not wait for servers that never say 100.
    to.args([
        "--upload-file",
        "-",
        "--request",
        job.method,
        "--header",
        "Expect:",
    ]);
    for header in &job.headers {
        to.args(["--header", header]);
    }
    to.arg(&job.to);
    Ok(vec![from, to])
}

/// curl into a file.
pub(super) fn curl_file(from: &str, file: &Path) -> Result<Command, String> {
    let mut command = program(installed("curl", "curl")?);
    command.args(["--silent", "--show-error", "--fail", "--output"]);
    command.arg(file).arg(from);
    Ok(command)
}

/// curl out of a file.
pub(super) fn curl_upload(file: &Path, job: &Job) -> Result<Command, String> {
    let mut command = program(installed("curl", "curl")?);
    command.args(["--silent", "--show-error", "--fail", "--header", "Expect:"]);
    command
        .args(["--request", job.method, "--upload-file"])
        .arg(file);
    for header in &job.headers {
        command.args(["--header", header]);
    }
    command.arg(&job.to);
    Ok(command)
}

/// rclone into a file. Into a Glance it cannot: its WebDAV backend looks at the target with
/// PROPFIND first, to which a Glance answers 405.
pub(super) fn rclone_file(from: &str, file: &Path) -> Result<Command, String> {
    let mut command = program(installed("rclone", "rclone")?);
    command
        .args(["--config", "/dev/null", "copyurl", from])
        .arg(file);
    Ok(command)
}

/// A release of OpenStack's Python tool.
#[derive(Clone, Copy)]
pub(super) enum Python {
    /// Of Glance 15.0.2, the last that worked.
    Of2017,
    /// Of the newest Glance, with what makes its `livecopy` work.
    Today,
}

impl Python {
    pub(super) const ALL: [Self; 2] = [Self::Of2017, Self::Today];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Of2017 => "Python tool, 15.0.2",
            Self::Today => "Python tool, today's",
        }
    }

    /// The tool as the lab has installed it.
    pub(super) fn command(self, arguments: &[&str]) -> Result<Command, String> {
        let lab = lab::dir();
        let (needed, run) = match self {
            Self::Of2017 => (
                lab.join("legacy-env/bin/glance-replicator"),
                root().join("xtask/lab/python-replicator"),
            ),
            Self::Today => {
                let tool = lab.join("today-env/bin/glance-replicator");
                (tool.clone(), tool)
            }
        };
        if !needed.is_file() {
            return Err("not installed: cargo xtask lab up".to_owned());
        }
        let mut command = program(run);
        if matches!(self, Self::Today) {
            command.args(["-D", LEFT_OUT]);
        }
        command.args(arguments);
        Ok(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(api: Api) -> Job {
        let image = Image {
            id: "1".to_owned(),
            bytes: 5,
            ..Image::default()
        };
        Job::new(api, "http://a", "http://b", &image)
    }

    fn words(command: &Command) -> String {
        let words = command.get_args().map(|word| word.to_string_lossy());
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn data_goes_where_each_api_has_it() {
        let v1 = words(&relay(&[job(Api::V1)]).unwrap()[0]);
        let start = "bench-part relay http://a/v1/images/1 POST http://b/v1/images ";
        assert!(v1.starts_with(start), "{v1}");
        assert!(v1.contains("X-Image-Meta-Size: 5"), "{v1}");
        let v2 = words(&relay(&[job(Api::V2), job(Api::V2)]).unwrap()[0]);
        let one = "http://a/v2/images/1/file PUT http://b/v2/images/1/file \
                   Content-Type: application/octet-stream";
        assert_eq!(v2, format!("bench-part relay {one} {one}"));
    }

    #[test]
    fn programs_are_not_told_of_proxies() {
        let command = product(&["size"]);
        assert!(
            command
                .get_envs()
                .all(|(name, _)| name == "PATH" || name == "GLANCE_LAB_DIR")
        );
    }
}

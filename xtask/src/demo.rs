//! Shows the product on a machine with nothing but Rust: two embedded Glance servers, and the
//! release binary between them.

use std::env;
use std::error::Error;
use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::shell::{Outcome, cargo, echo, root, run};

const IMAGES: u32 = 12;
const IMAGE_BYTES: u32 = 16 * 1024 * 1024;

/// Builds what is needed, runs the demonstration, and leaves nothing behind.
pub(crate) fn run_demo() -> Outcome {
    run(&mut cargo(&[
        "build",
        "--release",
        "--package=replicator-cli",
    ]))?;
    let example = [
        "--package=glance-client",
        "--features=testing",
        "--example=embedded_glance",
    ];
    run(cargo(&["build", "--release"]).args(example))?;

    println!("\nTwo Glance servers: the first has {IMAGES} images of up to {IMAGE_BYTES} bytes.");
    let first = Server::start(IMAGES)?;
    let second = Server::start(0)?;
    let dir = ScratchDir::create()?;

    let replicator = |arguments: &[&str]| -> Outcome {
        println!();
        run(Command::new(built("glance-replicator"))
            .args(arguments)
            .current_dir(&dir.0))
    };
    replicator(&["size", &first.address])?;
    replicator(&["livecopy", &first.address, &second.address])?;
    replicator(&["compare", "--exit-code", &first.address, &second.address])?;
    replicator(&["dump", &first.address, "backup"])?;
    replicator(&["livecopy", &first.address, &second.address])
}

/// The path of a program that was built for release.
fn built(name: &str) -> PathBuf {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target
        .join("release")
        .join(name)
        .with_extension(env::consts::EXE_EXTENSION)
}

/// An embedded Glance; dropping it stops it.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(images: u32) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(built("examples/embedded_glance"));
        command.args(["--port", "0", "--images", &images.to_string()]);
        command.args(["--image-bytes", &IMAGE_BYTES.to_string()]);
        echo(&command);
        let process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut server = Self {
            process,
            address: String::new(),
        };
        let output = server
            .process
            .stdout
            .take()
            .ok_or("the embedded Glance has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        server.address = address(&line)?.to_owned();
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; nothing else can be done here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads `host:port` from the first line that an embedded Glance writes.
fn address(line: &str) -> Result<&str, String> {
    line.trim()
        .strip_prefix("listening on http://")
        .ok_or_else(|| format!("the embedded Glance did not start; it wrote {line:?}"))
}

/// A directory for what is dumped; dropping it removes it.
struct ScratchDir(PathBuf);

impl ScratchDir {
    fn create() -> io::Result<Self> {
        let path = root().join("target/demo");
        remove(&path)?;
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.0) {
            println!("cannot remove {}: {error}", self.0.display());
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_read_from_the_first_line() {
        assert_eq!(
            address("listening on http://127.0.0.1:40123\n"),
            Ok("127.0.0.1:40123")
        );
    }

    #[test]
    fn server_that_does_not_start_is_an_error_that_shows_its_output() {
        assert!(address("").unwrap_err().contains("did not start"));
        assert!(
            address("port in use\n")
                .unwrap_err()
                .contains("port in use")
        );
    }
}

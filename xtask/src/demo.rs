//! Shows the product on a machine with nothing but Rust: two embedded Glance servers, and the
//! release binary between them.

use std::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::embedded::{RELEASE, Server};
use crate::shell::{Outcome, echo, root, run};

const IMAGES: u32 = 12;
const IMAGE_BYTES: u32 = 16 * 1024 * 1024;

/// Builds what is needed, runs the demonstration, and leaves nothing behind.
pub(crate) fn run_demo() -> Outcome {
    RELEASE.build()?;
    println!("\nTwo Glance servers: the first has {IMAGES} images of up to {IMAGE_BYTES} bytes.");
    let first = start(IMAGES)?;
    let second = start(0)?;
    let dir = ScratchDir::create()?;

    let replicator = |arguments: &[&str]| -> Outcome {
        println!();
        run(Command::new(RELEASE.built("glance-replicator"))
            .args(arguments)
            .current_dir(&dir.0))
    };
    replicator(&["size", &first.address])?;
    replicator(&["livecopy", &first.address, &second.address])?;
    replicator(&["compare", "--exit-code", &first.address, &second.address])?;
    replicator(&["dump", &first.address, "backup"])?;
    replicator(&["livecopy", &first.address, &second.address])
}

fn start(images: u32) -> Result<Server, Box<dyn Error>> {
    let mut command = RELEASE.embedded_glance();
    command.args(["--images", &images.to_string()]);
    command.args(["--image-bytes", &IMAGE_BYTES.to_string()]);
    echo(&command);
    Server::start(command)
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

//! Shows the product on a machine with nothing but Rust: two embedded Glance servers, the release
//! binary between them, and what may go wrong on the way.

use std::error::Error;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::embedded::{RELEASE, Server};
use crate::shell::{Outcome, root};

const IMAGES: u32 = 5;
const IMAGE_BYTES: u32 = 16 * 1024 * 1024;
/// The time until Ctrl-C: at 8 MiB/s, the first images are there, and the last one is not.
const UNTIL_CTRL_C: Duration = Duration::from_secs(3);
/// A byte in the middle of an image.
const DAMAGED: usize = 4711;

/// Builds what is needed, tells the story, and leaves nothing behind.
pub(crate) fn run_demo() -> Outcome {
    println!(
        "Two programs are compiled first, which takes some minutes where it was not done before."
    );
    RELEASE.build()?;
    let (first, second) = (start(IMAGES)?, start(0)?);
    let demo = Demo {
        dir: ScratchDir::create()?,
        first: first.address.clone(),
        second: second.address.clone(),
    };
    println!(
        "\nFIRST is a Glance server with {IMAGES} images of up to 16 MiB, SECOND an empty one."
    );

    demo.tell("What is FIRST, and who are we there?");
    demo.run("check FIRST", 0)?;
    demo.tell("What does it have?");
    demo.run("list FIRST", 0)?;
    demo.tell("What would a copy do? A dry run changes nothing.");
    demo.run("livecopy --dry-run FIRST SECOND", 0)?;
    demo.tell("The copy, slowed down, and Ctrl-C in the middle of it:");
    demo.interrupt("livecopy --bwlimit 8M --transfers 1 --progress none FIRST SECOND")?;
    demo.tell("The same command again goes on where it was:");
    demo.run("livecopy --progress none FIRST SECOND", 0)?;
    demo.tell("A backup into a directory, in which then one byte goes wrong:");
    demo.run("dump --progress none FIRST backup", 0)?;
    demo.damage()?;
    demo.tell("Verifying the backup finds it, and a dump that reads what is there heals it:");
    demo.run("verify dir:backup", 6)?;
    demo.run("dump --progress none --verify read-back FIRST backup", 0)?;
    demo.tell("A selection: how much of it is Ubuntu?");
    demo.run("size --select name=Ubuntu* FIRST", 0)?;
    demo.tell("The same for programs:");
    demo.run("size --select name=Ubuntu* --format json FIRST", 0)
}

fn start(images: u32) -> Result<Server, Box<dyn Error>> {
    let mut command = RELEASE.embedded_glance();
    command.args(["--images", &images.to_string()]);
    command.args(["--image-bytes", &IMAGE_BYTES.to_string()]);
    Server::start(command)
}

/// The ends of the story; FIRST and SECOND stand for the addresses of the servers.
struct Demo {
    dir: ScratchDir,
    first: String,
    second: String,
}

impl Demo {
    fn tell(&self, sentence: &str) {
        println!("\n# {sentence}");
    }

    fn command(&self, line: &str) -> Command {
        println!("$ glance-replicator {line}");
        let words = line.split(' ').map(|word| match word {
            "FIRST" => &*self.first,
            "SECOND" => &*self.second,
            word => word,
        });
        let mut command = Command::new(RELEASE.built("glance-replicator"));
        command.args(words).current_dir(&self.dir.0);
        command.env("GLANCE_REPLICATOR_LOG_FORMAT", "plain");
        // What it writes comes behind the line that was printed.
        let _ = io::stdout().flush();
        command
    }

    /// Runs the program, which has to end with a code.
    fn run(&self, line: &str, code: i32) -> Outcome {
        let status = self.command(line).status()?;
        if status.code() != Some(code) {
            return Err(format!("it ended with {status}, and {code} was expected").into());
        }
        Ok(())
    }

    /// Runs the program, and interrupts it as Ctrl-C does.
    fn interrupt(&self, line: &str) -> Outcome {
        let mut running = self.command(line).spawn()?;
        thread::sleep(UNTIL_CTRL_C);
        kill_process(Pid::from_child(&running), Signal::INT)?;
        running.wait()?;
        Ok(())
    }

    /// Changes one byte of the largest image of the backup.
    fn damage(&self) -> Outcome {
        let files = fs::read_dir(self.dir.0.join("backup"))?;
        let files: Vec<PathBuf> = files
            .map(|file| Ok(file?.path()))
            .collect::<io::Result<_>>()?;
        let images = files.iter().filter(|path| path.extension().is_some());
        let sizes = images.map(|path| Ok((fs::metadata(path)?.len(), path)));
        let sizes: Vec<(u64, &PathBuf)> = sizes.collect::<io::Result<_>>()?;
        let (_, path) = sizes.into_iter().max().ok_or("the backup is empty")?;
        let mut data = fs::read(path)?;
        *data.get_mut(DAMAGED).ok_or("the image is too small")? ^= 1;
        fs::write(path, data)?;
        Ok(())
    }
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

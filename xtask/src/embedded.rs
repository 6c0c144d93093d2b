//! The programs of this workspace that tasks run: the product, and the embedded Glance as a server.

use std::collections::BTreeMap;
use std::env;
use std::error::Error;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use crate::shell::{Outcome, cargo, root, run};

/// A profile with which the programs of this workspace are built.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    /// As cargo knows it.
    pub(crate) name: &'static str,
    directory: &'static str,
}

/// The build that users run.
pub(crate) const RELEASE: Profile = Profile {
    name: "release",
    directory: "release",
};
/// The build that takes least time.
pub(crate) const DEBUG: Profile = Profile {
    name: "dev",
    directory: "debug",
};

impl Profile {
    /// Builds the product and the embedded Glance.
    pub(crate) fn build(self) -> Outcome {
        let build = ["build", "--profile", self.name];
        run(cargo(&build).arg("--package=replicator-cli"))?;
        run(cargo(&build).args([
            "--package=glance-client",
            "--features=testing",
            "--example=embedded_glance",
        ]))
    }

    /// The path of a program that was built.
    pub(crate) fn built(self, name: &str) -> PathBuf {
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let path = root().join(target).join(self.directory).join(name);
        path.with_extension(env::consts::EXE_EXTENSION)
    }

    /// A command that starts an embedded Glance on a free port.
    pub(crate) fn embedded_glance(self) -> Command {
        let mut command = Command::new(self.built("examples/embedded_glance"));
        command.args(["--port", "0"]);
        command
    }
}

/// A running server that says where it listens; dropping it stops it.
pub(crate) struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    /// `host:port`
    pub(crate) address: String,
}

impl Server {
    /// Starts a program that writes `listening on http://host:port`, and ends with its input.
    pub(crate) fn start(mut command: Command) -> Result<Self, Box<dyn Error>> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("the server has no output")?;
        let mut server = Self {
            process,
            output: BufReader::new(output),
            address: String::new(),
        };
        let mut line = String::new();
        server.output.read_line(&mut line)?;
        server.address = address(&line)?.to_owned();
        Ok(server)
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Stops it; returns how many requests of each kind it has had.
    pub(crate) fn stop(mut self) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
        drop(self.process.stdin.take());
        let mut lines = String::new();
        self.output.read_to_string(&mut lines)?;
        lines.lines().map(count).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; nothing else can be done here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Reads `host:port` from the first line that a server writes.
fn address(line: &str) -> Result<&str, String> {
    line.trim()
        .strip_prefix("listening on http://")
        .ok_or_else(|| format!("the server did not start; it wrote {line:?}"))
}

/// Reads a line `KIND COUNT`.
fn count(line: &str) -> Result<(String, u64), Box<dyn Error>> {
    let (kind, count) = line.split_once(' ').ok_or("a line without a count")?;
    Ok((kind.to_owned(), count.parse()?))
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

    #[test]
    fn count_is_read_from_a_line() {
        assert_eq!(count("listing 12").unwrap(), ("listing".to_owned(), 12));
        assert!(count("listing").is_err() && count("listing x").is_err());
    }
}

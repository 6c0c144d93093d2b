//! Installs what the tasks take and a machine with Rust may lack: parts of Rust itself, Debian
//! packages, cargo-fuzz.

use std::process::Command;

use crate::shell::{Outcome, cargo, has_cargo, root, run, succeeds};

/// What cargo, the fuzz targets and the lab call, as `xtask/packages` knows it.
const NEEDED: [&str; 6] = ["cc", "c++", "curl", "flock", "venv", "protocols"];

const CARGO_FUZZ: &str = "0.13.2";
/// Not the user's own directory: what a task installs for itself goes below `target`.
const TOOLS: &str = "target/tools";

/// Installs all that is missing, so that a run does not end on it an hour later.
pub(crate) fn everything() -> Outcome {
    components()?;
    run(packages().args(NEEDED))?;
    install_cargo_fuzz()
}

/// Installs the parts of Rust that a minimal toolchain does not have.
pub(crate) fn components() -> Outcome {
    if has_cargo("clippy") && has_cargo("fmt") {
        return Ok(());
    }
    let added = run(Command::new("rustup").args(["component", "add", "clippy", "rustfmt"]));
    added.map_err(|error| format!("clippy and rustfmt are needed, and not there: {error}").into())
}

/// Installs cargo-fuzz for this checkout, unless there is one.
pub(crate) fn install_cargo_fuzz() -> Outcome {
    if succeeds(cargo_fuzz().arg("--version")) {
        return Ok(());
    }
    // It only calls cargo: a build for debugging is done sooner, and as fast.
    let arguments = ["install", "cargo-fuzz", "--version", CARGO_FUZZ];
    run(cargo(&arguments).args(["--locked", "--debug", "--root", TOOLS]))
}

/// Returns a command of cargo-fuzz at the root of the workspace: the one of this machine, or
/// the one that was installed for this checkout.
pub(crate) fn cargo_fuzz() -> Command {
    if has_cargo("fuzz") {
        return cargo(&["fuzz"]);
    }
    let mut command = Command::new(root().join(TOOLS).join("bin/cargo-fuzz"));
    command.arg("fuzz").current_dir(root());
    command
}

fn packages() -> Command {
    let mut command = Command::new(root().join("xtask/packages"));
    command.current_dir(root());
    command
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};

    use super::*;

    /// A machine with no more programs than it is given: a directory that is all of `PATH`.
    struct Machine(PathBuf);

    impl Machine {
        fn new(name: &str) -> Self {
            let dir = root().join("target/tmp/machines").join(name);
            let _ = fs::remove_dir_all(&dir);
            fs::create_dir_all(&dir).unwrap();
            Self(dir)
        }

        /// Adds a program of these lines of sh.
        fn with(self, program: &str, lines: &str) -> Self {
            let path = self.0.join(program);
            fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            self
        }

        /// Adds an apt that notes what it is asked for.
        fn with_apt(self) -> Self {
            let noted = self.0.join("noted").display().to_string();
            self.with("apt-get", &format!(r#"echo "$*" >>{noted}"#))
                .with("env", r#"shift; exec "$@""#)
        }

        fn needs(&self, needed: &[&str]) -> (bool, String) {
            let mut command = packages();
            command.args(needed).env_clear().env("PATH", &self.0);
            let output = command.output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            (output.status.success(), stderr)
        }

        fn noted(&self) -> String {
            fs::read_to_string(self.0.join("noted")).unwrap_or_default()
        }
    }

    #[test]
    fn nothing_is_installed_where_nothing_is_missing() {
        let mut machine = Machine::new("complete").with_apt().with("id", "echo 0");
        for program in ["cc", "c++", "curl", "flock", "python3", "getent"] {
            machine = machine.with(program, "exit 0");
        }
        assert_eq!(machine.needs(&NEEDED), (true, String::new()));
        assert_eq!(machine.noted(), "");
    }

    #[test]
    fn packages_of_all_that_is_missing_are_installed_by_root() {
        let machine = Machine::new("bare").with_apt().with("id", "echo 0");
        let (done, said) = machine.needs(&NEEDED);
        assert!(done, "{said}");
        let packages =
            "gcc libc6-dev g++ ca-certificates curl util-linux python3 python3-venv netbase";
        assert_eq!(
            machine.noted(),
            format!("update -q\ninstall -qy --no-install-recommends {packages}\n")
        );
        let half = Machine::new("half").with_apt().with("id", "echo 0");
        let half = half.with("cc", "exit 0").with("python3", "exit 1");
        assert!(half.needs(&["cc", "venv"]).0);
        assert!(
            half.noted().ends_with("recommends python3 python3-venv\n"),
            "{}",
            half.noted()
        );
    }

    #[test]
    fn who_is_not_root_asks_sudo() {
        let machine = Machine::new("sudo").with_apt().with("id", "echo 1000");
        let machine = machine.with("sudo", r#"echo "sudo $1" >>${0%sudo}noted; exec "$@""#);
        let (done, said) = machine.needs(&["curl"]);
        assert!(done, "{said}");
        assert_eq!(
            machine.noted(),
            "sudo apt-get\nupdate -q\nsudo env\n\
             install -qy --no-install-recommends ca-certificates curl\n"
        );
    }

    #[test]
    fn who_may_install_nothing_is_told_the_command() {
        let machine = Machine::new("user").with_apt().with("id", "echo 1000");
        let (done, said) = machine.needs(&["cc"]);
        assert!(!done);
        assert!(
            said.contains(
                "apt-get update && apt-get install -qy --no-install-recommends gcc libc6-dev"
            ),
            "{said}"
        );
        assert_eq!(machine.noted(), "");
        let (done, said) = Machine::new("other").needs(&["curl"]);
        assert!(!done);
        assert!(
            said.contains("on Debian that is: apt-get install"),
            "{said}"
        );
    }

    #[test]
    fn ci_does_nothing_but_the_documented_command() {
        let script = fs::read_to_string(root().join(".ci/run")).unwrap();
        let commands: Vec<&str> = script
            .lines()
            .filter(|line| !line.starts_with('#'))
            .collect();
        assert_eq!(commands, [r#"exec "$(dirname "$0")/../x" ci"#]);
        for document in ["README.md", "CONTRIBUTING.md"] {
            let text = fs::read_to_string(root().join(document)).unwrap();
            assert!(text.contains("\n./x ci "), "{document}");
        }
        assert!(Path::new(&root().join("x")).is_file());
    }
}

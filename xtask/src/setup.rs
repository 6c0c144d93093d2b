//! Installs what the tasks take and a machine with Rust may lack: parts of Rust itself, Debian
//! packages, cargo-fuzz, mdBook.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::process::Command;

use crate::shell::{Outcome, cargo, has_cargo, root, run};

/// The programs that cargo, the tests, the fuzz targets, the lab and the examples of `deploy/` call,
/// as `xtask/packages` knows them.
#[rustfmt::skip]
const NEEDED: [&str; 12] = [
    "cc", "c++", "curl", "flock", "jq", "venv", "protocols", "slurm", "parallel", "man", "zsh", "fish",
];

const CARGO_FUZZ: &str = "0.13.2";
const MDBOOK: &str = "0.5.4";
/// What a release is made with, and the versions.
const RELEASE_TOOLS: [(&str, &str); 4] = [
    ("cargo-auditable", "0.7.7"),
    ("cargo-cyclonedx", "0.5.9"),
    ("cargo-deb", "3.8.0"),
    ("cargo-generate-rpm", "0.21.1"),
];
/// Not the user's own directory: what a task installs for itself goes below `target`.
const TOOLS: &str = "target/tools";

/// Installs all that is missing, so that a run does not end on it an hour later.
pub(crate) fn everything() -> Outcome {
    components()?;
    install(&NEEDED)?;
    install_cargo_fuzz()?;
    install_mdbook()
}

/// Installs the parts of Rust that a minimal toolchain does not have.
pub(crate) fn components() -> Outcome {
    if has_cargo("clippy") && has_cargo("fmt") {
        return Ok(());
    }
    let added = run(Command::new("rustup").args(["component", "add", "clippy", "rustfmt"]));
    added.map_err(|error| format!("clippy and rustfmt are needed, and not there: {error}").into())
}

/// Installs cargo-fuzz for this checkout.
pub(crate) fn install_cargo_fuzz() -> Outcome {
    install_tool("cargo-fuzz", CARGO_FUZZ, &[])
}

/// Installs mdBook for this checkout, without its server.
pub(crate) fn install_mdbook() -> Outcome {
    let features = ["--no-default-features", "--features=search"];
    install_tool("mdbook", MDBOOK, &features)
}

/// Installs what packages are made with, for this checkout.
pub(crate) fn install_release_tools() -> Outcome {
    RELEASE_TOOLS
        .iter()
        .try_for_each(|(name, version)| install_tool(name, version, &[]))
}

/// Where it is installed, cargo does nothing.
fn install_tool(name: &str, version: &str, features: &[&str]) -> Outcome {
    // Each only calls others, or packs a few files: a build for debugging is done sooner.
    let arguments = ["install", "-q", name, "--version", version];
    let mut install = cargo(&arguments);
    install.args(["--locked", "--debug", "--root", TOOLS]);
    run(install.args(features))
}

/// Returns a command of the cargo-fuzz of this checkout.
pub(crate) fn cargo_fuzz() -> Command {
    let mut command = tool("cargo-fuzz");
    command.arg("fuzz");
    command
}

/// Returns a command of a tool of this checkout, at the root of the workspace.
pub(crate) fn tool(name: &str) -> Command {
    let mut command = Command::new(root().join(TOOLS).join("bin").join(name));
    command.current_dir(root());
    command
}

/// Returns the search path with the tools of this checkout before others, for `cargo NAME`.
pub(crate) fn path_with_tools() -> Result<OsString, Box<dyn Error>> {
    let path = env::var_os("PATH").unwrap_or_default();
    let tools = root().join(TOOLS).join("bin");
    Ok(env::join_paths(
        [tools].into_iter().chain(env::split_paths(&path)),
    )?)
}

/// Installs what `xtask/packages` knows by these names.
pub(crate) fn install(needed: &[&str]) -> Outcome {
    run(packages().args(needed))
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
    use std::path::PathBuf;

    use super::*;

    /// A machine with these programs alone, each of one line of sh: a directory that is all of
    /// `PATH`. Its apt and its sudo note what they are asked for.
    fn machine(name: &str, programs: &[(&str, &str)]) -> PathBuf {
        let dir = root().join("target/tmp/machines").join(name);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        let noted = dir.join("noted").display().to_string();
        let apt = format!(r#"echo "$*" >>{noted}"#);
        let apt = [("apt-get", &*apt), ("env", r#"shift; exec "$@""#)];
        for (program, line) in apt.iter().chain(programs) {
            let path = dir.join(program);
            fs::write(&path, format!("#!/bin/sh\n{line}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        dir
    }

    /// Returns whether all is there then, what was said, and what apt was asked for.
    fn needs(machine: &PathBuf, needed: &[&str]) -> (bool, String, String) {
        let mut command = packages();
        command.args(needed).env_clear().env("PATH", machine);
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        let noted = fs::read_to_string(machine.join("noted")).unwrap_or_default();
        (output.status.success(), stderr, noted)
    }

    #[test]
    fn what_is_missing_is_installed_and_nothing_else() {
        let programs = [
            "cc",
            "c++",
            "curl",
            "flock",
            "jq",
            "python3",
            "getent",
            "slurmctld",
            "slurmd",
            "munged",
            "sbatch",
            "man",
            "zsh",
            "fish",
            "parallel",
        ];
        let all = machine("complete", &programs.map(|program| (program, "exit 0")));
        assert_eq!(needs(&all, &NEEDED), (true, String::new(), String::new()));
        let root = ("id", "echo 0");
        let half = machine("half", &[root, ("cc", "exit 0"), ("python3", "exit 1")]);
        let (done, _, noted) = needs(&half, &["cc", "venv"]);
        let expected = "update -q\ninstall -qy --no-install-recommends python3 python3-venv\n";
        assert_eq!((done, &*noted), (true, expected));
        let (done, _, noted) = needs(&machine("bare", &[root]), &NEEDED);
        let packages = "gcc libc6-dev g++ ca-certificates curl util-linux jq python3 python3-venv \
                        netbase munge slurmctld slurmd slurm-client parallel man-db zsh fish\n";
        assert!(done && noted.ends_with(packages), "{noted}");
    }

    #[test]
    fn who_is_not_root_asks_sudo_or_is_told_the_command() {
        let sudo = ("sudo", r#"echo "sudo $1" >>${0%sudo}noted; exec "$@""#);
        let user = ("id", "echo 1000");
        let (done, _, noted) = needs(&machine("sudo", &[user, sudo]), &["cc"]);
        assert!(done && noted.contains("sudo apt-get\n"), "{noted}");
        let (done, said, noted) = needs(&machine("user", &[user]), &["cc"]);
        let command = "apt-get update && apt-get install -qy --no-install-recommends gcc libc6-dev";
        assert!(
            !done && said.contains(command) && noted.is_empty(),
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
        assert!(root().join("x").is_file());
    }
}

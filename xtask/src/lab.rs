//! The lab: real Glance servers and a Keystone on loopback, kept by the scripts in `xtask/lab`.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::Command;

use crate::shell::{self, Outcome};

/// Runs a command of the lab.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    shell::run(script("lab").args(arguments))
}

/// The directory of the lab, as the scripts find it.
pub(crate) fn dir() -> PathBuf {
    let set = env::var_os("GLANCE_LAB_DIR").unwrap_or_else(|| "target/lab".into());
    shell::root().join(set)
}

/// Waits until nobody else needs the servers to themselves; gives them back when it is dropped.
pub(crate) fn take() -> io::Result<File> {
    let dir = dir();
    fs::create_dir_all(&dir)?;
    let lock = File::create(dir.join("taken"))?;
    lock.lock()?;
    Ok(lock)
}

/// Starts every server that is down, and removes the images of all.
pub(crate) fn up_and_empty() -> Outcome {
    shell::run(script("lab").args(["up", "--fresh"]))
}

/// Stops every server.
pub(crate) fn down() -> Outcome {
    shell::run(script("lab").arg("down"))
}

/// Tells whether every server answers.
pub(crate) fn is_up() -> bool {
    shell::output(script("lab").arg("status")).is_ok()
}

/// Returns the environment of a live test: the servers' URLs, as `GLANCE_LAB_TODAY_ONE`
/// and so on, the clouds and certificates, in `GLANCE_LAB_FRESH` the script that empties the
/// servers it is given, in `GLANCE_LAB_OPENSTACKSDK` a Python that has openstacksdk, in
/// `GLANCE_LAB_PYTHON_REPLICATOR` the Python tool of 2017, and in `GLANCE_LAB_INSPECT_CONTENT`
/// today's Glance as a judge of image data.
pub(crate) fn environment() -> Result<Vec<(String, String)>, Box<dyn Error>> {
    let mut variables = parse(&shell::output(script("lab").arg("env"))?);
    for (variable, script) in [
        ("GLANCE_LAB_FRESH", "fresh"),
        ("GLANCE_LAB_PYTHON_REPLICATOR", "python-replicator"),
        ("GLANCE_LAB_INSPECT_CONTENT", "inspect-content"),
    ] {
        variables.push((variable.to_owned(), path(script).display().to_string()));
    }
    Ok(variables)
}

fn parse(lines: &str) -> Vec<(String, String)> {
    lines
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn script(name: &str) -> Command {
    let mut command = Command::new(path(name));
    command.current_dir(shell::root());
    command
}

fn path(name: &str) -> PathBuf {
    shell::root().join("xtask/lab").join(name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn live_tests_are_given_every_server_and_scripts_that_are_there() {
        let environment = environment().unwrap();
        let names: Vec<&str> = environment
            .iter()
            .map(|(name, _)| name.trim_start_matches("GLANCE_LAB_"))
            .collect();
        assert_eq!(
            names,
            [
                "TODAY_ONE",
                "TODAY_TWO",
                "LEGACY_ONE",
                "LEGACY_TWO",
                "V1_ONE",
                "V1_TWO",
                "KEYSTONE",
                "REGION_ONE",
                "REGION_TWO",
                "KEYSTONE_OTHER",
                "REGION_OTHER",
                "TLS_KEYSTONE",
                "TLS_ONE",
                "TLS_TWO",
                "TLS_WRONG_HOST",
                "TLS_EXPIRED",
                "TLS_UNKNOWN_CA",
                "TLS_CLIENT",
                "CLOUDS",
                "SECURE",
                "TLS_CA",
                "TLS_CERT",
                "TLS_KEY",
                "OPENSTACKSDK",
                "FRESH",
                "PYTHON_REPLICATOR",
                "INSPECT_CONTENT"
            ]
        );
        for (name, script) in environment.iter().rev().take(3) {
            assert!(Path::new(script).is_file(), "{name} is {script}");
        }
    }

    #[test]
    fn unknown_server_is_refused() {
        let arguments = ["up", "today-three"].map(str::to_owned);
        assert!(run(&arguments).is_err());
    }
}

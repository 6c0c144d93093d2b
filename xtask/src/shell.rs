//! Runs other programs at the root of the workspace, echoed as one would type them.

use std::env;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The result of a task; its error is shown to the one who started it.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// Returns the root of the workspace that this task is run in.
///
/// It is asked for at run time: the path that was compiled in is that of another checkout where a
/// target directory was copied.
pub(crate) fn root() -> PathBuf {
    let current = env::current_dir().unwrap_or_default();
    root_from(
        env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from),
        &current,
    )
}

/// Finds the root by the package that cargo runs, else above the current directory.
fn root_from(package: Option<PathBuf>, current: &Path) -> PathBuf {
    let is_root = |directory: &&Path| directory.join("xtask/Cargo.toml").is_file();
    let package = package.as_deref().and_then(Path::parent).filter(is_root);
    package
        .or_else(|| current.ancestors().find(is_root))
        .unwrap_or(current)
        .to_owned()
}

/// Returns a cargo command at the root of the workspace: the cargo that runs this task.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Returns the name of the platform that cargo runs on, such as `x86_64-unknown-linux-gnu`.
pub(crate) fn host() -> Result<String, Box<dyn Error>> {
    let version = output(&mut cargo(&["--version", "--verbose"]))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .ok_or("cargo does not say what machine this is")?
        .to_owned())
}

/// Returns whether cargo has the subcommand `name`.
pub(crate) fn has_cargo(name: &str) -> bool {
    succeeds(&mut cargo(&[name, "--version"]))
}

/// Returns whether a command can be run and goes well, whatever it writes.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Echoes a command, runs it, and fails if it does.
pub(crate) fn run(command: &mut Command) -> Outcome {
    echo(command);
    let status = command
        .status()
        .map_err(|error| cannot_run(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{}: {status}", words(command)).into())
    }
}

/// Runs a command and returns what it writes to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cannot_run(command, &error))?;
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(format!("{}: {}", words(command), output.status).into())
    }
}

/// Prints a command as one would type it.
pub(crate) fn echo(command: &Command) {
    println!("$ {}", line(command));
}

fn cannot_run(command: &Command, error: &io::Error) -> String {
    format!("cannot run {}: {error}", words(command))
}

/// A command as typed, the variables that were set in front.
fn line(command: &Command) -> String {
    let variables = command.get_envs().map(|(name, value)| {
        let value = value.unwrap_or_default().to_string_lossy();
        format!("{}={} ", name.to_string_lossy(), quoted(&value))
    });
    variables.chain([words(command)]).collect()
}

/// The name of the program, without its directory.
pub(crate) fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The program by its name, and its arguments.
fn words(command: &Command) -> String {
    let arguments = command.get_args().map(|word| word.to_string_lossy());
    let words = [name(command).into()].into_iter().chain(arguments);
    words
        .map(|word| quoted(&word))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quoted(word: &str) -> String {
    if word.is_empty() || word.contains([' ', '\'', '"', '$', '*']) {
        format!("'{}'", word.replace('\'', r"'\''"))
    } else {
        word.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_is_echoed_as_typed() {
        let mut command = Command::new("/usr/bin/cargo");
        command
            .args(["doc", "a b", "it's"])
            .env("RUSTDOCFLAGS", "-D warnings");
        assert_eq!(
            line(&command),
            r"RUSTDOCFLAGS='-D warnings' cargo doc 'a b' 'it'\''s'"
        );
    }

    #[test]
    fn root_is_that_of_the_checkout_in_which_the_task_runs() {
        let here = root();
        assert!(here.join("xtask/src/shell.rs").is_file(), "{here:?}");
        let copied = Path::new("/nowhere/at/all");
        for package in [None, Some(copied.join("xtask"))] {
            assert_eq!(root_from(package, &here.join("docs")), here);
        }
        assert_eq!(root_from(Some(here.join("xtask")), copied), here);
    }

    #[test]
    fn failing_command_is_an_error_that_names_it() {
        let error = run(&mut cargo(&["no-such-subcommand"])).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cargo no-such-subcommand: exit status"),
            "{error}"
        );
        assert!(!has_cargo("no-such-subcommand"));
        assert!(has_cargo("tree"));
    }
}

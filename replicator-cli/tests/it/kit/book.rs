//! The commands of the docs, run as they stand there.
//!
//! A block `sh` is commands, which have to end with exit code 0, or the one of a comment `# exit
//! code 5`. A block `console` is commands behind `$ `, each with what it prints. A block
//! `crontab` is a line of a crontab. A block below `<!-- not run: REASON -->` is not run.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test helpers")]

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::kit::program::timeless;

/// Writes what commands print into the docs, instead of comparing it, if it is set.
const UPDATE: &str = "UPDATE_BOOK";
const NOT_RUN: &str = "<!-- not run: ";

/// A block of a document.
#[derive(Debug)]
struct Block<'t> {
    language: &'t str,
    lines: Vec<&'t str>,
    /// The number of its first line, from 0.
    first: usize,
    is_run: bool,
}

/// The numbers of commands of a document that are run, and of blocks that are not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) run: usize,
    pub(crate) not_run: usize,
}

/// A machine on which the commands are run: the program is in its path, and all files that they
/// name are below a directory of its own.
pub(crate) struct Machine {
    root: TempDir,
    /// What stands in the docs, and what it is here.
    names: Vec<(String, String)>,
    /// The password of the docs, and the one here.
    password: (String, String),
}

/// The home directory, as the docs would show it.
const HOME: &str = "/home/ops";

impl Machine {
    /// A machine with this clouds.yaml. Of `names` and of `password`, the first is what stands in the
    /// docs, and the second what it is here.
    pub(crate) fn new(clouds: &str, names: &[(String, String)], password: (&str, &str)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().to_str().unwrap();
        let dirs = ["/backup/", "/etc/glance-replicator/", "/media/disk/"];
        let dirs = dirs.map(|dir| (dir.to_owned(), format!("{path}{dir}")));
        let machine = Self {
            names: names.iter().cloned().chain(dirs).collect(),
            password: (password.0.to_owned(), password.1.to_owned()),
            root,
        };
        for dir in [
            "/bin",
            HOME,
            "/backup",
            "/etc/glance-replicator",
            "/media/disk",
        ] {
            fs::create_dir_all(machine.path(dir)).unwrap();
        }
        let config = machine.path(HOME).join(".config/openstack");
        fs::create_dir_all(&config).unwrap();
        fs::write(config.join("clouds.yaml"), machine.real(clouds)).unwrap();
        let program = assert_cmd::cargo::cargo_bin!("glance-replicator");
        symlink(program, machine.path("/bin/glance-replicator")).unwrap();
        machine
    }

    /// A path of the docs, here. Relative ones are of the home directory.
    pub(crate) fn path(&self, shown: &str) -> PathBuf {
        match shown.strip_prefix('/') {
            Some(below) => self.root.path().join(below),
            None => self.path(HOME).join(shown),
        }
    }

    /// Runs the commands of the document, and compares what they print with what it says.
    pub(crate) fn run_document(&self, document: &Path) -> Counts {
        let text = fs::read_to_string(document).unwrap();
        let mut written: Vec<String> = text.lines().map(str::to_owned).collect();
        let mut counts = Counts::default();
        // From the end, so that lines that are put in do not move those of blocks to come.
        let mut outputs = Vec::new();
        for block in blocks(&text) {
            let place = format!("{}:{}", document.display(), block.first + 1);
            if !block.is_run {
                counts.not_run += 1;
                continue;
            }
            match block.language {
                "sh" => self.run_commands(&place, &block.lines.join("\n")),
                "crontab" => {
                    for line in &block.lines {
                        let (_, command) = line.rsplit_once(" * ").unwrap();
                        self.run_commands(&place, command);
                    }
                }
                _ => outputs.push((
                    block.first,
                    block.lines.len(),
                    self.run_session(&place, &block.lines),
                )),
            }
            counts.run += block
                .lines
                .iter()
                .filter(|line| is_command(block.language, line))
                .count();
        }
        if std::env::var_os(UPDATE).is_some() {
            for (first, lines, printed) in outputs.into_iter().rev() {
                written.splice(first..first + lines, printed);
            }
            fs::write(document, written.join("\n") + "\n").unwrap();
        }
        counts
    }

    /// Runs a block of commands.
    fn run_commands(&self, place: &str, commands: &str) {
        let code = commands.split_once("# exit code ").map_or(0, |(_, code)| {
            let code = code.lines().next().unwrap();
            code.parse().unwrap()
        });
        let (ended, printed) = self.shell(&["-e", "-o", "pipefail"], commands);
        assert_eq!(ended, code, "{place}: {commands}\n{printed}");
    }

    /// Runs the commands of a session one by one; returns it with what they print here.
    fn run_session(&self, place: &str, lines: &[&str]) -> Vec<String> {
        let mut printed_here = Vec::new();
        let mut code = 0;
        let is_update = std::env::var_os(UPDATE).is_some();
        for (command, expected) in commands(lines) {
            let one_line = command.replace("\n> ", "\n");
            let asks = one_line == "echo $?";
            assert!(
                code == 0 || asks,
                "{place}: exit code {code} before `{command}`"
            );
            let (ended, printed) = self.shell(&[], &format!("(exit {code})\n{one_line}"));
            code = ended;
            let is_same = comparable(&expected.join("\n")) == comparable(&printed);
            assert!(
                is_same || is_update,
                "{place}: `{command}` prints\n{printed}\nand not\n{}\n{UPDATE}=1 writes it there",
                expected.join("\n")
            );
            printed_here.extend(format!("$ {command}").lines().map(str::to_owned));
            match is_same {
                true => printed_here.extend(expected.iter().map(|&line| line.to_owned())),
                false => printed_here.extend(printed.lines().map(str::to_owned)),
            }
        }
        assert_eq!(code, 0, "{place}: the exit code of the last command");
        printed_here
    }

    /// Runs a script; returns its exit code, and what it has printed, as the docs would show it.
    fn shell(&self, options: &[&str], script: &str) -> (i32, String) {
        let output = self.path("/output");
        let file = File::create(&output).unwrap();
        let path = std::env::var("PATH").unwrap();
        let status = Command::new("bash")
            .args(options)
            .args(["-c", &self.real(script)])
            .env_clear()
            .env("PATH", format!("{}:{path}", self.path("/bin").display()))
            .env("HOME", self.path(HOME))
            // Lines without times, as on a terminal.
            .env("GLANCE_REPLICATOR_LOG_FORMAT", "plain")
            .current_dir(self.path(HOME))
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .status()
            .unwrap();
        let printed = fs::read_to_string(output).unwrap();
        assert!(!printed.contains("panicked"), "{script}\n{printed}");
        (status.code().unwrap(), self.shown(&printed))
    }

    fn real(&self, text: &str) -> String {
        let names = self.names.iter().chain([&self.password]);
        names.fold(text.to_owned(), |text, (shown, real)| {
            text.replace(shown, real)
        })
    }

    fn shown(&self, text: &str) -> String {
        let text = text.replace(self.root.path().to_str().unwrap(), "");
        let names = self.names.iter();
        names.fold(text, |text, (shown, real)| text.replace(real, shown))
    }
}

/// The blocks of a document that a shell can run.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut open: Option<Block<'_>> = None;
    let mut is_run = true;
    for (number, line) in text.lines().enumerate() {
        if let Some(language) = line.strip_prefix("```") {
            match open.take() {
                Some(block) if matches!(block.language, "sh" | "console" | "crontab") => {
                    blocks.push(block);
                }
                Some(_) => {}
                None => {
                    let (lines, first) = (Vec::new(), number + 1);
                    open = Some(Block {
                        language,
                        lines,
                        first,
                        is_run,
                    });
                }
            }
        } else if let Some(block) = &mut open {
            block.lines.push(line);
        }
        is_run = !line.starts_with(NOT_RUN);
    }
    assert!(open.is_none(), "a block has no end: {open:?}");
    blocks
}

/// The commands of a session, each with what it is to print.
fn commands<'t>(lines: &[&'t str]) -> Vec<(String, Vec<&'t str>)> {
    let mut commands: Vec<(String, Vec<&str>)> = Vec::new();
    for &line in lines {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), Vec::new())),
            (None, Some((command, printed))) if printed.is_empty() && line.starts_with("> ") => {
                *command += &format!("\n{line}");
            }
            (None, Some((_, printed))) => printed.push(line),
            (None, None) => panic!("a session begins with what is printed: {line}"),
        }
    }
    commands
}

/// Returns whether the line of a block runs the program.
fn is_command(language: &str, line: &str) -> bool {
    let is_typed = language != "console" || line.starts_with("$ ") || line.starts_with("> ");
    is_typed && line.contains("glance-replicator ") && !line.trim_start().starts_with('#')
}

/// What is printed, without what differs from run to run. Lines on images, which are worked on at
/// the same time, come first, in order of their text.
fn comparable(printed: &str) -> Vec<String> {
    let lines = printed.lines().map(redacted);
    let (mut progress, others): (Vec<String>, Vec<String>) =
        lines.partition(|line| line.starts_with("Image \"") || line.starts_with("Storing: "));
    progress.sort();
    progress.extend(others);
    progress
}

/// A line with `#` in the place of times, durations, clocks, and the ids of projects and users, and
/// with roles in order.
fn redacted(line: &str) -> String {
    let line = timeless(line.trim_end());
    if let Some(roles) = line.strip_prefix("  roles ") {
        let mut roles: Vec<&str> = roles.trim().split(", ").collect();
        roles.sort_unstable();
        return format!("  roles {}", roles.join(", "));
    }
    if let Some(clock) = line.strip_prefix("  ").filter(|_| line.ends_with(" ours")) {
        return format!(
            "  {}#",
            clock.split_inclusive("  ").next().unwrap_or_default()
        );
    }
    let line = match line.split_once("(in ") {
        Some((before, left)) if left.ends_with(" s)") => format!("{before}(in # s)"),
        _ => line.clone(),
    };
    let is_inside = |letter: char| letter.is_ascii_alphanumeric() || "-:.".contains(letter);
    let words = line.split_inclusive(|letter| !is_inside(letter));
    let words = words.map(|word| {
        let is_id =
            word.chars().filter(char::is_ascii_hexdigit).count() > 31 && !word.contains('-');
        let is_time = word.starts_with("20") && word.contains('-') && word.contains('T');
        if is_id || is_time { "# " } else { word }
    });
    words.collect()
}

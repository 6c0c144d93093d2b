//! What a result was measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Above this load a machine does something else as well.
const BUSY: f64 = 0.5;

/// Says in lines what machine this is, and which versions of the programs are compared.
pub(super) fn describe(dir: &Path) -> Vec<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = field(&cpuinfo, "model name")
        .unwrap_or("unknown")
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory_kib: u64 = field(&meminfo, "MemTotal")
        .and_then(|total| total.strip_suffix(" kB")?.parse().ok())
        .unwrap_or_default();
    let disk = first_line(
        "findmnt",
        &[
            "-n",
            "-o",
            "SOURCE,FSTYPE",
            "-T",
            &dir.display().to_string(),
        ],
    );
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let busy = match load.parse::<f64>() {
        Ok(load) if load > BUSY => ": other work ran, so only ratios mean anything",
        _ => "",
    };
    vec![
        format!("date: {}", first_line("date", &["-u", "+%F %H:%M UTC"])),
        format!(
            "commit: {}",
            first_line("git", &["describe", "--always", "--dirty"])
        ),
        format!("cores: {cores}, {model}"),
        format!("memory: {} GiB", memory_kib >> 20),
        format!("kernel: {}", first_line("uname", &["-sr"])),
        format!("disk below target: {disk}"),
        format!("load before: {load}{busy}"),
        version("rustc", "--version"),
        version("curl", "--version"),
        version("rclone", "version"),
        version("/usr/sbin/nginx", "-v"),
    ]
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

/// What a program calls itself, without what it was built of.
fn version(program: &str, argument: &str) -> String {
    let line = first_line(program, &[argument]);
    line.split(" (").next().unwrap_or(&line).to_owned()
}

/// The first line that a program writes, on either output.
fn first_line(program: &str, arguments: &[&str]) -> String {
    let Ok(output) = Command::new(program).args(arguments).output() else {
        return format!("{program}: not installed");
    };
    let written = [output.stdout, output.stderr].concat();
    let written = String::from_utf8_lossy(&written);
    written.lines().next().unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "MemTotalX: 1 kB\nMemTotal:       2 kB\n";
        assert_eq!(field(text, "MemTotal"), Some("2 kB"));
        assert_eq!(field(text, "Mem"), None);
    }

    #[test]
    fn program_that_is_not_there_is_said_to_be_missing() {
        assert_eq!(
            first_line("no-such-program", &[]),
            "no-such-program: not installed"
        );
    }
}

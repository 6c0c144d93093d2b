//! The machine on which a result was measured.

use std::fs;
use std::path::Path;
use std::process::Command;

/// A load above which the machine does something else as well.
const BUSY: f64 = 0.5;

/// Describes in lines this machine, and the versions of the programs that are compared.
pub(super) fn describe(dir: &Path) -> Vec<String> {
    let says = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let written = output.map(|output| output.stdout).unwrap_or_default();
        let written = String::from_utf8_lossy(&written);
        // The version alone, without what it was built of.
        let line = written.lines().next().unwrap_or("not installed").trim();
        line.split(" (").next().unwrap_or(line).to_owned()
    };
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |path: &str, name: &str| {
        let text = read(path);
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.split_once(':'));
        value.map_or_else(String::new, |(_, value)| value.trim().to_owned())
    };
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let busy = match load.parse::<f64>() {
        Ok(load) if load > BUSY => ": other work ran, so only ratios mean anything",
        _ => "",
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let commit = ["describe", "--always", "--dirty"];
    let below = dir.display().to_string();
    let disk = ["-n", "-o", "SOURCE,FSTYPE", "-T", &below];
    vec![
        format!("date: {}", says("date", &["-u", "+%F %H:%M UTC"])),
        format!("commit: {}", says("git", &commit)),
        format!("cores: {cores}, {}", field("/proc/cpuinfo", "model name")),
        format!("memory: {}", field("/proc/meminfo", "MemTotal")),
        format!("kernel: {}", says("uname", &["-sr"])),
        format!("disk below target: {}", says("findmnt", &disk)),
        format!("load before: {load}{busy}"),
        says("rustc", &["--version"]),
        says("curl", &["--version"]),
    ]
}

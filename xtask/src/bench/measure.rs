//! Runs programs and accounts for them: time, CPU and memory, out of `/proc` before they are reaped.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::param::clock_ticks_per_second;
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::shell;

/// The pause between two looks at the memory of running programs. The kernel keeps the peak, so that only
/// what happens right before a program ends can be missed.
const LOOK: Duration = Duration::from_millis(5);
/// The exit code of a program that has found differences, as it was to.
const DIFFERENCES: i32 = 5;
/// The most bytes that are shown of the output of a failed program.
const LAST_BYTES: usize = 600;

/// The time, CPU and memory of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    /// User and system time of all its programs.
    pub(super) cpu_seconds: f64,
    /// The peak of resident memory, of several programs the sum.
    pub(super) memory_bytes: f64,
    /// The most files and connections that were seen open, of several programs the sum.
    pub(super) handles: f64,
    /// User and system time of the servers meanwhile; 0 where there are none.
    pub(super) server_cpu_seconds: f64,
    /// Other counts: requests by kind, bytes on disk.
    pub(super) counts: BTreeMap<String, u64>,
}

/// Runs programs that write into one another, as a shell's `|` does, and waits for all.
///
/// Their other output goes to `log`, and is part of the error if one fails.
pub(super) fn run(commands: Vec<Command>, log: &Path) -> Result<Sample, Box<dyn Error>> {
    let output = File::create(log)?;
    let last = commands.len().saturating_sub(1);
    let mut children: Vec<(String, Child)> = Vec::new();
    let started = Instant::now();
    for (index, mut command) in commands.into_iter().enumerate() {
        let before = children
            .last_mut()
            .and_then(|(_, child)| child.stdout.take());
        command.stdin(before.map_or_else(Stdio::null, Stdio::from));
        command.stderr(output.try_clone()?);
        match index == last {
            true => command.stdout(output.try_clone()?),
            false => command.stdout(Stdio::piped()),
        };
        let program = shell::name(&command);
        let child = command.spawn();
        children.push((
            program.clone(),
            child.map_err(|error| format!("{program}: {error}"))?,
        ));
    }
    let ids: Vec<u32> = children.iter().map(|(_, child)| child.id()).collect();
    let over = AtomicBool::new(false);
    let (mut sample, [memory, handles]) = thread::scope(|scope| {
        let peaks = scope.spawn(|| peaks(&ids, &over));
        let sample = wait_for(&children, started);
        over.store(true, Ordering::Relaxed);
        (sample, peaks.join().unwrap_or_default())
    });
    for (program, mut child) in children {
        let status = child.wait()?;
        let is_well = status.success() || status.code() == Some(DIFFERENCES);
        if !is_well && sample.is_ok() {
            sample = Err(format!("{program}: {status}: {}", end_of(log)?).into());
        }
    }
    let mut sample = sample?;
    (sample.memory_bytes, sample.handles) = (memory, handles);
    Ok(sample)
}

/// Waits without reaping, since a program that was reaped is not accounted for any more.
fn wait_for(children: &[(String, Child)], started: Instant) -> Result<Sample, Box<dyn Error>> {
    for (_, child) in children {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(Pid::from_child(child)), ended)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    let mut cpu_seconds = 0.0;
    for (_, child) in children {
        cpu_seconds += cpu_of(child.id())?;
    }
    Ok(Sample {
        seconds,
        cpu_seconds,
        ..Sample::default()
    })
}

/// User and system time of a process that was not reaped yet, with those of its children that were.
pub(super) fn cpu_of(id: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name of the program, in parentheses, may hold anything.
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks: u32 = fields
        .split(' ')
        .skip(11)
        .take(4)
        .map(|ticks| ticks.parse::<u32>().unwrap_or_default())
        .sum();
    Ok(f64::from(ticks) / ticks_per_second())
}

fn ticks_per_second() -> f64 {
    u32::try_from(clock_ticks_per_second()).map_or(100.0, f64::from)
}

/// Looks at the peaks of memory and of handles until it is `over`, and adds each up.
fn peaks(ids: &[u32], over: &AtomicBool) -> [f64; 2] {
    let mut peaks = vec![[0.0_f64; 2]; ids.len()];
    while !over.load(Ordering::Relaxed) {
        for (id, [memory, handles]) in ids.iter().zip(&mut peaks) {
            // A process that has ended has neither any more.
            *memory = peak_of(*id).map_or(*memory, |now| memory.max(now));
            *handles = handles.max(handles_of(*id));
        }
        thread::sleep(LOOK);
    }
    let sum = |[memory, handles]: [f64; 2], [more_memory, more_handles]: [f64; 2]| {
        [memory + more_memory, handles + more_handles]
    };
    peaks.into_iter().fold([0.0; 2], sum)
}

fn handles_of(id: u32) -> f64 {
    let open = fs::read_dir(format!("/proc/{id}/fd"));
    let open = open.map_or(0, Iterator::count);
    u32::try_from(open).map_or(f64::INFINITY, f64::from)
}

fn peak_of(id: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u32 = peak.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(f64::from(kib) * 1024.0)
}

fn end_of(log: &Path) -> io::Result<String> {
    let written = fs::read(log)?;
    let from = written.len().saturating_sub(LAST_BYTES);
    let last = String::from_utf8_lossy(written.get(from..).unwrap_or_default());
    let lines: Vec<&str> = last.split_whitespace().collect();
    Ok(lines.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn programs_are_connected_timed_and_accounted_for() {
        let log = std::env::temp_dir().join(format!("bench-measure-{}", std::process::id()));
        let busy = "i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo $i";
        let sample = run(vec![shell(busy), shell("cat; sleep 0.2")], &log).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "300000\n");
        assert!(sample.seconds >= 0.2, "{sample:?}");
        assert!(sample.cpu_seconds > 0.02, "{sample:?}");
        assert!(sample.memory_bytes > 100_000.0, "{sample:?}");
        assert!(sample.handles >= 6.0, "{sample:?}");

        let error = run(vec![shell("exit 1"), shell("echo broken; exit 3")], &log).unwrap_err();
        assert!(error.to_string().contains("sh: exit status: 1"), "{error}");
        let error = run(vec![shell("true"), shell("echo broken >&2; exit 3")], &log).unwrap_err();
        assert_eq!(error.to_string(), "sh: exit status: 3: broken");
        fs::remove_file(&log).unwrap();
    }
}

//! Runs of the product and of other programs in a case, and the counts of each.

use std::env;
use std::error::Error;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use super::contest::{CPU, Contest, MEMORY_MIB, Metric, SECONDS, Wanted};
use super::measure::{self, Sample};
use super::servers::{Api, Images, as_f64};
use super::{Bench, GIB, MIB};
use crate::embedded::Server;
use crate::lab;
use crate::shell::root;

pub(super) const HASHING: &str = "SHA-512 on one core";
pub(super) const PYTHON_2017: &str = "Python tool, 15.0.2";
pub(super) const PYTHON_TODAY: &str = "Python tool, today's";
/// The fields that today's Python tool has to leave out: it fails on the null fields of v1 otherwise.
const LEFT_OUT: &str = "created_at date deleted_at location updated_at virtual_size owner";
/// Counts that are no requests.
pub(super) const ON_DISK: &str = "bytes on disk";

pub(super) type Run = Result<Sample, Box<dyn Error>>;
impl Bench {
    /// The size of the case, or that of a bench that only tries itself.
    pub(super) fn size<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    /// Adds the product, and once more as it was before where that is asked for.
    pub(super) fn product<'a>(
        &'a self,
        contest: &mut Contest<'a>,
        name: &str,
        work: f64,
        run: impl Fn(&Path) -> Run + Clone + 'a,
    ) {
        let before = format!("{name}, before");
        for (program, name) in self.products.iter().zip([name, &before]) {
            let run = run.clone();
            contest.add(name, work, move || run(program));
        }
        if self.products.len() > 1 {
            let metrics: [(&str, Metric); 3] =
                [("seconds", SECONDS), ("CPU", CPU), ("memory", MEMORY_MIB)];
            for (what, metric) in metrics {
                let text = format!("{name}: {what}, now of before");
                contest.goal(&text, Wanted::AtMost(1.05), metric, name, &[&before]);
            }
        }
    }

    /// Adds another program, unless the product is compared with itself only.
    pub(super) fn peer<'a>(
        &self,
        contest: &mut Contest<'a>,
        name: &str,
        work: f64,
        run: impl FnMut() -> Run + 'a,
    ) {
        if self.products.len() < 2 {
            contest.add(name, work, run);
        }
    }

    /// Adds how fast one core hashes, by the code that the product uses.
    pub(super) fn hashing<'a>(&'a self, contest: &mut Contest<'a>) {
        let bytes = self.size(GIB, 256 * MIB);
        self.peer(contest, HASHING, as_f64(bytes), move || {
            let mut hashing = program(self.profile.built("examples/hash_speed"));
            hashing.args(["sha512", &bytes.to_string()]);
            self.run(vec![hashing])
        });
    }

    pub(super) fn run(&self, commands: Vec<Command>) -> Run {
        measure::run(commands, &self.dir.join("last.log"))
    }

    /// Runs programs while these servers serve, and accounts for the servers as well.
    pub(super) fn run_with(&self, servers: Vec<(&str, Server)>, commands: Vec<Command>) -> Run {
        let cpu = || -> std::io::Result<f64> {
            servers
                .iter()
                .map(|(_, server)| measure::cpu_of(server.id()))
                .sum()
        };
        let before = cpu()?;
        let mut sample = self.run(commands)?;
        sample.server_cpu_seconds = cpu()? - before;
        for (side, server) in servers {
            for (kind, count) in server.stop()? {
                *sample.counts.entry(format!("{side} {kind}")).or_default() += count;
            }
        }
        Ok(sample)
    }

    /// Runs programs between a source and a target, which these commands start.
    pub(super) fn run_between(
        &self,
        servers: [Command; 2],
        commands: impl FnOnce(&str, &str) -> Result<Vec<Command>, Box<dyn Error>>,
    ) -> Run {
        let [source, target] = servers;
        let (source, target) = (Server::start(source)?, Server::start(target)?);
        let commands = commands(&source.address, &target.address)?;
        self.run_with([("source", source), ("target", target)].into(), commands)
    }

    /// Runs programs that copy images; all have to arrive.
    pub(super) fn copy(
        &self,
        images: &Images,
        api: Api,
        commands: impl FnOnce(&str, &str) -> Result<Vec<Command>, Box<dyn Error>>,
    ) -> Run {
        let sample = self.run_between([images.source(api), images.sink(api)], commands)?;
        arrived(&sample, images.count)?;
        Ok(sample)
    }
}

/// Runs the product from a new embedded server to the disk.
pub(super) fn to_disk(bench: &Bench, images: &Images, program: &Path) -> Run {
    let path = bench.dir.join("written");
    clean(&path)?;
    let source = Server::start(images.source(Api::V2))?;
    let dump = product(
        program,
        &["dump", &source.address, &path.display().to_string()],
    );
    let mut sample = bench.run_with([("source", source)].into(), vec![dump])?;
    let mut largest = (0, 0);
    for entry in fs::read_dir(&path)? {
        let file = entry?.metadata()?;
        // Blocks are of 512 bytes, whatever the file system has.
        largest = largest.max((file.len(), file.blocks() * 512));
    }
    sample.counts.insert(ON_DISK.to_owned(), largest.1);
    clean(&path)?;
    match largest.0 == images.bytes {
        true => Ok(sample),
        false => Err(format!("{} of {} bytes were written", largest.0, images.bytes).into()),
    }
}

/// A program that sees nothing of the environment but what it needs: no proxy, no settings.
pub(super) fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    command.env_clear();
    for name in ["PATH", "GLANCE_LAB_DIR"] {
        command.envs(env::var_os(name).map(|value| (name, value)));
    }
    command
}

pub(super) fn product(path: &Path, arguments: &[&str]) -> Command {
    let mut command = program(path);
    command.args(arguments).args(["--progress", "none"]);
    command
}

/// OpenStack's Python tool as the lab has installed it, of Glance 15.0.2 or of today.
pub(super) fn python(name: &str, source: &str, target: &str) -> Command {
    let mut command = if name == PYTHON_2017 {
        program(root().join("xtask/lab/python-replicator"))
    } else {
        let mut today = program(lab::dir().join("today-env/bin/glance-replicator"));
        today.args(["-D", LEFT_OUT]);
        today
    };
    command.args(["livecopy", source, target]);
    command
}

pub(super) fn memory(contest: &mut Contest<'_>, of: &str, most_mib: f64) {
    let text = format!("memory of {of}, MiB");
    contest.goal(&text, Wanted::AtMost(most_mib), MEMORY_MIB, of, &[]);
}

pub(super) fn counted(sample: &Sample, name: &str) -> f64 {
    as_f64(sample.counts.get(name).copied().unwrap_or_default())
}

/// The requests that a run with v2 makes once something is to be written, however many images that
/// is: it asks the target for the schema of images.
const V2_ONCE: u32 = 1;

/// All requests but those that a run without images would make.
pub(super) fn requests(sample: &Sample) -> f64 {
    let fixed = |name: &str| {
        ["listing", "versions"]
            .iter()
            .any(|kind| name.ends_with(kind))
    };
    let counts = sample.counts.iter().filter(|(name, _)| !fixed(name));
    counts.map(|(_, count)| as_f64(*count)).sum()
}

/// Limits the requests that an image takes, beside those that a run takes for all of them.
pub(super) fn requests_each(
    contest: &mut Contest<'_>,
    what: &str,
    api: Api,
    most: f64,
    of: &'static str,
) {
    let (of_a_run, each): (_, Metric) = match api {
        Api::V1 => (String::new(), |sample, work| requests(sample) / work),
        Api::V2 => (format!(", but for {V2_ONCE} of a run"), |sample, work| {
            (requests(sample) - f64::from(V2_ONCE)) / work
        }),
    };
    let text = format!("requests an image, {what}{of_a_run}");
    contest.goal(&text, Wanted::AtMost(most), each, of, &[]);
}

/// Fails unless all images have reached the targets: a program that did nothing is not fast.
pub(super) fn arrived(sample: &Sample, images: u32) -> Result<(), String> {
    match counted(sample, "target upload") {
        uploads if uploads == f64::from(images) => Ok(()),
        uploads => Err(format!("{uploads} of {images} images were uploaded")),
    }
}

/// Removes a file or directory, and waits until the disk has nothing to do any more.
pub(super) fn clean(path: &Path) -> Result<(), Box<dyn Error>> {
    remove(path)?;
    Command::new("sync").status()?;
    Ok(())
}

pub(super) fn remove(path: &Path) -> Result<(), Box<dyn Error>> {
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

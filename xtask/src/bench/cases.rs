//! The cases, and what they share.

mod disk;
mod fan_out;
mod many;
mod real;
mod stream;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::contest::{Contest, Contestant, Figure, Runs, Value, Wanted};
use super::measure::{self, Sample};
use super::servers::{self, Api, Images, Pair};
use crate::embedded::Server;

pub(super) const GIB: u64 = 1 << 30;
pub(super) const MIB: u64 = 1 << 20;
pub(super) const KIB: u64 = 1 << 10;

/// The product as it is without options, and as it is told to trust the target's digests.
const FULL: &str = "glance-replicator";
const TARGET: &str = "glance-replicator --verify target";
const RELAY: &str = "relay that does nothing (splice)";
const CURL: &str = "curl, piped to curl";
const HASHING: &str = "SHA-512 on one core";

/// Something to be measured.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) contest: fn(&Bench) -> Prepared<'_>,
}

pub(super) type Prepared<'a> = Result<Contest<'a>, Box<dyn Error>>;

pub(super) const ALL: [Case; 18] = [
    Case {
        name: "one-image",
        what: "one image of 4 GiB, between embedded servers",
        contest: stream::one_image,
    },
    Case {
        name: "one-image-nginx",
        what: "one image of 4 GiB, from nginx to an embedded server",
        contest: stream::one_image_nginx,
    },
    Case {
        name: "two-images",
        what: "two images of 2 GiB at once, between embedded servers",
        contest: stream::two_images,
    },
    Case {
        name: "transfers",
        what: "20 images of 200 MiB, 1, 2, 4 and 8 at once, between embedded servers",
        contest: stream::transfers,
    },
    Case {
        name: "tls",
        what: "one image of 1 GiB over TLS, between nginx and nginx",
        contest: stream::tls,
    },
    Case {
        name: "far",
        what: "one image of 256 MiB, both servers 50 ms of round-trip time away",
        contest: stream::far,
    },
    Case {
        name: "far-small",
        what: "30 images of 64 KiB, both servers 50 ms of round-trip time away, Images v1",
        contest: many::far_small,
    },
    Case {
        name: "small-images",
        what: "1,000 images of 64 KiB, between embedded servers",
        contest: many::small_images,
    },
    Case {
        name: "nothing-10k",
        what: "nothing to do over 10,000 images, Images v1, between embedded servers",
        contest: many::nothing_10k,
    },
    Case {
        name: "nothing-100k",
        what: "nothing to do over 100,000 images, Images v2, between embedded servers",
        contest: many::nothing_100k,
    },
    Case {
        name: "dump",
        what: "one image of 4 GiB into a directory",
        contest: disk::dump,
    },
    Case {
        name: "load",
        what: "one image of 4 GiB out of a directory",
        contest: disk::load,
    },
    Case {
        name: "sparse",
        what: "one image of 10 GiB, a tenth of it data, into a directory and out of it",
        contest: disk::sparse,
    },
    Case {
        name: "real-v2",
        what: "one image of 1 GiB, between two real Glance of today",
        contest: real::v2,
    },
    Case {
        name: "real-v2-eight",
        what: "8 images of 512 MiB at once, between two real Glance of today",
        contest: real::v2_eight,
    },
    Case {
        name: "real-v1",
        what: "one image of 1 GiB, between two real Glance of 2017, Images v1",
        contest: real::v1,
    },
    Case {
        name: "real-v1-eight",
        what: "8 images of 512 MiB at once, between two real Glance of 2017, Images v1",
        contest: real::v1_eight,
    },
    Case {
        name: "fan-out",
        what: "one image of 256 MiB to three targets that take 50 MB/s each",
        contest: fan_out::contest,
    },
];

/// What all cases are given.
pub(super) struct Bench {
    pub(super) dir: PathBuf,
    pub(super) quick: bool,
}

impl Bench {
    /// The size of the case, or that of a bench that only tries itself.
    fn size<T>(&self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }

    fn run(&self, commands: Vec<Command>) -> Result<Sample, Box<dyn Error>> {
        measure::run(commands, &self.dir.join("last.log"))
    }

    fn images(&self, count: u32, bytes: u64) -> Result<Images, Box<dyn Error>> {
        Images::new(&self.dir, count, bytes, servers::Content::Random)
    }

    /// A file with what the one image of `images` holds, made once.
    fn data_of(&self, images: &Images) -> Result<PathBuf, Box<dyn Error>> {
        let path = self.dir.join(format!("data-{}", images.bytes));
        if fs::metadata(&path).is_ok_and(|file| file.len() == images.bytes) {
            return Ok(path);
        }
        self.needs_space(images.bytes)?;
        let source = Server::start(images.source(Api::V2))?;
        let url = format!("http://{}", source.address);
        let image = servers::list(&url, Api::V2)?.images.pop();
        let id = image.ok_or("no image")?.id;
        let stream = super::http::send_head("GET", &format!("{url}/v2/images/{id}/file"), &[])?;
        let mut answer = super::http::read_head(stream)?;
        std::io::copy(&mut answer.body, &mut fs::File::create(&path)?)?;
        Ok(path)
    }

    /// Removes what takes space; what images hash to is kept.
    pub(super) fn clean(&self) -> Result<(), Box<dyn Error>> {
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with("data-") || name == "archive" {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Fails if there is not so much space left, and a GiB more.
    fn needs_space(&self, bytes: u64) -> Result<(), Box<dyn Error>> {
        let disk = rustix::fs::statvfs(&self.dir)?;
        let free = disk.f_bavail * disk.f_frsize;
        if free >= bytes + GIB {
            return Ok(());
        }
        let (needed, free) = (bytes / GIB + 1, free / GIB);
        Err(format!(
            "{needed} GiB are needed below {}, {free} are free",
            self.dir.display()
        )
        .into())
    }

    /// Runs programs while these servers serve, and accounts for the servers as well.
    fn run_with(&self, servers: &[u32], commands: Vec<Command>) -> Result<Sample, Box<dyn Error>> {
        let before = servers::cpu_of(servers);
        let mut sample = self.run(commands)?;
        sample.server_cpu_seconds = Some(servers::cpu_of(servers) - before);
        Ok(sample)
    }

    /// Runs programs between two new embedded servers; all images have to arrive.
    fn copy(
        &self,
        images: &Images,
        api: Api,
        commands: impl FnOnce(&str, &str) -> Result<Vec<Command>, Box<dyn Error>>,
    ) -> Result<Sample, Box<dyn Error>> {
        let Pair { source, target } = Pair::start(images, api)?;
        let commands = commands(&source.address, &target.address)?;
        let mut sample = self.run_with(&[source.id(), target.id()], commands)?;
        count(&mut sample, "source", source)?;
        count(&mut sample, "target", target)?;
        arrived(&sample, images.count)?;
        Ok(sample)
    }
}

/// Stops a server, and adds the requests that it has had.
fn count(sample: &mut Sample, side: &str, server: Server) -> Result<(), Box<dyn Error>> {
    let requests = server.stop()?.into_iter();
    sample
        .counts
        .extend(requests.map(|(kind, count)| (format!("{side} {kind}"), count)));
    Ok(())
}

fn counted(sample: &Sample, name: &str) -> u64 {
    sample.counts.get(name).copied().unwrap_or_default()
}

/// Fails unless so many images have reached the target: a program that did nothing is not fast.
fn arrived(sample: &Sample, images: u32) -> Result<(), String> {
    match counted(sample, "target upload") {
        uploads if uploads == u64::from(images) => Ok(()),
        uploads => Err(format!("{uploads} of {images} images were uploaded")),
    }
}

/// A contestant that can run if what it needs is there.
fn contestant<'a>(
    name: &str,
    work: f64,
    needs: Result<(), String>,
    run: impl FnMut() -> Result<Sample, Box<dyn Error>> + 'a,
) -> Contestant<'a> {
    Contestant {
        name: name.to_owned(),
        work,
        runs: match needs {
            Ok(()) => Runs::By(Box::new(run)),
            Err(missing) => Runs::Missing(missing),
        },
    }
}

fn needs(program: &str) -> Result<(), String> {
    servers::installed(program, program).map(|_| ())
}

/// The speed of hashing, as a contestant of its own.
fn hashing(bench: &Bench) -> Contestant<'_> {
    let bytes = bench.size(GIB, 256 * MIB);
    contestant(HASHING, servers::as_f64(bytes), Ok(()), move || {
        bench.run(vec![super::peers::hashing("sha512", bytes)])
    })
}

fn figure(text: &str, wanted: Wanted, value: Value, of: &str, to: &[&str]) -> Figure {
    Figure {
        text: text.to_owned(),
        wanted,
        of: of.to_owned(),
        to: to.iter().map(|&name| name.to_owned()).collect(),
        value,
    }
}

/// The peak of memory, which no case may exceed.
fn memory(of: &str, most_mib: f64) -> Figure {
    figure(
        &format!("memory of {of}, MiB"),
        Wanted::AtMost(most_mib),
        Value::Of(|sample| sample.memory_bytes / servers::as_f64(MIB)),
        of,
        &[],
    )
}

fn remove(path: &Path) -> Result<(), Box<dyn Error>> {
    let removed = match path.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

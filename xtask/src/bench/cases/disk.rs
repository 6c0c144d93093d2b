//! Directories: what is dumped and loaded.

use std::error::Error;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use super::super::contest::{Contest, Unit, Value, Wanted};
use super::super::measure::Sample;
use super::super::peers::{self, Job};
use super::super::servers::{self, Api, Content, Images};
use super::{
    Bench, FULL, GIB, HASHING, MIB, Prepared, TARGET, arrived, contestant, count, counted, figure,
    hashing, memory, needs, remove,
};
use crate::embedded::Server;

const DISK: &str = "dd with fsync";
const CURL_OUT: &str = "curl --output";
const CURL_IN: &str = "curl --upload-file";
const RCLONE: &str = "rclone copyurl";
const DUMP: &str = "glance-replicator dump";
const LOAD: &str = "glance-replicator load";

/// What a program makes of the URL of a source, or of its one image, and a path.
type ToDisk = fn(&str, &Path) -> Result<Command, Box<dyn Error>>;

pub(super) fn dump(bench: &Bench) -> Prepared<'_> {
    let images = bench.images(1, bench.size(4 * GIB, 256 * MIB))?;
    bench.needs_space(images.bytes)?;
    let data = bench.data_of(&images)?;
    let contestants: [(&str, Result<(), String>, ToDisk); 3] = [
        (FULL, Ok(()), |source, path| {
            Ok(peers::product(&[
                "dump",
                source,
                &path.display().to_string(),
            ]))
        }),
        (CURL_OUT, needs("curl"), |source, path| {
            Ok(peers::curl_file(&data_url(source)?, path)?)
        }),
        (RCLONE, needs("rclone"), |source, path| {
            Ok(peers::rclone_file(&data_url(source)?, path)?)
        }),
    ];
    let mut contest = Contest {
        unit: Unit::Bytes,
        contestants: Vec::new(),
        figures: vec![
            figure(
                "speed, of the slower of disk and SHA-512",
                Wanted::AtLeast(0.9),
                Value::Speed,
                FULL,
                &[DISK, HASHING],
            ),
            memory(FULL, 64.0),
        ],
        remarks: vec!["Neither curl nor rclone waits until the data is on disk.".to_owned()],
    };
    for (name, needs, command) in contestants {
        let images = images.clone();
        contest
            .contestants
            .push(contestant(name, images.total_bytes(), needs, move || {
                to_disk(bench, &images, command)
            }));
    }
    contest.contestants.push(contestant(
        DISK,
        images.total_bytes(),
        needs("dd"),
        move || {
            let path = bench.dir.join("written");
            let mut dd = Command::new("dd");
            dd.args(["bs=1M", "conv=fsync"]);
            dd.arg(format!("if={}", data.display()))
                .arg(format!("of={}", path.display()));
            clean(&path)?;
            let sample = bench.run(vec![dd]);
            clean(&path)?;
            sample
        },
    ));
    contest.contestants.push(hashing(bench));
    Ok(contest)
}

fn data_url(source: &str) -> Result<String, Box<dyn Error>> {
    let url = format!("http://{source}");
    let image = servers::list(&url, Api::V2)?.images.pop();
    Ok(Job::new(Api::V2, &url, "", &image.ok_or("no image")?).from)
}

/// Removes what was written, and waits until the disk has nothing to do any more.
fn clean(path: &Path) -> Result<(), Box<dyn Error>> {
    remove(path)?;
    Command::new("sync").status()?;
    Ok(())
}

/// Runs a program from a new embedded server to the disk.
fn to_disk(bench: &Bench, images: &Images, command: ToDisk) -> Result<Sample, Box<dyn Error>> {
    let path = bench.dir.join("written");
    clean(&path)?;
    let source = Server::start(images.source(Api::V2))?;
    let command = command(&source.address, &path)?;
    let mut sample = bench.run_with(&[source.id()], vec![command])?;
    count(&mut sample, "source", source)?;
    let (len, on_disk) = largest(&path)?;
    sample.counts.insert(ON_DISK.to_owned(), on_disk);
    clean(&path)?;
    match len == images.bytes {
        true => Ok(sample),
        false => Err(format!("{len} of {} bytes were written", images.bytes).into()),
    }
}

const ON_DISK: &str = "bytes on disk";

/// The length of the largest file, and the bytes that it takes on disk.
fn largest(path: &Path) -> Result<(u64, u64), Box<dyn Error>> {
    let measure = |path: &Path| -> Result<(u64, u64), Box<dyn Error>> {
        let file = fs::metadata(path)?;
        // Blocks are of 512 bytes, whatever the file system has.
        Ok((file.len(), file.blocks() * 512))
    };
    if !path.is_dir() {
        return measure(path);
    }
    let mut found = (0, 0);
    for entry in fs::read_dir(path)? {
        found = found.max(measure(&entry?.path())?);
    }
    Ok(found)
}

/// Dumps images, to be loaded again.
fn archive(bench: &Bench, images: &Images) -> Result<String, Box<dyn Error>> {
    let path = bench.dir.join("archive");
    clean(&path)?;
    let source = Server::start(images.source(Api::V2))?;
    let path = path.display().to_string();
    bench.run(vec![peers::product(&["dump", &source.address, &path])])?;
    Ok(path)
}

fn from_disk(
    bench: &Bench,
    images: &Images,
    command: impl FnOnce(&Server) -> Result<Command, Box<dyn Error>>,
) -> Result<Sample, Box<dyn Error>> {
    let target = Server::start(images.sink(Api::V2))?;
    let command = command(&target)?;
    let mut sample = bench.run_with(&[target.id()], vec![command])?;
    count(&mut sample, "target", target)?;
    arrived(&sample, images.count)?;
    Ok(sample)
}

pub(super) fn load(bench: &Bench) -> Prepared<'_> {
    let images = bench.images(1, bench.size(4 * GIB, 256 * MIB))?;
    bench.needs_space(images.bytes)?;
    let data = bench.data_of(&images)?;
    let archive = archive(bench, &images)?;
    let mut contestants = Vec::new();
    for (name, verify) in [(TARGET, "target"), (FULL, "full")] {
        let (images, archive) = (images.clone(), archive.clone());
        contestants.push(contestant(name, images.total_bytes(), Ok(()), move || {
            from_disk(bench, &images, |target| {
                let arguments = ["load", &target.address, &archive, "--verify", verify];
                Ok(peers::product(&arguments))
            })
        }));
    }
    contestants.push(contestant(
        CURL_IN,
        images.total_bytes(),
        needs("curl"),
        move || {
            from_disk(bench, &images, |target| {
                let source = Server::start(images.source(Api::V2))?;
                let image = servers::list(&format!("http://{}", source.address), Api::V2)?
                    .images
                    .pop();
                let image = image.ok_or("no image")?;
                let url = format!("http://{}", target.address);
                let job = Job::new(Api::V2, "", &url, &image);
                job.prepare(Api::V2, &url, &image)?;
                Ok(peers::curl_upload(&data, &job)?)
            })
        },
    ));
    contestants.push(hashing(bench));
    Ok(Contest {
        unit: Unit::Bytes,
        contestants,
        figures: vec![memory(TARGET, 64.0), memory(FULL, 64.0)],
        remarks: vec!["What is read is in the page cache.".to_owned()],
    })
}

pub(super) fn sparse(bench: &Bench) -> Prepared<'_> {
    let bytes = bench.size(10 * GIB, 500 * MIB);
    let images = Images::new(&bench.dir, 1, bytes, Content::MostlyZeros)?;
    bench.needs_space(bytes)?;
    let archive = archive(bench, &images)?;
    let (work, dumped) = (images.total_bytes(), images.clone());
    let on_disk = |sample: &Sample| servers::as_f64(counted(sample, ON_DISK));
    Ok(Contest {
        unit: Unit::Bytes,
        contestants: vec![
            contestant(DUMP, work, Ok(()), move || {
                to_disk(bench, &dumped, |source, path| {
                    Ok(peers::product(&[
                        "dump",
                        source,
                        &path.display().to_string(),
                    ]))
                })
            }),
            contestant(LOAD, work, Ok(()), move || {
                from_disk(bench, &images, |target| {
                    Ok(peers::product(&["load", &target.address, &archive]))
                })
            }),
            hashing(bench),
        ],
        figures: vec![
            figure(
                "dump: bytes on disk, of the image's",
                Wanted::AtMost(0.11),
                Value::Each(on_disk),
                DUMP,
                &[],
            ),
            memory(DUMP, 64.0),
            memory(LOAD, 64.0),
        ],
        remarks: Vec::new(),
    })
}

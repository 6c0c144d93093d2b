//! The cases: what is run, and the goals that it is held against.

use std::error::Error;
use std::path::Path;

use super::contest::{CPU, Contest, HANDLES, Metric, SECONDS, SPEED, Unit, Wanted};
use super::runs::{
    HASHING, ON_DISK, PYTHON_2017, PYTHON_TODAY, arrived, clean, counted, memory, product, program,
    python, requests, requests_each, to_disk,
};
use super::servers::{self, Api, Images};
use super::{Bench, GIB, MIB};
use crate::embedded::Server;
use crate::shell::root;

const KIB: u64 = 1 << 10;

const FULL: &str = "glance-replicator";
const TARGET: &str = "glance-replicator --verify target";
const RELAY: &str = "relay that does nothing (splice)";
const CURL: &str = "curl, piped to curl";
const DISK: &str = "dd with fsync";
const LISTED: &str = "bytes of listings";

/// Something to be measured.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) what: &'static str,
    pub(super) contest: fn(&Bench) -> Prepared<'_>,
}

pub(super) type Prepared<'a> = Result<Contest<'a>, Box<dyn Error>>;

#[rustfmt::skip]
pub(super) const ALL: [Case; 13] = [
    case("one-image", "one image of 4 GiB, between embedded servers", one_image),
    case("transfers", "20 images of 200 MiB, 1, 2, 4 and 8 at once, between embedded servers", transfers),
    case("small-images", "1,000 images of 64 KiB, between embedded servers", small_images),
    case("nothing-10k", "nothing to do over 10,000 images, Images v1, between embedded servers", nothing_10k),
    case("nothing-100k", "nothing to do over 100,000 images, Images v2, between embedded servers", nothing_100k),
    case("plan-100k", "a plan of 100,000 images to copy, and one of which nothing is true any more", plan_100k),
    case("dump", "one image of 4 GiB into a directory", dump),
    case("sparse", "one image of 10 GiB, a tenth of it data, into a directory and out of it", sparse),
    case("fan-out", "one image of 256 MiB to three targets that take 50 MB/s each", fan_out),
    case("far", "one image of 256 MiB, both servers 50 ms of round-trip time away", far),
    case("far-small", "1,000 images of 64 KiB, both servers 50 ms of round-trip time away", far_small),
    case("streams", "one image of 1 GiB from a server that gives 20 MB/s a connection", streams),
    case("load-64", "5,000 images at 64 transfers, between embedded servers", load_64),
];

const fn case(name: &'static str, what: &'static str, contest: fn(&Bench) -> Prepared<'_>) -> Case {
    Case {
        name,
        what,
        contest,
    }
}

fn one_image(bench: &Bench) -> Prepared<'_> {
    let images = Images::new(bench, 1, bench.size(4 * GIB, 256 * MIB), "random")?;
    let work = images.total_bytes();
    let mut contest = Contest::new(Unit::Bytes);
    for (name, verify) in [(TARGET, "target"), (FULL, "full")] {
        let images = images.clone();
        bench.product(&mut contest, name, work, move |program| {
            bench.copy(&images, Api::V2, |source, target| {
                Ok(vec![product(
                    program,
                    &["livecopy", source, target, "--verify", verify],
                )])
            })
        });
    }
    let copied = images.clone();
    bench.peer(&mut contest, RELAY, work, move || {
        bench.copy(&copied, Api::V2, |source, target| {
            let mut relay = program("python3");
            relay.arg(root().join("xtask/relay.py"));
            relay.args(servers::data_at_both(source, target)?);
            Ok(vec![relay])
        })
    });
    curl(bench, &mut contest, images);
    bench.hashing(&mut contest);
    let mut goal = |text, wanted, metric, of, to| contest.goal(text, wanted, metric, of, &[to]);
    let text = "--verify target: speed, of the relay's";
    goal(text, Wanted::AtLeast(0.75), SPEED, TARGET, RELAY);
    let text = "--verify target: speed, of curl's";
    goal(text, Wanted::AtLeast(2.5), SPEED, TARGET, CURL);
    let text = "--verify target: CPU, of curl's";
    goal(text, Wanted::AtMost(0.5), CPU, TARGET, CURL);
    let text = "--verify full: speed, of SHA-512 on one core";
    goal(text, Wanted::AtLeast(0.9), SPEED, FULL, HASHING);
    memory(&mut contest, TARGET, 64.0);
    memory(&mut contest, FULL, 64.0);
    Ok(contest)
}

/// Adds `curl | curl`.
fn curl<'a>(bench: &'a Bench, contest: &mut Contest<'a>, images: Images) {
    bench.peer(contest, CURL, images.total_bytes(), move || {
        bench.copy(&images, Api::V2, |source, target| {
            let [from, to] = servers::data_at_both(source, target)?;
            let (mut get, mut put) = (program("curl"), program("curl"));
            get.args(["-sSf", &from]);
            put.args(["-sSf", "-T", "-", &to]);
            put.args(["-H", "Content-Type: application/octet-stream"]);
            // Without `Expect` it need not wait for a server that never says 100.
            put.args(["-H", "Expect:"]);
            Ok(vec![get, put])
        })
    });
}

fn transfers(bench: &Bench) -> Prepared<'_> {
    let images = Images::new(bench, 20, bench.size(200 * MIB, 20 * MIB), "random")?;
    let name = |transfers: &str| format!("glance-replicator --transfers {transfers}");
    let mut contest = Contest::new(Unit::Bytes);
    for transfers in ["1", "2", "4", "8"] {
        let images = images.clone();
        let work = images.total_bytes();
        bench.product(&mut contest, &name(transfers), work, move |program| {
            bench.copy(&images, Api::V2, |source, target| {
                let arguments = ["livecopy", source, target, "--transfers", transfers];
                Ok(vec![product(program, &arguments)])
            })
        });
    }
    let cores: Metric =
        |sample, _| (sample.cpu_seconds + sample.server_cpu_seconds) / sample.seconds;
    let text = "two at once: cores that are busy, servers included";
    contest.goal(text, Wanted::AtLeast(1.8), cores, &name("2"), &[]);
    memory(&mut contest, &name("8"), 64.0);
    Ok(contest)
}

fn small_images(bench: &Bench) -> Prepared<'_> {
    const V2: &str = "glance-replicator, Images v2";
    const PUBLIC: &str = "glance-replicator, Images v2, public images";
    let images = Images::new(bench, bench.size(1000, 100), 64 * KIB, "random")?;
    let work = f64::from(images.count);
    let mut contest = Contest::new(Unit::Images);
    for (name, api, is_public) in [
        (FULL, Api::V1, false),
        (V2, Api::V2, false),
        (PUBLIC, Api::V2, true),
    ] {
        let mut images = images.clone();
        images.is_public = is_public;
        bench.product(&mut contest, name, work, move |program| {
            bench.copy(&images, api, |source, target| {
                Ok(vec![product(program, &["livecopy", source, target])])
            })
        });
    }
    for name in [PYTHON_2017, PYTHON_TODAY] {
        let images = images.clone();
        bench.peer(&mut contest, name, work, move || {
            bench.copy(&images, Api::V1, |source, target| {
                Ok(vec![python(name, source, target)])
            })
        });
        let text = format!("images a second, of the {name}");
        contest.goal(&text, Wanted::AtLeast(10.0), SPEED, FULL, &[name]);
    }
    // With v1, one that is not public may have members, and no listing says so.
    let what = "Images v1, one of them for its members";
    requests_each(&mut contest, what, Api::V1, 3.0, FULL);
    requests_each(&mut contest, "Images v2", Api::V2, 4.0, V2);
    let what = "Images v2, to publish as well";
    requests_each(&mut contest, what, Api::V2, 5.0, PUBLIC);
    memory(&mut contest, FULL, 64.0);
    memory(&mut contest, V2, 64.0);
    Ok(contest)
}

fn nothing_10k(bench: &Bench) -> Prepared<'_> {
    let mut images = Images::new(bench, bench.size(10_000, 500), KIB, "random")?;
    // v1 does not say whether others are shared, so that each is asked for its members.
    images.is_public = true;
    let work = f64::from(images.count);
    let mut contest = Contest::new(Unit::Images);
    nothing_to_do(bench, &mut contest, &images, Api::V1, 0);
    for name in [PYTHON_2017, PYTHON_TODAY] {
        let images = images.clone();
        bench.peer(&mut contest, name, work, move || {
            let servers = [images.source(Api::V1), images.source(Api::V1)];
            bench.run_between(servers, |source, target| {
                Ok(vec![python(name, source, target)])
            })
        });
        let text = format!("speed, of the {name}");
        contest.goal(&text, Wanted::AtLeast(100.0), SPEED, FULL, &[name]);
    }
    memory(&mut contest, FULL, 64.0);
    if bench.products.len() < 2 {
        contest.remarks.push(
            "The tool of 15.0.2 finds every image changed and writes its metadata again; today's \
             finds none on the target and sends all of them, to be refused."
                .to_owned(),
        );
    }
    Ok(contest)
}

fn nothing_100k(bench: &Bench) -> Prepared<'_> {
    let images = Images::new(bench, bench.size(100_000, 5_000), KIB, "random")?;
    let source = Server::start(images.source(Api::V2))?;
    let page = servers::first_page(&source.address)?.len() as u64;
    let mut contest = Contest::new(Unit::Images);
    // Pages of 1,000 images, of both servers.
    let listed = 2 * page * u64::from(images.count) / 1000;
    nothing_to_do(bench, &mut contest, &images, Api::V2, listed);
    let decoded: Metric = |sample, _| counted(sample, LISTED) / 1e6 / sample.cpu_seconds;
    let text = "MB of listing decoded, a second of CPU";
    contest.goal(text, Wanted::AtLeast(50.0), decoded, FULL, &[]);
    memory(&mut contest, FULL, 40.0);
    contest.remarks.push(format!(
        "Each listing is {} bytes of JSON an image.",
        page / 1000
    ));
    Ok(contest)
}

fn plan_100k(bench: &Bench) -> Prepared<'_> {
    const DRY_RUN: &str = "livecopy --dry-run";
    const PLAN: &str = "plan --output";
    const STALE: &str = "apply, all of it stale";
    let images = Images::new(bench, bench.size(100_000, 5_000), KIB, "random")?;
    let work = f64::from(images.count);
    let file = bench.dir.join("plan.json").display().to_string();
    let mut contest = Contest::new(Unit::Images);
    for name in [DRY_RUN, PLAN, STALE] {
        let (images, file) = (images.clone(), file.clone());
        bench.product(&mut contest, name, work, move |program| {
            let servers = [images.source(Api::V2), images.sink(Api::V2)];
            let [source, target] = servers.map(Server::start);
            let (source, target) = (source?, target?);
            let (from, to) = (source.address.clone(), target.address.clone());
            let command = match name {
                DRY_RUN => product(program, &["livecopy", "--dry-run", &from, &to]),
                PLAN => product(program, &["plan", "--output", &file, &from, &to]),
                _ => {
                    bench.run(vec![product(
                        program,
                        &["plan", "--output", &file, &from, &to],
                    )])?;
                    // As if the data of each image had changed.
                    let plan = std::fs::read_to_string(&file)?;
                    let swapped = plan.replace("\"content\":", "\"other\":");
                    let swapped = swapped.replace("\"wanted\":", "\"content\":");
                    std::fs::write(&file, swapped.replace("\"other\":", "\"wanted\":"))?;
                    product(program, &["apply", &file])
                }
            };
            bench.run_with(
                [("source", source), ("target", target)].into(),
                vec![command],
            )
        });
        let text = format!("{name}: seconds");
        contest.goal(&text, Wanted::AtMost(3.0), SECONDS, name, &[]);
        memory(&mut contest, name, 64.0);
    }
    Ok(contest)
}

/// Adds the product between two servers that hold the same images.
fn nothing_to_do<'a>(
    bench: &'a Bench,
    contest: &mut Contest<'a>,
    images: &Images,
    api: Api,
    listed: u64,
) {
    let images = images.clone();
    bench.product(contest, FULL, f64::from(images.count), move |program| {
        let servers = [images.source(api), images.source(api)];
        let mut sample = bench.run_between(servers, |source, target| {
            Ok(vec![product(program, &["livecopy", source, target])])
        })?;
        match requests(&sample) {
            0.0 => sample.counts.insert(LISTED.to_owned(), listed),
            more => return Err(format!("{more} requests where nothing was to be done").into()),
        };
        Ok(sample)
    });
}

fn dump(bench: &Bench) -> Prepared<'_> {
    let images = Images::new(bench, 1, bench.size(4 * GIB, 256 * MIB), "random")?;
    let work = images.total_bytes();
    bench.needs_space(2 * images.bytes)?;
    let mut contest = Contest::new(Unit::Bytes);
    let dumped = images.clone();
    bench.product(&mut contest, FULL, work, move |program| {
        to_disk(bench, &dumped, program)
    });
    bench.peer(&mut contest, DISK, work, move || {
        let [data, written] = ["data", "written"].map(|name| bench.dir.join(name));
        if !data.is_file() {
            let source = Server::start(images.source(Api::V2))?;
            let mut curl = program("curl");
            curl.args(["-sSf", &servers::data_at(&source.address)?, "-o"])
                .arg(&data);
            bench.run(vec![curl])?;
        }
        clean(&written)?;
        let mut dd = program("dd");
        dd.args(["bs=1M", "conv=fsync"]);
        dd.arg(format!("if={}", data.display()))
            .arg(format!("of={}", written.display()));
        let sample = bench.run(vec![dd]);
        clean(&written)?;
        sample
    });
    bench.hashing(&mut contest);
    let text = "speed, of the slower of disk and SHA-512";
    contest.goal(text, Wanted::AtLeast(0.9), SPEED, FULL, &[DISK, HASHING]);
    memory(&mut contest, FULL, 64.0);
    Ok(contest)
}

fn sparse(bench: &Bench) -> Prepared<'_> {
    const DUMP: &str = "glance-replicator dump";
    const LOAD: &str = "glance-replicator load";
    let images = Images::new(bench, 1, bench.size(10 * GIB, 500 * MIB), "mostly-zeros")?;
    let work = images.total_bytes();
    bench.needs_space(images.bytes / 4)?;
    let archive = bench.dir.join("archive").display().to_string();
    clean(Path::new(&archive))?;
    let source = Server::start(images.source(Api::V2))?;
    let now = bench.products.first().ok_or("there is no product")?;
    bench.run(vec![product(now, &["dump", &source.address, &archive])])?;
    drop(source);
    let mut contest = Contest::new(Unit::Bytes);
    let dumped = images.clone();
    bench.product(&mut contest, DUMP, work, move |program| {
        to_disk(bench, &dumped, program)
    });
    bench.product(&mut contest, LOAD, work, move |program| {
        let target = Server::start(images.sink(Api::V2))?;
        let load = product(program, &["load", &target.address, &archive]);
        let sample = bench.run_with([("target", target)].into(), vec![load])?;
        arrived(&sample, images.count)?;
        Ok(sample)
    });
    let on_disk: Metric = |sample, work| counted(sample, ON_DISK) / work;
    let text = "dump: bytes on disk, of the image's";
    contest.goal(text, Wanted::AtMost(0.11), on_disk, DUMP, &[]);
    memory(&mut contest, DUMP, 64.0);
    memory(&mut contest, LOAD, 64.0);
    Ok(contest)
}

fn fan_out(bench: &Bench) -> Prepared<'_> {
    const ONE: &str = "glance-replicator, one target";
    const THREE: &str = "glance-replicator, three targets";
    const BYTES_A_SECOND: &str = "50000000";
    let images = Images::new(bench, 1, bench.size(256 * MIB, 32 * MIB), "random")?;
    let mut contest = Contest::new(Unit::Bytes);
    for (name, targets) in [(ONE, 1), (THREE, 3)] {
        let images = images.clone();
        bench.product(&mut contest, name, images.total_bytes(), move |program| {
            let mut servers = vec![("source", Server::start(images.source(Api::V2))?)];
            for _ in 0..targets {
                let mut sink = images.sink(Api::V2);
                sink.args(["--throttle", BYTES_A_SECOND]);
                servers.push(("target", Server::start(sink)?));
            }
            let mut command = product(program, &["livecopy"]);
            command.args(servers.iter().map(|(_, server)| &server.address));
            let sample = bench.run_with(servers, vec![command])?;
            arrived(&sample, targets)?;
            Ok(sample)
        });
    }
    let downloads: Metric = |sample, _| counted(sample, "source download");
    let text = "three targets: time, of one target's";
    contest.goal(text, Wanted::AtMost(1.2), SECONDS, THREE, &[ONE]);
    let text = "three targets: downloads from the source";
    contest.goal(text, Wanted::AtMost(1.0), downloads, THREE, &[]);
    memory(&mut contest, THREE, 64.0);
    Ok(contest)
}

fn far(bench: &Bench) -> Prepared<'_> {
    let mut images = Images::new(bench, 1, bench.size(256 * MIB, 32 * MIB), "random")?;
    images.are_far = true;
    let mut contest = Contest::new(Unit::Bytes);
    for (name, verify) in [(TARGET, "target"), (FULL, "full")] {
        let images = images.clone();
        bench.product(&mut contest, name, images.total_bytes(), move |program| {
            bench.copy(&images, Api::V2, |source, target| {
                let arguments = ["livecopy", source, target, "--verify", verify];
                Ok(vec![product(program, &arguments)])
            })
        });
    }
    curl(bench, &mut contest, images);
    let text = "--verify target: speed, of curl's";
    contest.goal(text, Wanted::AtLeast(0.95), SPEED, TARGET, &[CURL]);
    memory(&mut contest, TARGET, 64.0);
    contest.remarks.push(FAR.to_owned());
    Ok(contest)
}

const FAR: &str = "In front of each server, every byte is delivered 25 ms later, and connecting takes \
                   50 ms: the round trips of HTTP count, the windows of TCP do not.";

fn far_small(bench: &Bench) -> Prepared<'_> {
    const V1: &str = "glance-replicator, Images v1";
    const PUBLIC: &str = "glance-replicator, Images v2, public images";
    let mut images = Images::new(bench, bench.size(1000, 100), 64 * KIB, "random")?;
    // v1 does not say whether others are shared, so that each is asked for its members.
    (images.are_far, images.is_public) = (true, true);
    let mut contest = Contest::new(Unit::Images);
    for (name, api) in [(V1, Api::V1), (PUBLIC, Api::V2)] {
        let images = images.clone();
        let work = f64::from(images.count);
        bench.product(&mut contest, name, work, move |program| {
            bench.copy(&images, api, |source, target| {
                Ok(vec![product(program, &["livecopy", source, target])])
            })
        });
    }
    // All of them would take it minutes.
    images.count = 30;
    bench.peer(&mut contest, PYTHON_2017, 30.0, move || {
        bench.copy(&images, Api::V1, |source, target| {
            Ok(vec![python(PYTHON_2017, source, target)])
        })
    });
    let text = format!("images a second, of the {PYTHON_2017}, which speaks Images v1");
    contest.goal(&text, Wanted::AtLeast(10.0), SPEED, PUBLIC, &[PYTHON_2017]);
    let text = "images a second";
    contest.goal(text, Wanted::AtLeast(100.0), SPEED, PUBLIC, &[]);
    requests_each(&mut contest, V1, Api::V1, 2.0, V1);
    requests_each(&mut contest, PUBLIC, Api::V2, 5.0, PUBLIC);
    memory(&mut contest, PUBLIC, 64.0);
    contest.remarks.push(format!(
        "{FAR} With v1 alone, small images have no lane of their own: a run that is killed uses up an id \
         with each upload."
    ));
    Ok(contest)
}

fn streams(bench: &Bench) -> Prepared<'_> {
    const ONE: &str = "glance-replicator --streams 1";
    const FOUR: &str = "glance-replicator --streams 4";
    let mut images = Images::new(bench, 1, bench.size(GIB, 64 * MIB), "random")?;
    images.throttle = Some(20_000_000);
    let mut contest = Contest::new(Unit::Bytes);
    for (name, streams) in [(ONE, "1"), (FOUR, "4")] {
        let images = images.clone();
        bench.product(&mut contest, name, images.total_bytes(), move |program| {
            bench.copy(&images, Api::V2, |source, target| {
                let arguments = ["livecopy", source, target, "--streams", streams];
                Ok(vec![product(program, &arguments)])
            })
        });
    }
    let text = "four streams: speed, of one stream's";
    contest.goal(text, Wanted::AtLeast(3.5), SPEED, FOUR, &[ONE]);
    memory(&mut contest, FOUR, 64.0);
    Ok(contest)
}

fn load_64(bench: &Bench) -> Prepared<'_> {
    let mut contest = Contest::new(Unit::Images);
    for (name, bytes, most_mib) in [
        ("glance-replicator, images of 64 KiB", 64 * KIB, 64.0),
        ("glance-replicator, images of 1 MiB", MIB, 160.0),
    ] {
        let mut images = Images::new(bench, bench.size(5000, 200), bytes, "random")?;
        images.is_public = true;
        let work = f64::from(images.count);
        bench.product(&mut contest, name, work, move |program| {
            bench.copy(&images, Api::V2, |source, target| {
                let arguments = ["livecopy", source, target, "--transfers", "64"];
                Ok(vec![product(program, &arguments)])
            })
        });
        memory(&mut contest, name, most_mib);
        let text = format!("open files and connections of {name}");
        contest.goal(&text, Wanted::AtMost(200.0), HANDLES, name, &[]);
    }
    contest.remarks.push(
        "A transfer of a larger image holds up to 2 MiB: chunks of the HTTP library, of up to 400 KiB each, \
         as they are read, held back until they are proven, and written."
            .to_owned(),
    );
    Ok(contest)
}

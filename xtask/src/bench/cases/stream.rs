//! Large images from server to server.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use super::super::contest::{Contest, Contestant, Unit, Value, Wanted};
use super::super::measure::Sample;
use super::super::peers::{self, Job};
use super::super::servers::{self, Api, Images, Nginx};
use super::{
    Bench, CURL, FULL, GIB, HASHING, MIB, Prepared, RELAY, TARGET, arrived, contestant, count,
    figure, hashing, memory, needs,
};
use crate::embedded::Server;

/// How a program is started, given the URLs of source and target.
type Start = fn(&str, &str) -> Result<Vec<Command>, Box<dyn Error>>;

fn copying_fully(source: &str, target: &str) -> Result<Vec<Command>, Box<dyn Error>> {
    Ok(vec![peers::product(&["livecopy", source, target])])
}

fn trusting_the_target(source: &str, target: &str) -> Result<Vec<Command>, Box<dyn Error>> {
    let arguments = ["livecopy", source, target, "--verify", "target"];
    Ok(vec![peers::product(&arguments)])
}

fn relaying(source: &str, target: &str) -> Result<Vec<Command>, Box<dyn Error>> {
    Ok(peers::relay(&[job(source, target)?])?)
}

fn piping(source: &str, target: &str) -> Result<Vec<Command>, Box<dyn Error>> {
    Ok(peers::curl_pipe(&job(source, target)?, None)?)
}

/// The way of the one image of a source to a target of v2.
fn job(source: &str, target: &str) -> Result<Job, Box<dyn Error>> {
    let [source, target] = [source, target].map(|address| format!("http://{address}"));
    let image = servers::list(&source, Api::V2)?.images.pop();
    let image = image.ok_or("the source has no image")?;
    let job = Job::new(Api::V2, &source, &target, &image);
    job.prepare(Api::V2, &target, &image)?;
    Ok(job)
}

/// The product and what it is held against, for one image.
const CONTESTANTS: [(&str, Start); 4] = [
    (RELAY, relaying),
    (TARGET, trusting_the_target),
    (FULL, copying_fully),
    (CURL, piping),
];

fn needs_of(name: &str) -> Result<(), String> {
    if name == CURL { needs("curl") } else { Ok(()) }
}

fn contest_of_one_image(contestants: Vec<Contestant<'_>>) -> Contest<'_> {
    let least = Wanted::AtLeast;
    Contest {
        unit: Unit::Bytes,
        contestants,
        figures: vec![
            figure(
                "--verify target: speed, of the relay's",
                least(0.75),
                Value::Speed,
                TARGET,
                &[RELAY],
            ),
            figure(
                "--verify target: speed, of curl's",
                least(2.5),
                Value::Speed,
                TARGET,
                &[CURL],
            ),
            figure(
                "--verify target: CPU, of curl's",
                Wanted::AtMost(0.5),
                Value::Cpu,
                TARGET,
                &[CURL],
            ),
            figure(
                "--verify full: speed, of SHA-512 on one core",
                least(0.9),
                Value::Speed,
                FULL,
                &[HASHING],
            ),
            memory(TARGET, 64.0),
            memory(FULL, 64.0),
        ],
        remarks: Vec::new(),
    }
}

pub(super) fn one_image(bench: &Bench) -> Prepared<'_> {
    let images = bench.images(1, bench.size(4 * GIB, 512 * MIB))?;
    let mut contestants: Vec<Contestant<'_>> = Vec::new();
    for (name, start) in CONTESTANTS {
        let images = images.clone();
        contestants.push(contestant(
            name,
            images.total_bytes(),
            needs_of(name),
            move || bench.copy(&images, Api::V2, start),
        ));
    }
    contestants.push(hashing(bench));
    Ok(contest_of_one_image(contestants))
}

pub(super) fn one_image_nginx(bench: &Bench) -> Prepared<'_> {
    let images = bench.images(1, bench.size(4 * GIB, 512 * MIB))?;
    let source = nginx_source(bench, &images, false);
    let missing = source.as_ref().err().map(ToString::to_string);
    let source = source.ok().map(std::rc::Rc::new);
    let mut contestants: Vec<Contestant<'_>> = Vec::new();
    for (name, start) in CONTESTANTS {
        let (images, source) = (images.clone(), source.clone());
        let needs = match &missing {
            Some(missing) => Err(missing.clone()),
            None => needs_of(name),
        };
        contestants.push(contestant(name, images.total_bytes(), needs, move || {
            let source = source.as_ref().ok_or("no nginx")?;
            let target = Server::start(images.sink(Api::V2))?;
            let commands = start(&source.address(), &target.address)?;
            to_sink(bench, &[source.id(), target.id()], commands, target)
        }));
    }
    contestants.push(hashing(bench));
    Ok(contest_of_one_image(contestants))
}

fn to_sink(
    bench: &Bench,
    ids: &[u32],
    commands: Vec<Command>,
    target: Server,
) -> Result<Sample, Box<dyn Error>> {
    let mut sample = bench.run_with(ids, commands)?;
    count(&mut sample, "target", target)?;
    arrived(&sample, 1)?;
    Ok(sample)
}

fn nginx_source(bench: &Bench, images: &Images, tls: bool) -> Result<Nginx, Box<dyn Error>> {
    let data = bench.data_of(images)?;
    let embedded = Server::start(images.source(Api::V2))?;
    let url = format!("http://{}", embedded.address);
    let locations = servers::one_image(&bench.dir, &url, &data)?;
    Nginx::start(&bench.dir, tls, &locations)
}

pub(super) fn two_images(bench: &Bench) -> Prepared<'_> {
    let bytes = bench.size(2 * GIB, 256 * MIB);
    let mut contestants = Vec::new();
    for (name, count) in [
        ("glance-replicator, one image", 1),
        ("glance-replicator, two images", 2),
    ] {
        let images = bench.images(count, bytes)?;
        contestants.push(contestant(name, images.total_bytes(), Ok(()), move || {
            bench.copy(&images, Api::V2, copying_fully)
        }));
    }
    contestants.push(hashing(bench));
    let two = "glance-replicator, two images";
    let cores = |sample: &Sample| {
        (sample.cpu_seconds + sample.server_cpu_seconds.unwrap_or_default()) / sample.seconds
    };
    Ok(Contest {
        unit: Unit::Bytes,
        contestants,
        figures: vec![
            figure(
                "two images: cores that are busy, servers included",
                Wanted::AtLeast(1.8),
                Value::Of(cores),
                two,
                &[],
            ),
            memory(two, 64.0),
        ],
        remarks: Vec::new(),
    })
}

pub(super) fn transfers(bench: &Bench) -> Prepared<'_> {
    let images = bench.images(20, bench.size(200 * MIB, 20 * MIB))?;
    let name = |transfers: u32| format!("glance-replicator --transfers {transfers}");
    let mut contestants = Vec::new();
    for transfers in [1, 2, 4, 8] {
        let images = images.clone();
        contestants.push(contestant(
            &name(transfers),
            images.total_bytes(),
            Ok(()),
            move || {
                bench.copy(&images, Api::V2, |source, target| {
                    let transfers = transfers.to_string();
                    let arguments = ["livecopy", source, target, "--transfers", &transfers];
                    Ok(vec![peers::product(&arguments)])
                })
            },
        ));
    }
    Ok(Contest {
        unit: Unit::Bytes,
        contestants,
        figures: vec![memory(&name(8), 64.0)],
        remarks: Vec::new(),
    })
}

pub(super) fn tls(bench: &Bench) -> Prepared<'_> {
    let images = bench.images(1, bench.size(GIB, 256 * MIB))?;
    let source = nginx_source(bench, &images, true);
    let missing = source.as_ref().err().map(ToString::to_string);
    let source = source.ok().map(std::rc::Rc::new);
    let trust = bench.dir.join("nginx/tls.crt");
    let mut contestants = Vec::new();
    for name in [TARGET, FULL, CURL] {
        let (images, source, trust) = (images.clone(), source.clone(), trust.clone());
        let needs = match &missing {
            Some(missing) => Err(missing.clone()),
            None => needs_of(name),
        };
        contestants.push(contestant(name, images.total_bytes(), needs, move || {
            let source = source.as_ref().ok_or("no nginx")?;
            let target = Server::start(images.sink(Api::V2))?;
            let front = Nginx::start(&bench.dir, true, &servers::in_front_of(&target.address))?;
            let commands = secured(name, source, &front, &target, &images, &trust)?;
            let ids = [source.id(), front.id(), target.id()];
            to_sink(bench, &ids, commands, target)
        }));
    }
    Ok(Contest {
        unit: Unit::Bytes,
        contestants,
        figures: vec![memory(TARGET, 64.0), memory(FULL, 64.0)],
        remarks: vec!["A relay that does nothing cannot speak TLS.".to_owned()],
    })
}

fn secured(
    name: &str,
    source: &Nginx,
    front: &Nginx,
    target: &Server,
    images: &Images,
    trust: &Path,
) -> Result<Vec<Command>, Box<dyn Error>> {
    let [from, to] = [source, front].map(|server| format!("https://{}", server.address()));
    if name == CURL {
        // What the sink is told beforehand need not go through TLS.
        let plain = Server::start(images.source(Api::V2))?;
        let mut job = job(&plain.address, &target.address)?;
        job.from = job
            .from
            .replace(&format!("http://{}", plain.address), &from);
        job.to = job.to.replace(&format!("http://{}", target.address), &to);
        return Ok(peers::curl_pipe(&job, Some(trust))?);
    }
    let trust = trust.display().to_string();
    let verify = if name == TARGET { "target" } else { "full" };
    let arguments = [
        "livecopy", &from, &to, "--cacert", &trust, "--verify", verify,
    ];
    Ok(vec![peers::product(&arguments)])
}

pub(super) fn far(bench: &Bench) -> Prepared<'_> {
    let images = bench.images(1, bench.size(256 * MIB, 32 * MIB))?;
    let mut contestants = Vec::new();
    for (name, start) in CONTESTANTS {
        let images = images.clone();
        contestants.push(contestant(
            name,
            images.total_bytes(),
            needs_of(name),
            move || far_copy(bench, &images, Api::V2, start),
        ));
    }
    Ok(Contest {
        unit: Unit::Bytes,
        contestants,
        figures: vec![memory(TARGET, 64.0), memory(FULL, 64.0)],
        remarks: vec![LINE_REMARK.to_owned()],
    })
}

pub(super) const LINE_REMARK: &str = "The distance is a program in front of each server that \
    delivers every byte 25 ms later, and connects 50 ms later: the round trips of HTTP count, \
    the windows of TCP do not.";

/// Runs programs between embedded servers that are 50 ms of round-trip time away.
pub(super) fn far_copy(
    bench: &Bench,
    images: &Images,
    api: Api,
    commands: impl FnOnce(&str, &str) -> Result<Vec<Command>, Box<dyn Error>>,
) -> Result<Sample, Box<dyn Error>> {
    let mut lines = Vec::new();
    let sample = bench.copy(images, api, |source, target| {
        for server in [source, target] {
            lines.push(Server::start(peers::part(&["line", server, "25"])?)?);
        }
        match lines.as_slice() {
            [source, target] => commands(&source.address, &target.address),
            _ => Err("a line is missing".into()),
        }
    });
    drop(lines);
    sample
}

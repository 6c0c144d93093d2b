//! Many images: small ones, and ones with which nothing is to be done.

use std::error::Error;

use super::super::contest::{Contest, Unit, Value, Wanted};
use super::super::measure::Sample;
use super::super::peers::{self, Python};
use super::super::servers::{self, Api, Images};
use super::stream::{LINE_REMARK, far_copy};
use super::{Bench, FULL, KIB, Prepared, contestant, count, counted, figure, memory};
use crate::embedded::Server;

const V2: &str = "glance-replicator, Images v2";
const V2_PUBLIC: &str = "glance-replicator, Images v2, public images";

pub(super) fn small_images(bench: &Bench) -> Prepared<'_> {
    let images = bench.images(bench.size(1000, 100), 64 * KIB)?;
    let public = images.clone().public();
    let work = f64::from(images.count);
    let mut contestants = Vec::new();
    for (name, images, api) in [
        (FULL, images.clone(), Api::V1),
        (V2, images.clone(), Api::V2),
        (V2_PUBLIC, public, Api::V2),
    ] {
        contestants.push(contestant(name, work, Ok(()), move || {
            bench.copy(&images, api, |source, target| {
                Ok(vec![peers::product(&["livecopy", source, target])])
            })
        }));
    }
    for python in Python::ALL {
        let images = images.clone();
        let needs = python.command(&[]).map(|_| ());
        contestants.push(contestant(python.name(), work, needs, move || {
            bench.copy(&images, Api::V1, |source, target| {
                Ok(vec![python.command(&["livecopy", source, target])?])
            })
        }));
    }
    let mut figures = Vec::new();
    for python in Python::ALL.map(Python::name) {
        let text = format!("images a second, of the {python}'s");
        figures.push(figure(
            &text,
            Wanted::AtLeast(10.0),
            Value::Speed,
            FULL,
            &[python],
        ));
    }
    for (text, most, of) in [
        ("requests an image, Images v1", 2.0, FULL),
        ("requests an image, Images v2", 4.0, V2),
        (
            "requests an image, Images v2, to publish as well",
            5.0,
            V2_PUBLIC,
        ),
    ] {
        figures.push(figure(
            text,
            Wanted::AtMost(most),
            Value::Each(requests),
            of,
            &[],
        ));
    }
    figures.extend([memory(FULL, 64.0), memory(V2, 64.0)]);
    Ok(Contest {
        unit: Unit::Images,
        contestants,
        figures,
        remarks: Vec::new(),
    })
}

/// All requests but those that a run without images would make.
fn requests(sample: &Sample) -> f64 {
    let fixed = ["listing", "versions"];
    let counts = sample.counts.iter();
    let counts = counts.filter(|(name, _)| !fixed.iter().any(|kind| name.ends_with(kind)));
    counts.map(|(_, count)| servers::as_f64(*count)).sum()
}

pub(super) fn far_small(bench: &Bench) -> Prepared<'_> {
    let images = bench.images(bench.size(30, 5), 64 * KIB)?;
    let work = f64::from(images.count);
    let mut contestants = Vec::new();
    let of_product = images.clone();
    contestants.push(contestant(FULL, work, Ok(()), move || {
        far_copy(bench, &of_product, Api::V1, |source, target| {
            Ok(vec![peers::product(&["livecopy", source, target])])
        })
    }));
    let python = Python::Of2017;
    let needs = python.command(&[]).map(|_| ());
    contestants.push(contestant(python.name(), work, needs, move || {
        far_copy(bench, &images, Api::V1, |source, target| {
            Ok(vec![python.command(&["livecopy", source, target])?])
        })
    }));
    Ok(Contest {
        unit: Unit::Images,
        contestants,
        figures: vec![memory(FULL, 64.0)],
        remarks: vec![LINE_REMARK.to_owned()],
    })
}

pub(super) fn nothing_10k(bench: &Bench) -> Prepared<'_> {
    let images = bench.images(bench.size(10_000, 500), KIB)?;
    let work = f64::from(images.count);
    let mut contestants = Vec::new();
    let of_product = images.clone();
    contestants.push(contestant(FULL, work, Ok(()), move || {
        let sample = between_equals(bench, &of_product, Api::V1, |source, target| {
            Ok(peers::product(&["livecopy", source, target]))
        })?;
        nothing_was_done(sample)
    }));
    for python in Python::ALL {
        let images = images.clone();
        let needs = python.command(&[]).map(|_| ());
        contestants.push(contestant(python.name(), work, needs, move || {
            between_equals(bench, &images, Api::V1, |source, target| {
                Ok(python.command(&["livecopy", source, target])?)
            })
        }));
    }
    let mut figures = Vec::new();
    for python in Python::ALL.map(Python::name) {
        let text = format!("speed, of the {python}'s");
        figures.push(figure(
            &text,
            Wanted::AtLeast(100.0),
            Value::Speed,
            FULL,
            &[python],
        ));
    }
    figures.push(memory(FULL, 64.0));
    Ok(Contest {
        unit: Unit::Images,
        contestants,
        figures,
        remarks: vec![
            "The tool of 15.0.2 finds every image changed and writes its metadata again; today's \
             finds none on the target and sends all of them, to be refused."
                .to_owned(),
        ],
    })
}

pub(super) fn nothing_100k(bench: &Bench) -> Prepared<'_> {
    let images = bench.images(bench.size(100_000, 5_000), KIB)?;
    let work = f64::from(images.count);
    let listing = {
        let server = Server::start(images.source(Api::V2))?;
        servers::list(&format!("http://{}", server.address), Api::V2)?.bytes
    };
    let run = move || {
        let sample = between_equals(bench, &images, Api::V2, |source, target| {
            Ok(peers::product(&["livecopy", source, target]))
        })?;
        let mut sample = nothing_was_done(sample)?;
        sample.counts.insert(LISTING_BYTES.to_owned(), 2 * listing);
        Ok(sample)
    };
    let decoding = |sample: &Sample| {
        servers::as_f64(counted(sample, LISTING_BYTES)) / 1e6 / sample.cpu_seconds
    };
    Ok(Contest {
        unit: Unit::Images,
        contestants: vec![contestant(FULL, work, Ok(()), run)],
        figures: vec![
            figure(
                "MB of listing decoded, a second of CPU",
                Wanted::AtLeast(50.0),
                Value::Of(decoding),
                FULL,
                &[],
            ),
            memory(FULL, 40.0),
        ],
        remarks: vec![format!(
            "Each listing is {:.0} bytes of JSON an image.",
            servers::as_f64(listing) / work
        )],
    })
}

const LISTING_BYTES: &str = "listing bytes";

/// Runs a program between two embedded servers that hold the same images.
fn between_equals(
    bench: &Bench,
    images: &Images,
    api: Api,
    command: impl FnOnce(&str, &str) -> Result<std::process::Command, Box<dyn Error>>,
) -> Result<Sample, Box<dyn Error>> {
    let source = Server::start(images.source(api))?;
    let target = Server::start(images.source(api))?;
    let command = command(&source.address, &target.address)?;
    let mut sample = bench.run_with(&[source.id(), target.id()], vec![command])?;
    count(&mut sample, "source", source)?;
    count(&mut sample, "target", target)?;
    Ok(sample)
}

fn nothing_was_done(sample: Sample) -> Result<Sample, Box<dyn Error>> {
    match requests(&sample) {
        0.0 => Ok(sample),
        more => Err(format!("{more} requests were made where nothing was to be done").into()),
    }
}

//! One source, several targets.

use std::error::Error;

use super::super::contest::{Contest, Unit, Value, Wanted};
use super::super::measure::Sample;
use super::super::peers;
use super::super::servers::{Api, Images};
use super::{Bench, MIB, Prepared, contestant, count, counted, figure, memory};
use crate::embedded::Server;

const ALONE: &str = "glance-replicator, one target";
const ALL: &str = "glance-replicator, three targets";
const BYTES_A_SECOND: &str = "50000000";

pub(super) fn contest(bench: &Bench) -> Prepared<'_> {
    let images = bench.images(1, bench.size(256 * MIB, 32 * MIB))?;
    let mut contestants = Vec::new();
    for (name, targets) in [(ALONE, 1), (ALL, 3)] {
        let images = images.clone();
        contestants.push(contestant(name, images.total_bytes(), Ok(()), move || {
            to_targets(bench, &images, targets)
        }));
    }
    Ok(Contest {
        unit: Unit::Bytes,
        contestants,
        figures: vec![
            figure(
                "three targets: time, of one target's",
                Wanted::AtMost(1.2),
                Value::Of(|sample| sample.seconds),
                ALL,
                &[ALONE],
            ),
            figure(
                "three targets: downloads from the source",
                Wanted::AtMost(1.0),
                Value::Of(|sample| {
                    f64::from(u32::try_from(counted(sample, "source download")).unwrap_or(u32::MAX))
                }),
                ALL,
                &[],
            ),
            memory(ALL, 64.0),
        ],
        remarks: Vec::new(),
    })
}

fn to_targets(bench: &Bench, images: &Images, count_of: usize) -> Result<Sample, Box<dyn Error>> {
    let source = Server::start(images.source(Api::V2))?;
    let mut targets = Vec::new();
    for _ in 0..count_of {
        let mut sink = images.sink(Api::V2);
        sink.args(["--throttle", BYTES_A_SECOND]);
        targets.push(Server::start(sink)?);
    }
    let mut arguments = vec!["livecopy", &source.address];
    arguments.extend(targets.iter().map(|target| target.address.as_str()));
    let command = peers::product(&arguments);
    let mut sample = bench.run_with(&[source.id()], vec![command])?;
    count(&mut sample, "source", source)?;
    for target in targets {
        let uploads = target.stop()?.get("upload").copied();
        if uploads != Some(1) {
            return Err(format!("{uploads:?} uploads reached a target").into());
        }
    }
    Ok(sample)
}

//! Real Glance servers: those of the lab.

use std::error::Error;
use std::fs::File;
use std::process::Command;
use std::rc::Rc;

use super::super::contest::{Contest, Unit, Value, Wanted};
use super::super::measure::Sample;
use super::super::peers::{self, Job, Python};
use super::super::servers::{self, Api, Images};
use super::{
    Bench, CURL, FULL, GIB, MIB, Prepared, RELAY, TARGET, contestant, figure, memory, needs,
};
use crate::embedded::Server;
use crate::lab;

pub(super) fn v2(bench: &Bench) -> Prepared<'_> {
    contest(bench, Api::V2, 1, GIB)
}

pub(super) fn v2_eight(bench: &Bench) -> Prepared<'_> {
    contest(bench, Api::V2, 8, GIB / 2)
}

pub(super) fn v1(bench: &Bench) -> Prepared<'_> {
    contest(bench, Api::V1, 1, GIB)
}

pub(super) fn v1_eight(bench: &Bench) -> Prepared<'_> {
    contest(bench, Api::V1, 8, GIB / 2)
}

fn contest(bench: &Bench, api: Api, count: u32, bytes: u64) -> Prepared<'_> {
    let images = bench.images(count, bench.size(bytes, 64 * MIB))?;
    let lab = Rc::new(Lab::start(bench, api, &images)?);
    let work = images.total_bytes();
    let mut contest = Contest {
        unit: Unit::Bytes,
        contestants: Vec::new(),
        figures: vec![
            figure(
                "--verify target: speed, of the relay's",
                Wanted::AtLeast(0.9),
                Value::Speed,
                TARGET,
                &[RELAY],
            ),
            figure(
                "--verify full: speed, of the relay's",
                Wanted::AtLeast(0.9),
                Value::Speed,
                FULL,
                &[RELAY],
            ),
            memory(FULL, 64.0),
        ],
        remarks: Vec::new(),
    };
    let mut add = |name, needs, commands: Start| {
        let (lab, images) = (Rc::clone(&lab), images.clone());
        contest
            .contestants
            .push(contestant(name, work, needs, move || {
                lab.copy(bench, &images, commands)
            }));
    };
    add(RELAY, Ok(()), |lab| Ok(peers::relay(&lab.jobs()?)?));
    add(TARGET, Ok(()), |lab| Ok(lab.product("target")));
    add(FULL, Ok(()), |lab| Ok(lab.product("full")));
    if count == 1 {
        add(CURL, needs("curl"), |lab| {
            let job = lab.jobs()?.pop().ok_or("no image")?;
            Ok(peers::curl_pipe(&job, None)?)
        });
    }
    // It copies one image after the other: of eight there is nothing more to learn.
    if api == Api::V1 && count == 1 {
        for python in Python::ALL {
            let needs = python.command(&[]).map(|_| ());
            add(
                python.name(),
                needs,
                match python {
                    Python::Of2017 => |lab| lab.python(Python::Of2017),
                    Python::Today => |lab| lab.python(Python::Today),
                },
            );
            let text = format!("speed, of the {}'s", python.name());
            let wanted = Wanted::AtLeast(1.0);
            contest
                .figures
                .push(figure(&text, wanted, Value::Speed, FULL, &[python.name()]));
        }
    }
    Ok(contest)
}

type Start = fn(&Lab) -> Result<Vec<Command>, Box<dyn Error>>;

/// Two servers of the lab: left empty, and stopped if they did not run before.
struct Lab {
    api: Api,
    names: [&'static str; 2],
    /// `host:port` of source and target.
    addresses: [String; 2],
    was_up: bool,
    /// Until the end nobody else empties them.
    _taken: File,
}

impl Lab {
    /// Starts them, and puts images onto the source.
    fn start(bench: &Bench, api: Api, images: &Images) -> Result<Self, Box<dyn Error>> {
        let names @ [one, two] = match api {
            Api::V1 => ["v1-one", "v1-two"],
            Api::V2 => ["today-one", "today-two"],
        };
        let taken = lab::take()?;
        let was_up = lab::are_up(&names);
        lab::start_and_empty(&names)?;
        let environment = lab::environment()?;
        let address = |name: &str| {
            let variable = format!("GLANCE_LAB_{}", name.replace('-', "_").to_uppercase());
            let url = environment.iter().find(|(name, _)| *name == variable);
            let url = url.and_then(|(_, url)| url.strip_prefix("http://"));
            url.map(str::to_owned).ok_or(variable)
        };
        let addresses = [address(one)?, address(two)?];
        let lab = Self {
            api,
            names,
            addresses,
            was_up,
            _taken: taken,
        };
        let embedded = Server::start(images.source(api))?;
        let [source, _] = &lab.addresses;
        bench.run(vec![peers::product(&[
            "livecopy",
            &embedded.address,
            source,
        ])])?;
        Ok(lab)
    }

    /// Runs a program between the two, the target empty before; all images have to arrive.
    fn copy(
        &self,
        bench: &Bench,
        images: &Images,
        commands: impl FnOnce(&Self) -> Result<Vec<Command>, Box<dyn Error>>,
    ) -> Result<Sample, Box<dyn Error>> {
        let [_, target] = self.names;
        lab::start_and_empty(&[target])?;
        Command::new("sync").status()?;
        let sample = bench.run(commands(self)?)?;
        let [_, target] = &self.addresses;
        let there = servers::list(&format!("http://{target}"), self.api)?.images;
        let whole = there.iter().filter(|image| image.bytes == images.bytes);
        match u32::try_from(whole.count())? {
            whole if whole == images.count => Ok(sample),
            whole => Err(format!("{whole} of {} images arrived", images.count).into()),
        }
    }

    fn product(&self, verify: &str) -> Vec<Command> {
        let [source, target] = &self.addresses;
        let arguments = ["livecopy", source, target, "--transfers", "8"];
        let mut product = peers::product(&arguments);
        product.args(["--verify", verify]);
        vec![product]
    }

    fn python(&self, python: Python) -> Result<Vec<Command>, Box<dyn Error>> {
        let [source, target] = &self.addresses;
        Ok(vec![python.command(&["livecopy", source, target])?])
    }

    fn jobs(&self) -> Result<Vec<Job>, Box<dyn Error>> {
        let [source, target] = self.addresses.each_ref().map(|it| format!("http://{it}"));
        let images = servers::list(&source, self.api)?.images;
        images
            .iter()
            .map(|image| {
                let job = Job::new(self.api, &source, &target, image);
                job.prepare(self.api, &target, image)?;
                Ok(job)
            })
            .collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let names = &self.names;
        let left = match self.was_up {
            true => lab::start_and_empty(names),
            false => lab::stop_and_wipe(names),
        };
        if let Err(error) = left {
            println!("the lab was not left as it was found: {error}");
        }
    }
}

//! What is measured side by side: contestants that take turns, and the figures to reach.

use std::error::Error;

use super::measure::Sample;

/// A number that is read from one run.
pub(super) type Metric = fn(&Sample) -> f64;

/// One way to do the work of a case.
pub(super) struct Contestant<'a> {
    pub(super) name: String,
    /// What it works through: bytes or images, as the case counts.
    pub(super) work: f64,
    pub(super) runs: Runs<'a>,
}

pub(super) enum Runs<'a> {
    /// Does the work once.
    By(Box<dyn FnMut() -> Result<Sample, Box<dyn Error>> + 'a>),
    /// What is missing on this machine, and how to get it.
    Missing(String),
}

/// How the work of a case is counted.
#[derive(Clone, Copy)]
pub(super) enum Unit {
    Bytes,
    Images,
}

/// All that is measured in one case.
pub(super) struct Contest<'a> {
    pub(super) unit: Unit,
    pub(super) contestants: Vec<Contestant<'a>>,
    pub(super) figures: Vec<Figure>,
    /// What a reader has to know about how it was measured.
    pub(super) remarks: Vec<String>,
}

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Wanted {
    AtLeast(f64),
    AtMost(f64),
}

impl Wanted {
    pub(super) fn is_reached_by(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
        }
    }
}

/// A figure to reach: a number of one contestant, or its ratio to another's of the same round.
pub(super) struct Figure {
    pub(super) text: String,
    pub(super) wanted: Wanted,
    pub(super) of: String,
    /// Of several the one with the smallest number; none for an absolute figure.
    pub(super) to: Vec<String>,
    pub(super) value: Value,
}

/// The number of a contestant that a figure is about.
#[derive(Clone, Copy)]
pub(super) enum Value {
    /// Work done in a second.
    Speed,
    /// CPU time for each unit of work.
    Cpu,
    /// Any other.
    Of(Metric),
    /// Any other, for each unit of work.
    Each(Metric),
}

/// What became of one contestant.
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) work: f64,
    /// One for each round, or why there are none.
    pub(super) samples: Result<Vec<Sample>, String>,
}

impl Measured {
    fn value(&self, value: Value, round: usize) -> Option<f64> {
        let sample = self.samples.as_ref().ok()?.get(round)?;
        Some(match value {
            Value::Speed => self.work / sample.seconds,
            Value::Cpu => sample.cpu_seconds / self.work,
            Value::Of(metric) => metric(sample),
            Value::Each(metric) => metric(sample) / self.work,
        })
    }
}

/// Lets each contestant run once a round, one after the other, so that whatever else the machine
/// does befalls all of them alike.
pub(super) fn hold(
    contestants: Vec<Contestant<'_>>,
    rounds: u32,
    mut say: impl FnMut(&str, u32, &str),
) -> Vec<Measured> {
    let mut runs = Vec::new();
    let mut measured = Vec::new();
    for contestant in contestants {
        let (run, samples) = match contestant.runs {
            Runs::By(run) => (Some(run), Ok(Vec::new())),
            Runs::Missing(what) => (None, Err(what)),
        };
        runs.push(run);
        measured.push(Measured {
            name: contestant.name,
            work: contestant.work,
            samples,
        });
    }
    for round in 1..=rounds {
        for (run, measured) in runs.iter_mut().zip(&mut measured) {
            let (Some(run), Ok(samples)) = (run, &mut measured.samples) else {
                continue;
            };
            match run() {
                Ok(sample) => {
                    say(&measured.name, round, &format!("{:.3} s", sample.seconds));
                    samples.push(sample);
                }
                Err(error) => {
                    say(&measured.name, round, &error.to_string());
                    measured.samples = Err(format!("failed: {error}"));
                }
            }
        }
    }
    measured
}

/// The middle of some numbers, with the least and the most of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) least: f64,
    pub(super) most: f64,
}

impl Spread {
    /// Of no numbers there is none.
    pub(super) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let median = match sorted.len() % 2 {
            0 => f64::midpoint(*sorted.get(middle - 1)?, upper),
            _ => upper,
        };
        Some(Self {
            median,
            least: *sorted.first()?,
            most: *sorted.last()?,
        })
    }
}

impl Figure {
    /// The figure in each round; paired, so that a slow moment of the machine hits both sides.
    pub(super) fn measure(&self, measured: &[Measured]) -> Option<Spread> {
        let find = |name: &String| measured.iter().find(|measured| measured.name == *name);
        let of = find(&self.of)?;
        let to: Vec<&Measured> = self.to.iter().map(find).collect::<Option<_>>()?;
        let rounds = of.samples.as_ref().ok()?.len();
        let ratios = (0..rounds).map(|round| {
            let value = of.value(self.value, round)?;
            let others = to.iter().map(|other| other.value(self.value, round));
            let others: Vec<f64> = others.collect::<Option<_>>()?;
            Some(match others.into_iter().min_by(f64::total_cmp) {
                Some(other) => value / other,
                None => value,
            })
        });
        Spread::of(ratios.collect::<Option<Vec<_>>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contestant<'a>(name: &str, seconds: &'a [f64]) -> Contestant<'a> {
        let mut left = seconds.iter();
        let run = move || match left.next() {
            Some(&seconds) => Ok(Sample {
                seconds,
                cpu_seconds: seconds / 2.0,
                ..Sample::default()
            }),
            None => Err("no more".into()),
        };
        Contestant {
            name: name.to_owned(),
            work: 10.0,
            runs: Runs::By(Box::new(run)),
        }
    }

    fn figure(of: &str, to: &[&str]) -> Figure {
        Figure {
            text: String::new(),
            wanted: Wanted::AtLeast(0.75),
            of: of.to_owned(),
            to: to.iter().map(|&name| name.to_owned()).collect(),
            value: Value::Speed,
        }
    }

    #[test]
    fn contestants_take_turns() {
        let mut turns = Vec::new();
        let contestants = vec![contestant("a", &[1.0, 2.0]), contestant("b", &[3.0, 4.0])];
        hold(contestants, 2, |name, round, what| {
            turns.push(format!("{name}{round} {what}"));
        });
        assert_eq!(
            turns,
            ["a1 1.000 s", "b1 3.000 s", "a2 2.000 s", "b2 4.000 s"]
        );
    }

    #[test]
    fn figures_are_medians_of_paired_rounds() {
        let contestants = vec![
            contestant("a", &[2.0, 4.0, 9.0]),
            contestant("b", &[1.0, 2.0, 3.0]),
            contestant("c", &[2.0, 1.0, 9.0]),
        ];
        let measured = hold(contestants, 3, |_, _, _| ());
        let ratio = figure("a", &["b"]).measure(&measured).unwrap();
        assert_eq!(
            (ratio.least, ratio.median, ratio.most),
            (1.0 / 3.0, 0.5, 0.5)
        );
        let to_slowest = figure("a", &["b", "c"]).measure(&measured).unwrap();
        assert_eq!(to_slowest.median, 1.0);
        assert_eq!(figure("a", &[]).measure(&measured).unwrap().median, 2.5);
    }

    #[test]
    fn figure_without_all_of_its_contestants_is_none() {
        let mut contestants = vec![contestant("a", &[1.0, 1.0]), contestant("b", &[1.0])];
        contestants.push(Contestant {
            name: "c".to_owned(),
            work: 1.0,
            runs: Runs::Missing("not installed: apt-get install c".to_owned()),
        });
        let measured = hold(contestants, 2, |_, _, _| ());
        assert_eq!(measured[1].samples.as_ref().unwrap_err(), "failed: no more");
        let why = measured[2].samples.as_ref().unwrap_err();
        assert_eq!(why, "not installed: apt-get install c");
        for other in ["b", "c", "d"] {
            assert_eq!(figure("a", &[other]).measure(&measured), None, "{other}");
        }
    }

    #[test]
    fn median_of_an_even_number_lies_between_the_two_in_the_middle() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((spread.least, spread.median, spread.most), (1.0, 2.5, 4.0));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn reaching_a_figure_exactly_is_reaching_it() {
        assert!(Wanted::AtLeast(2.0).is_reached_by(2.0) && Wanted::AtMost(2.0).is_reached_by(2.0));
        assert!(
            !Wanted::AtLeast(2.0).is_reached_by(1.9) && !Wanted::AtMost(2.0).is_reached_by(2.1)
        );
    }
}

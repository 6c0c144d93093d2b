//! Contestants that take turns, and the goals that their numbers are held against.

use std::error::Error;

use super::measure::Sample;

/// A number read from one run, given the work that the run did.
pub(super) type Metric = fn(&Sample, f64) -> f64;

/// Work in a second.
pub(super) const SPEED: Metric = |sample, work| work / sample.seconds;
/// CPU seconds for a unit of work.
pub(super) const CPU: Metric = |sample, work| sample.cpu_seconds / work;
pub(super) const SECONDS: Metric = |sample, _| sample.seconds;
/// The peak of memory.
pub(super) const MEMORY_MIB: Metric = |sample, _| sample.memory_bytes / (1 << 20) as f64;

/// The most files and connections that were open.
pub(super) const HANDLES: Metric = |sample, _| sample.handles;

/// The unit in which the work of a case is counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unit {
    Bytes,
    Images,
}

/// One way to do the work of a case.
struct Contestant<'a> {
    name: String,
    work: f64,
    /// Does the work once.
    run: Box<dyn FnMut() -> Result<Sample, Box<dyn Error>> + 'a>,
}

/// All that is measured in one case.
pub(super) struct Contest<'a> {
    unit: Unit,
    contestants: Vec<Contestant<'a>>,
    goals: Vec<Goal>,
    /// Remarks for the reader on how it was measured.
    pub(super) remarks: Vec<String>,
}

/// The result of a contest.
pub(super) struct Held {
    pub(super) unit: Unit,
    pub(super) measured: Vec<Measured>,
    pub(super) goals: Vec<Goal>,
    pub(super) remarks: Vec<String>,
}

/// The number that is to be reached.
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

/// A number of one contestant that is to be reached, or its ratio to another's of the same round.
pub(super) struct Goal {
    pub(super) text: String,
    pub(super) wanted: Wanted,
    pub(super) of: String,
    /// Of several the one with the smallest number; none for an absolute number.
    pub(super) to: Vec<String>,
    pub(super) metric: Metric,
}

/// The result of one contestant.
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) work: f64,
    /// One for each round, or why there are none.
    pub(super) samples: Result<Vec<Sample>, String>,
}

impl<'a> Contest<'a> {
    pub(super) fn new(unit: Unit) -> Self {
        Self {
            unit,
            contestants: Vec::new(),
            goals: Vec::new(),
            remarks: Vec::new(),
        }
    }

    pub(super) fn add(
        &mut self,
        name: &str,
        work: f64,
        run: impl FnMut() -> Result<Sample, Box<dyn Error>> + 'a,
    ) {
        let (name, run) = (name.to_owned(), Box::new(run));
        self.contestants.push(Contestant { name, work, run });
    }

    pub(super) fn goal(
        &mut self,
        text: &str,
        wanted: Wanted,
        metric: Metric,
        of: &str,
        to: &[&str],
    ) {
        self.goals.push(Goal {
            text: text.to_owned(),
            wanted,
            of: of.to_owned(),
            to: to.iter().map(|&name| name.to_owned()).collect(),
            metric,
        });
    }

    /// Lets each contestant run once a round, one after the other, so that whatever else the
    /// machine does befalls all of them alike.
    pub(super) fn hold(mut self, rounds: u32) -> Held {
        let nothing = |contestant: &Contestant<'_>| Measured {
            name: contestant.name.clone(),
            work: contestant.work,
            samples: Ok(Vec::new()),
        };
        let mut measured: Vec<Measured> = self.contestants.iter().map(nothing).collect();
        for round in 1..=rounds {
            for (contestant, measured) in self.contestants.iter_mut().zip(&mut measured) {
                let Ok(samples) = &mut measured.samples else {
                    continue;
                };
                let outcome = (contestant.run)();
                let said = match &outcome {
                    Ok(sample) => format!("{:.3} s", sample.seconds),
                    Err(error) => format!("failed: {error}"),
                };
                println!("  {round}  {}: {said}", contestant.name);
                match outcome {
                    Ok(sample) => samples.push(sample),
                    Err(_) => measured.samples = Err(said),
                }
            }
        }
        Held {
            unit: self.unit,
            measured,
            goals: self.goals,
            remarks: self.remarks,
        }
    }
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
        let upper = *sorted.get(sorted.len() / 2)?;
        let lower = *sorted.get((sorted.len() - 1) / 2)?;
        Some(Self {
            median: f64::midpoint(lower, upper),
            least: *sorted.first()?,
            most: *sorted.last()?,
        })
    }
}

impl Goal {
    /// The number in each round; paired, so that a slow moment of the machine hits both sides.
    pub(super) fn measure(&self, measured: &[Measured]) -> Option<Spread> {
        let rounds = |name: &String| -> Option<Vec<f64>> {
            let measured = measured.iter().find(|measured| measured.name == *name)?;
            let samples = measured.samples.as_ref().ok()?.iter();
            Some(
                samples
                    .map(|sample| (self.metric)(sample, measured.work))
                    .collect(),
            )
        };
        let mut values = rounds(&self.of)?;
        let others: Vec<Vec<f64>> = self.to.iter().map(rounds).collect::<Option<_>>()?;
        for (round, value) in values.iter_mut().enumerate() {
            let others = others.iter().filter_map(|other| other.get(round));
            *value /= others.copied().min_by(f64::total_cmp).unwrap_or(1.0);
        }
        Spread::of(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(contestants: &[(&str, &[f64])], rounds: u32) -> Vec<Measured> {
        let mut contest = Contest::new(Unit::Bytes);
        for (name, seconds) in contestants {
            let mut left = seconds.iter();
            contest.add(name, 10.0, move || {
                let seconds = *left.next().ok_or("no more")?;
                Ok(Sample {
                    seconds,
                    ..Sample::default()
                })
            });
        }
        contest.hold(rounds).measured
    }

    fn speed(of: &str, to: &[&str]) -> Goal {
        let mut contest = Contest::new(Unit::Bytes);
        contest.goal("", Wanted::AtLeast(0.75), SPEED, of, to);
        contest.goals.remove(0)
    }

    #[test]
    fn numbers_are_medians_of_paired_rounds() {
        let measured = held(
            &[
                ("a", &[2.0, 4.0, 9.0]),
                ("b", &[1.0, 2.0, 3.0]),
                ("c", &[2.0, 1.0, 9.0]),
            ],
            3,
        );
        let ratio = speed("a", &["b"]).measure(&measured).unwrap();
        assert_eq!(
            (ratio.least, ratio.median, ratio.most),
            (1.0 / 3.0, 0.5, 0.5)
        );
        let to_slowest = speed("a", &["b", "c"]).measure(&measured).unwrap();
        assert_eq!(to_slowest.median, 1.0);
        assert_eq!(speed("a", &[]).measure(&measured).unwrap().median, 2.5);
    }

    #[test]
    fn goal_without_all_of_its_contestants_is_not_measured() {
        let measured = held(&[("a", &[1.0, 1.0]), ("b", &[1.0])], 2);
        assert_eq!(measured[1].samples.as_ref().unwrap_err(), "failed: no more");
        for other in ["b", "c"] {
            assert_eq!(speed("a", &[other]).measure(&measured), None, "{other}");
        }
    }

    #[test]
    fn median_of_an_even_number_lies_between_the_two_in_the_middle() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((spread.least, spread.median, spread.most), (1.0, 2.5, 4.0));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn reaching_a_goal_exactly_is_reaching_it() {
        assert!(Wanted::AtLeast(2.0).is_reached_by(2.0) && Wanted::AtMost(2.0).is_reached_by(2.0));
        assert!(
            !Wanted::AtLeast(2.0).is_reached_by(1.9) && !Wanted::AtMost(2.0).is_reached_by(2.1)
        );
    }
}

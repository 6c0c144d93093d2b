//! `--dry-run`: prints a plan, or writes it to a file.

use glance_model::Selection;
use replicator_core::{Plan, Room};
use serde::Serialize;

use super::file::PlanFile;
use super::{Planned, Totals};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::{Sink, amount};

/// What becomes of a plan that is not done at once.
pub(crate) struct DryRun {
    sink: Sink<Planned>,
    /// The file that it is written to; then stdout has its totals alone.
    file: Option<PlanFile>,
    /// Whether the exit code says that there is work.
    exit_code: bool,
    /// What is said at the end of one that is only shown.
    end: &'static str,
}

impl DryRun {
    /// Shows it.
    pub(crate) fn new(sink: Sink<Planned>) -> Self {
        Self {
            sink,
            file: None,
            exit_code: false,
            end: "nothing was changed (--dry-run)",
        }
    }

    /// Writes it to a file, if there is one.
    pub(crate) fn planning(sink: Sink<Planned>, file: Option<PlanFile>, exit_code: bool) -> Self {
        Self {
            sink,
            file,
            exit_code,
            end: "nothing was changed",
        }
    }

    /// Prints what would be done at each target, an image a line, and the totals; of one of several
    /// targets, its name before that. A target has the end that it is, and its name.
    pub(crate) fn print(
        mut self,
        run: &Run<'_>,
        verb: &'static str,
        source: String,
        selection: &Selection,
        plans: &[PlannedTarget<'_>],
    ) -> Result<ExitCode, CliError> {
        if let Some(file) = &mut self.file {
            let targets = plans.iter();
            let targets = targets.map(|target| (target.end.clone(), target.name.clone()));
            file.begin(&source, targets, selection)?;
        }
        let mut all = Vec::new();
        let (mut has_work, mut code) = (false, ExitCode::Done);
        for target in plans {
            let PlannedTarget { name, plan, .. } = target;
            if plans.len() > 1 {
                self.sink.only_text(&format!("{name}:"))?;
            }
            let mut totals = self.rows(run, name, plan)?;
            totals.too_much = target.room_for(&totals);
            if let Some(too_much) = &totals.too_much {
                run.console.warning(&format!("{name}: {too_much}"));
                code = code.and(ExitCode::ImagesFailed);
            }
            self.sink.only_text(&totals.text(verb))?;
            all.push(totals);
            has_work |= !plan.images.is_empty() || !plan.left.is_empty();
            let name = (plans.len() > 1).then_some(&**name);
            run.console.would_fail(name, plan);
        }
        match self.file {
            Some(file) => {
                let path = file.end(&all)?;
                let path = path.display();
                let todo = format!("nothing was changed: glance-replicator apply {path} does it");
                run.console.summary(if has_work { &todo } else { self.end });
            }
            None => run.console.summary(self.end),
        }
        self.sink.end(&Rest {
            command: verb,
            source,
            targets: all,
        })?;
        Ok(match self.exit_code && has_work {
            true => code.and(ExitCode::Differences),
            false => code,
        })
    }

    fn rows(&mut self, run: &Run<'_>, target: &str, plan: &Plan) -> Result<Totals, CliError> {
        let mut totals = Totals::new(target, plan);
        let planned = plan.images.iter().map(|image| {
            totals.count(&image.action);
            totals.new += u64::from(image.found.is_none());
            (Planned::of(target, &image), Some(image.approval()))
        });
        let left = plan.left.iter().map(|left| {
            let approval = left.planned.approval();
            (Planned::of_left(target, left), Some(approval))
        });
        let settled = plan.settled.iter();
        let settled = settled.map(|result| (Planned::of_settled(target, result), None));
        for (row, approval) in planned.chain(left).chain(settled) {
            if run.ctx.is_cancelled() {
                return Err(run.interrupted());
            }
            match &mut self.file {
                Some(file) => file.row(row, approval)?,
                None => self.sink.row(&row)?,
            }
        }
        Ok(totals)
    }
}

/// The plan of a target, and what the target has room for.
pub(crate) struct PlannedTarget<'a> {
    /// The end, as it is written on a command line.
    pub(crate) end: String,
    pub(crate) name: String,
    pub(crate) plan: &'a Plan,
    pub(crate) room: Room,
}

impl PlannedTarget<'_> {
    /// Returns what is too much for the target, if anything is.
    fn room_for(&self, totals: &Totals) -> Option<String> {
        let bytes = self.room.bytes.filter(|room| *room < totals.bytes);
        let images = self.room.images.filter(|room| *room < totals.new);
        match (bytes, images) {
            (Some(room), _) => Some(format!(
                "it has room for {}, and {} are to be copied",
                amount(room),
                amount(totals.bytes)
            )),
            (None, Some(room)) => Some(format!(
                "it takes {room} more images, and {} are to be made",
                totals.new
            )),
            (None, None) => None,
        }
    }
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Rest {
    command: &'static str,
    source: String,
    targets: Vec<Totals>,
}

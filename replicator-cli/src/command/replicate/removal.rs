//! `--delete`: what leaves the targets is asked for before anything is done, and told if it is held
//! back.

use std::io::{self, IsTerminal as _};

use glance_model::{Key, Origin, Selection, Shard, Test};
use replicator_core::{Action, DeletePolicy, ImageRef, NotDone, Plan};

use crate::args::{DeleteArgs, SelectionArgs};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::{counted, named};

/// Returns how images leave the targets of a run, if any is to. Of selected images none does unless
/// somebody has said yes.
pub(super) fn policy(
    args: &DeleteArgs,
    selection: &SelectionArgs,
    yes: bool,
) -> Result<Option<DeletePolicy>, CliError> {
    let Some(policy) = args.policy() else {
        return Ok(None);
    };
    let tests = selection
        .tests(Some(String::new()))
        .map_err(CliError::Selection)?;
    if !yes && (selection.names_images() || narrows(&tests)) {
        return Err(CliError::DeleteOfSome);
    }
    Ok(Some(policy))
}

/// Returns whether images leave the targets in the run of this share. The first one does it for all.
pub(super) fn is_done_by(run: &Run<'_>, shard: Option<Shard>) -> bool {
    let is_first = shard.is_none_or(Shard::is_first);
    if !is_first {
        run.console
            .note("--delete is done by the first share alone: nothing is retired or deleted here");
    }
    is_first
}

/// Returns whether tests are about anything but the mark.
fn narrows(tests: &Selection) -> bool {
    let is_mark =
        |test: &Test| matches!(test.key(), Key::Property(name) if name == Origin::PROPERTY);
    let mut all = tests.tests().iter().chain(tests.excluded());
    !all.all(is_mark)
}

/// Settles with the user what leaves a target. After a failure nothing does.
pub(super) async fn settle(
    run: &Run<'_>,
    target: &str,
    plan: &mut Plan,
    yes: bool,
    code: ExitCode,
) -> Result<(), CliError> {
    if code != ExitCode::Done {
        plan.hold_back(NotDone::AfterFailures);
    }
    if plan.removals().next().is_some() && !yes && !is_wanted(run, target, plan).await? {
        plan.hold_back(NotDone::NotConfirmed);
    }
    tell(run, target, plan);
    Ok(())
}

/// Tells why images do not leave a target.
pub(super) fn tell(run: &Run<'_>, target: &str, plan: &Plan) {
    if let Some((why, images)) = plan.held_back() {
        let error = CliError::HeldBack { images, why };
        run.console.failed(&format!("{target}: "), &error);
    }
}

/// Asks on the terminal, if there is one.
async fn is_wanted(run: &Run<'_>, target: &str, plan: &Plan) -> Result<bool, CliError> {
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    if !is_terminal || run.common.log.quiet {
        return Ok(false);
    }
    for planned in plan.removals() {
        let what = match planned.action {
            Action::Delete => "delete",
            _ => "retire",
        };
        run.console.note(&format!(
            "{what} {}",
            named(&ImageRef::from(&planned.wanted))
        ));
    }
    let question = match plan.removals().count() as u64 {
        1 => "1 image is no more at the source. Type yes to retire or delete it:".to_owned(),
        count => format!(
            "{} are no more at the source. Type yes to retire or delete them:",
            counted(count, "image")
        ),
    };
    run.console.note(&format!("{target}: {question}"));
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map(|_| answer)
    });
    let answer = run.ctx.until_cancelled(answer).await;
    let answer = answer.map_err(|_| run.interrupted())?;
    let answer = answer.ok().and_then(Result::ok).unwrap_or_default();
    Ok(matches!(answer.trim(), "y" | "Y" | "yes" | "Yes" | "YES"))
}

//! Ctrl-C and SIGTERM cancel the run; the second one ends it at once. SIGUSR1 asks for its state.

use std::io;
use std::process;
use std::sync::{Arc, OnceLock};

use replicator_core::RunContext;
use tokio::signal::unix::{SignalKind, signal};

use crate::error::CliError;
use crate::exit_code::{ExitCode, Signal};
use crate::ui::Console;

/// The first signal of the run, once there is one.
pub(crate) type FirstSignal = Arc<OnceLock<Signal>>;

/// Watches out for signals until the program ends.
///
/// Of a run that writes it is told at once that it ends; another one has nothing to finish, and
/// its error is all that is to be said.
pub(crate) fn watch(
    ctx: &RunContext,
    console: &Arc<Console>,
    is_writing: bool,
) -> Result<FirstSignal, CliError> {
    let mut interrupts = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminations = signal(SignalKind::terminate()).map_err(failed)?;
    let (ctx, console) = (ctx.clone(), Arc::clone(console));
    let first = FirstSignal::default();
    let seen = Arc::clone(&first);
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                _ = interrupts.recv() => Signal::Interrupt,
                _ = terminations.recv() => Signal::Terminate,
            };
            if let Err(signal) = seen.set(signal) {
                process::exit(ExitCode::Interrupted(signal).number().into());
            }
            if is_writing {
                console.note("interrupted: finishing; what is done stays, the next run goes on");
            }
            ctx.cancel();
        }
    });
    Ok(first)
}

/// Has the state of the run told whenever SIGUSR1 asks for it.
pub(crate) fn tell_state(console: &Arc<Console>) -> Result<(), CliError> {
    let mut asked = signal(SignalKind::user_defined1()).map_err(failed)?;
    let console = Arc::clone(console);
    tokio::spawn(async move {
        while asked.recv().await.is_some() {
            console.state();
        }
    });
    Ok(())
}

fn failed(source: io::Error) -> CliError {
    let what = "watch out for signals";
    CliError::System { what, source }
}

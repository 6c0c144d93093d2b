//! The project's own tasks: what a developer and CI run, each as `cargo xtask TASK`.
#![expect(clippy::print_stdout, reason = "tasks report to the terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod lab;
mod layers;
mod live;
mod shell;

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Start, stop, empty or show real Glance servers: up, down, fresh, status, env
    ///
    /// `up [--fresh]`, `down [--wipe]`, `fresh` and `status` take names of servers, all
    /// by default. See xtask/lab/README.md.
    Lab {
        /// The command of the lab, and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check the direction of dependencies between the crates
    Layers,
    /// Run the live suites against the lab, which is started where it is down
    Live,
}

fn main() -> ExitCode {
    let outcome = match Args::parse().task {
        Task::Lab { arguments } => lab::run(&arguments),
        Task::Layers => layers::check(),
        Task::Live => live::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

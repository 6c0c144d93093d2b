//! The project's own tasks: what a developer and CI run, each as `cargo xtask TASK`.
#![expect(clippy::print_stdout, reason = "tasks report to the terminal")]

use std::process::ExitCode;

use clap::{Parser, Subcommand, value_parser};

#[cfg(target_os = "linux")]
mod bench;
mod book;
mod ci;
mod demo;
mod deploy;
#[cfg(target_os = "linux")]
mod dist;
mod embedded;
#[cfg(target_os = "linux")]
mod first_night;
mod fuzz;
mod lab;
mod layers;
mod live;
mod page;
mod setup;
mod shell;
mod tidy;

/// The project's own tasks.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure the product beside what else does the same work: docs/performance.md
    #[cfg(target_os = "linux")]
    Bench(bench::Options),
    /// Build the book of docs/ into target/book, with mdBook, which is installed where it is missing
    Book,
    /// Check and test everything, as CI does, and install first what is missing for it
    Ci {
        /// Leave out the documentation, the fuzzing and the live suite: what runs before each commit
        #[arg(long)]
        fast: bool,
    },
    /// Run the embedded example: two Glance servers and the commands between them
    Demo,
    /// Run the examples of deploy/: on a Slurm of two nodes, with GNU parallel, past kubernetes-validate
    Deploy,
    /// Build the packages of a release below target/dist, and try each of them: docs/packages.md
    #[cfg(target_os = "linux")]
    Dist {
        /// Pack the program of a debug build, to try the packing: not static, and not for anybody
        #[arg(long)]
        quick: bool,
    },
    /// Go the way of README.md from the package of `dist` to the first night, on a new machine: docs/first-night.md
    #[cfg(target_os = "linux")]
    FirstNight,
    /// Fuzz what reads headers, records, files and ends (cargo-fuzz; stable Rust)
    ///
    /// Runs each target with its seeds and the corpus of earlier runs, and then with
    /// new inputs. Corpus and findings are kept below target/fuzz.
    Fuzz {
        /// Seconds that each target is run
        #[arg(long, default_value_t = fuzz::SECONDS, value_parser = value_parser!(u32).range(1..))]
        seconds: u32,
        /// Targets, as in fuzz/fuzz_targets [default: all]
        targets: Vec<String>,
    },
    /// Start, stop, empty or show real Glance servers: up, down, fresh, status, env
    ///
    /// `up [--fresh]`, `down [--wipe]`, `fresh` and `status` take names of servers, all
    /// by default. See xtask/lab/README.md.
    Lab {
        /// The command of the lab, and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Check the direction of dependencies, between the crates and between the files of each
    Layers,
    /// Open the page of `status --html` in Chromium, which is installed where it is missing
    Page,
    /// Install what `ci` takes and this machine lacks: parts of Rust, Debian packages, cargo-fuzz, mdBook
    Setup,
    /// Run the live suites against the lab, which is started where it is down
    Live,
    /// Check what no other tool checks: module docs, manifests, file lengths, links
    Tidy,
}

fn main() -> ExitCode {
    let outcome = match Args::parse().task {
        #[cfg(target_os = "linux")]
        Task::Bench(options) => bench::run_bench(&options),
        Task::Book => book::build(),
        Task::Ci { fast: false } => ci::full(),
        Task::Ci { fast: true } => ci::fast(),
        Task::Demo => demo::run_demo(),
        Task::Deploy => deploy::run_examples(),
        #[cfg(target_os = "linux")]
        Task::Dist { quick } => dist::build_release(quick),
        #[cfg(target_os = "linux")]
        Task::FirstNight => first_night::walk(),
        Task::Fuzz { seconds, targets } => fuzz::run(seconds, &targets),
        Task::Lab { arguments } => lab::run(&arguments),
        Task::Layers => layers::check(),
        Task::Live => live::run(),
        Task::Page => page::check(),
        Task::Setup => setup::everything(),
        Task::Tidy => tidy::check(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

//! `glance-replicator`: replicates, backs up and migrates OpenStack images.

mod advice;
mod args;
mod command;
mod ends;
mod error;
mod exit_code;
mod limits;
mod near;
mod run;
mod secrets;
mod signals;
mod ui;

use std::process;

use crate::args::config_file;

fn main() -> process::ExitCode {
    let code = match config_file::parse(std::env::args_os(), &|name| std::env::var_os(name)) {
        Ok(invocation) => command::run(&invocation),
        Err(error) => Err(error),
    };
    code.unwrap_or_else(|error| ui::failure(&error)).into()
}

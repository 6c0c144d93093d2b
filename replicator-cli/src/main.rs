//! `glance-replicator`: replicates, backs up and migrates OpenStack images.

mod args;
mod command;
mod config_file;
mod connect;
mod end;
mod error;
mod exit_code;
mod handles;
mod limits;
mod log;
mod render;
mod secrets;
mod signals;

use std::process;

use crate::error::CliError;
use crate::exit_code::ExitCode;

fn main() -> process::ExitCode {
    let code = match config_file::parse(std::env::args_os()) {
        Ok(invocation) => command::run(&invocation),
        Err(error) => Err(error),
    };
    code.unwrap_or_else(report).into()
}

fn report(error: CliError) -> ExitCode {
    render::failure(&error);
    error.exit_code()
}

//! `completion`, for the start-up file of a shell; `complete`, which the shell calls by it; and `man`,
//! which packages are made with.

use std::fs;
use std::path::PathBuf;

use clap::ValueEnum;
use glance_client::cloud::Cloud;

use super::Cli;
use crate::args::config_file::grammar;
use crate::args::{KnownCloud, candidates, pages};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;

/// Print what a shell needs to complete command lines
///
/// Commands, options and their values are completed, clouds and regions from
/// clouds.yaml, and directories behind dir:. Packages bring it along.
#[derive(clap::Args, Debug)]
#[command(after_help = "  \
  glance-replicator completion bash   # in ~/.bashrc: source <(glance-replicator completion bash)
  glance-replicator completion zsh    # into a file _glance-replicator in a directory of $fpath
  glance-replicator completion fish   # into ~/.config/fish/completions/glance-replicator.fish")]
pub(crate) struct CompletionArgs {
    /// The shell: bash, zsh or fish
    #[arg(hide_possible_values = true)]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Shell {
    /// Version 4 or newer
    Bash,
    /// Any version
    Zsh,
    /// Version 3 or newer
    Fish,
}

/// Print the words that may complete a command line
#[derive(clap::Args, Debug)]
pub(crate) struct CompleteArgs {
    /// The line up to the cursor, without the name of the program
    #[arg(last = true)]
    words: Vec<String>,
}

/// Write the manual pages
#[derive(clap::Args, Debug)]
pub(crate) struct ManArgs {
    /// The directory of the pages
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn completion(args: &CompletionArgs) -> Result<ExitCode, CliError> {
    let script = match args.shell {
        Shell::Bash => include_str!("../../completions/glance-replicator.bash"),
        Shell::Zsh => include_str!("../../completions/glance-replicator.zsh"),
        Shell::Fish => include_str!("../../completions/glance-replicator.fish"),
    };
    Err(CliError::Help(script.to_owned()))
}

pub(super) fn complete(run: &Run<'_>, args: &CompleteArgs) -> Result<ExitCode, CliError> {
    let clouds = Cloud::names(&run.env).into_iter().map(|name| KnownCloud {
        regions: Cloud::regions(&name, &run.env),
        name,
    });
    let clouds: Vec<KnownCloud> = clouds.collect();
    let found = candidates(&grammar::<Cli>(), &args.words, &clouds);
    let lines = found
        .iter()
        .map(|found| format!("{}\t{}", found.word, found.about));
    // A line each: what has a line break in it cannot be completed.
    let lines = lines.filter(|line| !line.contains(['\n', '\r']));
    let text = lines.map(|line| line + "\n").collect();
    Err(CliError::Help(text))
}

pub(super) fn man(args: &ManArgs) -> Result<ExitCode, CliError> {
    let failed = |source| {
        let what = "write the manual pages";
        CliError::System { what, source }
    };
    fs::create_dir_all(&args.directory).map_err(failed)?;
    for page in pages(grammar::<Cli>()).map_err(failed)? {
        fs::write(args.directory.join(page.file), page.text).map_err(failed)?;
    }
    Ok(ExitCode::Done)
}

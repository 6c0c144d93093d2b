//! The options that say what is looked at of images, and how they are found.

use std::path::{self, Path, PathBuf};

use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use glance_model::{Omit, OmitError};

use super::heading;
use super::owners::MembersArgs;
use crate::error::CliError;

/// The options that omit parts of a record.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct OmitArgs {
    /// Fields to omit, separated by blanks or commas
    ///
    /// They are neither compared nor sent. Additional properties are one field,
    /// `properties`: see --drop-property.
    #[arg(short = 'D', long, value_name = "NAMES", hide_default_value = true)]
    #[arg(default_value = "created_at date deleted_at location updated_at")]
    dontreplicate: String,

    /// Additional properties to omit, as os_*
    ///
    /// For properties that the target refuses. `*`, `?`, `[a-z]` and `{a,b}` have
    /// their usual meaning. May be given more than once.
    #[arg(long, value_name = "PATTERN", action = clap::ArgAction::Append)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    drop_property: Vec<String>,

    #[command(flatten)]
    members: MembersArgs,
}

impl OmitArgs {
    pub(crate) fn filter(&self) -> Result<Omit, OmitError> {
        let patterns = self.drop_property.iter().map(String::as_str);
        let omit = Omit::parse(&self.dontreplicate)?.with_patterns(patterns)?;
        Ok(self.members.omit(omit))
    }
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct MetaOnly {
    /// Metadata only, never image data
    #[arg(short, long, value_parser = BoolishValueParser::new())]
    pub(crate) metaonly: bool,
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct IdMapArgs {
    /// File that keeps which images go by another id
    ///
    /// `--on-id-conflict new-id` writes it. Give it to every later run, and to
    /// compare and verify, which find the copies by it.
    #[arg(long, value_name = "FILE")]
    pub(crate) id_map: Option<PathBuf>,
}

impl IdMapArgs {
    /// Fails if the file cannot be there. It would be noticed late: when the first id is chosen.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        let Some(path) = &self.id_map else {
            return Ok(());
        };
        let directory = path::absolute(path).ok();
        let directory = directory.as_deref().and_then(Path::parent);
        let problem = match directory {
            _ if path.is_dir() => "it is a directory".to_owned(),
            Some(directory) if !directory.is_dir() => {
                format!("there is no directory {}", directory.display())
            }
            _ => return Ok(()),
        };
        let path = path.clone();
        Err(CliError::IdMap { path, problem })
    }
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::WHICH)]
pub(crate) struct AllowEmpty {
    /// Take an empty directory for an archive
    ///
    /// Without it, an empty directory to read images from is an error: it may be the
    /// wrong one, or its disk may not be mounted.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) allow_empty: bool,
}

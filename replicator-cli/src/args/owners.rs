//! The options that say who owns images at a target, and with whom they are shared.

use std::path::PathBuf;

use glance_model::Omit;

use super::heading;
use super::words::{
    MembersPolicy, MissingProject, OwnerPolicy, members, on_missing_project, owner,
};
use crate::error::CliError;

/// The options of copies to a server, and of comparisons with one.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct OwnerArgs {
    /// Owner of the copies: keep, mine or map
    ///
    /// Two Keystones have other ids for projects of the same names. Members are mapped
    /// as owners are. In a directory, ids stay as they are, with their names beside them.
    #[arg(long, value_name = "WHOSE", default_value = "keep")]
    #[arg(value_parser = owner(), hide_possible_values = true)]
    pub(crate) owner: OwnerPolicy,

    /// File that maps projects which have other names
    ///
    /// A line is `source = target`. A project is an id, domain/name, or a name that only
    /// one domain has; what follows a # is a comment. Its lines come before names.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) project_map: Option<PathBuf>,

    /// If the target lacks the project: fail, skip or mine
    ///
    /// That of the owner, with --owner map; fail is the default. A member that is missing
    /// fails its image with fail, and else is left out, with a warning.
    #[arg(long, value_name = "WHAT", hide_short_help = true)]
    #[arg(value_parser = on_missing_project(), hide_possible_values = true)]
    pub(crate) on_missing_project: Option<MissingProject>,
}

impl OwnerArgs {
    /// Fails if options are given that the policy has no use for.
    pub(crate) fn check(&self) -> Result<(), CliError> {
        let problem = match self.owner {
            OwnerPolicy::Keep if self.project_map.is_some() => {
                "--project-map needs --owner map or --owner mine"
            }
            OwnerPolicy::Keep | OwnerPolicy::Mine if self.on_missing_project.is_some() => {
                "--on-missing-project needs --owner map"
            }
            _ => return Ok(()),
        };
        Err(CliError::Owners { problem })
    }
}

#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(super) struct MembersArgs {
    /// Members of shared images: keep or skip
    ///
    /// Each image that is shared takes a request, since no listing has its members.
    #[arg(long, value_name = "WHAT", default_value = "keep")]
    #[arg(value_parser = members(), hide_possible_values = true)]
    members: MembersPolicy,
}

impl MembersArgs {
    /// Adds the members to what is omitted, if they are.
    pub(super) fn omit(&self, omit: Omit) -> Omit {
        match self.members {
            MembersPolicy::Keep => omit,
            MembersPolicy::Skip => omit.with_field("members"),
        }
    }
}

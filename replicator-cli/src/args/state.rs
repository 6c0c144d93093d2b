//! The options by which copies are to say otherwise than their originals.

use clap::ArgAction;
use glance_model::{Adapt, Omit};

use super::heading;
use super::words::{SnapshotProperties, Widest, widest_visibility};
use crate::error::CliError;

/// The options by which copies are to say otherwise than their originals.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct StateArgs {
    /// Widest visibility: keep, private, shared, community
    ///
    /// For targets that do not let this caller publish images. One that more people see
    /// at the source gets this visibility at the target, and no other is changed. Give
    /// it to every later run, and to compare.
    #[arg(long, value_name = "WHAT", default_value = "keep")]
    #[arg(value_parser = widest_visibility(), hide_possible_values = true, hide_short_help = true)]
    visibility: Widest,

    /// Traces of the source's cloud in snapshots: keep or scrub
    ///
    /// Nova writes into a snapshot which instance, user, project and image it comes from.
    /// scrub leaves out base_image_ref, boot_roles, image_location, image_state,
    /// instance_uuid, owner_id, owner_project_name, owner_user_name and user_id. Give it
    /// to every later run, and to compare.
    #[arg(long, value_name = "WHAT", default_value = "keep")]
    #[arg(hide_possible_values = true, hide_short_help = true)]
    snapshot_properties: SnapshotProperties,

    /// Additional property that every copy gets
    ///
    /// For a target that requires one, or to mark what was copied. It takes the place of
    /// what the source says. May be given more than once. Give it to every later run, and
    /// to compare.
    #[arg(long, value_name = "NAME=VALUE", action = ArgAction::Append, hide_short_help = true)]
    set_property: Vec<String>,
}

impl StateArgs {
    /// Returns what copies are to say otherwise, in a run that omits some fields.
    pub(crate) fn adapt(&self, omit: &Omit) -> Result<Adapt, CliError> {
        let mut adapt = Adapt::default();
        adapt.widest = self.visibility;
        adapt.scrubs_snapshots = self.snapshot_properties == SnapshotProperties::Scrub;
        for text in &self.set_property {
            adapt.set_property(text)?;
        }
        let is_omitted = |name: &&str| omit.contains("properties") || omit.matches_property(name);
        if let Some(name) = adapt.property_names().find(is_omitted) {
            let name = name.to_owned();
            return Err(CliError::SetAndOmitted { name });
        }
        Ok(adapt)
    }
}

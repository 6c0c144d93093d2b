//! The options by which a target is to be like its source, and lose what that does not have.

use std::time::Duration;

use clap::builder::BoolishValueParser;
use glance_model::{MaxDelete, Omit, Origin};
use replicator_core::DeletePolicy;

use super::heading;
use crate::error::CliError;

#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct MirrorArgs {
    /// Remove metadata that the source lacks, too
    ///
    /// Additional properties, tags and members of images that both have; without it, those that
    /// only the target has stay. Each shared image takes one more request at the target. Nothing
    /// that is omitted is removed. Give it to compare as well, which shows them then.
    #[arg(long, value_parser = BoolishValueParser::new())]
    pub(crate) mirror_metadata: bool,
}

/// The options by which images leave a target.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct DeleteArgs {
    /// Mark what is made at the target with this name
    ///
    /// As its property replicator_origin, which no other copy takes over. An image that is there
    /// already is not marked. One name for one source: --delete looks at the images of the name.
    #[arg(long, value_name = "NAME")]
    origin: Option<Origin>,

    /// Retire images of --origin that the source lost
    ///
    /// Such an image is hidden and marked with the time (replicator_retired_at), and deleted by a
    /// run after --grace. In an archive its files are moved to .retired, and removed then. One that
    /// comes back at the source is shown again. Never: an image without the mark, a protected one,
    /// more than --max-delete, after any failure of the run, or if the source lists no image. It is
    /// the last step of a run. A copy asks on a terminal, and takes --yes elsewhere; what a plan says
    /// is done by apply. With --shard, the first share does it for all. A server never gives the id
    /// of a deleted image back.
    #[arg(long, value_parser = BoolishValueParser::new())]
    delete: bool,

    /// Time from retired to deleted: 7d, 12h or 2w
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = time)]
    #[arg(hide_short_help = true)]
    grace: Duration,

    /// The most images to retire, and to delete: 20 or 5%
    ///
    /// If it would be more, none is. A percentage is one of all images of --origin at the target,
    /// rounded up. By default it is 10, or 10% if that is less.
    #[arg(long, value_name = "N|N%", hide_short_help = true)]
    max_delete: Option<MaxDelete>,
}

/// The answer to the question whether images are to leave the target.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::HOW)]
pub(crate) struct YesArgs {
    /// Do not ask before --delete
    ///
    /// With options that select images, --delete needs it, too. Of the selected images it retires
    /// those that the source does not have any more.
    #[arg(long, value_parser = BoolishValueParser::new(), hide_short_help = true)]
    pub(crate) yes: bool,
}

impl DeleteArgs {
    /// Returns the origin that is to be marked, in a run that omits some fields.
    pub(crate) fn origin(&self, omit: &Omit) -> Result<Option<Origin>, CliError> {
        let name = Origin::PROPERTY;
        if self.origin.is_some() && (omit.contains("properties") || omit.matches_property(name)) {
            let name = name.to_owned();
            return Err(CliError::SetAndOmitted { name });
        }
        Ok(self.origin.clone())
    }

    /// Returns how images leave the target, if any is to.
    pub(crate) fn policy(&self) -> Option<DeletePolicy> {
        self.delete.then(|| DeletePolicy {
            grace: self.grace,
            max: self.max_delete.unwrap_or(MaxDelete::Cautious),
        })
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..) {
        Some("s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        Some("d") => 86_400,
        Some("w") => 7 * 86_400,
        _ => 0,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: Option<u64> = Some(digits)
        .filter(|_| is_number && unit > 0)
        .and_then(|digits| digits.parse().ok());
    let seconds = number.and_then(|number| number.checked_mul(unit));
    let seconds = seconds.ok_or("write a number with s, m, h, d or w, such as 7d")?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit() {
        for (text, seconds) in [
            ("0s", 0),
            ("90m", 5400),
            ("12h", 43_200),
            ("7d", 604_800),
            ("2w", 1_209_600),
        ] {
            assert_eq!(time(text).unwrap().as_secs(), seconds, "{text}");
        }
        for text in [
            "",
            "7",
            "d",
            "-1d",
            "+1d",
            "1.5d",
            "7 d",
            "7days",
            "99999999999999999999d",
        ] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}

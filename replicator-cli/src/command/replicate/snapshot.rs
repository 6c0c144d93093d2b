//! A dump that makes a snapshot: what it shares is there before it, and its name comes after it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{Timestamp, Unit};
use replicator_core::ImageSource;
use replicator_fs::{ArchiveError, NewSnapshot, Snapshot, Snapshots};

use super::super::results::Record;
use crate::args::SnapshotArgs;
use crate::ends::{End, Noted};
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::run::Run;
use crate::ui::amount;

/// The directory of snapshots that a dump makes one in.
pub(crate) struct Into<'a> {
    pub(crate) path: PathBuf,
    pub(crate) args: &'a SnapshotArgs,
}

/// A snapshot that is made, or of which is said what it would be.
pub(crate) struct Making<'a> {
    args: &'a SnapshotArgs,
    /// None of a directory that is not there yet.
    snapshots: Option<Snapshots>,
    /// None if nothing is to be changed.
    new: Option<NewSnapshot>,
    end: PathBuf,
    now: Timestamp,
    listed: Noted,
}

impl<'a> Into<'a> {
    /// Begins a snapshot of the images that a source lists from now on.
    pub(crate) fn begin(
        &self,
        run: &Run<'_>,
        is_dry_run: bool,
        source: &mut Arc<dyn ImageSource>,
    ) -> Result<Making<'a>, CliError> {
        let now = Timestamp::now();
        let now = now.round(Unit::Second).unwrap_or(now);
        let (snapshots, new, end) = if is_dry_run {
            let (snapshots, end) = self.as_it_is()?;
            (snapshots, None, end)
        } else {
            let snapshots = Snapshots::create(&self.path)?;
            let new = snapshots.begin(now)?;
            if new.unshared > 0 {
                run.console.warning(&format!(
                    "{}: the file system does not let {} images be shared with the snapshot before \
                     (no hard links): they are copied again",
                    self.path.display(),
                    new.unshared
                ));
            }
            let end = new.path().to_owned();
            (Some(snapshots), Some(new), end)
        };
        Ok(Making {
            args: self.args,
            snapshots,
            new,
            end,
            now,
            listed: Noted::of(source),
        })
    }

    /// Returns the directory, if it is there, and the archive that the new snapshot would begin
    /// with.
    fn as_it_is(&self) -> Result<(Option<Snapshots>, PathBuf), CliError> {
        match Snapshots::open(&self.path) {
            Ok(snapshots) => {
                let all = snapshots.all()?;
                let partial = all.iter().find(|snapshot| !snapshot.is_whole);
                let first = partial.or(all.last());
                let none = || self.path.join("none");
                let end = first.map_or_else(none, |snapshot| snapshot.path.clone());
                Ok((Some(snapshots), end))
            }
            Err(ArchiveError::Missing { path }) => Ok((None, path)),
            Err(error) => Err(error.into()),
        }
    }
}

impl Making<'_> {
    /// Returns the archive that is filled.
    pub(crate) fn end(&self) -> End {
        End::Archive(self.end.clone())
    }

    /// Gives the snapshot its name, if the run has ended well, and removes the old ones that no
    /// rule keeps.
    pub(crate) fn finish(
        self,
        run: &Run<'_>,
        code: ExitCode,
        record: &mut Record,
    ) -> Result<ExitCode, CliError> {
        let Some(snapshots) = self.snapshots else {
            return Ok(code);
        };
        let keep = self.args.keep();
        let Some(new) = self.new else {
            if let Some(keep) = keep {
                let all = whole(&snapshots)?;
                let times = all.iter().map(|snapshot| snapshot.time).chain([self.now]);
                let kept = keep.decide(&times.collect::<Vec<_>>());
                for (snapshot, kept) in all.iter().zip(&kept) {
                    run.console.summary(&match kept.by() {
                        [] => format!("would be removed: {}, {NOT_KEPT}", name(&snapshot.path)),
                        by => format!(
                            "would be kept: {} ({})",
                            name(&snapshot.path),
                            by.join(", ")
                        ),
                    });
                }
            }
            return Ok(code);
        };
        if code != ExitCode::Done {
            run.console.note(&format!(
                "the snapshot is not whole, and no old one is removed: the next run goes on with {}",
                self.end.display()
            ));
            return Ok(code);
        }
        let listed = self.listed.take();
        let before = whole(&snapshots)?;
        if let Some(last) = before.last()
            && listed.is_empty()
            && last.usage()?.images > 0
        {
            let path = last.path.clone();
            return Err(CliError::EmptySnapshot { path });
        }
        let snapshot = snapshots.finish(new, &listed)?;
        record.reached(0, snapshot.path.display().to_string());
        let usage = snapshot.usage()?;
        run.console.summary(&format!(
            "snapshot: {}, {} images ({}), {} of its own",
            snapshot.path.display(),
            usage.images,
            amount(usage.bytes),
            amount(usage.own_bytes)
        ));
        if let Some(keep) = keep {
            let all: Vec<Snapshot> = before.into_iter().chain([snapshot]).collect();
            let times: Vec<Timestamp> = all.iter().map(|snapshot| snapshot.time).collect();
            for (old, kept) in all.iter().zip(keep.decide(&times)) {
                if kept.by().is_empty() {
                    snapshots.remove(old)?;
                    run.console
                        .summary(&format!("removed: {}, {NOT_KEPT}", name(&old.path)));
                }
            }
        }
        Ok(code)
    }
}

const NOT_KEPT: &str = "which no --keep option keeps";

fn whole(snapshots: &Snapshots) -> Result<Vec<Snapshot>, CliError> {
    let mut all = snapshots.all()?;
    all.retain(|snapshot| snapshot.is_whole);
    Ok(all)
}

fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

//! The selection of images: from the options to a value, and what is said of it afterwards.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use futures_util::TryStreamExt as _;
use glance_client::cloud::Details;
use glance_model::{ImageId, Selection};
use replicator_core::{ImageSource, PortError, SelectedCount, find_named, select_newest};

use crate::args::SelectionArgs;
use crate::ends;
use crate::error::CliError;
use crate::exit_code::ExitCode;
use crate::near::near;
use crate::run::Run;

/// The largest number of names that are suggested.
const MOST_NEAR: usize = 3;
/// The largest number of ids that are named.
const MOST_IDS: usize = 20;

/// The images that are selected at an end.
pub(super) struct Selected {
    pub(super) selection: Selection,
    /// The number of images that there are if there is one of each id that was asked for.
    asked: u64,
    /// The ids that were typed.
    typed: BTreeSet<ImageId>,
    /// The ids of a file, and the file.
    listed: Option<(BTreeSet<ImageId>, PathBuf)>,
    /// All images of the end, if that was learned on the way.
    of: Option<u64>,
    error_on_nothing: bool,
    /// Whether something is said of the selection, which the user has made.
    is_told: bool,
}

impl Selected {
    /// Selects images without a word about it.
    pub(super) fn only(selection: Selection) -> Self {
        Self {
            selection,
            asked: 0,
            typed: BTreeSet::new(),
            listed: None,
            of: None,
            error_on_nothing: false,
            is_told: false,
        }
    }
}

/// Looks up at an end which images are selected. Of the images that a member sees, those of the
/// member's project alone are meant, unless it is said otherwise: `images` lists no others then.
pub(super) async fn select(
    run: &Run<'_>,
    args: &SelectionArgs,
    images: &mut Arc<dyn ImageSource>,
    details: Option<&Details>,
) -> Result<Selected, CliError> {
    let project = details.and_then(|details| Some(details.project.as_ref()?.id.clone()));
    let selection = args.tests(project).map_err(CliError::Selection)?;
    let member_of = details.and_then(Details::member_of);
    if let Some(project) = member_of.filter(|_| !args.means_any_owner(&selection)) {
        *images = ends::own(images, project, &run.console);
    }
    let images = &**images;
    let mut selected = Selected {
        error_on_nothing: args.error_on_nothing,
        is_told: true,
        ..Selected::only(selection)
    };
    if let Some(path) = &args.images_from {
        let ids = read_ids(path)?;
        selected.selection = selected.selection.with_ids(ids.iter().copied());
        selected.listed = Some((ids, path.clone()));
    }
    // Whether there are images of these ids is seen when they are listed.
    let mut names = args.images();
    names.retain(|name| match ImageId::parse(name) {
        Ok(id) => !selected.typed.insert(id),
        Err(_) => true,
    });
    let mut ids = selected.typed.clone();
    if !names.is_empty() {
        ids.extend(ids_of(run, images, &names).await?);
    }
    if !ids.is_empty() {
        selected.selection = selected.selection.with_ids(ids);
    }
    selected.asked = selected.selection.ids().map_or(0, |ids| ids.len() as u64);
    if let Some(newest) = args.newest() {
        let found = select_newest(&run.ctx, images, &selected.selection, &newest).await;
        let (ids, count) = found.map_err(|error| run.not_listed(&images, error))?;
        selected.selection = Selection::of_ids(ids);
        selected.of = count.of;
    }
    selected.selection = selected.selection.of_shard(args.shard);
    Ok(selected)
}

/// Looks for images by their names.
async fn ids_of(
    run: &Run<'_>,
    source: &dyn ImageSource,
    named: &BTreeSet<String>,
) -> Result<BTreeSet<ImageId>, CliError> {
    let found = find_named(&run.ctx, source, named).await;
    let found = found.map_err(|error| run.not_listed(&source, error))?;
    for (name, count) in &found.found {
        match count {
            0 => {
                return Err(CliError::NoSuchImage {
                    name: name.clone(),
                    end: source.to_string(),
                    near: near_names(run, source, name).await?,
                });
            }
            1 => {}
            count => run.console.note(&format!(
                "{count} images are called {name:?}: all of them are selected"
            )),
        }
    }
    Ok(found.ids)
}

/// Lists the names of an end that may have been meant, the likeliest first.
async fn near_names(
    run: &Run<'_>,
    source: &dyn ImageSource,
    name: &str,
) -> Result<Vec<String>, CliError> {
    let mut names = BTreeSet::new();
    let mut images = source.images(&Selection::default());
    loop {
        let next = run.ctx.until_cancelled(images.try_next()).await;
        match next.map_err(|_| run.interrupted())? {
            Ok(Some(image)) => names.extend(image.name),
            // One image alone is of no use.
            Err(PortError::BadRecord(_) | PortError::Damaged { .. }) => {}
            // The suggestion is a courtesy.
            Ok(None) | Err(_) => break,
        }
    }
    let names = names.iter().map(String::as_str);
    let near = near(name, names, MOST_NEAR).into_iter();
    Ok(near.map(str::to_owned).collect())
}

/// Reads the ids of a file, one a line.
fn read_ids(path: &Path) -> Result<BTreeSet<ImageId>, CliError> {
    let failed = |source| CliError::ImagesFrom {
        path: path.to_owned(),
        source,
    };
    let text = if path.as_os_str() == "-" {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        fs::read_to_string(path)
    };
    let text = text.map_err(failed)?;
    let mut ids = BTreeSet::new();
    for (number, line) in text.lines().enumerate() {
        let id = line.split('#').next().unwrap_or_default().trim();
        if id.is_empty() {
            continue;
        }
        let id = ImageId::parse(id).map_err(|source| CliError::BadId {
            path: path.to_owned(),
            line: number + 1,
            source,
        })?;
        ids.insert(id);
    }
    Ok(ids)
}

impl Selected {
    /// Says how many images were selected, if not all were meant, before anything is done with
    /// them.
    ///
    /// # Errors
    ///
    /// [`CliError::NothingSelected`] if none was, and that is to be an error.
    pub(super) async fn tell(
        &self,
        run: &Run<'_>,
        source: &dyn ImageSource,
        count: SelectedCount,
    ) -> Result<ExitCode, CliError> {
        if !self.is_told {
            return Ok(ExitCode::Done);
        }
        if self.selection.is_all() {
            return match (count.images, self.error_on_nothing) {
                (0, true) => Err(CliError::NothingSelected {
                    end: source.to_string(),
                }),
                _ => Ok(ExitCode::Done),
            };
        }
        let code = self.tell_missing(run, source, count).await?;
        if count.images == 0 {
            let error = CliError::NothingSelected {
                end: source.to_string(),
            };
            if self.error_on_nothing {
                return Err(error);
            }
            run.console.warning(&error.to_string());
        }
        Ok(code)
    }

    /// Returns how many images were selected, in words; nothing if all were meant.
    pub(super) fn summary(&self, count: SelectedCount) -> Option<String> {
        if self.selection.is_all() || !self.is_told {
            return None;
        }
        let images = count.images;
        Some(match self.of.or(count.of) {
            Some(of) => format!("{images} of {of} selected"),
            None => format!("{images} selected"),
        })
    }

    /// Names the ids that no image has: one that was typed is an error.
    async fn tell_missing(
        &self,
        run: &Run<'_>,
        source: &dyn ImageSource,
        count: SelectedCount,
    ) -> Result<ExitCode, CliError> {
        if count.images >= self.asked {
            return Ok(ExitCode::Done);
        }
        let listed = self.listed.iter().flat_map(|(ids, _)| ids);
        let ids: BTreeSet<ImageId> = self.typed.iter().chain(listed).copied().collect();
        let named = ids.iter().map(ImageId::to_string).collect();
        let found = find_named(&run.ctx, source, &named).await;
        let found = found.map_err(|error| run.not_listed(&source, error))?;
        if let Some(id) = self.typed.difference(&found.ids).next() {
            return Err(CliError::NoSuchImage {
                name: id.to_string(),
                end: source.to_string(),
                near: Vec::new(),
            });
        }
        let missing: Vec<&str> = ids.difference(&found.ids).map(ImageId::as_str).collect();
        let Some((_, path)) = self.listed.as_ref().filter(|_| !missing.is_empty()) else {
            return Ok(ExitCode::Done);
        };
        let shown: Vec<&str> = missing.iter().take(MOST_IDS).copied().collect();
        let more = missing.len() - shown.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        run.console.warning(&format!(
            "{source} has no image of {} of the ids in {}: {}{more}",
            missing.len(),
            path.display(),
            shown.join(", ")
        ));
        Ok(ExitCode::ImagesFailed)
    }
}

//! The projects that own images at a target, and that they are shared with: looked up in both
//! Keystones before anything is planned.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt as _;
use glance_model::{Identity, OnMissingProject, Owner, ProjectMap, Projects};
use replicator_core::Plan;

use crate::args::{MissingProject, OwnerArgs, OwnerPolicy};
use crate::ends::{Caller, Connected, Source, Target};
use crate::error::CliError;
use crate::run::Run;

const OTHER_KEYSTONE: &str = "another Keystone than that of the source, and owners keep their ids, \
                              which it may not know; --owner map finds them by name, and --owner \
                              mine makes the copies yours";

/// The most projects that a warning names.
const MOST_NAMED: usize = 5;

/// The use that is made of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    Write,
    DryRun,
    Compare,
}

/// The owners of a run, whose source is asked for its projects once.
pub(super) struct Owners<'a> {
    run: &'a Run<'a>,
    args: Option<&'a OwnerArgs>,
    source: Option<Arc<Projects>>,
}

impl<'a> Owners<'a> {
    /// Takes the options of copies to servers; copies into a directory have none.
    pub(super) fn new(run: &'a Run<'a>, args: Option<&'a OwnerArgs>) -> Self {
        let source = None;
        Self { run, args, source }
    }

    /// Returns the owners and the members of images at a target.
    pub(super) async fn at(
        &mut self,
        source: &Source,
        target: &Target,
        usage: Use,
    ) -> Result<Identity, CliError> {
        if target.end.images.nature().keeps_records {
            return Ok(match &source.caller {
                Some(caller) if usage != Use::Compare => self.named(caller).await,
                _ => Identity::default(),
            });
        }
        let policy = self.args.map_or(OwnerPolicy::Keep, |args| args.owner);
        match (policy, self.args) {
            (OwnerPolicy::Mine | OwnerPolicy::Map, Some(args)) => {
                self.mapped(args, source, target).await
            }
            (OwnerPolicy::Keep, Some(_)) if usage == Use::DryRun => self.kept(source, target).await,
            _ => Ok(Identity::default()),
        }
    }

    /// Looks the names up that an archive keeps beside ids. It does without, if need be.
    async fn named(&mut self, caller: &Caller) -> Identity {
        match self.of_source(Some(caller)).await {
            Ok(projects) => Identity::Named(projects),
            Err(error) => {
                self.run.console.warning(&format!(
                    "the archive gets the ids of projects without their names: {error}"
                ));
                Identity::default()
            }
        }
    }

    async fn mapped(
        &mut self,
        args: &OwnerArgs,
        source: &Source,
        target: &Target,
    ) -> Result<Identity, CliError> {
        let needs_cloud = "--owner mine and --owner map need a target that is signed in to: \
                           cloud:NAME or env:";
        let Some(caller) = &target.caller else {
            return Err(CliError::Owners {
                problem: needs_cloud,
            });
        };
        let own = || match &caller.details.project {
            Some(project) => Ok(project.id.clone()),
            None => Err(CliError::Owners {
                problem: "the token of the target is for no project, which could own images",
            }),
        };
        let owner = match args.owner {
            OwnerPolicy::Mine => Owner::One(own()?),
            OwnerPolicy::Keep | OwnerPolicy::Map => Owner::Mapped,
        };
        let on_missing = match args.on_missing_project {
            None | Some(MissingProject::Fail) => OnMissingProject::Fail,
            Some(MissingProject::Skip) => OnMissingProject::Skip,
            Some(MissingProject::Mine) => OnMissingProject::Use(own()?),
        };
        let lines = args.project_map.as_deref().map(read).transpose()?;
        let of_target = self.projects(caller).await?;
        let of_source = self.of_source(source.caller.as_ref()).await?;
        let lines = lines.unwrap_or_default();
        let map = ProjectMap::new(owner, on_missing, of_source, of_target, &lines);
        let map = map.map_err(|source| CliError::ProjectMap {
            path: args.project_map.clone().unwrap_or_default(),
            source,
        })?;
        Ok(Identity::Mapped(Arc::new(map)))
    }

    /// Keeps ids, and finds out which ones another Keystone does not know.
    async fn kept(&mut self, source: &Source, target: &Target) -> Result<Identity, CliError> {
        let mut identity = Identity::default();
        let Some(caller) = &target.caller else {
            return Ok(identity);
        };
        if !is_another_keystone(source.caller.as_ref(), caller) {
            return Ok(identity);
        }
        let projects = self.projects(caller).await?;
        if projects.is_whole() {
            identity = Identity::Kept {
                known: Some(projects),
            };
        } else {
            self.run
                .console
                .warning(&format!("{}: {OTHER_KEYSTONE}", target.name()));
        }
        Ok(identity)
    }

    async fn of_source(&mut self, caller: Option<&Caller>) -> Result<Arc<Projects>, CliError> {
        if let Some(projects) = &self.source {
            return Ok(Arc::clone(projects));
        }
        let projects = match caller {
            Some(caller) => self.projects(caller).await?,
            None => Arc::default(),
        };
        self.source = Some(Arc::clone(&projects));
        Ok(projects)
    }

    async fn projects(&self, caller: &Caller) -> Result<Arc<Projects>, CliError> {
        let projects = self.run.ctx.until_cancelled(caller.tokens.projects()).await;
        let projects = projects.map_err(|_| self.run.interrupted())?;
        Ok(Arc::new(projects?))
    }
}

/// Returns whether members stay pending there: an administrator alone may set their status. Who
/// a token is of that was given and not signed in for is not known, and it is tried.
pub(super) fn leaves_members_pending(target: &Target) -> bool {
    let caller = target.caller.as_ref();
    caller.is_some_and(|caller| caller.details.is_admin() != Some(true))
}

/// Returns whether a target may have another Keystone than the source, by the address of it and
/// by our project there.
pub(super) fn is_another_keystone(source: Option<&Caller>, target: &Caller) -> bool {
    let Some(source) = source else { return true };
    let id = |caller: &Caller| caller.details.project.as_ref().map(|own| own.id.clone());
    source.tokens.url() != target.tokens.url() && id(source) != id(target)
}

/// Warns of the projects that the target does not know, where ids are kept.
pub(super) fn warn_of_unknown(run: &Run<'_>, target: &str, plan: &Plan) {
    if let Some(warning) = unknown(&plan.unknown_projects) {
        run.console.warning(&format!("{target}: {warning}"));
    }
}

/// Returns the warning of the projects that a Keystone does not know.
pub(super) fn unknown(ids: &BTreeSet<String>) -> Option<String> {
    let named: Vec<&str> = ids.iter().take(MOST_NAMED).map(String::as_str).collect();
    let more = match ids.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (count, named) = (ids.len(), named.join(", "));
    (count > 0).then(|| {
        format!(
            "its Keystone does not know {count} of the projects that own or share images, and \
             ids are kept: {named}{more}; --owner map finds them by name"
        )
    })
}

/// Returns what to know of the owners of images that are copied to another Keystone by their ids.
pub(super) async fn check(source: &Connected, target: &Caller) -> Result<Option<String>, CliError> {
    if source.caller.is_none() || !is_another_keystone(source.caller.as_ref(), target) {
        return Ok(None);
    }
    let projects = target.tokens.projects().await?;
    if !projects.is_whole() {
        return Ok(Some(OTHER_KEYSTONE.to_owned()));
    }
    let mut ids = BTreeSet::new();
    let mut images = source.client.images();
    while let Some(image) = images.next().await {
        let owner = image.ok().and_then(|image| image.owner);
        ids.extend(owner.filter(|id| projects.name(id).is_none()));
    }
    Ok(unknown(&ids))
}

fn read(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|error| CliError::ProjectMapFile {
        path: path.to_owned(),
        source: error,
    })
}

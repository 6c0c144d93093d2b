//! The projects that own images and share them, as they are to be at a target.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::project::one;
use crate::{ImageMetadata, Members, ProjectName, Projects};

/// The projects of images at a target: their owners, and the members that they are shared with.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Identity {
    /// They have the ids that they have at the source.
    Kept {
        /// The projects of the target, where it is to be found out which ids it does not know.
        known: Option<Arc<Projects>>,
    },
    /// They have the ids that they have at the source, and their names stand beside them: in
    /// an archive.
    Named(Arc<Projects>),
    /// They are those of the target's Keystone.
    Mapped(Arc<ProjectMap>),
}

impl Default for Identity {
    fn default() -> Self {
        Self::Kept { known: None }
    }
}

/// The projects of one Keystone as those of another one.
#[derive(Clone, Debug)]
pub struct ProjectMap {
    owner: Owner,
    on_missing: OnMissingProject,
    source: Arc<Projects>,
    target: Arc<Projects>,
    /// The ids of the target, by ids or by names of the source.
    lines: BTreeMap<String, String>,
}

/// The owner of images at a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The project of the same domain and name.
    Mapped,
    /// One project, of this id. Members that it is not known how to map are left out.
    One(String),
}

/// The fate of an image of which a project is missing at the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OnMissingProject {
    /// It fails.
    #[default]
    Fail,
    /// It is left alone, if its owner is missing; a member that is missing is left out.
    Skip,
    /// The project of this id owns it; a member that is missing is left out.
    Use(String),
}

/// A project of the source that has no counterpart at the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}", self.sentence())]
#[non_exhaustive]
pub struct NoProject {
    /// Its id at the source.
    pub id: String,
    /// Its name there, where it is known.
    pub name: Option<ProjectName>,
    /// The reason.
    pub reason: Unmapped,
}

/// The reason why a project has no counterpart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Unmapped {
    /// The target has no project of that name.
    Missing,
    /// Its name is not known.
    Unnamed,
    /// Several domains of the target have a project of that name.
    Ambiguous {
        /// The domains.
        domains: Vec<String>,
    },
}

impl NoProject {
    fn sentence(&self) -> String {
        let Self { id, name, reason } = self;
        let name = match name {
            Some(name) => format!("{name} ({id})"),
            None => id.clone(),
        };
        match reason {
            Unmapped::Missing => format!("the target has no project {name}"),
            Unmapped::Unnamed => format!("the source does not tell the name of project {name}"),
            Unmapped::Ambiguous { domains } => format!(
                "the target has several projects that may be {name}, in the domains {}",
                domains.join(", ")
            ),
        }
    }
}

/// A line of a project map that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
#[non_exhaustive]
pub struct ProjectMapError {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

impl ProjectMap {
    /// Maps the projects of `source` to those of `target`, by `lines` of the form
    /// `source = target`, and else by domain and name.
    ///
    /// A project is written as its id, as `domain/name`, or by a name that only one domain
    /// has. What follows a `#` is a comment.
    ///
    /// # Errors
    ///
    /// [`ProjectMapError`] for a line that is not of that form, or that names a project which
    /// the target does not have, or several.
    pub fn new(
        owner: Owner,
        on_missing: OnMissingProject,
        source: Arc<Projects>,
        target: Arc<Projects>,
        lines: &str,
    ) -> Result<Self, ProjectMapError> {
        let mut map = Self {
            owner,
            on_missing,
            source,
            target,
            lines: BTreeMap::new(),
        };
        for (index, line) in lines.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if !line.is_empty() {
                map.add(line).map_err(|problem| ProjectMapError {
                    line: index + 1,
                    problem,
                })?;
            }
        }
        Ok(map)
    }

    fn add(&mut self, line: &str) -> Result<(), String> {
        let sides = line.split_once('=');
        let sides = sides.map(|(source, target)| (source.trim(), target.trim()));
        let Some((source, target)) = sides.filter(|(s, t)| !s.is_empty() && !t.is_empty()) else {
            return Err("it is not of the form `source = target`".to_owned());
        };
        let several = |side: &str, name: &str, domains: Vec<String>| {
            let domains = domains.join(", ");
            format!(
                "the {side} has a project {name} in each of the domains {domains}: write domain/name"
            )
        };
        let from = self.source.resolve(source);
        let from = from.map_err(|domains| several("source", source, domains))?;
        let from = from.unwrap_or(source).to_owned();
        let to = self.target.resolve(target);
        let to = match to.map_err(|domains| several("target", target, domains))? {
            Some(id) => id.to_owned(),
            // One that the caller is not told of is taken by its id.
            None if !self.target.is_whole() && is_id(target) => target.to_owned(),
            None => return Err(format!("the target has no project {target}")),
        };
        match self.lines.insert(from, to) {
            None => Ok(()),
            Some(_) => Err(format!("{source} is mapped twice")),
        }
    }

    /// Returns the id at the target of a project of the source, of which an archive may have
    /// `said` the name.
    fn target_of(
        &self,
        id: &str,
        said: &BTreeMap<String, ProjectName>,
    ) -> Result<String, NoProject> {
        let name = self.source.name(id).or_else(|| said.get(id));
        let line = self.lines.get(id);
        let line = line.or_else(|| self.lines.get(&name?.to_string()));
        if let Some(target) = line {
            return Ok(target.clone());
        }
        // The same Keystone, or one that shares its projects.
        if self.target.name(id).is_some() {
            return Ok(id.to_owned());
        }
        let no_project = |reason| NoProject {
            id: id.to_owned(),
            name: name.cloned(),
            reason,
        };
        let Some(wanted) = name else {
            return Err(no_project(Unmapped::Unnamed));
        };
        match one(self.target.named(wanted)) {
            Ok(Some(target)) => Ok(target.to_owned()),
            Ok(None) => Err(no_project(Unmapped::Missing)),
            Err(domains) => Err(no_project(Unmapped::Ambiguous { domains })),
        }
    }

    fn owner(&self, image: &ImageMetadata) -> Result<Option<String>, NoProject> {
        let Some(owner) = &image.owner else {
            return Ok(None);
        };
        if let Owner::One(id) = &self.owner {
            return Ok(Some(id.clone()));
        }
        match (self.target_of(owner, &image.projects), &self.on_missing) {
            (Err(problem), OnMissingProject::Use(id)) if !problem.is_ambiguous() => {
                Ok(Some(id.clone()))
            }
            (mapped, _) => mapped.map(Some),
        }
    }

    /// Maps members, and returns those that are left out.
    fn members(
        &self,
        members: Members,
        said: &BTreeMap<String, ProjectName>,
    ) -> Result<(Members, BTreeSet<String>), NoProject> {
        let (mut mapped, mut lost) = (Members::new(), BTreeSet::new());
        let fails = self.owner == Owner::Mapped;
        for (id, status) in members {
            match self.target_of(&id, said) {
                Ok(target) => drop(mapped.insert(target, status)),
                Err(problem)
                    if fails
                        && (self.on_missing == OnMissingProject::Fail
                            || problem.is_ambiguous()) =>
                {
                    return Err(problem);
                }
                Err(problem) => drop(lost.insert(match problem.name {
                    Some(name) => format!("{name} ({id})"),
                    None => id,
                })),
            }
        }
        Ok((mapped, lost))
    }
}

impl NoProject {
    fn is_ambiguous(&self) -> bool {
        matches!(self.reason, Unmapped::Ambiguous { .. })
    }
}

impl Identity {
    /// Gives an image of the source the projects that it is to have at the target, and returns
    /// the members that are left out since the target has no such projects.
    pub(crate) fn apply(&self, image: &mut ImageMetadata) -> Result<BTreeSet<String>, NoProject> {
        match self {
            Self::Kept { .. } => Ok(BTreeSet::new()),
            Self::Named(projects) => {
                let named = projects_of(image).filter_map(|id| {
                    let name = projects.name(id).or_else(|| image.projects.get(id));
                    Some((id.to_owned(), name?.clone()))
                });
                image.projects = named.collect();
                Ok(BTreeSet::new())
            }
            Self::Mapped(map) => {
                image.owner = map.owner(image)?;
                let Some(members) = image.members.take() else {
                    return Ok(BTreeSet::new());
                };
                let (members, lost) = map.members(members, &image.projects)?;
                image.members = Some(members);
                Ok(lost)
            }
        }
    }

    /// Returns whether an image is left alone, rather than failing, whose owner has no
    /// counterpart.
    #[must_use]
    pub fn skips(&self, problem: &NoProject) -> bool {
        let skips = |map: &ProjectMap| map.on_missing == OnMissingProject::Skip;
        matches!(self, Self::Mapped(map) if skips(map)) && !problem.is_ambiguous()
    }

    /// Returns the projects of an image that are kept, and that the target does not know, as
    /// far as that is to be found out.
    #[must_use]
    pub fn unknown(&self, wanted: &ImageMetadata) -> Vec<String> {
        let Self::Kept { known: Some(known) } = self else {
            return Vec::new();
        };
        let ids = projects_of(wanted).filter(|id| known.name(id).is_none());
        ids.map(str::to_owned).collect()
    }
}

/// Returns the ids of the owner and of the members of an image.
fn projects_of(image: &ImageMetadata) -> impl Iterator<Item = &str> {
    let members = image.members.iter().flat_map(BTreeMap::keys);
    image.owner.iter().chain(members).map(String::as_str)
}

/// Returns whether a text may be the id of a project, as Keystone makes them.
fn is_id(text: &str) -> bool {
    text.len() >= 32 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests;

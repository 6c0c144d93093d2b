//! The projects of a Keystone, by id and by name.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a project, which is unique in its domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProjectName {
    /// The name of its domain, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Its name in the domain.
    pub name: String,
}

/// `domain/name`, or the name alone.
impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            Some(domain) => write!(f, "{domain}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The projects that a Keystone names to a caller.
#[derive(Clone, Debug, Default)]
pub struct Projects {
    names: BTreeMap<String, ProjectName>,
    /// The ids by the names within domains.
    ids: BTreeMap<String, Vec<String>>,
    is_whole: bool,
}

impl Projects {
    /// Takes projects by their ids. `is_whole` says that there are no others, which an
    /// administrator knows.
    #[must_use]
    pub fn new(names: BTreeMap<String, ProjectName>, is_whole: bool) -> Self {
        let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (id, name) in &names {
            ids.entry(name.name.clone()).or_default().push(id.clone());
        }
        Self {
            names,
            ids,
            is_whole,
        }
    }

    /// Returns whether there are no others.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns the name of a project.
    #[must_use]
    pub fn name(&self, id: &str) -> Option<&ProjectName> {
        self.names.get(id)
    }

    /// Finds the projects of a name. Where a domain is not known, on either side, the name
    /// alone counts.
    pub(crate) fn named(&self, wanted: &ProjectName) -> Vec<(&str, &ProjectName)> {
        let ids = self.ids.get(&wanted.name).into_iter().flatten();
        let named = ids.filter_map(|id| Some((&**id, self.names.get(id)?)));
        let agrees = |found: &ProjectName| match (&wanted.domain, &found.domain) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => true,
        };
        named.filter(|(_, found)| agrees(found)).collect()
    }

    /// Finds the project that a text means: an id, `domain/name`, or a name that no other
    /// domain has.
    ///
    /// # Errors
    ///
    /// The domains, if several have a project of that name.
    pub(crate) fn resolve(&self, text: &str) -> Result<Option<&str>, Vec<String>> {
        if let Some((id, _)) = self.names.get_key_value(text) {
            return Ok(Some(id));
        }
        let mut slashes = text.match_indices('/');
        let in_domain = slashes.find_map(|(at, _)| {
            let wanted = ProjectName {
                domain: Some(text.get(..at)?.to_owned()),
                name: text.get(at + 1..)?.to_owned(),
            };
            let found = self.named(&wanted);
            let exact = found.iter().find(|(_, found)| **found == wanted);
            exact.map(|(id, _)| *id)
        });
        if in_domain.is_some() {
            return Ok(in_domain);
        }
        let wanted = ProjectName {
            domain: None,
            name: text.to_owned(),
        };
        one(self.named(&wanted))
    }
}

/// Returns the only one of some projects.
///
/// # Errors
///
/// The domains, if there are several.
pub(crate) fn one<'a>(found: Vec<(&'a str, &ProjectName)>) -> Result<Option<&'a str>, Vec<String>> {
    match found.as_slice() {
        [] => Ok(None),
        [(id, _)] => Ok(Some(id)),
        several => {
            let domain = |name: &ProjectName| name.domain.clone().unwrap_or("unknown".into());
            let mut domains: Vec<String> = several.iter().map(|(_, name)| domain(name)).collect();
            domains.sort_unstable();
            Err(domains)
        }
    }
}

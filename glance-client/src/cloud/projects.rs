//! The projects that a Keystone names to a caller, one request for all of them.

use std::collections::BTreeMap;

use glance_model::{ProjectName, Projects};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::details::Named;
use super::error::AuthError;
use super::keystone::Keystone;
use crate::AuthToken;

/// The most bytes of a list: 100,000 projects take 50 MiB.
const LIST_BYTES: usize = 64 * 1024 * 1024;

#[derive(Deserialize)]
struct ProjectList {
    projects: Vec<Project>,
}

#[derive(Deserialize)]
struct Project {
    id: String,
    name: String,
    domain_id: Option<String>,
}

#[derive(Deserialize)]
struct DomainList {
    domains: Vec<Named>,
}

impl Keystone {
    /// Asks for all projects and domains, which an administrator is told, or else for the
    /// projects of the user, of whose domains only `known` have a name.
    pub(super) async fn projects(
        &self,
        token: &AuthToken,
        known: &[Named],
    ) -> Result<Projects, AuthError> {
        let all = self.list::<ProjectList>("/projects", token).await?;
        let is_whole = all.is_some();
        let projects = match all {
            Some(all) => Some(all),
            None => self.list("/auth/projects", token).await?,
        };
        let domains = if is_whole {
            self.list::<DomainList>("/domains", token).await?
        } else {
            None
        };
        let told = domains.map(|list| list.domains).unwrap_or_default();
        let domains = known.iter().chain(&told);
        let domains: BTreeMap<&str, &str> =
            domains.map(|domain| (&*domain.id, &*domain.name)).collect();
        let projects = projects.map(|list| list.projects).unwrap_or_default();
        let named = projects.into_iter().map(|project| {
            let domain = project.domain_id.as_deref();
            let domain = domain.and_then(|id| domains.get(id));
            let name = ProjectName {
                domain: domain.map(|name| (*name).to_owned()),
                name: project.name,
            };
            (project.id, name)
        });
        Ok(Projects::new(named.collect(), is_whole))
    }

    /// Asks for a list; `None` if this caller is not told, or the Keystone does not know it.
    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        token: &AuthToken,
    ) -> Result<Option<T>, AuthError> {
        let answer = self.get(path, token).send().await;
        let answer = answer.map_err(|error| self.unreachable(error))?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        tracing::debug!(path, status = status.as_u16(), "Keystone answered");
        let body = self.body_of(answer, LIST_BYTES).await?;
        match status {
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => serde_json::from_slice(&body)
                .map(Some)
                .map_err(|_| self.unusable(format!("its answer to GET {path} is no list"))),
            status => Err(self.refused(status, &headers, &body)),
        }
    }
}

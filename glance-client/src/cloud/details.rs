//! The description of a token by Keystone.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use super::catalog::{Service, usable};

/// The description of a token by Keystone.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Details {
    /// The user that it is of.
    pub user: Option<Named>,
    /// The project that it is for, if it is for one.
    pub project: Option<Named>,
    /// The roles of the user there.
    #[serde(deserialize_with = "usable")]
    pub roles: Vec<Named>,
    expires_at: Option<String>,
    issued_at: Option<String>,
    #[serde(deserialize_with = "services")]
    pub(super) catalog: Option<Vec<Service>>,
}

/// Without a scope there is no catalog, which is not the same as an empty one.
fn services<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Service>>, D::Error> {
    #[derive(Deserialize)]
    struct Services(#[serde(deserialize_with = "usable")] Vec<Service>);

    let services: Option<Services> = Deserialize::deserialize(deserializer)?;
    Ok(services.map(|Services(services)| services))
}

impl Details {
    /// Returns when the token ends, by the clock of Keystone.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at.as_deref()?.parse().ok()
    }

    /// Returns whether the user is an administrator, as far as the names of roles tell.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.roles.iter().any(|role| role.name == "admin")
    }

    /// Returns when it was given out, by the same clock.
    #[must_use]
    pub fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at.as_deref()?.parse().ok()
    }
}

/// The name and the id of something in Keystone.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Named {
    #[serde(deserialize_with = "or_empty")]
    /// The id, or nothing.
    pub id: String,
    #[serde(deserialize_with = "or_empty")]
    /// The name, or nothing.
    pub name: String,
    /// The domain of a user or a project.
    pub domain: Option<Box<Self>>,
}

fn or_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text: Option<String> = Deserialize::deserialize(deserializer)?;
    Ok(text.unwrap_or_default())
}

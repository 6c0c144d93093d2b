//! What Keystone says of a token: whose it is, and what that one may do.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

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
    /// The scope of the whole cloud, if it is for that.
    system: Value,
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
    /// Returns whether the token is an administrator's, which Glance takes the role `admin` for;
    /// `None` where its roles do not tell: another name of a role, such as `image_admin`, means what
    /// the policy of a cloud makes of it.
    #[must_use]
    pub fn is_admin(&self) -> Option<bool> {
        let roles = self.roles.iter().map(|role| role.name.to_ascii_lowercase());
        let roles: Vec<String> = roles.collect();
        if roles.iter().any(|role| role == "admin")
            || self.system.get("all") == Some(&Value::Bool(true))
        {
            return Some(true);
        }
        let is_unclear = roles.is_empty() || roles.iter().any(|role| role.contains("admin"));
        (!is_unclear).then_some(false)
    }

    /// Returns the id of the project of a token that is known to be no administrator's.
    #[must_use]
    pub fn member_of(&self) -> Option<&str> {
        let project = self
            .project
            .as_ref()
            .filter(|project| !project.id.is_empty());
        project
            .filter(|_| self.is_admin() == Some(false))
            .map(|project| &*project.id)
    }

    /// Returns whether the token has the role `reader` and no other.
    #[must_use]
    pub fn is_reader(&self) -> bool {
        let mut roles = self.roles.iter();
        !self.roles.is_empty() && roles.all(|role| role.name == "reader")
    }

    /// Returns when the token ends, by the clock of Keystone.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at.as_deref()?.parse().ok()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn administrator_is_known_by_roles_and_what_they_do_not_tell_is_unknown() {
        for (roles, system, is_admin) in [
            (&["admin", "member"][..], json!(null), Some(true)),
            (&["Admin"], json!(null), Some(true)),
            (&["reader"], json!({"all": true}), Some(true)),
            (&["member", "reader"], json!(null), Some(false)),
            (&["reader"], json!("odd"), Some(false)),
            (&["member", "image_admin"], json!(null), None),
            (&[], json!(null), None),
        ] {
            let names: Vec<Value> = roles.iter().map(|name| json!({"name": name})).collect();
            let details = json!({"roles": names, "system": system, "project": {"id": "p1"}});
            let details: Details = serde_json::from_value(details).unwrap();
            assert_eq!(details.is_admin(), is_admin, "{roles:?}");
            let member = (is_admin == Some(false)).then_some("p1");
            assert_eq!(details.member_of(), member, "{roles:?}");
            assert_eq!(details.is_reader(), roles == ["reader"], "{roles:?}");
        }
    }
}

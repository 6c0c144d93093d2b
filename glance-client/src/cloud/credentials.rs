//! Credentials, and what is sent to Keystone.

use serde_json::{Value, json};

use super::entry::Entry;
use super::error::AuthError;
use super::secret::Secret;

/// The methods of a sign-in, and the scope of the token. Several methods together are a multifactor
/// sign-in.
#[derive(Clone, Debug)]
pub(super) struct Credentials {
    methods: Vec<Method>,
    scope: Option<Scope>,
}

#[derive(Clone, Debug)]
enum Method {
    Password { user: User, password: Secret },
    Totp { user: User, passcode: Secret },
    ApplicationCredential { id: ByIdOrName, secret: Secret },
    Token(Secret),
}

#[derive(Clone, Debug)]
enum ByIdOrName {
    Id(Secret),
    Name(Secret, User),
}

#[derive(Clone, Debug)]
enum User {
    Id(Secret),
    Name(Secret, Domain),
}

#[derive(Clone, Debug)]
enum Domain {
    Id(Secret),
    Name(Secret),
}

#[derive(Clone, Debug)]
enum Scope {
    ProjectId(Secret),
    Project(Secret, Domain),
    Domain(Domain),
    System,
    /// A trust: somebody else has entrusted their project, and some of their roles, to the user.
    Trust(Secret),
}

/// The settings that have to be texts.
pub(super) const TEXTS: &[&str] = &[
    "application_credential_id",
    "application_credential_name",
    "application_credential_secret",
    "auth_token",
    "auth_type",
    "auth_url",
    "cacert",
    "cert",
    "default_domain_id",
    "default_domain_name",
    "domain_id",
    "domain_name",
    "key",
    "passcode",
    "password",
    "project_domain_id",
    "project_domain_name",
    "project_id",
    "project_name",
    "system_scope",
    "tenant_id",
    "tenant_name",
    "token",
    "trust_id",
    "user_domain_id",
    "user_domain_name",
    "user_id",
    "user_name",
    "username",
];

impl Credentials {
    /// Finds the credentials of a cloud. `cloud` is what errors call it.
    ///
    /// # Errors
    ///
    /// [`AuthError::Setting`] if something is missing, or is of no use here.
    pub(super) fn of(cloud: &str, entry: &Entry) -> Result<Self, AuthError> {
        let wrong = |problem: String| AuthError::Setting {
            cloud: cloud.to_owned(),
            problem,
        };
        let names = method_names(entry).map_err(wrong)?;
        let methods = names.iter().map(|name| method(name, entry));
        let methods = methods.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        let scope = match methods.first() {
            // It has its scope, and Keystone takes no other one.
            Some(Method::ApplicationCredential { .. }) => None,
            _ => scope(entry).map_err(wrong)?,
        };
        Ok(Self { methods, scope })
    }

    /// Returns the secrets of the methods.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.methods.iter().map(|method| method.secret().expose())
    }

    /// Returns whether a new token can be obtained with them.
    pub(super) fn are_lasting(&self) -> bool {
        let lasting = |method: &Method| !matches!(method, Method::Token(_) | Method::Totp { .. });
        self.methods.iter().all(lasting)
    }

    /// Returns the token, if there is nothing else; it is used as it is.
    pub(super) fn bare_token(&self) -> Option<&Secret> {
        match (self.methods.as_slice(), &self.scope) {
            ([Method::Token(token)], None) => Some(token),
            _ => None,
        }
    }

    /// The names of the methods, as Keystone has them.
    pub(super) fn methods(&self) -> String {
        let names: Vec<_> = self.methods.iter().map(Method::name).collect();
        names.join(" and ")
    }

    /// The request to Keystone, secrets and all.
    pub(super) fn request(&self) -> Value {
        let names: Vec<_> = self.methods.iter().map(Method::name).collect();
        let mut identity = json!({ "methods": names });
        let mut auth = json!({});
        if let Some(identity) = identity.as_object_mut() {
            identity.extend(
                self.methods
                    .iter()
                    .map(|method| (method.name().to_owned(), method.request())),
            );
        }
        if let Some(auth) = auth.as_object_mut() {
            auth.insert("identity".to_owned(), identity);
            auth.extend(
                self.scope
                    .iter()
                    .map(|scope| ("scope".to_owned(), scope.request())),
            );
        }
        json!({ "auth": auth })
    }
}

impl Method {
    fn name(&self) -> &'static str {
        match self {
            Self::Password { .. } => "password",
            Self::Totp { .. } => "totp",
            Self::ApplicationCredential { .. } => "application_credential",
            Self::Token(_) => "token",
        }
    }

    /// The proof of identity.
    fn secret(&self) -> &Secret {
        match self {
            Self::Password { password, .. } => password,
            Self::Totp { passcode, .. } => passcode,
            Self::ApplicationCredential { secret, .. } | Self::Token(secret) => secret,
        }
    }

    fn request(&self) -> Value {
        let (user, name, secret) = match self {
            Self::Password { user, password } => (user, "password", password),
            Self::Totp { user, passcode } => (user, "passcode", passcode),
            Self::Token(token) => return json!({ "id": token.expose() }),
            Self::ApplicationCredential { id, secret } => {
                let secret = secret.expose();
                return match id {
                    ByIdOrName::Id(id) => json!({ "id": id.expose(), "secret": secret }),
                    ByIdOrName::Name(name, user) => {
                        json!({ "name": name.expose(), "secret": secret, "user": user.request() })
                    }
                };
            }
        };
        let mut user = user.request();
        if let Some(user) = user.as_object_mut() {
            user.insert(name.to_owned(), secret.expose().into());
        }
        json!({ "user": user })
    }
}

impl User {
    fn request(&self) -> Value {
        match self {
            Self::Id(id) => json!({ "id": id.expose() }),
            Self::Name(name, domain) => {
                json!({ "name": name.expose(), "domain": domain.request() })
            }
        }
    }
}

impl Domain {
    fn request(&self) -> Value {
        match self {
            Self::Id(id) => json!({ "id": id.expose() }),
            Self::Name(name) => json!({ "name": name.expose() }),
        }
    }
}

impl Scope {
    fn request(&self) -> Value {
        match self {
            Self::ProjectId(id) => json!({ "project": { "id": id.expose() } }),
            Self::Project(name, domain) => {
                json!({ "project": { "name": name.expose(), "domain": domain.request() } })
            }
            Self::Domain(domain) => json!({ "domain": domain.request() }),
            Self::System => json!({ "system": { "all": true } }),
            Self::Trust(id) => json!({ "OS-TRUST:trust": { "id": id.expose() } }),
        }
    }
}

/// Finds the methods of a sign-in by the names that Keystone has for them.
///
/// # Errors
///
/// The method that is not supported.
pub(super) fn method_names(entry: &Entry) -> Result<Vec<String>, String> {
    let names = match auth_type(entry).map(method_name) {
        Some("multifactor") => {
            let under = entry.auth_list("auth_methods");
            let names = if under.is_empty() {
                entry.list("auth_methods")
            } else {
                under
            };
            if names.is_empty() {
                return Err("auth_methods is missing".to_owned());
            }
            names
        }
        Some(name) => vec![name.to_owned()],
        None => vec![guessed(entry).to_owned()],
    };
    let names = names.iter().map(|name| method_name(name));
    let is_known = |name: &str| {
        let known = ["password", "totp", "token", "application_credential"];
        known.contains(&name)
    };
    names
        .map(|name| match is_known(name) {
            true => Ok(name.to_owned()),
            false => Err(format!(
                "auth_type {name:?} is not supported (password, application credential, token \
                 and totp are, alone or as multifactor)"
            )),
        })
        .collect()
}

fn auth_type(entry: &Entry) -> Option<&str> {
    entry
        .text("auth_type")
        .or_else(|| entry.text("auth_plugin"))
}

/// `v3password` and `password` are one.
fn method_name(name: &str) -> &str {
    let name = name.strip_prefix("v3").unwrap_or(name);
    match name {
        "applicationcredential" => "application_credential",
        name => name,
    }
}

fn guessed(entry: &Entry) -> &'static str {
    let is_there = |names: &[&str]| entry.auth(names).is_some();
    if is_there(&["password"]) && is_there(USER) {
        "password"
    } else if is_there(&["application_credential_secret"]) {
        "application_credential"
    } else if !is_there(&["password"]) && is_there(TOKEN) {
        "token"
    } else {
        "password"
    }
}

const USER: &[&str] = &["user_id", "username", "user_name"];
const TOKEN: &[&str] = &["token"];

fn method(name: &str, entry: &Entry) -> Result<Method, String> {
    let required = |names: &[&str]| {
        let missing = || format!("{} is missing", names.join(" or "));
        entry.auth(names).ok_or_else(missing)
    };
    match name {
        "password" => Ok(Method::Password {
            user: user(entry)?,
            password: required(&["password"])?,
        }),
        "totp" => Ok(Method::Totp {
            user: user(entry)?,
            passcode: required(&["passcode"])?,
        }),
        "token" => Ok(Method::Token(required(TOKEN)?)),
        "application_credential" => {
            let id = match entry.auth(&["application_credential_id"]) {
                Some(id) => ByIdOrName::Id(id),
                None => ByIdOrName::Name(
                    required(&["application_credential_name", "application_credential_id"])?,
                    user(entry)?,
                ),
            };
            let secret = required(&["application_credential_secret"])?;
            Ok(Method::ApplicationCredential { id, secret })
        }
        other => Err(format!("auth_type {other:?} is not supported")),
    }
}

fn user(entry: &Entry) -> Result<User, String> {
    if let Some(id) = entry.auth(&["user_id"]) {
        return Ok(User::Id(id));
    }
    let name = entry.auth(&["username", "user_name"]);
    let name = name.ok_or("username or user_id is missing")?;
    Ok(User::Name(name, domain("user_", entry)))
}

/// The domain of the user or of the project: its own, or the default of both, or the one that
/// there always is.
fn domain(whose: &str, entry: &Entry) -> Domain {
    let default = |what: &str| entry.auth(&[&format!("default_domain_{what}")]);
    let named = |what: &str| {
        let own = entry.auth(&[&format!("{whose}domain_{what}")]);
        // For the plug-ins without a version, any id comes before any name.
        own.or_else(|| default(what).filter(|_| is_generic(entry)))
    };
    // Without a project, a domain is what the token is for, and most likely the user's.
    let any = |what: &str| entry.auth(&[&format!("domain_{what}")]);
    let id = named("id").map(Domain::Id);
    id.or_else(|| named("name").map(Domain::Name))
        .or_else(|| any("id").or_else(|| default("id")).map(Domain::Id))
        .or_else(|| any("name").or_else(|| default("name")).map(Domain::Name))
        .unwrap_or_else(|| Domain::Id("default".to_owned().into()))
}

/// Returns whether the method is named without a version, as `password` is.
fn is_generic(entry: &Entry) -> bool {
    !auth_type(entry).is_some_and(|name| name.starts_with("v3"))
}

fn scope(entry: &Entry) -> Result<Option<Scope>, String> {
    let setting = |name: &str| entry.auth(&[name]);
    let project = setting("project_id").map(Scope::ProjectId).or_else(|| {
        let name = setting("project_name")?;
        Some(Scope::Project(name, domain("project_", entry)))
    });
    let system = setting("system_scope");
    if system
        .as_ref()
        .is_some_and(|system| system.expose() != "all")
    {
        return Err("system_scope can be nothing but all".to_owned());
    }
    let of_domain = setting("domain_id").map(Domain::Id);
    let of_domain = of_domain.or_else(|| setting("domain_name").map(Domain::Name));
    let scopes = [
        ("project", project),
        ("system_scope", system.map(|_| Scope::System)),
        ("trust_id", setting("trust_id").map(Scope::Trust)),
        ("domain", of_domain.map(Scope::Domain)),
    ];
    let mut scopes = scopes.into_iter();
    let mut given = scopes
        .by_ref()
        .filter_map(|(name, scope)| Some((name, scope?)));
    match (given.next(), given.next()) {
        (Some((one, _)), Some((other, _))) => Err(format!("{one} and {other} exclude each other")),
        (scope, _) => Ok(scope.map(|(_, scope)| scope)),
    }
}

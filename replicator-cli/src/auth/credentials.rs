//! How one signs in: what is sent to Keystone.

use serde_json::{Value, json};

use super::entry::Entry;
use super::error::AuthError;
use super::secret::Secret;

/// What Keystone is shown, and for what. Several methods together are a
/// multifactor sign-in.
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
    System(Secret),
}

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
        let named = entry
            .text("auth_type")
            .or_else(|| entry.text("auth_plugin"));
        let names = match named.map(method_name) {
            Some("multifactor") => entry.list("auth_methods"),
            Some(name) => vec![name.to_owned()],
            None => vec![guessed(entry).to_owned()],
        };
        let methods = names.iter().map(|name| method(method_name(name), entry));
        let methods = methods.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
        if methods.is_empty() {
            return Err(wrong("auth_methods is missing".to_owned()));
        }
        let scope = match methods.first() {
            // It has its scope, and Keystone takes no other one.
            Some(Method::ApplicationCredential { .. }) => None,
            _ => scope(entry).map_err(wrong)?,
        };
        Ok(Self { methods, scope })
    }

    /// Whether a new token can be had with them.
    pub(super) fn are_lasting(&self) -> bool {
        let lasting = |method: &Method| !matches!(method, Method::Token(_) | Method::Totp { .. });
        self.methods.iter().all(lasting)
    }

    /// The token that is all that there is, and is used as it is.
    pub(super) fn bare_token(&self) -> Option<&Secret> {
        match (self.methods.as_slice(), &self.scope) {
            ([Method::Token(token)], None) => Some(token),
            _ => None,
        }
    }

    /// The name of the method, as Keystone has it.
    pub(super) fn method(&self) -> &'static str {
        self.methods.first().map_or("none", Method::name)
    }

    /// What is sent to Keystone, secrets and all.
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
            Self::System(all) => json!({ "system": { all.expose(): true } }),
        }
    }
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
    if entry.auth(&["application_credential_secret"]).is_some() {
        "application_credential"
    } else if entry.auth(&["password"]).is_none() && entry.auth(TOKEN).is_some() {
        "token"
    } else {
        "password"
    }
}

const TOKEN: &[&str] = &["token", "auth_token"];

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
        other => Err(format!(
            "auth_type {other:?} is not supported (password, application credential, token and \
             totp are, alone or as multifactor)"
        )),
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

/// The domain of the user or of the project: its own, or that for both, or the
/// one that there always is.
fn domain(whose: &str, entry: &Entry) -> Domain {
    for prefix in [whose, "", "default_"] {
        let named = |what: &str| entry.auth(&[&format!("{prefix}domain_{what}")]);
        if let Some(id) = named("id") {
            return Domain::Id(id);
        }
        if let Some(name) = named("name") {
            return Domain::Name(name);
        }
    }
    Domain::Id("default".to_owned().into())
}

fn scope(entry: &Entry) -> Result<Option<Scope>, String> {
    let project = entry
        .auth(&["project_id", "tenant_id"])
        .map(Scope::ProjectId);
    let project = project.or_else(|| {
        let name = entry.auth(&["project_name", "tenant_name"])?;
        Some(Scope::Project(name, domain("project_", entry)))
    });
    let system = entry.auth(&["system_scope"]).map(Scope::System);
    // With a project, a domain is that of the user and the project.
    let domain = || {
        let id = entry.auth(&["domain_id"]).map(Domain::Id);
        id.or_else(|| entry.auth(&["domain_name"]).map(Domain::Name))
            .map(Scope::Domain)
    };
    match (project, system) {
        (Some(_), Some(_)) => Err("project and system_scope exclude each other".to_owned()),
        (None, None) => Ok(domain()),
        (project, system) => Ok(project.or(system)),
    }
}

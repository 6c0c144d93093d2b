//! Clouds against a fake Keystone.

mod cloud_files;
mod layers;
mod renewal;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use crate::testing::EmbeddedKeystone;
use crate::{AuthToken, ErrorKind, TlsFailure, TokenSource as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

/// A home with a clouds.yaml in it.
struct Home {
    dir: TempDir,
    env: Vec<(String, String)>,
}

impl Home {
    fn with(clouds: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let home = Self {
            env: vec![("HOME".to_owned(), dir.path().to_str().unwrap().to_owned())],
            dir,
        };
        home.write(".config/openstack/clouds.yaml", clouds);
        home
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_str().unwrap().to_owned()
    }

    fn env(&self) -> Environment {
        // No test looks at the files of the machine.
        let site = [("XDG_CONFIG_DIRS".to_owned(), "/nonexistent".to_owned())];
        self.env.iter().cloned().chain(site).collect()
    }

    fn cloud(&self, name: &str) -> Result<Cloud, AuthError> {
        Cloud::named(name, None, &CloudOptions::default(), &self.env())
    }
}

/// The entry of a cloud `c` with what stands in `auth`, and RegionOne.
fn entry(keystone: &EmbeddedKeystone, auth: &str) -> Home {
    let url = &keystone.url;
    Home::with(&format!(
        "clouds: {{c: {{region_name: RegionOne, auth: {{auth_url: {url}/identity, {auth}}}}}}}"
    ))
}

const PASSWORD: &str = "username: alice, password: right, project_name: alpha";

#[tokio::test]
async fn each_way_to_sign_in_is_sent_as_keystone_wants_it() {
    let user = json!({"name": "alice", "domain": {"name": "D"}, "password": "right"});
    let in_default = json!({"name": "alice", "domain": {"id": "default"}});
    let alpha = json!({"project": {"name": "alpha", "domain": {"id": "default"}}});
    let with = |user: &Value, more: Value| {
        let mut user = user.clone();
        user.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        user
    };
    let right = json!({"password": "right"});
    for (auth, methods, name, request, scope) in [
        (
            PASSWORD,
            vec!["password"],
            "password",
            json!({"user": with(&in_default, right.clone())}),
            alpha.clone(),
        ),
        (
            "user_id: u, password: right, project_id: p",
            vec!["password"],
            "password",
            json!({"user": {"id": "u", "password": "right"}}),
            json!({"project": {"id": "p"}}),
        ),
        (
            "username: alice, password: right, domain_name: D, project_name: alpha",
            vec!["password"],
            "password",
            json!({"user": user}),
            json!({"project": {"name": "alpha", "domain": {"name": "D"}}}),
        ),
        (
            "username: alice, user_domain_name: D, password: right, domain_name: D",
            vec!["password"],
            "password",
            json!({"user": user}),
            json!({"domain": {"name": "D"}}),
        ),
        (
            "username: alice, user-domain-name: D, password: right, system_scope: all",
            vec!["password"],
            "password",
            json!({"user": user}),
            json!({"system": {"all": true}}),
        ),
        (
            "application_credential_id: a, application_credential_secret: right, project_name: alpha",
            vec!["application_credential"],
            "application_credential",
            json!({"id": "a", "secret": "right"}),
            Value::Null,
        ),
        (
            "application_credential_name: a, application_credential_secret: right, username: alice",
            vec!["application_credential"],
            "application_credential",
            json!({"name": "a", "secret": "right", "user": in_default}),
            Value::Null,
        ),
        (
            "token: right, project_name: alpha",
            vec!["token"],
            "token",
            json!({"id": "right"}),
            alpha.clone(),
        ),
        (
            "username: alice, passcode: right, project_name: alpha}, auth_type: v3totp, x: {a: b",
            vec!["totp"],
            "totp",
            json!({"user": with(&in_default, json!({"passcode": "right"}))}),
            alpha.clone(),
        ),
        (
            "username: alice, passcode: 012345, password: right, project_name: alpha}, \
             auth_type: v3multifactor, auth_methods: [v3password, v3totp], x: {a: b",
            vec!["password", "totp"],
            "totp",
            json!({"user": with(&in_default, json!({"passcode": "012345"}))}),
            alpha.clone(),
        ),
    ] {
        let keystone = EmbeddedKeystone::start().await;
        let cloud = entry(&keystone, auth).cloud("c").unwrap();
        let signed_in = cloud.sign_in().await.unwrap();
        assert_eq!(signed_in.details.user.unwrap().name, "alice");
        let seen = keystone.state().seen.remove(0);
        let identity = seen.pointer("/auth/identity").unwrap();
        assert_eq!(identity["methods"], json!(methods), "{auth}");
        assert_eq!(identity[name], request, "{auth}");
        let scope = (!scope.is_null()).then_some(&scope);
        assert_eq!(seen.pointer("/auth/scope"), scope, "{auth}");
    }
}

#[tokio::test]
async fn a_token_without_a_scope_is_used_as_it_is() {
    let keystone = EmbeddedKeystone::start().await;
    let signed_in = entry(&keystone, "token: right")
        .cloud("c")
        .unwrap()
        .sign_in()
        .await
        .unwrap();
    let right = AuthToken::new("right").unwrap();
    assert_eq!(signed_in.tokens.token(Duration::ZERO).await.unwrap(), right);
    assert_eq!(signed_in.tokens.renew(&right).await.unwrap(), None);
    assert_eq!(keystone.state().seen, [Value::Null], "a GET, and no more");
}

#[tokio::test]
async fn the_environment_describes_a_cloud_or_names_one() {
    let keystone = EmbeddedKeystone::start().await;
    let home = entry(&keystone, PASSWORD);
    let url = format!("{}/identity/v3/", keystone.url);
    for variables in [
        vec![
            ("OS_AUTH_URL", &*url),
            ("OS_USERNAME", "alice"),
            ("OS_PASSWORD", "right"),
            ("OS_PROJECT_NAME", "alpha"),
            ("OS_PROJECT_DOMAIN_ID", ""),
            ("OS_REGION_NAME", "RegionTwo"),
            ("OS_IDENTITY_API_VERSION", "3"),
        ],
        vec![("OS_CLOUD", "c"), ("OS_REGION_NAME", "RegionTwo")],
    ] {
        let variables = variables
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let env: Environment = variables.chain(home.env.clone()).collect();
        let cloud = Cloud::from_env(&CloudOptions::default(), &env).unwrap();
        let signed_in = cloud.sign_in().await.unwrap();
        assert_eq!(signed_in.endpoint.as_str(), "https://two.example/image");
    }
}

#[tokio::test]
async fn the_endpoint_is_that_of_the_region_and_the_interface() {
    let keystone = EmbeddedKeystone::start().await;
    let with = |region: Option<&str>, interface: Option<&str>| CloudOptions {
        region: region.map(str::to_owned),
        interface: interface.map(str::to_owned),
        ..CloudOptions::default()
    };
    let home = Home::with(&format!(
        "clouds: {{c: {{auth: {{auth_url: {}/identity, {PASSWORD}}}}}}}",
        keystone.url
    ));
    let ask = async |side: CloudOptions| {
        let cloud = Cloud::named("c", None, &side, &home.env()).unwrap();
        cloud
            .sign_in()
            .await
            .map(|signed_in| signed_in.endpoint.to_string())
    };
    assert_eq!(
        ask(with(Some("RegionOne"), None)).await.unwrap(),
        "http://one.example:9292"
    );
    let internal = with(Some("RegionOne"), Some("internalURL"));
    assert_eq!(
        ask(internal).await.unwrap(),
        "http://one.internal:9292/image"
    );
    for (side, error, shown, kind) in [
        (
            with(None, None),
            "cloud:c has several regions, and none is named",
            r#"known: ["RegionOne", "RegionTwo"]"#,
            AuthErrorKind::Usage,
        ),
        (
            with(Some("Elsewhere"), None),
            "cloud:c has no region \"Elsewhere\" for images",
            r#"known: ["RegionOne", "RegionTwo"]"#,
            AuthErrorKind::Usage,
        ),
        (
            with(Some("RegionTwo"), Some("admin")),
            "cloud:c has no \"admin\" endpoint of the image service",
            r#"known: ["public"]"#,
            AuthErrorKind::Usage,
        ),
    ] {
        let found = ask(side).await.unwrap_err();
        assert_eq!((found.to_string(), found.kind()), (error.to_owned(), kind));
        assert!(format!("{found:?}").contains(shown), "{found:?}");
    }
    for (catalog, error) in [
        (json!([]), "cloud:c has no image service in its catalog"),
        (
            Value::Null,
            "cloud:c: the token is not for a project, and so there is no catalog",
        ),
    ] {
        keystone.state().catalog = catalog;
        assert_eq!(ask(with(None, None)).await.unwrap_err().to_string(), error);
    }
    let auth = format!("{PASSWORD}}}, image_endpoint_override: 'http://o:1/glance/v2', x: {{a: b");
    let cloud = entry(&keystone, &auth).cloud("c").unwrap();
    assert_eq!(
        cloud.sign_in().await.unwrap().endpoint.as_str(),
        "http://o:1/glance"
    );
}

#[tokio::test]
async fn each_refusal_of_keystone_is_an_error_of_its_own() {
    for (auth, status, error, kind) in [
        (
            "username: a, password: s3cret",
            None,
            "refuses to sign in with password: 401: Keystone's words",
            AuthErrorKind::Denied,
        ),
        (
            "application_credential_id: a, application_credential_secret: s3cret",
            None,
            "refuses to sign in with application_credential: 401",
            AuthErrorKind::Denied,
        ),
        (
            "application_credential_id: a, application_credential_secret: s3cret",
            Some(404),
            "refuses to sign in with application_credential: 404",
            AuthErrorKind::Denied,
        ),
        (
            "token: s3cret",
            None,
            "the token is expired or not valid",
            AuthErrorKind::Denied,
        ),
        (
            "username: a, password: right",
            Some(403),
            "refuses to sign in with password: 403",
            AuthErrorKind::Denied,
        ),
        (
            "username: a, password: right",
            Some(302),
            "is no Keystone: it redirects",
            AuthErrorKind::Usage,
        ),
        (
            "username: a, password: right",
            Some(400),
            "does not take the sign-in: 400: Keystone's words",
            AuthErrorKind::Usage,
        ),
    ] {
        let keystone = EmbeddedKeystone::start().await;
        keystone
            .state()
            .faults
            .extend(status.map(|status| (status, None)));
        let cloud = entry(&keystone, auth).cloud("c").unwrap();
        let found = cloud.sign_in().await.unwrap_err();
        assert!(found.to_string().contains(error), "{found}");
        assert_eq!(found.kind(), kind, "{found}");
        assert!(
            !format!("{found} {found:?}").contains("s3cret"),
            "{found:?}"
        );
        assert_eq!(keystone.state().seen.len(), 1, "asking again is no use");
    }
}

#[tokio::test]
async fn a_keystone_that_fails_twice_is_asked_again() {
    let keystone = EmbeddedKeystone::start().await;
    keystone
        .state()
        .faults
        .extend([(503, Some(0)), (503, Some(0))]);
    entry(&keystone, PASSWORD)
        .cloud("c")
        .unwrap()
        .sign_in()
        .await
        .unwrap();
    assert_eq!(keystone.state().seen.len(), 3);
}

#[tokio::test]
async fn a_keystone_that_is_down_is_unavailable() {
    let keystone = EmbeddedKeystone::start().await;
    keystone.state().faults.extend([(503, Some(0)); 4]);
    let cloud = entry(&keystone, PASSWORD).cloud("c").unwrap();
    let found = cloud.sign_in().await.unwrap_err();
    assert_eq!(found.kind(), AuthErrorKind::Unavailable);
    assert!(
        found.to_string().contains("fails: 503: Keystone's words"),
        "{found}"
    );
    // Nothing listens there.
    let home = Home::with(&format!(
        "clouds: {{c: {{auth: {{auth_url: 'http://127.0.0.1:1', {PASSWORD}}}}}}}"
    ));
    let found = home.cloud("c").unwrap().sign_in().await.unwrap_err();
    assert_eq!(found.kind(), AuthErrorKind::Unavailable);
    assert_eq!(TlsFailure::find(&found), None);
}

#[tokio::test]
async fn a_server_without_tls_is_told_apart() {
    let keystone = EmbeddedKeystone::start().await;
    let url = keystone.url.replace("http", "https");
    let home = Home::with(&format!(
        "clouds: {{c: {{auth: {{auth_url: '{url}', {PASSWORD}}}}}}}"
    ));
    let found = home.cloud("c").unwrap().sign_in().await.unwrap_err();
    assert_eq!(
        TlsFailure::find(&found),
        Some(TlsFailure::NotTls),
        "{found:?}"
    );
}

#[tokio::test]
async fn secrets_do_not_show() {
    let keystone = EmbeddedKeystone::start().await;
    for auth in [
        PASSWORD,
        "application_credential_id: a, application_credential_secret: right",
        "token: right",
    ] {
        let home = entry(&keystone, auth);
        let cloud = home.cloud("c").unwrap();
        assert!(!format!("{cloud:?} {:?}", home.env()).contains("right"));
        let signed_in = cloud.sign_in().await.unwrap();
        let text = format!("{signed_in:?}");
        assert!(
            !text.contains("right") && !text.contains("token-"),
            "{text}"
        );
    }
    let entry = files::entry_of("c", &entry(&keystone, PASSWORD).env()).unwrap();
    assert!(!format!("{entry:?}").contains("right"));
}

//! Clouds against a fake Keystone.

mod fake_keystone;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use glance_client::{AuthToken, ErrorKind, TokenSource as _};
use serde_json::{Value, json};
use tempfile::TempDir;

use self::fake_keystone::FakeKeystone;
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
        Cloud::named(name, None, &SideOptions::default(), &self.env())
    }
}

/// The entry of a cloud `c` with what stands in `auth`, and RegionOne.
fn entry(keystone: &FakeKeystone, auth: &str) -> Home {
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
        let keystone = FakeKeystone::start().await;
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
    let keystone = FakeKeystone::start().await;
    let signed_in = entry(&keystone, "token: right")
        .cloud("c")
        .unwrap()
        .sign_in()
        .await
        .unwrap();
    let right = AuthToken::new("right").unwrap();
    assert_eq!(
        signed_in.tokens.token(Duration::ZERO).await.unwrap(),
        Some(right.clone())
    );
    assert_eq!(signed_in.tokens.renew(&right).await.unwrap(), None);
    assert_eq!(keystone.state().seen, [Value::Null], "a GET, and no more");
}

#[tokio::test]
async fn the_environment_describes_a_cloud_or_names_one() {
    let keystone = FakeKeystone::start().await;
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
        let cloud = Cloud::from_env(&SideOptions::default(), &env).unwrap();
        let signed_in = cloud.sign_in().await.unwrap();
        assert_eq!(signed_in.endpoint.as_str(), "https://two.example/image");
    }
}

#[test]
fn files_are_looked_for_where_openstacksdk_looks() {
    let one = "clouds: {one: {auth: {auth_url: http://k, token: t}}}";
    let mut home = Home::with(one);
    home.write("xdg/openstack/clouds.yml", &one.replace("one", "two"));
    home.write("named", &one.replace("one", "three"));
    assert!(home.cloud("one").is_ok());
    home.env
        .push(("XDG_CONFIG_HOME".to_owned(), home.path("xdg")));
    assert!(home.cloud("two").is_ok());
    assert!(home.cloud("one").is_err(), "only the first file counts");
    home.env
        .push(("OS_CLIENT_CONFIG_FILE".to_owned(), "~/named".to_owned()));
    assert!(home.cloud("three").is_ok());
}

#[tokio::test]
async fn secure_yaml_lies_over_clouds_yaml_and_that_over_the_profile() {
    let keystone = FakeKeystone::start().await;
    let home = Home::with(
        "x: &base {username: alice, password: wrong}\n\
         clouds:\n  c:\n    profile: vendor\n    region_name: RegionTwo\n    auth:\n      <<: *base\n      project_name: 0042\n",
    );
    home.write(
        ".config/openstack/clouds-public.yaml",
        &format!(
            "public-clouds: {{vendor: {{auth: {{auth_url: {}/identity, project_name: other}}, \
             region_name: RegionOne, interface: internal}}}}",
            keystone.url
        ),
    );
    home.write(
        ".config/openstack/secure.yaml",
        "clouds: {c: {auth: {password: right}}}",
    );
    let side = SideOptions {
        region: Some("RegionOne".to_owned()),
        ..SideOptions::default()
    };
    let cloud = Cloud::named("c", None, &side, &home.env()).unwrap();
    let signed_in = cloud.sign_in().await.unwrap();
    assert_eq!(
        signed_in.endpoint.as_str(),
        "http://one.internal:9292/image"
    );
    let seen = keystone.state().seen.remove(0);
    assert_eq!(
        seen.pointer("/auth/scope/project/name"),
        Some(&json!("0042")),
        "as it is written"
    );
}

#[tokio::test]
async fn the_endpoint_is_that_of_the_region_and_the_interface() {
    let keystone = FakeKeystone::start().await;
    let with = |region: Option<&str>, interface: Option<&str>| SideOptions {
        region: region.map(str::to_owned),
        interface: interface.map(str::to_owned),
        ..SideOptions::default()
    };
    let home = Home::with(&format!(
        "clouds: {{c: {{auth: {{auth_url: {}/identity, {PASSWORD}}}}}}}",
        keystone.url
    ));
    let ask = async |side: SideOptions| {
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
    for (side, error, hint, kind) in [
        (
            with(None, None),
            "cloud:c has several regions, and none is named",
            "name one as cloud:NAME/REGION, or in OS_REGION_NAME; there are RegionOne, RegionTwo",
            AuthErrorKind::Usage,
        ),
        (
            with(Some("Elsewhere"), None),
            "cloud:c has no region \"Elsewhere\" for images",
            "known are RegionOne, RegionTwo",
            AuthErrorKind::Usage,
        ),
        (
            with(Some("RegionTwo"), Some("admin")),
            "cloud:c has no \"admin\" endpoint of the image service",
            "there are public",
            AuthErrorKind::Usage,
        ),
    ] {
        let found = ask(side).await.unwrap_err();
        assert_eq!(
            (found.to_string(), found.hint(), found.kind()),
            (error.to_owned(), Some(hint.to_owned()), kind)
        );
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

#[test]
fn what_is_wrong_in_a_file_is_told_without_its_secrets() {
    for (clouds, name, error, hint) in [
        (
            "clouds: {b: {}, a: {}}",
            "c",
            "there is no cloud \"c\" in HOME/clouds.yaml",
            Some("known are a, b"),
        ),
        (
            "",
            "c",
            "there is no cloud \"c\" in HOME/clouds.yaml",
            Some("clouds are described"),
        ),
        (
            "clouds:\n  c:\n    auth: {password: s3cret\n",
            "c",
            "HOME/clouds.yaml, line 3, column 11: ",
            None,
        ),
        (
            "clouds:\n\tc: s3cret\n",
            "c",
            "HOME/clouds.yaml, line 2, column 2: tabs disallowed",
            None,
        ),
        (
            "clouds:\n  c: s3cret\n",
            "c",
            "HOME/clouds.yaml, line 2, column 6: ",
            None,
        ),
        (
            "clouds: {c: {auth: {password: *s3cret}}}",
            "c",
            "HOME/clouds.yaml, line 1, column 31: ",
            None,
        ),
        (
            "clouds: {c: {auth: {password: [s3cret]}}}",
            "c",
            "HOME/clouds.yaml, line 1, column 31: ",
            None,
        ),
        (
            "clouds: {c: {auth: {username: u, password: p}}}",
            "c",
            "cloud:c: auth_url is missing",
            None,
        ),
        (
            "clouds: {c: {auth: {auth_url: http://k, username: u}}}",
            "c",
            "cloud:c: password is missing",
            None,
        ),
        (
            "clouds: {c: {auth: {auth_url: 'http://u:s3cret@k', username: u, password: p}}}",
            "c",
            "cloud:c: auth_url is no http",
            None,
        ),
        (
            "clouds: {c: {auth_type: v3oidcpassword, auth: {auth_url: http://k}}}",
            "c",
            "cloud:c: auth_type \"oidcpassword\" is not supported",
            None,
        ),
        (
            "clouds: {c: {profile: p}}",
            "c",
            "cloud \"c\" has the profile \"p\", which is not in ",
            Some("profiles are"),
        ),
        (
            "clouds: {c: {cacert: /nonexistent}}",
            "c",
            "cannot read /nonexistent",
            None,
        ),
    ] {
        let home = Home::with(clouds);
        let found = home.cloud(name).unwrap_err();
        let text = found
            .to_string()
            .replace(&home.path(".config/openstack"), "HOME");
        assert!(text.starts_with(error), "{text}");
        assert!(!format!("{text} {found:?}").contains("s3cret"), "{found:?}");
        let found_hint = found.hint().unwrap_or_default();
        assert!(
            found_hint.starts_with(hint.unwrap_or_default()),
            "{found_hint}"
        );
        assert_eq!(found.kind(), AuthErrorKind::Usage);
    }
}

#[tokio::test]
async fn each_refusal_of_keystone_is_an_error_of_its_own() {
    for (auth, status, error, hint, kind) in [
        (
            "username: a, password: s3cret",
            None,
            "refuses to sign in with password: 401: Keystone's words",
            "the user, its domain",
            AuthErrorKind::Denied,
        ),
        (
            "application_credential_id: a, application_credential_secret: s3cret",
            None,
            "refuses to sign in with application_credential: 401",
            "the secret is wrong",
            AuthErrorKind::Denied,
        ),
        (
            "application_credential_id: a, application_credential_secret: s3cret",
            Some(404),
            "refuses to sign in with application_credential: 404",
            "the secret is wrong",
            AuthErrorKind::Denied,
        ),
        (
            "token: s3cret",
            None,
            "the token is expired or not valid",
            "`openstack token issue`",
            AuthErrorKind::Denied,
        ),
        (
            "username: a, password: right",
            Some(403),
            "refuses to sign in with password: 403",
            "the credentials are right",
            AuthErrorKind::Denied,
        ),
        (
            "username: a, password: right",
            Some(302),
            "is no Keystone: it redirects",
            "auth_url has to lead",
            AuthErrorKind::Usage,
        ),
        (
            "username: a, password: right",
            Some(400),
            "is no Keystone: 400: Keystone's words",
            "auth_url has to lead",
            AuthErrorKind::Usage,
        ),
    ] {
        let keystone = FakeKeystone::start().await;
        keystone
            .state()
            .faults
            .extend(status.map(|status| (status, None)));
        let cloud = entry(&keystone, auth).cloud("c").unwrap();
        let found = cloud.sign_in().await.unwrap_err();
        assert!(found.to_string().contains(error), "{found}");
        assert!(
            found.hint().unwrap().starts_with(hint),
            "{:?}",
            found.hint()
        );
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
    let keystone = FakeKeystone::start().await;
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
    let keystone = FakeKeystone::start().await;
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
    assert!(found.hint().unwrap().starts_with("is auth_url right"));
}

async fn tokens(keystone: &FakeKeystone, life: Duration) -> Arc<CloudTokens> {
    keystone.state().life = life;
    entry(keystone, PASSWORD)
        .cloud("c")
        .unwrap()
        .sign_in()
        .await
        .unwrap()
        .tokens
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_all() {
    let keystone = FakeKeystone::start().await;
    // Clocks that differ are no reason to renew anything.
    keystone.state().behind = Duration::from_secs(86_400);
    let tokens = tokens(&keystone, Duration::from_secs(3600)).await;
    let first = tokens.token(Duration::ZERO).await.unwrap().unwrap();
    let renewals = (0..20).map(|_| tokens.renew(&first));
    let renewed = futures_util::future::join_all(renewals).await;
    let second = AuthToken::new("token-2").unwrap();
    for token in renewed {
        assert_eq!(token.unwrap().as_ref(), Some(&second));
    }
    assert_eq!(
        tokens.token(Duration::from_secs(600)).await.unwrap(),
        Some(second)
    );
    assert_eq!(keystone.state().issued, 2);
}

#[tokio::test]
async fn a_renewal_that_fails_fails_once_for_all() {
    let keystone = FakeKeystone::start().await;
    let tokens = tokens(&keystone, Duration::from_secs(3600)).await;
    let first = tokens.token(Duration::ZERO).await.unwrap().unwrap();
    keystone.state().faults.extend([(401, None); 20]);
    let renewals = (0..20).map(|_| tokens.renew(&first));
    for failed in futures_util::future::join_all(renewals).await {
        assert_eq!(failed.unwrap_err().kind, ErrorKind::Unauthorized);
    }
    tokens.renew(&first).await.unwrap_err();
    assert_eq!(keystone.state().seen.len(), 2, "nobody is to be locked out");
    // Requests go on with the token that there is, as long as it lives.
    assert_eq!(tokens.token(Duration::ZERO).await.unwrap(), Some(first));
}

#[tokio::test]
async fn a_token_that_lives_too_short_is_renewed_when_it_is_no_longer_fresh() {
    let keystone = FakeKeystone::start().await;
    let tokens = tokens(&keystone, Duration::from_millis(800)).await;
    let long = Duration::from_secs(3600);
    let first = tokens.token(long).await.unwrap();
    assert_eq!(
        tokens.token(long).await.unwrap(),
        first,
        "a new one would be no better"
    );
    assert_eq!(keystone.state().issued, 1);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(
        tokens.token(Duration::ZERO).await.unwrap(),
        first,
        "good enough for a request"
    );
    assert_ne!(tokens.token(long).await.unwrap(), first);
    assert_eq!(keystone.state().issued, 2);
    tokio::time::sleep(Duration::from_millis(700)).await;
    tokens.token(Duration::ZERO).await.unwrap();
    assert_eq!(keystone.state().issued, 3, "little life is left");
}

#[tokio::test]
async fn a_server_without_tls_has_a_hint() {
    let keystone = FakeKeystone::start().await;
    let url = keystone.url.replace("http", "https");
    let home = Home::with(&format!(
        "clouds: {{c: {{auth: {{auth_url: '{url}', {PASSWORD}}}}}}}"
    ));
    let found = home.cloud("c").unwrap().sign_in().await.unwrap_err();
    assert!(
        found.hint().unwrap().contains("does not speak TLS"),
        "{found:?}"
    );
}

#[tokio::test]
async fn secrets_do_not_show() {
    let keystone = FakeKeystone::start().await;
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

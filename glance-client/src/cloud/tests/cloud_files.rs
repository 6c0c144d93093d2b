//! The entry of a cloud in the files, and which of these are read.

use super::*;

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
    let keystone = EmbeddedKeystone::start().await;
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
    let side = CloudOptions {
        region: Some("RegionOne".to_owned()),
        ..CloudOptions::default()
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

#[test]
fn what_is_wrong_in_a_file_is_told_without_its_secrets() {
    for (clouds, name, error, known) in [
        (
            "clouds: {b: {}, a: {}}",
            "c",
            "there is no cloud \"c\" in HOME/clouds.yaml",
            Some(r#"known: ["a", "b"]"#),
        ),
        (
            "",
            "c",
            "there is no cloud \"c\" in HOME/clouds.yaml",
            Some("known: []"),
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
            Some("clouds-public.yaml"),
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
        let known = known.unwrap_or_default();
        assert!(format!("{found:?}").contains(known), "{found:?}");
        assert_eq!(found.kind(), AuthErrorKind::Usage);
    }
}

//! A cloud that is described in several places, and which of them counts.

use super::*;

/// Signs in as `c` of these files, and returns what Keystone was sent, with the endpoint.
async fn sign_in(home: &Home, keystone: &EmbeddedKeystone) -> (Value, String) {
    let cloud = home.cloud("c").unwrap_or_else(|error| panic!("{error}"));
    let signed_in = cloud.sign_in().await.unwrap();
    let seen = keystone.state().seen.pop().unwrap();
    (seen, signed_in.endpoint.to_string())
}

#[tokio::test]
async fn what_stands_beside_auth_is_above_it() {
    let auth = "username: alice, user_domain_id: U, password: right, project_name: q, \
                project_domain_id: E";
    for (beside, pointer, wanted) in [
        ("project_name: over", "/auth/scope/project/name", "over"),
        (
            "tenant-name: over, project_id: i",
            "/auth/scope/project/id",
            "i",
        ),
        (
            "project_domain_id: over",
            "/auth/scope/project/domain/id",
            "over",
        ),
        (
            "user_domain_id: over",
            "/auth/identity/password/user/domain/id",
            "over",
        ),
        (
            "domain_id: over",
            "/auth/identity/password/user/domain/id",
            "U",
        ),
        (
            "auth_type: token, token: right",
            "/auth/identity/token/id",
            "right",
        ),
        (
            "username: under",
            "/auth/identity/password/user/name",
            "alice",
        ),
        (
            "password: under",
            "/auth/identity/password/user/password",
            "right",
        ),
        ("project_name: null", "/auth/scope/project/name", "q"),
    ] {
        let keystone = EmbeddedKeystone::start().await;
        let url = &keystone.url;
        let auth = format!("auth_url: {url}/identity, {auth}, token: old");
        for (entry, secure) in [
            (
                format!("region_name: RegionOne, {beside}, auth: {{{auth}}}"),
                String::new(),
            ),
            (
                format!("regions: [{{name: RegionOne, values: {{{beside}}}}}], auth: {{{auth}}}"),
                String::new(),
            ),
            (
                format!("region_name: RegionOne, auth: {{{auth}}}"),
                format!("clouds: {{c: {{{beside}}}}}"),
            ),
        ] {
            let home = Home::with(&format!("clouds: {{c: {{{entry}}}}}"));
            home.write(".config/openstack/secure.yaml", &secure);
            let (seen, _) = sign_in(&home, &keystone).await;
            assert_eq!(
                seen.pointer(pointer),
                Some(&json!(wanted)),
                "{entry} {secure}"
            );
        }
    }
}

#[tokio::test]
async fn a_trust_is_a_scope_of_its_own() {
    let wanted = json!({"OS-TRUST:trust": {"id": "t"}});
    let user = "username: alice, password: right";
    for auth in [
        format!("{user}, trust_id: t"),
        format!("{user}}}, trust_id: t, x: {{a: b"),
        "token: right, trust_id: t".to_owned(),
    ] {
        let keystone = EmbeddedKeystone::start().await;
        let (seen, _) = sign_in(&entry(&keystone, &auth), &keystone).await;
        assert_eq!(seen.pointer("/auth/scope"), Some(&wanted), "{auth}");
    }
    let keystone = EmbeddedKeystone::start().await;
    for (scopes, error) in [
        (
            "trust_id: t, project_name: p",
            "project and trust_id exclude each other",
        ),
        (
            "trust_id: t, system_scope: all",
            "system_scope and trust_id exclude each other",
        ),
        (
            "system_scope: all, domain_id: d",
            "system_scope and domain exclude each other",
        ),
        ("system_scope: true", "system_scope can be nothing but all"),
    ] {
        let home = entry(&keystone, &format!("{user}, {scopes}"));
        let found = home.cloud("c").unwrap_err().to_string();
        assert_eq!(found, format!("cloud:c: {error}"));
    }
}

#[tokio::test]
async fn entries_of_other_clouds_may_be_whatever_they_like() {
    let keystone = EmbeddedKeystone::start().await;
    let url = &keystone.url;
    let auth = format!("auth: {{auth_url: {url}/identity, {PASSWORD}, scopes: [a, b]}}");
    for other in [
        "b: {auth: {scopes: [openid, email]}}",
        "b: {regions: R1}",
        "b: {regions: [1, 2]}",
        "b: text",
        "b: [1]",
        "b: {auth: text}",
        "1: {}, ~: {}",
    ] {
        let entry = format!("c: {{region_name: RegionOne, {auth}}}");
        let home = Home::with(&format!("public-clouds: []\nclouds: {{{other}, {entry}}}"));
        sign_in(&home, &keystone).await;
    }
    // Fifty clouds that share what they have in common.
    let mut clouds = format!("x: &auth {{auth_url: {url}/identity, {PASSWORD}}}\n");
    clouds += "y: &cloud {region_name: RegionOne}\nclouds:\n";
    for n in 0..3000 {
        clouds += &format!("  b{n}: {{<<: *cloud, auth: {{<<: *auth}}}}\n");
    }
    clouds += "  c: {<<: *cloud, auth: {<<: *auth}}\n";
    sign_in(&Home::with(&clouds), &keystone).await;
}

#[tokio::test]
async fn a_profile_that_is_in_no_file_is_missed_only_if_something_is() {
    let keystone = EmbeddedKeystone::start().await;
    for profile in ["profile: old-name", "cloud: c"] {
        let auth = format!("{PASSWORD}}}, {profile}, x: {{a: b");
        sign_in(&entry(&keystone, &auth), &keystone).await;
    }
}

#[tokio::test]
async fn whatever_says_where_images_are_is_heard() {
    for (setting, wanted) in [
        ("image_region_name: RegionTwo", "https://two.example/image"),
        ("image_endpoint: 'http://o:1/v2'", "http://o:1"),
        (
            "image_endpoint: 'http://o:1', image_endpoint_override: 'http://p:1'",
            "http://p:1",
        ),
        (
            "image_endpoint_override: 'http://{region_name}.{x}:1/{{y}}'",
            "http://regionone.z:1/%7By%7D",
        ),
        (
            "endpoint_type: internalURL",
            "http://one.internal:9292/image",
        ),
        (
            "interface: public, endpoint_type: internal",
            "http://one.internal:9292/image",
        ),
        (
            "interface: internal, image_interface: public",
            "http://one.example:9292",
        ),
        ("image_service_type: picture", "http://pictures.example"),
        ("image_service_name: second", "http://second.example"),
    ] {
        let keystone = EmbeddedKeystone::start().await;
        let endpoint =
            |url: &str| json!([{"interface": "public", "region": "RegionOne", "url": url}]);
        let services = [
            ("image", "second", "http://second.example"),
            ("picture", "x", "http://pictures.example"),
        ];
        for (kind, name, url) in services {
            let service = json!({"type": kind, "name": name, "endpoints": endpoint(url)});
            keystone
                .state()
                .catalog
                .as_array_mut()
                .unwrap()
                .push(service);
        }
        let name = if setting.contains("service_name") {
            ""
        } else {
            "first"
        };
        keystone.state().catalog[1]["name"] = json!(if name.is_empty() { "other" } else { name });
        let auth = format!("{PASSWORD}}}, {setting}, x: z, y: {{a: b");
        let (_, endpoint) = sign_in(&entry(&keystone, &auth), &keystone).await;
        assert_eq!(endpoint, wanted, "{setting}");
    }
    let keystone = EmbeddedKeystone::start().await;
    for (url, error) in [
        (
            "http://{nothing}",
            "names a setting in braces that this cloud has not",
        ),
        (
            "http://{region_name",
            "has a brace in it that has no counterpart",
        ),
        (
            "http://region_name}",
            "has a brace in it that has no counterpart",
        ),
    ] {
        let auth = format!("{PASSWORD}}}, image_endpoint: '{url}', x: {{a: b");
        let found = entry(&keystone, &auth).cloud("c").unwrap_err();
        assert_eq!(
            found.to_string(),
            format!("cloud:c: image_endpoint {error}")
        );
    }
}

#[tokio::test]
async fn the_keystone_of_a_region_may_have_its_name() {
    let keystone = EmbeddedKeystone::start().await;
    let home = Home::with(&format!(
        "clouds: {{c: {{x: identity, regions: [RegionOne], auth: {{auth_url: '{}/{{x}}', {PASSWORD}}}}}}}",
        keystone.url
    ));
    sign_in(&home, &keystone).await;
}

#[tokio::test]
async fn of_two_regions_with_a_comma_the_first_one_counts() {
    let keystone = EmbeddedKeystone::start().await;
    let url = &keystone.url;
    let auth = format!("auth: {{auth_url: {url}/identity, {PASSWORD}}}");
    for regions in [
        "'RegionTwo,RegionOne'",
        "[RegionTwo, RegionOne]",
        "' RegionTwo , x'",
    ] {
        let home = Home::with(&format!(
            "clouds: {{c: {{region_name: {regions}, {auth}}}}}"
        ));
        let (_, endpoint) = sign_in(&home, &keystone).await;
        assert_eq!(endpoint, "https://two.example/image", "{regions}");
    }
    let none = Home::with(&format!(
        "clouds: {{c: {{region_name: 'One,Two', {auth}}}}}"
    ));
    assert!(none.cloud("c").unwrap().sign_in().await.is_err());
}

#[tokio::test]
async fn numbers_and_switches_are_texts_wherever_they_stand() {
    let keystone = EmbeddedKeystone::start().await;
    for written in [
        "12345678901234567890123456789012",
        "1234e56",
        "1.10",
        "0123",
        "on",
        "0x1F",
    ] {
        let auth = format!("username: alice, password: right}}, project_id: {written}, x: {{a: b");
        let (seen, _) = sign_in(&entry(&keystone, &auth), &keystone).await;
        let found = seen.pointer("/auth/scope/project/id");
        assert_eq!(found, Some(&json!(written)));
    }
    let url = &keystone.url;
    for region in ["no", "010", "1.10"] {
        keystone.state().catalog[1]["endpoints"][0]["region_id"] = json!(region);
        let home = Home::with(&format!(
            "clouds: {{c: {{regions: [{region}], auth: {{auth_url: {url}/identity, {PASSWORD}}}}}}}"
        ));
        let (_, endpoint) = sign_in(&home, &keystone).await;
        assert_eq!(endpoint, "http://one.example:9292", "{region}");
    }
}

#[tokio::test]
async fn nulls_in_the_catalog_are_as_good_as_nothing() {
    let keystone = EmbeddedKeystone::start().await;
    let odd = json!([
        {"type": null, "endpoints": null},
        {"type": "volume", "endpoints": [{"url": null, "interface": null, "region": null, "region_id": null}]},
        {"type": "image", "name": null, "endpoints": [{"url": null, "interface": "public", "region_id": "RegionOne"}]},
        {},
    ]);
    let own = keystone.state().catalog.clone();
    let all: Vec<Value> = [odd, own]
        .iter()
        .flat_map(|list| list.as_array().unwrap().clone())
        .collect();
    keystone.state().catalog = Value::Array(all);
    let (_, endpoint) = sign_in(&entry(&keystone, PASSWORD), &keystone).await;
    assert_eq!(endpoint, "http://one.example:9292");
}

#[test]
fn what_is_not_verified_needs_no_certificates() {
    let with = |tls: &str| {
        let home = Home::with(&format!(
            "clouds: {{c: {{{tls}, auth: {{auth_url: 'https://k', {PASSWORD}}}}}}}"
        ));
        home.cloud("c").map(|cloud| cloud.tls().is_insecure())
    };
    for tls in [
        "verify: false, cacert: /nonexistent",
        "insecure: false, verify: false",
        "insecure: true, verify: true",
    ] {
        assert!(with(tls).unwrap(), "{tls}");
    }
    assert!(!with("insecure: false, verify: true").unwrap());
    for tls in ["verify: /nonexistent", "verify: true, cacert: /nonexistent"] {
        let error = with(tls).unwrap_err().to_string();
        assert_eq!(error, "cannot read /nonexistent", "{tls}");
    }
}

#[test]
fn a_way_to_sign_in_that_is_not_supported_is_told_before_what_is_missing() {
    for name in [
        "none",
        "http_basic",
        "admin_token",
        "v2password",
        "v3websso",
    ] {
        let home = Home::with(&format!("clouds: {{c: {{auth_type: {name}, auth: {{}}}}}}"));
        let error = home.cloud("c").unwrap_err().to_string();
        assert!(error.contains("is not supported"), "{error}");
    }
}

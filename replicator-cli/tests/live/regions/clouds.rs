//! Ways into a real cloud, and what it refuses.

use serde_json::json;

use crate::keystone::{PASSWORD, Shell, SignedIn, sign_in, variable};
use crate::server::Server;

const REGIONS: [&str; 4] = [
    "--source-region",
    "RegionOne",
    "--target-region",
    "RegionTwo",
];

/// One image of an ordinary project.
pub(crate) fn add_image(server: &Server, number: usize, owner: &SignedIn) -> String {
    let id = format!("00000000-0000-4000-8000-{number:012}");
    let record = json!({
        "id": id, "name": format!("image {number}"), "owner": owner.project_id,
        "disk_format": "raw", "container_format": "bare", "visibility": "private",
    });
    server.create_v2(&record, Some(bytes(number)));
    id
}

pub(crate) fn bytes(number: usize) -> Vec<u8> {
    number.to_be_bytes().repeat(1000)
}

#[test]
fn each_way_to_sign_in_replicates_and_shows_no_secret_in_the_most_detailed_log() {
    let (one, two) = (Server::empty("region-one"), Server::empty("region-two"));
    let alice = sign_in("alice", "alpha");
    let admin = sign_in("admin", "admin");
    let keystone = format!("{}/v3", variable("KEYSTONE"));
    let token = format!(
        "clouds: {{c: {{auth_type: token, auth: \
         {{auth_url: '{keystone}', token: {}, project_id: {}}}}}}}",
        admin.token, admin.project_id
    );
    let env = |variables: &[(&str, &str)]| {
        let shell = Shell::of_clouds("").with("OS_AUTH_URL", &keystone);
        let variables = variables.iter();
        variables.fold(shell, |shell, (name, value)| shell.with(name, value))
    };
    let names = [
        ("OS_USERNAME", "alice"),
        ("OS_PASSWORD", PASSWORD),
        ("OS_PROJECT_NAME", "alpha"),
        ("OS_USER_DOMAIN_NAME", "Default"),
        ("OS_PROJECT_DOMAIN_ID", "default"),
    ];
    let ids = [
        ("OS_USER_ID", &*alice.user_id),
        ("OS_PASSWORD", PASSWORD),
        ("OS_PROJECT_ID", &*alice.project_id),
    ];
    let ways = [
        (Shell::of_lab(), "cloud:admin-one", "cloud:admin-two"),
        (Shell::of_lab(), "cloud:alice-one", "cloud:alice-two"),
        (Shell::of_lab(), "cloud:ids-one", "cloud:ids-two"),
        (Shell::of_lab(), "cloud:secure-one", "cloud:secure-two"),
        (Shell::of_lab(), "cloud:app-one", "cloud:app-two"),
        (Shell::of_lab(), "cloud:app-name-one", "cloud:app-name-two"),
        (
            Shell::of_clouds(&token),
            "cloud:c/RegionOne",
            "cloud:c/RegionTwo",
        ),
        (env(&names), "env:", "env:"),
        (env(&ids), "env:", "env:"),
        (env(&[("OS_TOKEN", &admin.token)]), &one.url, &two.url),
        (Shell::of_lab().with("OS_CLOUD", "app-one"), "env:", "env:"),
    ];
    for (number, (shell, from, to)) in ways.into_iter().enumerate() {
        let id = add_image(&one, number, &alice);
        let shell = shell.with("RUST_LOG", "trace");
        let options = if from == "env:" { &REGIONS[..] } else { &[] };
        let ran = shell.run(0, &[&["-d", "livecopy", from, to], options].concat());
        let log = ran.stderr;
        let counts = format!(", {number} unchanged");
        assert!(log.contains("livecopy: 1 copied"), "{from}: {log}");
        // Counts of zero are left out.
        assert!(number == 0 || log.contains(&counts), "{from}: {log}");
        assert_eq!(two.data(&id), bytes(number), "{from}");
        assert!(log.contains("DEBUG"), "{from}: {log}");
        // Keystone's tokens all begin so.
        for secret in [PASSWORD, "gAAAA", &alice.token, &admin.token] {
            let shown = format!("{}{log}", ran.stdout);
            assert!(!shown.contains(secret), "{from} shows {secret:?}: {shown}");
        }
    }
    let owned = |server: &Server| {
        let facts = server.facts().into_iter();
        facts.collect::<Vec<_>>()
    };
    assert_eq!(owned(&two), owned(&one));
}

#[test]
fn check_tells_who_we_are_and_changes_nothing() {
    let one = Server::empty("region-one");
    let alice = sign_in("alice", "alpha");
    add_image(&one, 1, &alice);
    let before = one.updated_at();
    let shell = Shell::of_lab();
    let found = shell.run(0, &["check", "cloud:admin-one", "cloud:alice-one-tls"]);
    let tls_url = std::env::var("GLANCE_LAB_TLS_ONE").expect("set by `cargo xtask live`");
    let words = [
        "cloud:admin-one\n",
        &*one.url,
        "all images",
        "cloud:alice-one-tls\n",
        &*tls_url,
        &alice.user_id,
        "not an administrator",
    ];
    for word in words {
        assert!(found.stdout.contains(word), "no {word:?}: {}", found.stdout);
    }
    let brief = shell.run(0, &["check", "cloud:brief-one"]).stdout;
    assert!(brief.contains("warning: tokens are short-lived"), "{brief}");
    assert_eq!(one.updated_at(), before);
}

#[test]
fn a_member_is_told_per_image_what_it_may_not_do() {
    let (one, two) = (Server::empty("region-one"), Server::empty("region-two"));
    let (alice, bob) = (sign_in("alice", "alpha"), sign_in("bob", "beta"));
    let own = add_image(&one, 1, &alice);
    let foreign = add_image(&one, 2, &bob);
    let another = add_image(&one, 3, &alice);
    let shell = Shell::of_lab();

    let ran = shell.run(3, &["livecopy", "cloud:admin-one", "cloud:alice-two"]);
    let log = &ran.stderr;
    for words in [
        &*format!("error: image \"image 2\" ({foreign})"),
        "the target takes images of other projects from administrators alone",
        "hint: sign in as an administrator",
    ] {
        assert!(log.contains(words), "no {words:?}: {log}");
    }
    assert!(log.contains("livecopy: 2 copied"), "{log}");
    assert!(log.contains("1 failed"), "{log}");
    let ids = |server: &Server| server.facts().into_keys().collect::<Vec<_>>();
    assert_eq!(ids(&two), [own, another]);

    two.wipe();
    let ran = shell.run(0, &["livecopy", "cloud:alice-one", "cloud:alice-two"]);
    assert!(ran.stderr.contains("livecopy: 2 copied"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(&foreign), "{}", ran.stderr);
    let ran = shell.run(3, &["livecopy", "cloud:bob-one", "cloud:alice-two"]);
    assert!(ran.stderr.contains(&foreign), "{}", ran.stderr);
}

#[test]
fn what_keystone_or_the_settings_refuse_is_an_error_of_its_own() {
    let keystone = variable("KEYSTONE");
    let lab = Shell::of_lab();
    lab.fail(
        4,
        &["size", "cloud:app-expired-one"],
        &[
            "refuses to sign in with application_credential: 401",
            "hint: ",
            "expired",
        ],
    );
    lab.fail(
        2,
        &["size", "cloud:alise-one"],
        &[
            "there is no cloud \"alise-one\" in ",
            "near ones, of ",
            "alice-one",
        ],
    );
    lab.fail(
        2,
        &["size", "cloud:alice-one/Atlantis"],
        &["no region \"Atlantis\"", "known are RegionOne, RegionTwo"],
    );
    let auth = |url: &str, password: &str| {
        format!(
            "auth: {{auth_url: '{url}', username: alice, password: {password}, \
             project_name: alpha, user_domain_id: default, project_domain_id: default}}"
        )
    };
    let entry = |url: &str, password: &str| format!("clouds: {{c: {{{}}}}}", auth(url, password));
    let wrong = Shell::of_clouds(&entry(&format!("{keystone}/v3"), "wr0ng"));
    let words = [
        "refuses to sign in with password: 401",
        "hint: ",
        "the password",
    ];
    wrong.fail(4, &["size", "cloud:c"], &words);
    let shown = wrong.run(4, &["-d", "size", "cloud:c"]).stderr;
    assert!(!shown.contains("wr0ng"), "{shown}");
    // No server of the lab, and hardly any other, is there.
    let down = Shell::of_clouds(&entry("http://127.0.0.1:1/v3", PASSWORD));
    let words = [
        "Keystone at http://127.0.0.1:1",
        "cannot be reached",
        "hint: ",
    ];
    down.fail(1, &["size", "cloud:c"], &words);
    let several = Shell::of_clouds(&entry(&keystone, PASSWORD));
    let words = ["several regions", "RegionOne, RegionTwo"];
    several.fail(2, &["size", "cloud:c"], &words);
    let broken = Shell::of_clouds("clouds:\n  c:\n    auth: {password: s3cret\n");
    let at = format!("{}, line 3, column 11", broken.path().display());
    broken.fail(2, &["size", "cloud:c"], &[&at]);
    let shown = broken.run(2, &["-d", "size", "cloud:c"]).stderr;
    assert!(!shown.contains("s3cret"), "{shown}");
}

//! Servers behind TLS, of which some are not to be trusted.

use super::clouds::{add_image, bytes};
use crate::assert_replicated;
use crate::keystone::{PASSWORD, Shell, sign_in, variable};
use crate::server::Server;

#[test]
fn both_ends_work_through_tls_with_the_right_ca() {
    let (one, two) = (Server::empty("region-one"), Server::empty("region-two"));
    let owner = sign_in("alice", "alpha");
    let image = |number| (add_image(&one, number, &owner), bytes(number));
    let data = (0..3).map(image).collect();
    let shell = Shell::of_lab();
    shell.run(
        0,
        &["livecopy", "cloud:admin-one-tls", "cloud:admin-two-tls"],
    );
    assert_replicated(&one, &two, &data);

    let token = sign_in("admin", "admin").token;
    let shell = Shell::of_lab().with("OS_TOKEN", &token);
    let ends = [variable("TLS_ONE"), variable("TLS_TWO")];
    let ca = variable("TLS_CA");
    let args = ["compare", "--exit-code", &ends[0], &ends[1]];
    shell.run(0, &[&args[..], &["--cacert", &ca]].concat());
    shell.with("OS_CACERT", &ca).run(0, &args);
}

#[test]
fn a_certificate_that_proves_nothing_is_refused_with_a_hint() {
    let shell = Shell::of_lab();
    for (cloud, hint) in [
        ("tls-wrong-host", "for another host name"),
        ("tls-expired", "has expired"),
        ("tls-unknown-ca", "of no CA that is known here"),
    ] {
        let end = format!("cloud:{cloud}");
        for args in [
            &["size", &end][..],
            &["livecopy", &end, "cloud:admin-two"],
            &["livecopy", "cloud:admin-two", &end],
        ] {
            shell.fail(1, args, &["cannot connect to https://", "hint: ", hint]);
        }
        let ran = shell.run(0, &["--insecure", "size", &end]);
        assert!(ran.stderr.contains("not verified"), "{}", ran.stderr);
    }
    // Without any CA named, those of the system count.
    let plain = Shell::of_clouds("");
    let hint = "of no CA that is known here; give its CA";
    plain.fail(1, &["size", &variable("TLS_ONE")], &[hint]);
    let keystone = variable("TLS_KEYSTONE");
    let clouds = format!(
        "clouds: {{c: {{auth: {{auth_url: '{keystone}', username: admin, \
         password: {PASSWORD}, project_name: admin}}}}}}"
    );
    Shell::of_clouds(&clouds).fail(1, &["size", "cloud:c"], &[&keystone, hint]);
}

#[test]
fn a_client_certificate_is_shown_where_it_is_demanded() {
    Shell::of_lab().run(0, &["size", "cloud:tls-client"]);
    let token = sign_in("admin", "admin").token;
    let without = Shell::of_lab()
        .with("OS_TOKEN", &token)
        .with("OS_CACERT", &variable("TLS_CA"));
    let url = variable("TLS_CLIENT");
    let hint = "the server wants a client certificate: cert and key, or OS_CERT and OS_KEY";
    let args = ["size", &url];
    without.fail(1, &args, &["hint: ", hint]);
    without
        .with("OS_CERT", &variable("TLS_CERT"))
        .with("OS_KEY", &variable("TLS_KEY"))
        .run(0, &["size", &url]);
}

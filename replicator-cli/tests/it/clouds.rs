//! Clouds whose Keystone does what a real one is hard to bring to: the program between
//! embedded Glance servers.

use std::fs;
use std::time::Duration;

use glance_client::testing::{EmbeddedGlance, FaultAction, FaultOn, ImageView, RequestKind};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::kit::cloud::{AUTH, Lab};
use crate::kit::program::{Ran, program, run};

#[track_caller]
fn assert_error(ran: &Ran, code: i32, texts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert_eq!(ran.stdout, "", "{ran:?}");
    for text in texts {
        assert!(ran.stderr.contains(text), "no {text:?}: {ran:?}");
    }
}

#[test]
fn what_names_no_cloud_is_a_usage_error() {
    for end in ["cloud:", "cloud:a/", "cloud:/b"] {
        let words = ["names no cloud", "write cloud:NAME or cloud:NAME/REGION"];
        assert_error(&run(&["size", end]), 2, &words);
    }
}

#[test]
fn without_a_clouds_yaml_it_is_said_where_one_would_be_and_what_is_in_it() {
    let lab = Lab::new(AUTH);
    fs::remove_file(lab.home.path().join("clouds.yaml")).unwrap();
    let home = [("HOME", lab.home.path().to_str().unwrap())];
    let ran = lab.run_with(&["check", "cloud:c"], &home);
    let user = format!("{}/.config/openstack/clouds.yaml", home[0].1);
    let places = [
        "there is no cloud \"c\" in",
        &user,
        "/etc/openstack/clouds.yaml",
    ];
    assert_error(&ran, 2, &places);
    let (_, minimal) = ran.stderr.split_once("at the least:\n").unwrap();
    let clouds = minimal
        .replace(
            "https://KEYSTONE:5000/v3",
            &format!("{}/identity/v3", lab.keystone.url),
        )
        .replace("REGION", "One")
        .replace("USER", "alice")
        .replace("PASSWORD", "right")
        .replace("PROJECT", "alpha");
    fs::create_dir_all(lab.home.path().join(".config/openstack")).unwrap();
    fs::write(user, clouds).unwrap();
    let ran = lab.run_with(&["check", "cloud:c"], &home);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn files_that_make_no_sense_are_usage_errors_without_their_secrets() {
    let lab = Lab::new(AUTH);
    for (file, text, words) in [
        (
            "secure.yaml",
            "clouds:\n  c:\n    auth: {password: s3cret\n",
            "secure.yaml, line 3, column 11: ",
        ),
        ("secure.yaml", "", "no region \"Three\""),
        (
            "clouds.yaml",
            "clouds:\n  c:\n    auth: {password: s3cret}\n   x: s3cret\n",
            "clouds.yaml, line 4, column ",
        ),
        (
            "clouds.yaml",
            "clouds: {c: {auth: {password: s3cret}}}",
            "cloud:c: auth_url is missing",
        ),
        (
            "clouds.yaml",
            "clouds: {c: {auth: {auth_url: 'http://k', password: s3cret}}}",
            "cloud:c: ",
        ),
        (
            "clouds.yaml",
            "clouds: {c: {auth_type: magic, auth: {password: s3cret}}}",
            "cloud:c: ",
        ),
    ] {
        fs::write(lab.home.path().join(file), text).unwrap();
        let ran = lab.run(&["-d", "size", "cloud:c/Three"]);
        assert_error(&ran, 2, &["error: ", words]);
        assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
    }
}

#[test]
fn an_endpoint_of_v2_is_used_though_nothing_above_it_is_open() {
    let html = |status: u16| FaultAction::Answer {
        status,
        headers: vec![("Content-Type".to_owned(), "text/html".to_owned())],
        body: "<html><title>A shop</title></html>".into(),
    };
    let list = |text: &'static str| FaultAction::Answer {
        status: 300,
        headers: Vec::new(),
        body: text.into(),
    };
    for (closed, v2_is_named, v2_is_forced, code) in [
        (FaultAction::status(401), true, false, 0),
        (FaultAction::status(403), true, false, 0),
        (FaultAction::status(404), true, false, 0),
        (FaultAction::status(503), true, false, 0),
        (html(200), true, false, 0),
        (html(302), true, false, 0),
        (
            list("{\"versions\": [{\"id\": \"v3.14\"}]}"),
            true,
            false,
            0,
        ),
        (list("{\"versions\": {\"values\": []}}"), true, false, 0),
        (list("{\"versions\": [{\"id\": \"v2\"}]}"), false, false, 0),
        (FaultAction::status(404), false, true, 0),
        (html(200), false, true, 0),
        (FaultAction::status(404), false, false, 1),
        (html(200), false, false, 1),
    ] {
        let lab = Lab::new(AUTH);
        let what = format!("{closed:?}, {v2_is_named}, {v2_is_forced}");
        lab.one.fault(FaultOn::kind(RequestKind::Versions), closed);
        if v2_is_named {
            let mut keystone = lab.keystone.state();
            let url = &mut keystone.catalog[0]["endpoints"][0]["url"];
            *url = json!(format!("{}/v2", url.as_str().unwrap()));
        }
        let mut args = vec!["livecopy", "cloud:c/One", "cloud:c/Two", "--retries", "0"];
        if v2_is_forced {
            args.extend(["--source-api", "v2"]);
        }
        let ran = lab.run(&args);
        assert_eq!(ran.code, Some(code), "{what}: {ran:?}");
        assert_eq!(lab.two.images().len(), usize::from(code == 0), "{what}");
        if code == 0 {
            let ran = lab.run(&[
                "check",
                "--retries=0",
                "cloud:c/One",
                if v2_is_forced {
                    "--source-api=v2"
                } else {
                    "-v"
                },
            ]);
            assert!(v2_is_forced || ran.code == Some(0), "{what}: {ran:?}");
        }
    }
}

#[test]
fn variables_beside_os_cloud_are_told_to_count_for_nothing() {
    let lab = Lab::new(AUTH);
    let mut run = program();
    run.current_dir(lab.home.path());
    run.env("OS_CLOUD", "c").env("OS_REGION_NAME", "One");
    let quiet = Ran::from(run.args(["size", "env:"]).output().unwrap());
    assert_eq!((quiet.code, &*quiet.stderr), (Some(0), ""));
    run.env("OS_AUTH_URL", "http://127.0.0.1:1");
    run.env("OS_USERNAME", "bob").env("OS_PASSWORD", "s3cret");
    let ran = Ran::from(run.output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let words = "OS_CLOUD names c, so nothing is taken from OS_AUTH_URL, OS_PASSWORD, OS_USERNAME";
    assert!(ran.stderr.contains(words), "{ran:?}");
    assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
    let entry = Lab::new(&format!("{AUTH}}}, profile: p, image_url: x, y: {{a: b"));
    let ran = entry.run(&["size", "cloud:c/One"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for words in [
        "warning: cloud:c has the profile \"p\", which is in no clouds-public.yaml",
        "warning: cloud:c: image_url is not known, and does nothing\n",
    ] {
        assert!(ran.stderr.contains(words), "{ran:?}");
    }
    // They are warnings as others are, in each form of a line.
    assert!(ran.stderr.starts_with("warning: "), "{ran:?}");
    let of_form = |form: &str| {
        let ran = entry.run(&["size", "cloud:c/One", "--log-format", form]);
        ran.stderr.lines().next().unwrap().to_owned()
    };
    assert!(of_form("text").contains("Z warning: cloud:c"));
    let json: serde_json::Value = serde_json::from_str(&of_form("json")).unwrap();
    assert_eq!(json["level"], "warn");
}

#[test]
fn a_keystone_that_fails_twice_does_not_hold_up_a_run() {
    let lab = Lab::new(AUTH);
    let busy = [(503, Some(0)), (503, Some(0))];
    lab.keystone.state().faults.extend(busy);
    let ran = lab.livecopy();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(lab.two.images().len(), 1, "{ran:?}");
    assert_eq!(lab.keystone.state().seen.len(), 4);
    for secret in ["token-1", "token-2"] {
        assert!(!ran.stderr.contains(secret), "{ran:?}");
    }
}

#[test]
fn whoever_is_not_verified_is_warned_of_once_before_the_password_is_sent() {
    let lab = Lab::new(AUTH);
    lab.keystone.state().faults.extend([(401, None)]);
    for code in [4, 0] {
        let ran = lab.run(&["size", "cloud:c/One", "--insecure"]);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        let warning = "warning: cloud:c: certificates are not verified";
        assert!(ran.stderr.starts_with(warning), "{ran:?}");
        assert_eq!(ran.stderr.matches("not verified").count(), 1, "{ran:?}");
    }
    let ran = lab.run(&["size", lab.one.host_port(), "--token=right", "--insecure"]);
    assert_eq!(ran.stderr.matches("not verified").count(), 1, "{ran:?}");
}

#[test]
fn a_keystone_that_goes_on_failing_ends_the_run() {
    let lab = Lab::new(AUTH);
    // Four for each side.
    lab.keystone.state().faults.extend([(503, Some(0)); 8]);
    let words = ["fails: 503: Keystone's words", "hint: Keystone was asked"];
    assert_error(&lab.livecopy(), 1, &words);
    assert_eq!(lab.one.total_requests() + lab.two.total_requests(), 0);
}

#[test]
fn a_cloud_without_an_image_service_is_an_error_that_says_so() {
    let lab = Lab::new(AUTH);
    lab.keystone.state().catalog = json!([{"type": "identity", "endpoints": []}]);
    let words = [
        "cloud:c has no image service in its catalog",
        "hint: `openstack catalog list`",
    ];
    assert_error(&lab.livecopy(), 2, &words);
    lab.keystone.state().catalog = Value::Null;
    assert_eq!(lab.livecopy().code, Some(2));
}

#[test]
fn the_token_does_not_follow_a_redirect_to_another_host() {
    use RequestKind::{Create, Download, Listing, Upload, Versions};
    let other = EmbeddedGlance::builder().start_blocking().unwrap();
    for (kind, code) in [
        (Versions, 1),
        (Listing, 1),
        (Download, 3),
        (Create, 3),
        (Upload, 3),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let lab = Lab::new(AUTH);
            let port = other.host_port().rsplit(':').next().unwrap();
            let location = format!("http://localhost:{port}/v2/images");
            let to = FaultAction::Answer {
                status,
                headers: vec![("Location".to_owned(), location)],
                body: "".into(),
            };
            let end = match kind {
                Create | Upload => &lab.two,
                _ => &lab.one,
            };
            end.fault(FaultOn::kind(kind), to);
            let ran = lab.run(&["livecopy", "cloud:c/One", "cloud:c/Two", "--retries", "0"]);
            assert_error(&ran, code, &["error: ", &format!(": {status} ")]);
            // It is there, takes every token, and has seen none.
            let seen = other.requests();
            assert!(seen.is_empty(), "{kind:?} {status}: {seen:?}");
        }
    }
}

#[test]
fn a_token_that_is_refused_at_any_request_of_a_run_is_renewed_once() {
    let archive = TempDir::new().unwrap();
    let archive = archive.path().to_str().unwrap();
    let from = Lab::new(AUTH);
    assert_eq!(from.run(&["dump", "cloud:c/One", archive]).code, Some(0));
    let livecopy = ["livecopy", "cloud:c/One", "cloud:c/Two"];
    for (args, at_source) in [
        (livecopy, true),
        (livecopy, false),
        (["dump", "cloud:c/One", "new"], true),
        (["load", "cloud:c/Two", archive], false),
    ] {
        for passed in 0.. {
            let lab = Lab::new(AUTH);
            let faulty = if at_source { &lab.one } else { &lab.two };
            let once = FaultOn::any().skip(passed).times(1);
            faulty.fault(once, FaultAction::status(401));
            let ran = lab.run(&args);
            assert_eq!(ran.code, Some(0), "{args:?}, {passed}: {ran:?}");
            assert!(
                ran.stderr.contains("1 copied"),
                "{args:?}, {passed}: {ran:?}"
            );
            let is_active = |image: &ImageView| image.status == "active";
            let active = lab
                .two
                .images()
                .iter()
                .filter(|image| is_active(image))
                .count();
            assert_eq!(active, usize::from(args[0] != "dump"), "{args:?}, {passed}");
            let sign_ins = if args[0] == "livecopy" { 2 } else { 1 };
            let issued = lab.keystone.state().issued;
            if issued == sign_ins {
                assert!(passed > 3, "{args:?}: no request was refused: {ran:?}");
                break;
            }
            assert_eq!(issued, sign_ins + 1, "{args:?}, {passed}: {ran:?}");
        }
    }
}

#[test]
fn a_plain_token_that_a_transfer_may_outlive_is_warned_of() {
    // Without a scope of its own the token is used as it is.
    let lab = Lab::new("token: right");
    lab.keystone.state().life = Duration::from_secs(200);
    let ran = lab.livecopy();
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("cannot be renewed"), "{ran:?}");
    assert!(!ran.stderr.contains("right"), "{ran:?}");
}

#[test]
fn a_proxy_that_cannot_be_reached_is_named_and_no_proxy_keeps_it_out_of_the_way() {
    let lab = Lab::new(AUTH);
    let size = |no_proxy: &str| {
        let mut command = program();
        command
            .args(["size", "cloud:c/One", "--retries", "0"])
            .env("HOME", lab.home.path())
            .env("OS_CLIENT_CONFIG_FILE", lab.home.path().join("clouds.yaml"))
            .env("http_proxy", "http://me:s3cret@127.0.0.1:1")
            .env("no_proxy", no_proxy);
        Ran::from(command.output().unwrap())
    };
    let ran = size("");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let named = "the proxy http://127.0.0.1:1 (http_proxy) cannot be reached";
    assert!(ran.stderr.contains(named), "{ran:?}");
    assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
    for no_proxy in ["*", "127.0.0.1", "127.0.0.0/8", "example.org, *"] {
        let ran = size(no_proxy);
        assert_eq!(ran.code, Some(0), "{no_proxy}: {ran:?}");
    }
}

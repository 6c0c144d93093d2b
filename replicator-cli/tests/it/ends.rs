//! Ends: by options that name clouds, by `OS_CLOUD`, and misspelt ones.

use std::fs;

use glance_client::testing::{Caller, EmbeddedGlance};

use crate::kit::cloud::{AUTH, Lab};
use crate::kit::program::{Ran, program, run};

#[track_caller]
fn assert_usage_error(ran: &Ran, texts: &[&str]) {
    assert_eq!((ran.code, &*ran.stdout), (Some(2), ""), "{ran:?}");
    for text in texts {
        assert!(ran.stderr.contains(text), "no {text:?}: {ran:?}");
    }
}

#[test]
fn clouds_are_named_by_options_in_place_of_ends() {
    let lab = Lab::new(AUTH);
    fs::create_dir(lab.home.path().join("dir")).unwrap();
    fs::write(lab.home.path().join("file"), "data").unwrap();
    let (one, two) = ("c/One", "c/Two");
    for args in [
        &["size", "--os-cloud", one][..],
        &["size", "--source-os-cloud", one],
        &["size", "--target-os-cloud", one],
        &["check", "--os-cloud", one, "cloud:c/Two"],
        &["dump", "--os-cloud", one, "dir"],
        &["dump", "dir", "--source-os-cloud", one],
        &["load", "--os-cloud", two, "dir"],
        &["load", "dir", "--target-os-cloud", two],
        &["livecopy", "--source-os-cloud", one, "cloud:c/Two"],
        &["livecopy", "--target-os-cloud", two, "cloud:c/One"],
        &[
            "livecopy",
            "--source-os-cloud",
            one,
            "--target-os-cloud",
            two,
        ],
        &[
            "livecopy",
            "--source-os-cloud",
            one,
            "--target-os-cloud",
            two,
            "dir:dir",
        ],
        &[
            "compare",
            "--source-os-cloud",
            one,
            "dir:dir",
            "--exit-code",
        ],
        &[
            "compare",
            "--source-os-cloud",
            one,
            "--target-os-cloud",
            two,
            "--exit-code",
        ],
        &["push", "file", "--target-os-cloud", one, "--dry-run"],
        &["verify", "--source-os-cloud", one],
        &["verify", "--source-os-cloud", one, "--target-os-cloud", two],
        &["verify", "dir:dir", "--target-os-cloud", two],
    ] {
        let ran = lab.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
    }
    assert_eq!(lab.two.images().len(), 1);
    let checked = lab.run(&["check", "--os-cloud", one, "cloud:c/Two"]);
    let ends: Vec<_> = checked
        .stdout
        .lines()
        .filter(|line| line.starts_with("cloud:"))
        .collect();
    assert_eq!(ends, ["cloud:c/One", "cloud:c/Two"]);
}

#[test]
fn end_too_many_or_too_few_is_a_usage_error() {
    let one = ["--source-os-cloud", "c/One"];
    for (args, text) in [
        (
            &["size", "--os-cloud", "c", "cloud:c"][..],
            "--os-cloud c is one end too many",
        ),
        (
            &["compare", "cloud:a", "cloud:b"],
            "\"cloud:b\" is one end too many",
        ),
        (&["dump", "a", "b"], "\"b\" is one end too many"),
        (&["livecopy"], "no TARGET is named"),
        (&["compare"], "no TARGET is named"),
        (&["livecopy", "--target-os-cloud", ""], "names no cloud"),
    ] {
        let args = [args, &one[..]].concat();
        assert_usage_error(&run(&args), &[text]);
    }
    for (command, lacking) in [
        ("dump", "<SERVER>"),
        ("load", "<SERVER>"),
        ("livecopy", "<SOURCE>"),
        ("compare", "<SOURCE>"),
        ("verify", "<SOURCE>"),
    ] {
        assert_usage_error(&run(&[command]), &["not provided", lacking]);
    }
    for command in ["size", "check"] {
        let hint = "or set OS_CLOUD";
        assert_usage_error(&run(&[command]), &["no end is named", hint]);
    }
}

#[test]
fn variable_of_openstackclient_is_the_end_where_none_is_written() {
    let lab = Lab::new(AUTH);
    let variables = [("OS_CLOUD", "c"), ("OS_REGION_NAME", "One")];
    for args in [
        &["size"][..],
        &["size", "--target-region", "One"],
        &["size", "--source-region", "One"],
        &["check"],
    ] {
        let ran = lab.run_with(args, &variables);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        assert!(!ran.stdout.contains("across 0 images"), "{ran:?}");
    }
    // What is written counts.
    let ran = lab.run_with(&["size", "cloud:c/Two"], &variables);
    assert!(ran.stdout.contains("across 0 images"), "{ran:?}");
    assert_usage_error(&lab.run_with(&["livecopy"], &variables), &["not provided"]);
}

#[test]
fn ends_are_not_set_for_every_run() {
    let lab = Lab::new(AUTH);
    let variables = [("GLANCE_REPLICATOR_SOURCE_OS_CLOUD", "nosuch")];
    let ran = lab.run_with(&["livecopy", "cloud:c/One", "cloud:c/Two"], &variables);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let ignored = "is ignored: GLANCE_REPLICATOR_SOURCE_OS_CLOUD";
    assert!(ran.stderr.contains(ignored), "{ran:?}");
}

#[test]
fn options_of_either_side_are_for_a_command_with_one_end() {
    let server = EmbeddedGlance::builder().token("s3cret", Caller::admin());
    let server = server.start_blocking().unwrap();
    let size = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = program();
        command.args(["size", server.host_port()]).args(args);
        let ran = command.envs(variables.iter().copied()).output().unwrap();
        Ran::from(ran).code
    };
    let source = ("GLANCE_REPLICATOR_SOURCETOKEN", "s3cret");
    assert_eq!(size(&[], &[source]), Some(0));
    assert_eq!(size(&["--source-api", "v1"], &[source]), Some(1));
    // The target's, as in the Python tool, where both are given.
    let target = ("GLANCE_REPLICATOR_TARGETTOKEN", "wr0ng");
    assert_eq!(size(&[], &[source, target]), Some(4));

    let lab = Lab::new(AUTH);
    let ran = lab.run(&["size", "cloud:c", "--source-region", "One"]);
    assert!(ran.stdout.contains("across 1 images"), "{ran:?}");
    let ran = lab.run(&[
        "size",
        lab.one.host_port(),
        "-t",
        "right",
        "--source-region",
        "One",
    ]);
    assert!(
        ran.stderr.contains("--source-region has no effect"),
        "{ran:?}"
    );
}

#[test]
fn end_that_is_misspelt_is_told_with_what_has_that_name() {
    let lab = Lab::new(AUTH);
    let clouds = fs::read_to_string(lab.home.path().join("clouds.yaml")).unwrap();
    let clouds = clouds.replace("clouds: {", "clouds: {dr: {}, both: {}, ");
    fs::write(lab.home.path().join("clouds.yaml"), clouds).unwrap();
    for name in ["backup", "both"] {
        fs::create_dir(lab.home.path().join(name)).unwrap();
    }
    let cloud = "hint: there is a cloud of that name: write ";
    let directory = "hint: there is a directory of that name: write ";
    for (args, code, hint) in [
        (&["size", "c"][..], 2, format!("{cloud}cloud:c\n")),
        (&["size", "c/One"], 2, format!("{cloud}cloud:c/One\n")),
        (&["size", "Cloud:DR"], 2, format!("{cloud}cloud:dr\n")),
        (
            &["livecopy", "clouds:c", "cloud:dr"],
            2,
            format!("{cloud}cloud:c\n"),
        ),
        (&["size", "backup"], 2, format!("{directory}dir:backup\n")),
        (
            &["size", "./backup"],
            2,
            format!("{directory}dir:./backup\n"),
        ),
        (
            &["size", "cloud:backup"],
            2,
            format!("{directory}dir:backup\n"),
        ),
        (
            &["compare", "cloud:c", "both"],
            2,
            "hint: a cloud and a directory are called so: write cloud:both or dir:both\n"
                .to_owned(),
        ),
        (&["size", "dir:dr"], 1, format!("{cloud}cloud:dr\n")),
        (
            &["load", "cloud:c/Two", "dr"],
            1,
            format!("{cloud}cloud:dr\n"),
        ),
        (
            &["size", "nosuch"],
            2,
            "hint: Glance mostly is at port 9292".to_owned(),
        ),
    ] {
        let ran = lab.run(args);
        assert_eq!(
            (ran.code, &*ran.stdout),
            (Some(code), ""),
            "{args:?}: {ran:?}"
        );
        assert!(ran.stderr.contains(&hint), "{args:?}: {ran:?}");
    }
}

//! What `help` and `--version` print.

use crate::kit::program::run;

/// The commands, in the order in which the help names them.
const COMMANDS: [&str; 7] = [
    "check", "compare", "livecopy", "dump", "load", "verify", "size",
];

#[test]
fn help_of_every_command() {
    for command in COMMANDS {
        let ran = run(&[command, "--help"]);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{command}");
        insta::assert_snapshot!(format!("help_{command}"), ran.stdout);
    }
}

#[test]
fn help_names_the_commands_the_options_and_the_exit_codes() {
    let ran = run(&["--help"]);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    insta::assert_snapshot!(ran.stdout);
    assert_eq!(run(&["help"]).stdout, ran.stdout);
}

#[test]
fn without_arguments_the_commands_are_named_on_stderr() {
    let ran = run(&[]);
    assert_eq!((ran.code, &*ran.stdout), (Some(2), ""));
    insta::assert_snapshot!(ran.stderr);
    assert_eq!(run(&["-h"]).stdout, ran.stderr);
}

#[test]
fn the_version_has_the_name_before_it() {
    let ran = run(&["--version"]);
    let expected = concat!("glance-replicator ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!((ran.code, &*ran.stdout), (Some(0), expected));
}

#[test]
fn help_for_no_command_is_a_usage_error() {
    let ran = run(&["help", "nosuch"]);
    assert_eq!((ran.code, &*ran.stdout), (Some(2), ""));
    assert!(ran.stderr.contains("'nosuch'"), "{ran:?}");
}

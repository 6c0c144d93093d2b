//! The output of `help` and `--version`.

use crate::kit::program::{program, run};

/// The commands, in the order in which the help names them.
const COMMANDS: [&str; 17] = [
    "check",
    "list",
    "compare",
    "status",
    "livecopy",
    "dump",
    "load",
    "plan",
    "apply",
    "push",
    "verify",
    "size",
    "archive",
    "metadefs",
    "report",
    "run",
    "completion",
];

#[test]
fn help_of_every_command() {
    for command in COMMANDS {
        let ran = run(&[command, "--help"]);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{command}");
        insta::assert_snapshot!(format!("help_{command}"), ran.stdout);
        assert!(ran.stdout.lines().count() <= 80, "{command}");
        assert!(
            ran.stdout.lines().all(|line| line.len() <= 100),
            "{command}"
        );
        assert_eq!(run(&["help", command]).stdout, ran.stdout);
        assert_eq!(run(&[command, "-h"]).stdout, ran.stdout);
        let headings = [
            "\nWhich images:",
            "\nThe image:",
            "\nHow:",
            "\nConnection:",
            "\nOutput:",
            "\nCompatibility with the Python tool:",
            "\nExamples:",
            "\nEnvironment:",
            "\nExit codes:",
        ];
        let places = headings
            .iter()
            .filter_map(|heading| ran.stdout.find(heading));
        assert!(places.is_sorted(), "the headings of {command}");
    }
}

#[test]
fn help_names_the_commands_the_topics_and_the_exit_codes() {
    let ran = run(&["--help"]);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
    insta::assert_snapshot!(ran.stdout);
    assert_eq!(run(&["help"]).stdout, ran.stdout);
}

#[test]
fn without_arguments_three_lines_on_stderr_lead_on() {
    let ran = run(&[]);
    assert_eq!((ran.code, &*ran.stdout), (Some(2), ""));
    insta::assert_snapshot!(ran.stderr, @r"
    glance-replicator copies OpenStack images between clouds and directories, and proves each copy.
      glance-replicator check cloud:NAME   shows what a cloud of clouds.yaml is, and who you are there
      glance-replicator help               has all commands, with examples
    ");
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

#[test]
fn help_has_topics_and_every_option_in_full() {
    let help = |word: &str| {
        let ran = run(&["help", word]);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{word}");
        ran.stdout
    };
    insta::assert_snapshot!("help_ends", help("ends"));
    insta::assert_snapshot!("help_exit_codes", help("exit-codes"));
    insta::assert_snapshot!(
        "help_on_an_option",
        help("--verify") + &help("--slavetoken")
    );
    let all = help("options");
    for option in ["--verify", "--sourcetoken", "--chunksize", "--read-back"] {
        assert!(all.contains(&help(option)), "{option}");
    }
    assert!(all.lines().all(|line| line.len() <= 100));
}

#[test]
fn help_needs_neither_a_configuration_file_nor_a_right_option() {
    let mut command = program();
    command.env("GLANCE_REPLICATOR_CONFIG_FILE", "/nonexistent");
    let output = command.args(["--debug", "help", "livecopy"]).output();
    assert!(output.unwrap().status.success());
}

//! Commands that cannot be meant: each is an error that says what is right, and nothing has been done.

use std::fs;

use crate::kit::images::numbered;
use crate::kit::program::{Ran, program, run};
use crate::kit::runs::{assert_error, path};

#[test]
fn what_is_no_end_is_a_usage_error_that_says_what_an_end_is() {
    for (end, problem) in [
        ("aaa", "it has no port"),
        ("127.0.0.1", "it has no port"),
        ("127.0.0.1:", "the port is no number from 1 to 65535"),
        ("127.0.0.1:0", "the port is no number from 1 to 65535"),
        ("127.0.0.1:70000", "the port is no number from 1 to 65535"),
        ("127.0.0.1:x", "the port is no number from 1 to 65535"),
        (":9292", "it has no host"),
        ("[::1:9292", "the host is neither a name nor an IP address"),
        ("ftp://127.0.0.1", "it is neither http nor https"),
        (
            "a\u{1b}[2J:1",
            "the host is neither a name nor an IP address",
        ),
    ] {
        let form = "write HOST:PORT or http(s)://HOST[:PORT][/PATH]";
        for args in [
            &["size", end][..],
            &["compare", "127.0.0.1:1", end],
            &["livecopy", "127.0.0.1:1", end],
            &["livecopy", end, "127.0.0.1:1"],
            &["dump", end, "/nosuch/archive"],
            &["load", end, "/nosuch/archive"],
        ] {
            let ran = run(args);
            assert_error(&ran, 2, &["is no Glance endpoint", problem, form]);
            assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
        }
    }
}

#[test]
fn options_that_make_no_sense_are_usage_errors() {
    for args in [
        &["-c", "0"][..],
        &["-c", "-1"],
        &["-c", "x"],
        &["--transfers", "0"],
        &["--transfers", "100000"],
        &["--checkers", "100000"],
        &["--retries", "-1"],
        &["--stall-timeout", "0"],
        &["--progress", "much"],
        &["--bwlimit", "10"],
        &["--tpslimit", "-1"],
        &["--source-api", "v3"],
        &["--nosuch"],
        &["-D", "name id"],
        &["-t", "a b"],
        &["-S", "a\nb"],
    ] {
        let ran = run(&[args, &["livecopy", "127.0.0.1:1", "127.0.0.1:1"]].concat());
        assert_error(&ran, 2, &["error: "]);
    }
    assert_error(&run(&["nosuch"]), 2, &["'nosuch'"]);
    assert_error(&run(&["size", "a:1", "b:2"]), 2, &["'b:2'"]);
    for args in [
        &["--config-file", "/nosuch/file", "size", "127.0.0.1:1"][..],
        &["size", "127.0.0.1:1", "--cacert", "/nosuch/file"],
        &["report", "merge", "/nosuch/file"],
        &["apply", "/nosuch/file"],
        &["run", "/nosuch/file"],
    ] {
        assert_error(&run(args), 2, &["/nosuch/file", "No such file"]);
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let file = file.path().to_str().unwrap();
    let ran = run(&["size", "127.0.0.1:1", "--cacert", file]);
    let told = format!("error: cannot use {file}\ncaused by: there is no certificate");
    assert_error(&ran, 2, &[&told]);
    let log = ["-l", "/nosuch/log", "size", "127.0.0.1:1"];
    assert_error(&run(&log), 1, &["cannot log to /nosuch/log"]);
}

#[test]
fn what_is_no_number_is_told_in_plain_words() {
    for (option, value, problem) in [
        ("--transfers", "0", "write a whole number of at least 1"),
        ("--streams", "x", "write a whole number"),
        ("--retries", "-1", "-1 is not in 0..=4294967295"),
        ("--stall-timeout", "1.5", "write a whole number"),
        ("--newest", "0", "write a whole number of at least 1"),
        ("--newest", "", "write a whole number"),
        (
            "--checkers",
            "99999999999999999999",
            "the number is too large",
        ),
        ("--chunksize", "64K", "write a whole number"),
        ("--transfers", "1,5", "write a whole number"),
    ] {
        for args in [
            [option, value, "livecopy", "a:1", "b:1"],
            ["livecopy", "a:1", "b:1", option, value],
        ] {
            let ran = run(&args);
            let told = format!("error: invalid value '{value}' for '{option} <");
            assert_error(&ran, 2, &[&told, &format!(">': {problem}\n")]);
            assert!(!ran.stderr.contains("Usage:"), "{ran:?}");
        }
    }
}

#[test]
fn a_wrong_limit_is_a_usage_error_that_says_what_is_right() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.conf");
    for (limit, problem) in [
        (
            "10",
            "\"10\" is no rate: write off, or a number of at least 1K",
        ),
        ("1M:fast", "\"fast\" is no rate"),
        ("8:00,1M", "\"8:00\" is no time: write HH:MM or DAY-HH:MM"),
        ("08:00,1M 2M", "\"2M\" is no entry of a timetable"),
    ] {
        fs::write(&path, format!("[DEFAULT]\nbwlimit = {limit}\n")).unwrap();
        let config = ["--config-file", path.to_str().unwrap()];
        for options in [config, ["--bwlimit", limit]] {
            let ran = run(&[&options, &["verify", "127.0.0.1:1"][..]].concat());
            assert_error(&ran, 2, &["'--bwlimit <RATE[:RATE]>'", problem]);
        }
    }
}

#[test]
fn a_file_that_is_no_configuration_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.conf");
    let config = path.to_str().unwrap();
    for (text, named) in [
        ("[DEFAULT\ntoken = x\n", config),
        ("[DEFAULT]\ntransfers = none\n", "--transfers"),
    ] {
        fs::write(&path, text).unwrap();
        assert_error(
            &run(&["--config-file", config, "verify", "127.0.0.1:1"]),
            2,
            &[named],
        );
    }
}

#[test]
fn option_that_a_command_does_not_use_is_a_usage_error_wherever_it_stands() {
    for (command, option) in [
        (&["size", "127.0.0.1:1"][..], &["--stage", "/x"][..]),
        (&["size", "127.0.0.1:1"], &["--verify", "read-back"]),
        (&["dump", "127.0.0.1:1", "/x"], &["--target-region", "R"]),
        (&["check", "127.0.0.1:1"], &["--transfers", "2"]),
        (&["compare", "127.0.0.1:1", "127.0.0.1:2"], &["--dry-run"]),
        (&["verify", "127.0.0.1:1"], &["--drop-property", "x"]),
        (
            &["dump", "127.0.0.1:1", "/x"],
            &["--on-id-conflict", "skip"],
        ),
        (&["load", "127.0.0.1:1", "/x"], &["--source-api", "v2"]),
        (
            &["livecopy", "127.0.0.1:1", "127.0.0.1:2"],
            &["--exit-code"],
        ),
    ] {
        let (name, name_of_option) = (command[0], option[0]);
        let problem = format!(
            "error: '{name_of_option}' is an option of other commands, which {name} does not use"
        );
        let usage = format!("Usage: glance-replicator {name} [OPTIONS]");
        for args in [[command, option].concat(), [option, command].concat()] {
            assert_error(&run(&args), 2, &[&problem, &usage]);
        }
        // A variable is for all commands.
        let variable = name_of_option.trim_start_matches('-').replace('-', "_");
        let variable = format!("GLANCE_REPLICATOR_{}", variable.to_ascii_uppercase());
        let mut program = program();
        let program = program.args(command).args(["--retries", "0"]);
        let ran = Ran::from(program.env(variable, "odd").output().unwrap());
        assert_error(&ran, 1, &["error: "]);
        assert!(!ran.stderr.contains("odd"), "{ran:?}");
    }
}

#[test]
fn an_empty_value_is_a_usage_error_where_it_would_mean_something_else() {
    let glance = numbered(1);
    let (server, dir) = (glance.host_port(), tempfile::tempdir().unwrap());
    let archive = path(dir.path());
    for args in [
        &["list", ""][..],
        &["list", "dir:"],
        &["dump", server, ""],
        &["dump", "--snapshot", server, "dir:"],
        &["load", server, ""],
        &["livecopy", server, "dir:"],
        &["livecopy", "--dry-run", server, "dir:"],
        &["archive", "list", ""],
        &["metadefs", "dump", server, ""],
    ] {
        let problem = "names no end: is a variable of a script not set?";
        assert_error(&run(args), 2, &[problem]);
    }
    let push = ["push", archive, server];
    let copy = ["livecopy", server, "127.0.0.1:1"];
    for (args, option) in [
        (&push[..], "--project"),
        (&push, "--name"),
        (&push, "--tag"),
        (&push, "--disk-format"),
        (&push, "--container-format"),
        (&push, "--store"),
        (&copy, "--store"),
        (&copy, "--copy-to-stores"),
        (&copy, "--drop-property"),
        (&copy, "--image"),
    ] {
        let ran = run(&[args, &[option, ""]].concat());
        let problem = format!("a value is required for '{option} <");
        assert_error(&ran, 2, &[&problem]);
    }
    assert_eq!(glance.requests().len(), 0);
}

#[test]
fn a_server_behind_its_directory_is_told_to_come_first() {
    let dir = tempfile::tempdir().unwrap();
    let directory = path(dir.path());
    let with_scheme = format!("dir:{directory}");
    let server = "127.0.0.1:1";
    let first = "hint: the server comes first, and the directory behind it";
    for args in [
        &["load", directory, server][..],
        &["load", &with_scheme, "cloud:x"],
        &["dump", "/new/directory", server],
        &["metadefs", "load", directory, server],
    ] {
        assert_error(&run(args), 2, &[first]);
    }
    for (args, hint) in [
        (
            &["load", server, "cloud:x"][..],
            "hint: livecopy copies from server to server",
        ),
        (
            &["metadefs", "dump", server, "b:2"],
            "hint: metadefs copy copies from server to server",
        ),
        (
            &["archive", "list", server],
            "hint: a directory that is called so",
        ),
    ] {
        assert_error(&run(args), 2, &[hint]);
    }
}

#[test]
fn a_version_that_a_server_lacks_is_told_with_the_option_that_chose_it() {
    let glance = numbered(1);
    for option in ["--source-api", "--target-api"] {
        let ran = run(&["size", glance.host_port(), option, "v1"]);
        let hint = "hint: without --source-api and --target-api";
        assert_error(&ran, 1, &["no v1 among its versions", hint]);
    }
}

#[test]
fn an_option_of_servers_is_none_of_a_command_that_reaches_none() {
    for command in [
        &["report", "merge", "/nosuch/file"][..],
        &["archive", "list", "/nosuch/directory"],
        &["run", "/nosuch/file"],
        &["completion", "bash"],
    ] {
        let name = command[0];
        let page = run(&["help", name]).stdout;
        assert!(!page.contains("Connection:"), "{page}");
        for (option, value) in [("--retries", "3"), ("--cacert", "/x"), ("--token", "x")] {
            let told = format!("error: {name} reaches no server: '{option} <");
            for args in [
                [command, &[option, value]].concat(),
                [&[option, value], command].concat(),
            ] {
                assert_error(&run(&args), 2, &[&told]);
            }
        }
        // A variable is for all commands.
        let mut program = program();
        program.args(command).env("GLANCE_REPLICATOR_RETRIES", "3");
        let ran = Ran::from(program.output().unwrap());
        assert!(!ran.stderr.contains("reaches no server"), "{ran:?}");
    }
}

#[test]
fn an_id_map_that_cannot_be_kept_is_a_usage_error_before_any_server_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let archive = path(dir.path());
    let (one, other) = (numbered(1), numbered(0));
    let ends = [one.host_port(), other.host_port()];
    let nowhere = dir.path().join("none/ids");
    let no_directory = format!("there is no directory {archive}/none");
    for (map, problem) in [
        (path(&nowhere), &*no_directory),
        (archive, "it is a directory"),
    ] {
        for command in [
            &["livecopy", ends[0], ends[1]][..],
            &["livecopy", "--dry-run", ends[0], ends[1]],
            &["load", ends[0], archive],
            &["plan", ends[0], ends[1]],
            &["compare", ends[0], ends[1]],
            &["status", ends[0], ends[1]],
            &["verify", ends[0], ends[1]],
        ] {
            let ran = run(&[command, &["--id-map", map]].concat());
            assert_error(&ran, 2, &["the file of --id-map, ", map, problem]);
        }
    }
    assert_eq!((one.requests().len(), other.requests().len()), (0, 0));
}

#[test]
fn options_of_the_python_tool_are_taken_by_each_of_its_commands() {
    let glance = numbered(1);
    let server = glance.host_port();
    let dir = tempfile::tempdir().unwrap();
    let options = [
        "-c",
        "4096",
        "-D",
        "name",
        "-m",
        "-t",
        "both",
        "-M",
        "one",
        "-S",
        "other",
        "-d",
        "-v",
        "--mastertoken",
        "one",
        "--slavetoken",
        "other",
        "--metaonly",
        "--dontreplicate",
        "name",
    ];
    for command in [
        &["size", server][..],
        &["dump", server, dir.path().to_str().unwrap()],
        &["load", server, dir.path().to_str().unwrap()],
    ] {
        for args in [[command, &options].concat(), [&options, command].concat()] {
            let ran = run(&args);
            assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        }
    }
}

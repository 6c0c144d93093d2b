//! Settings: where they come from, and that those without effect are told.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::path::Path;

use glance_client::testing::{Caller, EmbeddedGlance, FaultAction, FaultOn, Profile, RequestKind};

use crate::kit::images::{filled, glance, id};
use crate::kit::program::{Ran, program, run};
use crate::kit::runs::{assert_error, path, succeeded};

/// Runs `size` of a server without images, with these options and this file.
fn size_with(text: &str, args: &[&str], variables: &[(&str, &str)]) -> Ran {
    let server = EmbeddedGlance::builder().start_blocking().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.conf");
    fs::write(&file, text).unwrap();
    let mut command = program();
    command.args(["size", server.host_port()]).args(args);
    if !text.is_empty() {
        command.arg("--config-file").arg(&file);
    }
    command.envs(variables.iter().copied());
    let mut ran = Ran::from(command.output().unwrap());
    ran.stderr = ran.stderr.replace(file.to_str().unwrap(), "FILE");
    ran
}

/// Runs a command with options that are set as variables.
fn with_variables(args: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = program();
    let name = |option: &str| format!("GLANCE_REPLICATOR_{option}");
    let variables = variables
        .iter()
        .map(|(option, value)| (name(option), value));
    command.args(args).envs(variables);
    Ran::from(command.output().unwrap())
}

#[test]
fn an_option_that_needs_another_one_takes_it_from_wherever_it_is_set() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    let copy = [
        "livecopy",
        "--dry-run",
        source.host_port(),
        target.host_port(),
    ];
    let list = ["list", "-f", "value", "--column", "id", source.host_port()];
    let delete = [&copy[..], &["--delete"]].concat();
    let per = [&list[..], &["--per", "name"]].concat();
    for (args, variables) in [
        (&delete, &[("ORIGIN", "prod")][..]),
        (&copy.to_vec(), &[("ORIGIN", "prod"), ("DELETE", "true")]),
        (&per, &[("NEWEST", "1")]),
        (&list.to_vec(), &[("NEWEST", "1"), ("PER", "name")]),
    ] {
        let ran = with_variables(args, variables);
        assert_eq!(ran.code, Some(0), "{variables:?}: {ran:?}");
    }
    let needs_origin = "'--delete' needs '--origin <NAME>'";
    let needs_newest = "'--per <KEYS>' needs '--newest <N>'";
    let grace = [&copy[..], &["--origin", "prod", "--grace", "1d"]].concat();
    let yes = [&copy[..], &["--yes"]].concat();
    let most = [&copy[..], &["--max-delete", "5%"]].concat();
    for (args, option) in [
        (&grace, "--grace <TIME>"),
        (&yes, "--yes"),
        (&most, "--max-delete <N|N%>"),
    ] {
        let told = format!("'{option}' has no effect without '--delete'");
        assert_error(&with_variables(args, &[]), 2, &[&told]);
    }
    // Set for all runs, they are for those that delete.
    let variables = [("GRACE", "1d"), ("YES", "true"), ("MAX_DELETE", "5")];
    assert_eq!(with_variables(&copy, &variables).code, Some(0));
    for (args, variables, told) in [
        (&delete, &[][..], needs_origin),
        (&copy.to_vec(), &[("DELETE", "true")], needs_origin),
        (&per, &[], needs_newest),
        (&list.to_vec(), &[("PER", "name")], needs_newest),
    ] {
        assert_error(&with_variables(args, variables), 2, &[told]);
    }
}

#[test]
fn a_file_that_is_asked_for_is_not_left_out_for_a_dry_run_that_is_set() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    let ends = ["livecopy", source.host_port(), target.host_port()];
    for option in ["--report", "--metrics-file"] {
        let args = [&ends[..], &[option, path(&file)]].concat();
        let ran = with_variables(&args, &[("DRY_RUN", "true")]);
        let told = "cannot be used with '--dry-run', which is set";
        assert_error(&ran, 2, &[option, told]);
    }
    // One that is set for all runs is: it would tell of a run that went well.
    let plan = path(&dir.path().join("plan.json")).to_owned();
    succeeded(&["plan", "-o", &plan, ends[1], ends[2]]);
    for option in ["REPORT", "METRICS_FILE"] {
        for args in [&ends[..], &["apply", &plan]] {
            let set = [(option, path(&file)), ("DRY_RUN", "true")];
            assert_eq!(with_variables(args, &set).code, Some(0));
            assert!(!file.exists(), "{option} {args:?}");
        }
    }
}

#[test]
fn help_is_asked_for_on_the_command_line_alone_and_a_switch_is_true_or_false() {
    let glance = glance(Profile::Today);
    let size = ["size", glance.host_port()];
    let ran = with_variables(&size, &[("HELP", "true")]);
    assert!(ran.stdout.starts_with("Total size"), "{ran:?}");
    assert!(ran.stderr.contains("ignored: GLANCE_REPLICATOR_HELP"));
    for value in ["", "maybe"] {
        let ran = with_variables(&size, &[("QUIET", value)]);
        let told = format!("invalid value '{value}' for '--quiet': write true or false");
        assert_error(&ran, 2, &[&told]);
    }
}

#[test]
fn what_a_file_sets_that_is_no_option_is_warned_about_once_with_the_near_name() {
    const IGNORED: &str = "warning: FILE sets what is no option of this program, and is ignored: ";
    for (text, told) in [
        ("[DEFAULT]\ntransfers = 2\nuse-syslog = no\n", String::new()),
        (
            "[DEFAULT]\nlog_dirr = x\nTransfer = 2\nbind_port = 9292\n[other]\nx = y\n",
            format!("{IGNORED}log-dirr (is it log-dir?), transfer (is it transfers?), bind-port\n"),
        ),
        // Without a section, as the first lines are of the section DEFAULT.
        ("retry = 1\n", format!("{IGNORED}retry (is it retries?)\n")),
        (
            "[DEFAULT]\nconfig_file = other.conf\n",
            format!("{IGNORED}config-file\n"),
        ),
        (
            "[glance_replicator]\ntransfers = 2\n",
            "warning: FILE sets nothing: it has no section [DEFAULT]\n".to_owned(),
        ),
    ] {
        let ran = size_with(text, &[], &[]);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), &*told), "{text}");
    }
}

#[test]
fn option_without_a_value_in_a_file_is_an_error_and_shows_no_secret() {
    for (text, option) in [
        ("[DEFAULT]\nmetaonly\n", "metaonly"),
        ("[DEFAULT]\nlog_dir /tmp\n", "log-dir"),
        ("[DEFAULT]\ntoken s3cret\n", "token"),
    ] {
        let ran = size_with(text, &[], &[]);
        let told = format!("FILE: {option} has no value: write {option} = VALUE\n");
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.ends_with(&told), "{ran:?}");
        assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
    }
    // The second line of what is of another program.
    let ran = size_with("[DEFAULT]\ntransfers = 2\ns3cret\n", &[], &[]);
    assert_eq!((ran.code, &*ran.stderr), (Some(0), ""));
}

#[test]
fn variables_that_set_no_option_are_warned_about_once_with_the_near_name() {
    let variables = [
        ("GLANCE_REPLICATOR_TRANSFER", "2"),
        ("GLANCE_REPLICATOR_NOSUCH", "s3cret"),
        ("GLANCE_REPLICATOR_RETRIES", "2"),
        ("GLANCE_REPLICATOR_USE_SYSLOG", "no"),
        ("GLANCE_REPLICATOR_DRY_RUN", "yes"),
        ("GLANCE_TRANSFERS", "2"),
    ];
    let ran = size_with("", &[], &variables);
    assert_eq!(
        (ran.code, &*ran.stderr),
        (
            Some(0),
            "warning: the environment sets what is no option of this program, and is ignored: \
             GLANCE_REPLICATOR_TRANSFER (is it GLANCE_REPLICATOR_TRANSFERS?), \
             GLANCE_REPLICATOR_NOSUCH\n"
        )
    );
}

#[test]
fn syslog_that_is_not_there_is_an_error_however_it_was_asked_for() {
    // Where there is one, its messages would be real.
    if ["/dev/log", "/var/run/syslog", "/var/run/log"]
        .iter()
        .any(|path| Path::new(path).exists())
    {
        return;
    }
    let by_variable = [("GLANCE_REPLICATOR_SYSLOG", "yes")];
    for ran in [
        size_with("", &["--syslog"], &[]),
        size_with("", &["--use-syslog"], &[]),
        size_with("", &["-s"], &[]),
        size_with("", &[], &by_variable),
        size_with("[DEFAULT]\nuse_syslog = true\n", &[], &[]),
    ] {
        assert_eq!((ran.code, &*ran.stdout), (Some(1), ""), "{ran:?}");
        let error =
            "error: cannot log to syslog: nothing listens at /dev/log\nhint: start a syslog";
        assert!(ran.stderr.starts_with(error), "{ran:?}");
    }
    assert_eq!(run(&["--syslog", "help"]).code, Some(0));
}

#[test]
fn option_for_clouds_and_a_token_for_addresses_are_told_where_they_have_no_effect() {
    let server = EmbeddedGlance::builder().start_blocking().unwrap();
    let address = server.host_port();
    for (args, told) in [
        (
            &["size", "--target-region", "R", address][..],
            "--target-region has no effect at the target, which is named by its address",
        ),
        (
            &["compare", "--source-interface", "admin", address, address],
            "--source-interface has no effect at the source, which is named by its address",
        ),
        (
            &["size", "-S", "s3cret", "cloud:nosuch"],
            "--targettoken has no effect at the target, which is a cloud",
        ),
    ] {
        let ran = run(args);
        assert!(ran.stderr.contains(&format!("warning: {told}")), "{ran:?}");
    }
    let quiet = run(&["size", "-M", "s3cret", "-S", "s3cret", address]);
    assert!(!quiet.stderr.contains("no effect"), "{quiet:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn log_on_a_full_disk_is_told_once() {
    let [source, target] = [(); 2].map(|()| EmbeddedGlance::builder().start_blocking().unwrap());
    let ends = ["livecopy", source.host_port(), target.host_port()];
    for options in [&["-l", "/dev/full"][..], &["-d", "-l", "/dev/full"]] {
        let ran = run(&[options, &ends].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let told = "warning: the log is not whole: cannot write /dev/full: No space left on device";
        assert_eq!(ran.stderr.matches(told).count(), 1, "{ran:?}");
    }
}

#[test]
fn tokens_come_from_the_command_line_the_environment_and_files_in_that_order() {
    let server = EmbeddedGlance::builder().token("s3cret", Caller::admin());
    let server = server.start_blocking().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let right = file(
        "right.conf",
        "[DEFAULT]\ntargettoken = s3cret\ndebug = False\n",
    );
    let wrong = file(
        "wrong.conf",
        "[DEFAULT]\nslavetoken = wr0ng\nlog_dirr = x\n",
    );
    let size = |args: &[&str], variables: &[(&str, &str)]| {
        let mut command = program();
        command.args(["size", server.host_port()]).args(args);
        command.envs(variables.iter().copied());
        let ran = Ran::from(command.output().unwrap());
        for token in ["s3cret", "wr0ng"] {
            assert!(!ran.stderr.contains(token), "{ran:?}");
        }
        ran
    };
    let given = ("GLANCE_REPLICATOR_TARGETTOKEN", "s3cret");
    let by_its_old_name = ("GLANCE_REPLICATOR_SLAVETOKEN", "s3cret");
    for (args, variables, code) in [
        (&[][..], &[][..], 4),
        (&["-d", "-t", "wr0ng"], &[], 4),
        (&["-t", "wr0ng", "-S", "s3cret"], &[], 0),
        (&["-t", "s3cret", "-S", ""], &[], 0),
        (&["-M", "s3cret"], &[], 0),
        (&["-M", "s3cret", "-S", "wr0ng"], &[], 4),
        (&["--slavetoken", "wr0ng"], &[given], 4),
        (
            &["--slavetoken", "s3cret"],
            &[("GLANCE_REPLICATOR_TARGETTOKEN", "wr0ng")],
            0,
        ),
        (&["--config-file", &right], &[], 0),
        (&["--config-file", &wrong], &[], 4),
        (&["--config-file", &wrong], &[given], 0),
        (&["--config-file", &wrong], &[by_its_old_name], 0),
        (&["--config-file", &wrong, "-S", "s3cret"], &[], 0),
        (&[], &[("GLANCE_REPLICATOR_CONFIG_FILE", &*right)], 0),
    ] {
        let ran = size(args, variables);
        assert_eq!(ran.code, Some(code), "{args:?} {variables:?}: {ran:?}");
        let warned = ran
            .stderr
            .contains("warning: every user of this machine can read");
        let on_command_line = ["-t", "-S", "-M", "--slavetoken"];
        let expected = args.iter().any(|arg| on_command_line.contains(arg));
        assert_eq!(warned, expected, "{args:?}: {ran:?}");
        if code == 4 {
            assert!(ran.stderr.contains("hint: give a valid token"), "{ran:?}");
        }
    }
}

#[test]
fn flags_and_values_come_from_the_environment_and_files() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("replicator.conf");
    fs::write(
        &config,
        "[DEFAULT]\ndry_run = true\nprogress: none\n[other]\nmetaonly = true\n",
    )
    .unwrap();
    let ends = ["livecopy", source.host_port(), target.host_port()];
    let mut command = program();
    command.args(ends).arg("--config-file").arg(&config);
    let ran = Ran::from(command.output().unwrap());
    assert!(ran.stdout.contains("would copy 6"), "{ran:?}");
    assert_eq!(ran.stderr, "nothing was changed (--dry-run)\n");
    let mut command = program();
    command.args(ends).env("GLANCE_REPLICATOR_METAONLY", "yes");
    let ran = Ran::from(command.output().unwrap());
    assert!(
        ran.stderr.contains("only metadata was asked for"),
        "{ran:?}"
    );
    let mut command = program();
    command
        .args(ends)
        .env("GLANCE_REPLICATOR_TRANSFERS", "many");
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(target.images().is_empty());
}

#[test]
fn the_log_is_a_file_that_holds_what_was_done_and_no_token() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    let dir = tempfile::tempdir().unwrap();
    let options = [
        "--log-dir",
        path(dir.path()),
        "-d",
        "-t",
        "s3cret",
        "--progress",
        "none",
    ];
    let ends = ["livecopy", source.host_port(), target.host_port()];
    let ran = succeeded(&[&options[..], &ends].concat());
    assert_eq!(
        ran.stderr.lines().count(),
        2,
        "a warning and the summary: {ran:?}"
    );
    let log = fs::read_to_string(dir.path().join("glance-replicator.log")).unwrap();
    let line = format!("Image \"image 3\" ({}), 2.9 MiB, is being synced", id(3));
    assert!(log.contains(&line), "{log}");
    assert!(log.contains("DEBUG glance_client"), "{log}");
    assert!(log.contains("livecopy: 6 copied"), "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}

#[test]
fn quiet_says_nothing_of_a_run_that_goes_well_and_all_of_one_that_does_not() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    let ends = [source.host_port(), target.host_port()];
    let livecopy = ["livecopy", "-q", "--token", "t", ends[0], ends[1]];
    let ran = succeeded(&livecopy);
    assert_eq!((&*ran.stdout, &*ran.stderr), ("", ""));
    assert!(target.image(&id(3)).is_some());
    // Data that was asked for is no message.
    let ran = succeeded(&["size", "-q", ends[0]]);
    assert!(ran.stdout.starts_with("Total size is "), "{ran:?}");
    let once = FaultOn::kind(RequestKind::Upload);
    let target = glance(Profile::Today);
    target.fault(once, FaultAction::status(403));
    let ran = run(&[
        "livecopy",
        "-q",
        "--token",
        "t",
        ends[0],
        target.host_port(),
    ]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    for text in [
        "warning: every user",
        "error: image ",
        "failed: ",
        "livecopy: ",
    ] {
        assert!(ran.stderr.contains(text), "{text}: {ran:?}");
    }
    assert!(!ran.stderr.contains(" is being synced"), "{ran:?}");
    let ran = run(&["size", "-q", "127.0.0.1:1"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.starts_with("error: cannot connect"), "{ran:?}");
}

#[test]
fn lines_carry_the_time_where_no_terminal_shows_them() {
    let source = glance(Profile::Today);
    let mut command = program();
    command.env_remove("GLANCE_REPLICATOR_LOG_FORMAT");
    command.args([
        "livecopy",
        source.host_port(),
        "127.0.0.1:1",
        "--retries",
        "0",
    ]);
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    for line in ran.stderr.lines() {
        let (time, _) = line.split_once(' ').unwrap();
        let is_time = time.len() == "2026-01-01T00:00:00Z".len() && time.ends_with('Z');
        assert!(is_time, "{line}");
    }
    assert!(ran.stderr.contains("Z error: cannot connect"), "{ran:?}");
}

#[test]
fn messages_and_the_log_can_be_json() {
    let (source, target) = (filled(Profile::Today), glance(Profile::Today));
    target.fault(
        FaultOn::kind(RequestKind::Upload).image(&id(3)),
        FaultAction::status(403),
    );
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let ends = [source.host_port(), target.host_port()];
    let json = ["--log-format", "json", "--token", "s3cret"];
    let to_file = ["--debug", "--logfile", path(&log)];
    let ran = run(&[&["livecopy"], &ends[..], &json, &to_file].concat());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let objects = |text: &str| {
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<serde_json::Value>>()
    };
    let messages = objects(&ran.stderr);
    let error = messages
        .iter()
        .find(|message| message["level"] == "error")
        .unwrap();
    let expected = format!(
        "image \"image 3\" ({}): the target failed to write its data",
        id(3)
    );
    assert_eq!(error["message"], expected);
    let cause = error["details"][0].as_str().unwrap();
    assert!(cause.starts_with("caused by: PUT http://"), "{error}");
    let last = messages.last().unwrap()["message"].as_str().unwrap();
    assert!(last.starts_with("livecopy: 5 copied"), "{last}");
    let log = fs::read_to_string(log).unwrap();
    assert!(!log.contains("s3cret") && !ran.stderr.contains("s3cret"));
    let log = objects(&log);
    assert!(log.iter().all(|line| line["time"].is_string()));
    assert!(log.iter().any(|line| line["level"] == "debug"));
}

//! What people and servers get wrong: each has a clear error, and nothing has
//! been changed.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use glance_client::testing::{
    EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, RequestKind,
};
use serde_json::{Value, json};

use crate::kit::images::id;
use crate::kit::program::{Ran, program, run};

fn glance(images: u64) -> EmbeddedGlance {
    let glance = EmbeddedGlance::builder().start_blocking().unwrap();
    for number in 1..=images {
        let data = ImageContent::pattern(number, 2000);
        glance.add_image(ImageSpec::new(&id(number)).data(data));
    }
    glance
}

#[track_caller]
fn assert_error(ran: &Ran, code: i32, texts: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert_eq!(ran.stdout, "", "{ran:?}");
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    for text in texts {
        assert!(ran.stderr.contains(text), "no {text:?}: {ran:?}");
    }
}

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
    let missing = ["--config-file", "/nosuch/file", "size", "127.0.0.1:1"];
    assert_error(
        &run(&missing),
        1,
        &["cannot read the configuration file /nosuch/file"],
    );
    let log = ["-l", "/nosuch/log", "size", "127.0.0.1:1"];
    assert_error(&run(&log), 1, &["cannot log to /nosuch/log"]);
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
    for (text, code, named) in [
        ("[DEFAULT\ntoken = x\n", 1, config),
        ("[DEFAULT]\ntransfers = none\n", 2, "--transfers"),
    ] {
        fs::write(&path, text).unwrap();
        assert_error(
            &run(&["--config-file", config, "verify", "127.0.0.1:1"]),
            code,
            &[named],
        );
    }
}

#[test]
fn archives_that_cannot_be_used_are_errors_that_name_the_path() {
    let glance = glance(1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let (file, below) = (file.to_str().unwrap(), file.join("archive"));
    let (missing, below) = (dir.path().join("nosuch"), below.to_str().unwrap());
    let missing = missing.to_str().unwrap();
    let server = glance.host_port();
    for (args, texts) in [
        (["load", server, missing], [missing, "does not exist"]),
        (["load", server, file], [file, "is not a directory"]),
        (["dump", server, file], [file, "is not a directory"]),
        (["dump", server, below], [below, "cannot write"]),
        (
            ["compare", server, &format!("dir:{missing}")],
            [missing, "does not exist"],
        ),
    ] {
        assert_error(&run(&args), 1, &texts);
    }
    assert!(!std::path::Path::new(missing).exists());
}

#[test]
fn a_server_that_cannot_be_reached_is_an_error_and_no_directory_is_created() {
    let free = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let dir = tempfile::tempdir().unwrap();
    let archive = dir.path().join("archive");
    let ran = run(&["dump", &free, archive.to_str().unwrap()]);
    assert_error(
        &ran,
        1,
        &[&free, "Connection refused", "hint: is the server running"],
    );
    assert!(!archive.exists());
    let ran = run(&["size", "no.such.host.invalid:9292"]);
    assert_error(&ran, 1, &["no.such.host.invalid", "hint: "]);
}

fn listing(images: &[Value]) -> FaultAction {
    let next = "/v2/images?marker=00000000-0000-4000-8000-000000000009";
    FaultAction::json(&json!({ "images": images, "next": next, "first": "/v2/images" }))
}

fn record(number: u64) -> Value {
    json!({ "id": id(number), "status": "active", "size": 1 })
}

fn raw(answer: &'static [u8]) -> FaultAction {
    FaultAction::Raw(answer.into())
}

#[test]
fn servers_that_are_no_glance_are_errors_and_the_target_stays_as_it_is() {
    let page = "<html><title>Welcome</title></html>";
    let anything = FaultOn::any;
    let listings = || FaultOn::kind(RequestKind::Listing);
    let text = |body: &'static [u8]| FaultAction::Answer {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: body.into(),
    };
    for (name, on, action, code) in [
        ("html", anything(), FaultAction::html(page), 1),
        ("html for a listing", listings(), FaultAction::html(page), 1),
        ("no http", anything(), raw(b"SSH-2.0-OpenSSH_9.9\r\n"), 1),
        ("nothing", anything(), FaultAction::Close, 1),
        ("invalid json", listings(), text(b"{\"images\": ["), 1),
        ("a list", listings(), text(b"[1, 2]"), 1),
        ("no images", listings(), text(b"{}"), 1),
        (
            "out of order",
            listings(),
            listing(&[record(5), record(3)]),
            1,
        ),
        (
            "a page for ever",
            listings(),
            listing(&[record(1), record(2)]),
            1,
        ),
        ("300", listings(), FaultAction::status(300), 1),
        ("404", listings(), FaultAction::status(404), 1),
        ("500", listings(), FaultAction::status(500), 1),
        ("520", listings(), FaultAction::status(520), 1),
        ("401", anything(), FaultAction::status(401), 4),
        ("403", listings(), FaultAction::status(403), 4),
    ] {
        let (source, target) = (glance(1), glance(0));
        source.fault(on, action);
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("archive");
        for args in [
            ["livecopy", source.host_port(), target.host_port()],
            ["dump", source.host_port(), archive.to_str().unwrap()],
            ["compare", source.host_port(), target.host_port()],
        ] {
            let args = [&["--retries", "0"], &args[..]].concat();
            let ran = run(&args);
            assert_eq!(ran.code, Some(code), "{name}: {args:?}: {ran:?}");
            assert!(ran.stderr.starts_with("error: "), "{name}: {ran:?}");
        }
        assert!(target.images().is_empty(), "{name}");
        let files = fs::read_dir(&archive).into_iter().flatten();
        assert_eq!(files.count(), 0, "{name}");
    }
}

#[test]
fn a_header_that_is_not_utf_8_does_no_harm() {
    let source = glance(1);
    let answer = b"HTTP/1.1 401 No\r\nx-openstack-request-id: \xff\xfe\r\n\
        content-length: 9\r\n\r\n\xff\x1b[31mred!";
    source.fault(FaultOn::any(), raw(answer));
    let ran = run(&["size", source.host_port()]);
    assert_eq!(ran.code, Some(4), "{ran:?}");
    assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
}

#[test]
fn a_pipe_that_nobody_reads_ends_the_output_and_nothing_else() {
    let (source, target) = (glance(5), glance(0));
    for (args, code) in [
        (&["size", source.host_port()][..], 141),
        (&["compare", source.host_port(), target.host_port()], 141),
        (
            &[
                "compare",
                "--exit-code",
                source.host_port(),
                target.host_port(),
            ],
            141,
        ),
        (
            &[
                "livecopy",
                "--dry-run",
                source.host_port(),
                target.host_port(),
            ],
            141,
        ),
        (&["help"], 0),
        (&["--version"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = program();
        let ran = command.args(args).stdout(writer).stderr(Stdio::piped());
        let ran = Ran::from(ran.output().unwrap());
        assert_error(&ran, code, &[]);
        assert_eq!(ran.stderr, "", "nothing is summed up that was not seen");
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let source = glance(1);
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = program();
    let ran = command.args(["size", source.host_port()]).stdout(full);
    let ran = Ran::from(ran.stderr(Stdio::piped()).output().unwrap());
    assert_error(
        &ran,
        1,
        &["cannot write to stdout", "No space left on device"],
    );
}

/// A disk of 2 MiB, in a namespace of its own, that can be enlarged.
struct SmallDisk {
    holder: Child,
    answers: BufReader<ChildStdout>,
}

impl SmallDisk {
    /// `None` where the system lets nobody mount anything.
    fn mounted_at(path: &Path) -> Option<Self> {
        let script = "mount -t tmpfs -o size=2m small \"$0\" && echo && read _ && \
            mount -o remount,size=64m \"$0\" && echo && read _";
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", script]).arg(path);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.stderr(Stdio::null()).spawn().ok()?;
        let answers = BufReader::new(holder.stdout.take().unwrap());
        let mut disk = Self { holder, answers };
        disk.has_answered().then_some(disk)
    }

    fn has_answered(&mut self) -> bool {
        self.answers.read_line(&mut String::new()).unwrap() > 0
    }

    fn enlarge(&mut self) {
        writeln!(self.holder.stdin.as_ref().unwrap()).unwrap();
        assert!(self.has_answered());
    }

    /// Where others see what is mounted at the path.
    fn seen_at(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(path.strip_prefix("/").unwrap())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

#[test]
fn a_disk_that_is_full_for_one_image_takes_the_others_and_that_one_is_read_on_once_there_is_room() {
    const LEN: u64 = 5_000_000;
    let source = glance(3);
    let large = ImageContent::pattern(9, LEN);
    source.add_image(ImageSpec::new(&id(9)).data(large.clone()));
    let dir = tempfile::tempdir().unwrap();
    let mut disk = SmallDisk::mounted_at(dir.path());
    let archive = match &disk {
        Some(disk) => disk.seen_at(dir.path()),
        None => dir.path().to_owned(),
    };
    let dump = [
        "--transfers",
        "1",
        "dump",
        source.host_port(),
        archive.to_str().unwrap(),
    ];
    let (ran, problem) = match &disk {
        Some(_) => (run(&dump), "No space left on device"),
        None => (with_files_of_a_mib(&dump), "File too large"),
    };
    assert_error(&ran, 3, &["cannot write ", &id(9), problem]);
    assert!(
        ran.stderr.contains("dump: 3 copied"),
        "smaller ones fit: {ran:?}"
    );
    let hint = "hint: make room, and run it again: what is done is kept";
    assert_eq!(ran.stderr.contains(hint), disk.is_some(), "{ran:?}");
    assert!(!archive.join(id(9)).exists());
    assert!(!archive.join(format!("{}.img", id(9))).exists());
    let partial = archive.join(format!(".{}.img.partial", id(9)));
    let kept = fs::metadata(&partial).unwrap().len();
    assert!((1_000_000..2_100_000).contains(&kept), "{kept}");

    if let Some(disk) = &mut disk {
        disk.enlarge();
    }
    source.clear_requests();
    let again = run(&dump);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.stderr.contains("dump: 1 copied"), "{again:?}");
    let ranges: Vec<String> = source
        .requests()
        .iter()
        .filter_map(|request| request.header("range"))
        .collect();
    assert_eq!(ranges, [format!("bytes={kept}-")], "it is read on");
    let dumped = fs::read(archive.join(format!("{}.img", id(9)))).unwrap();
    assert!(dumped == large.to_vec().unwrap());
}

/// What a full disk does to a write, a limit of 1 MiB a file does as well.
fn with_files_of_a_mib(args: &[&str]) -> Ran {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$@\"", "sh"]);
    command.arg(program().get_program()).args(args);
    command.output().unwrap().into()
}

/// The first line of the request that reaches a proxy, which answers that it
/// cannot pass it on.
fn asked_of_a_proxy(variable: &str, server: &str) -> (String, Ran) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let asked = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        let answer = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        (&stream).write_all(answer).unwrap();
        line.trim_end().to_owned()
    });
    let mut command = program();
    command.args(["size", "--retries", "0", server]);
    let ran = Ran::from(command.env(variable, proxy).output().unwrap());
    (asked.join().unwrap(), ran)
}

#[test]
fn requests_go_through_the_proxy_of_the_environment() {
    let (asked, ran) = asked_of_a_proxy("http_proxy", "glance.invalid:9292");
    assert_eq!(asked, "GET http://glance.invalid:9292/versions HTTP/1.1");
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let (asked, ran) = asked_of_a_proxy("https_proxy", "https://glance.invalid");
    assert_eq!(asked, "CONNECT glance.invalid:443 HTTP/1.1");
    assert_eq!(ran.code, Some(1), "{ran:?}");
}

#[test]
fn what_no_proxy_names_is_reached_directly() {
    let glance = glance(0);
    let mut command = program();
    command.args(["size", glance.host_port()]);
    command.env("http_proxy", "http://127.0.0.1:1");
    command.env("no_proxy", "127.0.0.1,localhost");
    let ran = Ran::from(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn no_more_is_begun_at_a_time_than_there_are_handles_for() {
    let source = glance(40);
    for handles in ["24", "40"] {
        let dir = tempfile::tempdir().unwrap();
        let script = format!("ulimit -n {handles}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        let command = command.args(["-c", &script]).arg(program().get_program());
        let command = command.env_clear().args(["--transfers", "16", "dump"]);
        let ran = command.arg(source.host_port()).arg(dir.path());
        let ran = Ran::from(ran.output().unwrap());
        assert_eq!(ran.code, Some(0), "{handles}: {ran:?}");
        let warning = "warning: --transfers 16 is lowered to ";
        assert!(ran.stderr.contains(warning), "{handles}: {ran:?}");
        assert!(ran.stderr.contains("dump: 40 copied"), "{handles}: {ran:?}");
    }
}

/// Whatever stands where files of one image should be is the trouble of that image.
#[test]
fn one_image_that_cannot_be_written_does_not_end_a_dump() {
    let source = glance(8);
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join(id(1))).unwrap();
    fs::create_dir_all(dir.path().join(format!("{}.img/x", id(2)))).unwrap();
    fs::create_dir(dir.path().join(format!(".{}.tmp", id(3)))).unwrap();
    let dump = ["--transfers", "1", "dump", source.host_port()];
    let ran = run(&[&dump[..], &[dir.path().to_str().unwrap()]].concat());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("dump: 5 copied"), "{ran:?}");
    assert!(ran.stderr.contains("3 failed"), "{ran:?}");
    assert!(!ran.stderr.contains("not done"), "{ran:?}");
}

/// A kill between the two names, or a disk that had room for the data and no more.
#[test]
fn data_that_is_whole_and_lacks_its_metadata_is_not_read_again_from_the_source() {
    let source = glance(1);
    let dir = tempfile::tempdir().unwrap();
    let dump = ["dump", source.host_port(), dir.path().to_str().unwrap()];
    assert_eq!(run(&dump).code, Some(0));
    fs::remove_file(dir.path().join(id(1))).unwrap();
    source.clear_requests();
    let ran = run(&dump);
    assert!(ran.stderr.contains("dump: 1 copied"), "{ran:?}");
    assert_eq!(source.count(RequestKind::Download), 0);

    // What is there is hashed: wrong data is read again.
    fs::remove_file(dir.path().join(id(1))).unwrap();
    let data = dir.path().join(format!("{}.img", id(1)));
    let right = fs::read(&data).unwrap();
    fs::write(&data, vec![0; right.len()]).unwrap();
    assert_eq!(run(&dump).code, Some(0));
    assert_eq!(source.count(RequestKind::Download), 1);
    assert!(fs::read(&data).unwrap() == right);
}

#[test]
fn option_that_a_command_does_not_use_is_a_usage_error_wherever_it_stands() {
    for (command, option) in [
        (&["size", "127.0.0.1:1"][..], &["--stage", "/x"][..]),
        (&["size", "127.0.0.1:1"], &["--verify", "read-back"]),
        (&["size", "127.0.0.1:1"], &["--source-region", "R"]),
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
        // What is set there is for all commands.
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
fn options_of_the_python_tool_are_taken_by_each_of_its_commands() {
    let glance = glance(1);
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

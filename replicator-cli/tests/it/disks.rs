//! Disks that are full, archives that cannot be used, and what a next run makes of what is left.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use glance_client::testing::{ImageContent, ImageSpec, RequestKind};

use crate::kit::images::{id, numbered};
use crate::kit::program::{Ran, program, run};
use crate::kit::runs::assert_error;

#[test]
fn archives_that_cannot_be_used_are_errors_that_name_the_path() {
    let glance = numbered(1);
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
    assert!(!Path::new(missing).exists());
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
    let source = numbered(3);
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
        None => (with_files_of(2048, &dump), "File too large"),
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

/// Runs the program with at most so many blocks of 512 bytes a file: such a limit ends a write as a full
/// disk does.
fn with_files_of(blocks: u64, args: &[&str]) -> Ran {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]);
    command.arg(program().get_program()).args(args);
    command.output().unwrap().into()
}

/// What is to be written beside a result changes neither the result nor, unless all is well, its code.
#[test]
fn a_file_that_there_is_no_room_for_hides_no_result() {
    let (source, target, dir) = (numbered(3), numbered(1), tempfile::tempdir().unwrap());
    let file = dir.path().join("file");
    let ends = [source.host_port(), target.host_port(), "-f", "csv"];
    for (words, code, rows) in [
        (&["verify", "--metrics-file"][..], 6, 3),
        (&["status", "--metrics-file"], 1, 4),
        (&["status", "--html"], 1, 4),
        (&["livecopy", "--report"], 1, 3),
        (&["livecopy", "--metrics-file"], 1, 1),
    ] {
        fs::write(&file, "old").unwrap();
        let ran = with_files_of(0, &[words, &[file.to_str().unwrap()], &ends].concat());
        assert_eq!(ran.code, Some(code), "{words:?}: {ran:?}");
        let told = format!("error: cannot write {}", file.display());
        assert!(ran.stderr.contains(&told), "{words:?}: {ran:?}");
        assert_eq!(ran.stdout.lines().count(), rows, "{words:?}: {ran:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{words:?}");
    }
}

#[test]
fn no_more_is_begun_at_a_time_than_there_are_handles_for() {
    let source = numbered(40);
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
    let source = numbered(8);
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
    let source = numbered(1);
    let dir = tempfile::tempdir().unwrap();
    let dump = ["dump", source.host_port(), dir.path().to_str().unwrap()];
    assert_eq!(run(&dump).code, Some(0));
    fs::remove_file(dir.path().join(id(1))).unwrap();
    source.clear_requests();
    let ran = run(&dump);
    assert!(ran.stderr.contains("dump: 1 copied"), "{ran:?}");
    assert_eq!(source.count(RequestKind::Download), 0);

    // The data that is there is hashed: if it is wrong, it is read again.
    fs::remove_file(dir.path().join(id(1))).unwrap();
    let data = dir.path().join(format!("{}.img", id(1)));
    let right = fs::read(&data).unwrap();
    fs::write(&data, vec![0; right.len()]).unwrap();
    assert_eq!(run(&dump).code, Some(0));
    assert_eq!(source.count(RequestKind::Download), 1);
    assert!(fs::read(&data).unwrap() == right);
}

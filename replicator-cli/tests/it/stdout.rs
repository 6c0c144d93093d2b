//! Output that nobody reads, or that cannot be written.

use std::fs;
use std::process::Stdio;

use crate::kit::images::numbered;
use crate::kit::program::{Ran, program};
use crate::kit::runs::assert_error;

#[test]
fn a_pipe_that_nobody_reads_ends_the_output_and_nothing_else() {
    let (source, target) = (numbered(5), numbered(0));
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
    let source = numbered(1);
    for args in [
        &["size", source.host_port()][..],
        &["help"],
        &["help", "options"],
        &["list", "--help"],
        &["--version"],
        &["completion", "bash"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let mut command = program();
        let ran = command.args(args).stdout(full).stderr(Stdio::piped());
        let ran = Ran::from(ran.output().unwrap());
        let texts = ["cannot write to stdout", "No space left on device"];
        assert_error(&ran, 1, &texts);
    }
}

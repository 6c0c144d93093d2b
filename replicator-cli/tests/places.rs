//! Where a run reads and writes: right places only, and for their owner alone.
#![expect(clippy::unwrap_used, reason = "test helpers")]

#[expect(dead_code, reason = "one run is started by a shell")]
mod support;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile};
use support::{Ran, program};

fn id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

fn glance(images: u64) -> EmbeddedGlance {
    let glance = EmbeddedGlance::builder().start_blocking().unwrap();
    for number in 1..=images {
        let data = ImageContent::pattern(number, 2000);
        glance.add_image(ImageSpec::new(&id(number)).data(data));
    }
    glance
}

/// Everything below a directory, and itself.
fn tree(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![path.to_owned()];
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            found.extend(tree(&entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn what_a_run_creates_is_for_its_owner_alone() {
    let old = EmbeddedGlance::builder().profile(Profile::V1Only);
    let (source, old) = (glance(2), old.start_blocking().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let all = dir.path().join("all");
    fs::create_dir(&all).unwrap();
    let path = |name: &str| all.join(name).to_str().unwrap().to_owned();
    let (archive, log, stage) = (path("new/archive"), path("log"), path("stage"));
    for umask in ["000", "022"] {
        for args in [
            &["dump", "-v", "-l", &log, source.host_port(), &archive][..],
            &[
                "livecopy",
                "--stage",
                &stage,
                source.host_port(),
                old.host_port(),
            ],
        ] {
            let mut command = Command::new("sh");
            command.args(["-c", "umask $1; shift; exec \"$@\"", "sh", umask]);
            command.arg(program().get_program()).args(args);
            let ran = Ran::from(command.output().unwrap());
            assert_eq!(ran.code, Some(0), "{ran:?}");
        }
        let found = tree(&all);
        assert!(found.len() >= 8, "{found:?}");
        for path in &found[1..] {
            let mode = fs::metadata(path).unwrap().mode() & 0o777;
            let wanted = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode, wanted, "{path:?} {mode:o} with umask {umask}");
        }
        fs::remove_dir_all(path("new")).unwrap();
    }
}

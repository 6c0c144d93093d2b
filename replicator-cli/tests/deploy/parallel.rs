//! GNU parallel. Its only host is this one, since ssh leads nowhere else in a test.

use std::fs;

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec};

use super::{assert_each_arrived_once, command, empty, example, filled, id, merged, output};

#[test]
fn each_share_is_copied_once_and_only_one_that_failed_is_run_again() {
    let (source, target) = (filled(EmbeddedGlance::builder()), empty());
    // Its data is not what its format says, so that its share exits with 7.
    let wrong = ImageSpec::new(&id(5))
        .name("image 5")
        .formats("qcow2", "bare");
    source.add_image(wrong.data(ImageContent::pattern(5, 200_000)));
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("hosts"), ":\n").unwrap();
    let mut livecopy = command(example("parallel/livecopy.sh"), dir.path());
    livecopy.args(["4", "hosts", source.url(), target.url()]);
    // It asks to be cited, once and on a terminal.
    livecopy.env("PARALLEL", "--will-cite");
    let first = livecopy.output().unwrap();
    assert_eq!(first.status.code(), Some(7), "{first:?}");
    let jobs = fs::read_to_string(dir.path().join("joblog")).unwrap();
    assert_eq!(jobs.lines().count(), 1 + 4, "{jobs}");

    let mended = ImageSpec::new(&id(5)).name("image 5");
    source.add_image(mended.data(ImageContent::pattern(5, 200_000)));
    let listings = source.count(glance_client::testing::RequestKind::Listing);
    output(&mut livecopy);
    let again = source.count(glance_client::testing::RequestKind::Listing) - listings;
    assert!(again <= listings / 4, "{again} listings of {listings}");
    // The record that waits for the data of the wrong image says another format.
    assert_each_arrived_once(&target);
    assert_eq!(merged(dir.path())["exit_code"], 0);
}

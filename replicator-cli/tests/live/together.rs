//! Two runs at once on the same real servers.

use crate::kit::background::spawn;
use crate::kit::program::{Ran, run};
use crate::server::Server;
use crate::{assert_replicated, killed};

#[test]
fn two_livecopies_at_once_end_well_and_each_image_is_written_by_one_of_them() {
    let source = Server::empty("today-one");
    let data = killed::seed(&source);
    let mut left = 0;
    for target in ["today-two", "legacy-two", "v1-two"] {
        let target = Server::empty(target);
        let livecopy = ["livecopy", &source.url, &target.url];
        let both = [(); 2].map(|()| spawn(&livecopy));
        let both = both.map(|child| Ran::from(child.wait_with_output().unwrap()));
        for ran in &both {
            assert_eq!(ran.code, Some(0), "{both:?}");
            let lines = ran.stderr.lines();
            for line in lines.filter(|line| line.contains(" is put off: ")) {
                assert!(line.contains("another run "), "{line}: {ran:?}");
                left += 1;
            }
        }
        assert_replicated(&source, &target, &data);
        let again = run(&livecopy);
        let summary = again.stderr.lines().last().unwrap();
        let nothing = ": nothing to do, 5 unchanged";
        assert!(summary.ends_with(nothing), "{both:?}, then {again:?}");
    }
    assert!(left > 0, "they have not met");
}

//! Two clouds with two Keystones: who owns the copies, and with whom they are shared.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use std::collections::BTreeMap;
use std::fs;

use glance_client::testing::{
    Caller, EmbeddedGlance, EmbeddedKeystone, ImageContent, ImageSpec, RequestKind,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::kit::images::id;
use crate::kit::program::{Ran, program};
use crate::kit::runs::summary;

/// The clouds `a` and `b`, in whose Keystones projects of the same names have other ids. `gone`
/// is not in `b`, where two domains have a `beta`. We are an admin there, in the project admin.
struct Lab {
    keystones: [EmbeddedKeystone; 2],
    a: EmbeddedGlance,
    b: EmbeddedGlance,
    home: TempDir,
    _runtime: Runtime,
}

impl Lab {
    fn new() -> Self {
        Self::with_role("admin")
    }

    /// With another role in `b`.
    fn with_role(role: &str) -> Self {
        let runtime = Runtime::new().unwrap();
        let glance = |project: &str, admin| {
            let caller = Caller {
                admin,
                ..Caller::member(project)
            };
            let builder = EmbeddedGlance::builder().page_size(1000);
            let tokens = (1..30).fold(builder, |glance, number| {
                glance.token(&format!("token-{number}"), caller.clone())
            });
            tokens.start_blocking().unwrap()
        };
        let (a, b) = (glance("a-admin", true), glance("b-admin", role == "admin"));
        let projects = [
            [
                "admin Default",
                "alpha Default",
                "beta Default",
                "beta other",
                "gone Default",
            ]
            .as_slice(),
            &[
                "admin Default",
                "alpha Default",
                "beta Default",
                "beta other",
                "rest Default",
            ],
        ];
        let home = TempDir::new().unwrap();
        let mut clouds = String::from("clouds:\n");
        let ends = [("a", &a, "admin"), ("b", &b, role)];
        let keystones = [0, 1].map(|at| {
            let (cloud, glance, role) = ends[at];
            let url = format!("http://{}", glance.host_port());
            let keystone = runtime.block_on(EmbeddedKeystone::start_for(&url));
            let mut state = keystone.state();
            state.project = (format!("{cloud}-admin"), "admin".to_owned());
            state.roles = vec![role.to_owned()];
            let projects = projects[at].iter().map(|project| {
                let (name, domain) = project.split_once(' ').unwrap();
                let id = match domain {
                    "Default" => format!("{cloud}-{name}"),
                    domain => format!("{cloud}-{name}-{domain}"),
                };
                (id, name.to_owned(), domain.to_owned())
            });
            state.projects = projects.collect();
            drop(state);
            clouds += &format!(
                "  {cloud}: {{auth: {{auth_url: '{}/identity/v3', username: u, password: right, \
                 project_name: admin}}}}\n",
                keystone.url
            );
            keystone
        });
        fs::write(home.path().join("clouds.yaml"), clouds).unwrap();
        Self {
            keystones,
            a,
            b,
            home,
            _runtime: runtime,
        }
    }

    /// Three owners, five members of three statuses, two shared images and a private one, whose
    /// members sleep.
    fn fill(&self) {
        let image = |number: u64, owner: &str, visibility: &str| {
            let data = ImageContent::pattern(number, 2000);
            let spec = ImageSpec::new(&id(number)).data(data);
            spec.owner(owner).visibility(visibility)
        };
        self.a.add_image(
            image(1, "a-alpha", "shared")
                .member("a-beta", "accepted")
                .member("a-beta-other", "pending")
                .member("a-admin", "rejected"),
        );
        self.a.add_image(
            image(2, "a-beta", "shared")
                .member("a-alpha", "accepted")
                .member("a-admin", "pending"),
        );
        self.a
            .add_image(image(3, "a-beta-other", "private").member("a-alpha", "accepted"));
    }

    fn run(&self, args: &[&str]) -> Ran {
        let ran = program().current_dir(self.home.path()).args(args).output();
        let ran = Ran::from(ran.unwrap());
        assert!(!ran.stderr.contains("panicked"), "{args:?}: {ran:?}");
        ran
    }

    #[track_caller]
    fn succeeded(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {ran:?}");
        ran
    }

    /// The owner and the members of an image of `b`.
    fn found(&self, number: u64) -> (String, BTreeMap<String, String>) {
        let image = self.b.image(&id(number)).unwrap();
        let owner = image.field("owner").unwrap().as_str().unwrap_or("nobody");
        (owner.to_owned(), image.members)
    }
}

fn members(of: &[(&str, &str)]) -> BTreeMap<String, String> {
    let members = of
        .iter()
        .map(|(id, status)| ((*id).to_owned(), (*status).to_owned()));
    members.collect()
}

#[track_caller]
fn are_mapped(lab: &Lab) {
    let first = members(&[
        ("b-admin", "rejected"),
        ("b-beta", "accepted"),
        ("b-beta-other", "pending"),
    ]);
    assert_eq!(lab.found(1), ("b-alpha".to_owned(), first));
    let second = members(&[("b-admin", "pending"), ("b-alpha", "accepted")]);
    assert_eq!(lab.found(2), ("b-beta".to_owned(), second));
    assert_eq!(lab.found(3), ("b-beta-other".to_owned(), members(&[])));
}

#[test]
fn owners_and_members_arrive_mapped_by_name_and_a_second_run_finds_nothing_to_do() {
    let lab = Lab::new();
    lab.fill();
    let copy = ["livecopy", "--owner", "map", "cloud:a", "cloud:b"];
    lab.succeeded(&copy);
    are_mapped(&lab);
    for keystone in &lab.keystones {
        assert_eq!(keystone.state().listed, 1, "one list a side");
    }
    let again = lab.succeeded(&copy);
    let nothing = "livecopy: nothing to do, 3 unchanged";
    assert_eq!(summary(&again), nothing);
    let compared = [
        "compare",
        "--exit-code",
        "--owner",
        "map",
        "cloud:a",
        "cloud:b",
    ];
    assert_eq!(lab.succeeded(&compared).stdout, "");
    let kept = lab.run(&["compare", "--exit-code", "cloud:a", "cloud:b"]);
    assert_eq!(kept.code, Some(5));
    let of_members = format!(
        "{}: field members differs (source is a-admin: pending, a-alpha: accepted, destination is \
         b-admin: pending, b-alpha: accepted)",
        id(2)
    );
    assert!(kept.stdout.contains(&of_members), "{kept:?}");
}

#[test]
fn owners_and_members_arrive_over_an_archive_as_well() {
    let lab = Lab::new();
    lab.fill();
    lab.succeeded(&["dump", "cloud:a", "archive"]);
    let file = fs::read_to_string(lab.home.path().join("archive").join(id(1))).unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    let name = json!({"domain": "Default", "name": "alpha"});
    assert_eq!(file["location"]["projects"]["a-alpha"], name);
    assert_eq!(
        file["location"]["image_api_v2"]["members"]["a-beta"],
        "accepted"
    );
    let again = lab.succeeded(&["dump", "cloud:a", "archive"]);
    let nothing = "dump: nothing to do, 3 unchanged";
    assert_eq!(summary(&again), nothing);
    let load = ["load", "--owner", "map", "cloud:b", "archive"];
    lab.succeeded(&load);
    are_mapped(&lab);
    let again = lab.succeeded(&load);
    let nothing = "load: nothing to do, 3 unchanged";
    assert_eq!(summary(&again), nothing);
}

#[test]
fn a_missing_project_obeys_each_policy_and_a_map_finds_it() {
    let missing = |lab: &Lab| {
        let data = ImageContent::pattern(4, 2000);
        let image = ImageSpec::new(&id(4)).owner("a-gone").data(data);
        lab.a.add_image(image.visibility("private"));
    };
    for (options, code, owner, words) in [
        (
            &[][..],
            3,
            None,
            "the target has no project Default/gone (a-gone)",
        ),
        (
            &["--on-missing-project", "skip"],
            0,
            None,
            "is skipped: the target has no project Default/gone (a-gone)",
        ),
        (
            &["--on-missing-project", "mine"],
            0,
            Some("b-admin"),
            "1 copied",
        ),
        (&["--project-map", "map"], 0, Some("b-rest"), "1 copied"),
    ] {
        let lab = Lab::new();
        missing(&lab);
        let lines = "# moved\nDefault/gone = rest\n";
        fs::write(lab.home.path().join("map"), lines).unwrap();
        let mut args = vec!["livecopy", "--owner", "map", "cloud:a", "cloud:b"];
        args.extend(options);
        let ran = lab.run(&args);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stderr.contains(words), "{words}: {ran:?}");
        let image = lab.b.image(&id(4));
        let found = image.map(|image| image.field("owner").cloned().unwrap());
        assert_eq!(found, owner.map(|owner| json!(owner)), "{options:?}");
        let again = lab.run(&args);
        assert_eq!(again.code, Some(code));
        assert!(again.stderr.contains("livecopy: nothing "), "{again:?}");
        let compare = [&["compare", "--exit-code"], &args[1..]].concat();
        let compared = lab.run(&compare);
        // What failed is missing.
        let expected = if code == 0 { 0 } else { 5 };
        assert_eq!(compared.code, Some(expected), "{compared:?}");
    }
}

#[test]
fn what_a_project_map_cannot_mean_is_a_usage_error() {
    let lab = Lab::new();
    for (lines, words) in [
        (
            "alpha = beta",
            "line 1: the target has a project beta in each of the domains Default, other",
        ),
        ("alpha = gone", "line 1: the target has no project gone"),
        ("alpha", "line 1: it is not of the form `source = target`"),
    ] {
        fs::write(lab.home.path().join("map"), lines).unwrap();
        let args = [
            "livecopy",
            "--owner",
            "map",
            "--project-map",
            "map",
            "cloud:a",
            "cloud:b",
        ];
        let ran = lab.run(&args);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(words), "{words}: {ran:?}");
    }
    for (args, words) in [
        (
            &["--project-map", "map"][..],
            "--project-map needs --owner map",
        ),
        (
            &["--on-missing-project", "skip"],
            "--on-missing-project needs --owner map",
        ),
    ] {
        let ran = lab.run(&[&["livecopy", "cloud:a", "cloud:b"], args].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(words), "{words}: {ran:?}");
    }
    let ran = lab.run(&["livecopy", "--owner", "mine", "cloud:a", lab.b.host_port()]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("need a target that is signed in to"),
        "{ran:?}"
    );
}

#[test]
fn mine_is_the_project_that_we_sign_in_to() {
    let lab = Lab::new();
    lab.fill();
    let copy = ["livecopy", "--owner", "mine", "cloud:a", "cloud:b"];
    lab.succeeded(&copy);
    for number in 1..=3 {
        assert_eq!(lab.found(number).0, "b-admin");
    }
    let again = lab.succeeded(&copy);
    assert!(again.stderr.contains("3 unchanged"), "{again:?}");
}

#[test]
fn dry_runs_and_check_warn_of_owners_that_the_target_does_not_know() {
    let lab = Lab::new();
    lab.fill();
    let ran = lab.succeeded(&["livecopy", "--dry-run", "cloud:a", "cloud:b"]);
    let words = "its Keystone does not know 4 of the projects that own or share images, and ids \
                 are kept: a-admin, a-alpha, a-beta, a-beta-other; --owner map";
    assert!(ran.stderr.contains(words), "{ran:?}");
    let mapped = [
        "livecopy",
        "--dry-run",
        "--owner",
        "map",
        "cloud:a",
        "cloud:b",
    ];
    let ran = lab.succeeded(&mapped);
    assert!(!ran.stderr.contains("does not know"), "{ran:?}");
    let ran = lab.succeeded(&["check", "cloud:a", "cloud:b"]);
    let words = "its Keystone does not know 3 of the projects";
    assert!(ran.stdout.contains(words), "{ran:?}");
    let ran = lab.succeeded(&["check", "cloud:a", "cloud:a"]);
    assert!(!ran.stdout.contains("does not know"), "{ran:?}");
}

#[test]
fn who_may_not_set_statuses_is_told_and_a_second_run_does_nothing() {
    let lab = Lab::with_role("member");
    lab.fill();
    let copy = ["livecopy", "--owner", "mine", "cloud:a", "cloud:b"];
    fs::write(
        lab.home.path().join("map"),
        "a-beta = 00000000000000000000000000000001",
    )
    .unwrap();
    let args = [&copy[..], &["--project-map", "map"]].concat();
    let ran = lab.succeeded(&args);
    let words = "have to accept it at the target again";
    assert!(ran.stderr.contains(words), "{ran:?}");
    let (owner, found) = lab.found(1);
    assert_eq!(owner, "b-admin");
    let expected = [
        ("00000000000000000000000000000001", "pending"),
        ("b-admin", "pending"),
    ];
    assert_eq!(found, members(&expected));
    let again = lab.succeeded(&args);
    assert!(
        again.stderr.contains("nothing to do, 3 unchanged"),
        "{again:?}"
    );
}

#[test]
fn of_1000_images_of_which_50_are_shared_50_cost_a_request_a_side() {
    let lab = Lab::new();
    for number in 1..=1000 {
        let visibility = if number % 20 == 0 {
            "shared"
        } else {
            "private"
        };
        let data = ImageContent::pattern(number, 10);
        let image = ImageSpec::new(&id(number))
            .visibility(visibility)
            .data(data);
        let image = image.owner("a-alpha").member("a-beta", "accepted");
        lab.a.add_image(image.clone());
        lab.b.add_image(image);
    }
    lab.succeeded(&["livecopy", "cloud:a", "cloud:b"]);
    for glance in [&lab.a, &lab.b] {
        let requests = glance.requests();
        let of_members = requests
            .iter()
            .filter(|request| request.target.ends_with("/members"));
        assert_eq!(of_members.count(), 50);
        assert_eq!(glance.count(RequestKind::Other), 50);
        glance.clear_requests();
    }
    lab.succeeded(&["livecopy", "--members", "skip", "cloud:a", "cloud:b"]);
    for glance in [&lab.a, &lab.b] {
        assert_eq!(glance.count(RequestKind::Other), 0);
    }
}

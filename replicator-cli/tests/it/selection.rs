//! Which images are meant: by names, ids and tests, on every kind of end.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile};

use crate::kit::images::{glance, id, numbered};
use crate::kit::program::{Ran, program, run};
use crate::kit::runs::{assert_error, path, succeeded};

/// Images of which each differs from the others in what is selected by.
fn varied(profile: Profile) -> EmbeddedGlance {
    let glance = glance(profile);
    let image = |number: u64, name: &str, len| {
        let image = ImageSpec::new(&id(number)).created_at(1_800_000_000 + 86_400 * number);
        image.name(name).data(ImageContent::pattern(number, len))
    };
    glance.add_image(
        image(1, "debian-12", 10)
            .visibility("public")
            .owner("alpha")
            .formats("qcow2", "bare")
            .minima(1, 512)
            .property("os_type", "linux"),
    );
    glance.add_image(
        image(2, "debian-13", 2048)
            .owner("beta")
            .formats("raw", "bare")
            .minima(20, 0)
            .protected()
            .property("os_type", "linux")
            .property("image_type", "snapshot"),
    );
    glance.add_image(image(3, "debian-13", 5000).property("os_type", "windows"));
    glance.add_image(image(4, "Ubuntu [LTS], 24.04", 3000).formats("ami", "ami"));
    let queued = ImageSpec::new(&id(5)).created_at(1_900_000_000);
    glance.add_image(queued.name("empty"));
    // What v1 and the first servers of v2 cannot say.
    if matches!(profile, Profile::Today) {
        glance.add_image(image(6, "tagged", 6000).tag("gold").tag("new"));
        glance.add_image(image(7, "hidden", 7000).hidden().tag("gold"));
        glance.add_image(image(8, "open", 8000).visibility("community"));
    }
    glance
}

/// Returns the numbers of the images that would be copied.
fn selected(end: &str, args: &[&str]) -> Vec<u64> {
    let nowhere = tempfile::tempdir().unwrap();
    let nowhere = nowhere.path().join("none");
    let target = format!("dir:{}", path(&nowhere));
    let mut all = vec!["livecopy", "--dry-run", end, &target];
    all.extend(args);
    let ran = succeeded(&all);
    numbers(&ran.stdout)
}

fn numbers(text: &str) -> Vec<u64> {
    let prefix = "00000000-0000-4000-8000-";
    let ids = text.split(prefix).skip(1);
    let mut numbers: Vec<u64> = ids.map(|rest| rest[..12].parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[test]
fn each_key_and_operator_selects_the_same_images_on_every_kind_of_end() {
    let today = varied(Profile::Today);
    let archive = tempfile::tempdir().unwrap();
    succeeded(&["dump", today.host_port(), path(archive.path())]);
    let archive = format!("dir:{}", path(archive.path()));
    let (legacy, v1) = (varied(Profile::Legacy), varied(Profile::V1Only));
    for (args, of_all, of_today) in [
        (&["--select", "name=debian-13"][..], &[2, 3][..], &[][..]),
        (&["--select", "name=debian-*"], &[1, 2, 3], &[]),
        (&["--select", "name!=debian-*"], &[4, 5], &[6, 7, 8]),
        (
            &["--select", r#"name="Ubuntu [LTS], 24.04",empty"#],
            &[4, 5],
            &[],
        ),
        (&["--select", "status=active"], &[1, 2, 3, 4], &[6, 7, 8]),
        (&["--select", "status!=active"], &[5], &[]),
        (&["--select", "owner=alpha"], &[1], &[]),
        (&["--select", "visibility=public"], &[1], &[]),
        (
            &["--exclude", "visibility=public"],
            &[2, 3, 4, 5],
            &[6, 7, 8],
        ),
        (&["--select", "tag=gold"], &[], &[6, 7]),
        (&["--select", "tag=gold", "--select", "tag=new"], &[], &[6]),
        (&["--select", "tag=gold", "--exclude", "hidden"], &[], &[6]),
        (&["--select", "hidden"], &[], &[7]),
        (&["--select", "protected"], &[2], &[]),
        (&["--select", "disk_format=qcow2,ami"], &[1, 4], &[]),
        (&["--select", "container_format=a*"], &[4], &[]),
        (&["--select", "size>=2K"], &[2, 3, 4], &[6, 7, 8]),
        (&["--select", "size>2K", "--select", "size<5000"], &[4], &[]),
        (&["--select", "min_disk>=20"], &[2], &[]),
        (&["--select", "min_ram=512"], &[1], &[]),
        (&["--select", "property:os_type"], &[1, 2, 3], &[]),
        (&["--select", "property:os_type=linux"], &[1, 2], &[]),
        (&["--select", "property:os_type=l*"], &[1, 2], &[]),
        (
            &[
                "--select",
                "property:os_type=linux",
                "--exclude",
                "property:image_type=snapshot",
            ],
            &[1],
            &[],
        ),
        (&["--select", "created<2027-01-18"], &[1, 2], &[]),
        (&["--select", "created=2027-01-17"], &[2], &[]),
        (
            &[
                "--select",
                "created>=2027-01-17",
                "--select",
                "created<=2027-01-18",
            ],
            &[2, 3],
            &[],
        ),
        (&["--select", "id=*2"], &[2], &[]),
        (&["--image", "debian-13"], &[2, 3], &[]),
        (&["--image", "debian-12", "--image", &id(4)], &[1, 4], &[]),
        (
            &["--image", "debian-13", "--select", "protected"],
            &[2],
            &[],
        ),
        (
            &["--newest", "1", "--per", "name", "--select", "name=debian*"],
            &[1, 3],
            &[],
        ),
        (
            &[
                "--newest",
                "1",
                "--per",
                "property:os_type",
                "--select",
                "property:os_type",
            ],
            &[2, 3],
            &[],
        ),
        (&["--newest", "1", "--select", "name=debian*"], &[3], &[]),
    ] {
        let mut whole = [of_all, of_today].concat();
        // Of an image without data, an archive gets the metadata, and no dry run of a copy speaks of it
        // unless the target is an archive, as it is here.
        whole.sort_unstable();
        for (end, expected) in [
            (today.host_port(), &whole[..]),
            (&archive, &whole),
            (legacy.host_port(), of_all),
            (v1.host_port(), of_all),
        ] {
            assert_eq!(selected(end, args), expected, "{end} {args:?}");
        }
    }
    // v1 knows no more than that an image is not public.
    let community = ["--select", "visibility=community"];
    assert_eq!(selected(today.host_port(), &community), [8]);
    assert_eq!(selected(&archive, &community), [8]);
    assert_eq!(selected(v1.host_port(), &community), [2, 3, 4, 5]);
}

#[test]
fn one_image_of_many_costs_few_requests() {
    let glance = |images: u64| {
        let glance = EmbeddedGlance::builder().page_size(1000);
        let glance = glance.start_blocking().unwrap();
        for number in 1..=images {
            let data = ImageContent::pattern(number, 2000);
            let image = ImageSpec::new(&id(number)).visibility("private");
            glance.add_image(image.data(data));
        }
        glance
    };
    let (source, target) = (glance(1200), glance(1100));
    let ends = [source.host_port(), target.host_port()];
    let one = id(1150);
    succeeded(&["livecopy", "--image", &one, ends[0], ends[1]]);
    for (end, most) in [(&source, 5), (&target, 7)] {
        let requests = end.requests();
        let requests: Vec<_> = requests.iter().map(|r| (r.kind, &r.target)).collect();
        assert!(requests.len() <= most, "{requests:?}");
    }

    let ids = tempfile::NamedTempFile::new().unwrap();
    let many: Vec<String> = (1..=500).map(id).collect();
    fs::write(ids.path(), many.join("\n")).unwrap();
    let before = target.requests().len();
    let ran = succeeded(&[
        "compare",
        "--images-from",
        path(ids.path()),
        ends[0],
        ends[1],
    ]);
    assert!(ran.stderr.contains("500 selected"), "{ran:?}");
    let asked = target.requests().len() - before;
    // Three parts of two queries each.
    assert!(asked <= 7, "{asked}");
}

#[test]
fn every_command_takes_a_selection() {
    let (source, target) = (numbered(5), numbered(0));
    let dir = tempfile::tempdir().unwrap();
    let dir = path(dir.path());
    let archive = format!("dir:{dir}");
    let (from, to) = (source.host_port(), target.host_port());
    let one = id(2);
    let select = ["--image", &one];
    for (args, says) in [
        (&["dump", from, dir][..], "1 selected"),
        (&["load", to, dir], "1 selected"),
        (&["livecopy", from, to], "1 selected"),
        (&["compare", from, to], "1 selected"),
        (&["verify", from, to], "1 selected"),
        (&["verify", &archive], "1 selected"),
        (&["size", to], "1 selected"),
    ] {
        let ran = succeeded(&[args, &select].concat());
        assert!(ran.stderr.contains(says), "{args:?}: {ran:?}");
    }
    assert_eq!(target.images().len(), 1);
    let ran = succeeded(&["size", from, "--exclude", "size>2000", "--exclude", "id=*4"]);
    assert!(ran.stderr.contains("4 of 5 selected"), "{ran:?}");
    assert!(ran.stdout.contains("across 4 images"), "{ran:?}");
}

#[test]
fn a_name_that_no_image_has_is_an_error_that_tells_the_near_ones() {
    let glance = varied(Profile::Today);
    let ran = run(&["size", glance.host_port(), "--image", "debian-14"]);
    assert_error(
        &ran,
        1,
        &["has no image \"debian-14\"", "debian-12", "debian-13"],
    );
    let ran = run(&["size", glance.host_port(), "--image", &id(99)]);
    assert_error(&ran, 1, &["has no image", &id(99)]);
    // However many others are found.
    for more in [
        &["--image", "debian-13"][..],
        &["--newest", "1"],
        &["--shard", "1/2"],
    ] {
        let args = ["size", glance.host_port(), "--image", &id(99)];
        assert_error(
            &run(&[&args[..], more].concat()),
            1,
            &["has no image", &id(99)],
        );
    }
    let ran = succeeded(&["size", glance.host_port(), "--image", "debian-13"]);
    assert!(
        ran.stderr.contains("2 images are called \"debian-13\""),
        "{ran:?}"
    );
}

#[test]
fn ids_come_from_a_file_or_from_stdin_and_missing_ones_are_named() {
    let glance = numbered(3);
    let with_ids = |text: &str| {
        let args = ["size", glance.host_port(), "--images-from", "-"];
        let mut command = program();
        command.args(args).stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(text.as_bytes()).unwrap();
        drop(stdin);
        Ran::from(child.wait_with_output().unwrap())
    };
    let ran = with_ids(&format!("# two\n{}  # the first\n\n{}\n", id(1), id(3)));
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stderr.contains("2 selected"), "{ran:?}");
    let ran = with_ids(&format!("{}\n{}\n", id(1), id(9)));
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(
        ran.stderr.contains(&id(9)) && !ran.stderr.contains(&id(1)),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("across 1 image"), "{ran:?}");
    assert_error(&with_ids("5\n"), 2, &["line 1 of - is no id"]);
}

#[test]
fn that_nothing_is_selected_is_a_warning_or_an_error() {
    let (source, target) = (numbered(2), numbered(0));
    let copy = [
        "livecopy",
        source.host_port(),
        target.host_port(),
        "--select",
        "name=x",
    ];
    let ran = succeeded(&copy);
    assert!(ran.stderr.contains("warning: no image of"), "{ran:?}");
    let ran = run(&[&copy[..], &["--error-on-nothing"]].concat());
    assert_error(&ran, 1, &["no image of", "is selected"]);
    let empty = ["size", target.host_port(), "--error-on-nothing"];
    assert_error(&run(&empty), 1, &["no image of"]);
}

#[test]
fn a_bad_test_is_shown_with_its_place_and_options_of_other_tools_with_ours() {
    let ran = run(&["size", "x:1", "--select", "nam = x"]);
    assert_error(
        &ran,
        2,
        &[
            "'--select <TEST>': expected one of the keys id, name",
            "\n  nam = x\n  ^\n",
        ],
    );
    for (option, ours) in [
        ("--name=x", "--image NAME"),
        ("--tag=x", "--select 'tag=TAG'"),
        ("--public", "--select 'visibility=public'"),
        ("--filter=x", "--select 'KEY=VALUE'"),
        ("--only=x", "--image ID"),
    ] {
        assert_error(&run(&["livecopy", "x:1", "y:1", option]), 2, &[ours]);
    }
    let ran = run(&["size", "dir:/nowhere", "--per", "tag", "--newest", "1"]);
    assert_error(&ran, 2, &["images are grouped by"]);
    assert_error(&run(&["size", "x:1", "--per", "name"]), 2, &["--newest"]);
    let glance = numbered(1);
    let ran = run(&["size", glance.host_port(), "--select", "owner=mine"]);
    assert_error(&ran, 2, &["signed in to"]);
}

#[test]
fn shares_of_the_images_are_all_of_them_and_each_once_whatever_the_end() {
    let source = numbered(30);
    let archive = tempfile::tempdir().unwrap();
    succeeded(&["dump", source.host_port(), path(archive.path())]);
    let archive = format!("dir:{}", path(archive.path()));
    let mut shared = Vec::new();
    for shard in ["1/3", "2/3", "3/3"] {
        let share = selected(source.host_port(), &["--shard", shard]);
        assert_eq!(selected(&archive, &["--shard", shard]), share);
        let few = ["--shard", shard, "--select", "id=*1"];
        let few = selected(source.host_port(), &few);
        assert!(few.iter().all(|number| share.contains(number)));
        shared.extend(share);
    }
    shared.sort_unstable();
    assert_eq!(shared, (1..=30).collect::<Vec<_>>());
    assert_eq!(
        selected(source.host_port(), &["--shard", "0/3"]),
        selected(source.host_port(), &["--shard", "3/3"]),
    );
    let ran = run(&["size", source.host_port(), "--shard", "4/3"]);
    assert_error(&ran, 2, &["write K/N"]);
}

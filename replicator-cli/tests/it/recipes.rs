//! The recipes of the docs, each of which is run as it stands there.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile};
use jiff::Timestamp;

use crate::kit::images::{glance, id};
use crate::kit::runs::path;

/// A block of commands, and the exit code that it says it has.
struct Recipe {
    commands: String,
    code: i32,
}

/// Reads the blocks of shell commands, and the commands of a crontab.
fn recipes(text: &str) -> Vec<Recipe> {
    let blocks = text.split("\n```").collect::<Vec<_>>();
    let blocks = blocks.iter().filter_map(|block| block.split_once('\n'));
    blocks
        .filter_map(|(language, lines)| match language {
            "sh" => Some(lines.to_owned()),
            "crontab" => {
                let fields = lines.splitn(6, ' ');
                fields.last().map(str::to_owned)
            }
            _ => None,
        })
        .map(|commands| {
            let code = commands.split_once("# exit code ").map_or(0, |(_, code)| {
                let code = code.lines().next().unwrap();
                code.parse().unwrap()
            });
            Recipe { commands, code }
        })
        .collect()
}

fn filled(profile: Profile) -> EmbeddedGlance {
    let glance = glance(profile);
    let now = u64::try_from(Timestamp::now().as_second()).unwrap();
    let image = |number: u64, name: &str| {
        let image = ImageSpec::new(&id(number)).name(name);
        let data = ImageContent::pattern(number, 1000 * number);
        image.data(data).created_at(now - 86_400 * number)
    };
    glance.add_image(image(1, "debian-12").visibility("public"));
    glance.add_image(image(2, "debian-13").owner("6d55dd55053a4765b7bcb30df0ea3861"));
    glance.add_image(image(3, "debian-13").owner("acme"));
    glance.add_image(image(4, "debian-13").property("image_type", "snapshot"));
    let ubuntu = ImageSpec::new(&id(5)).name("ubuntu-24.04");
    glance.add_image(ubuntu.data(ImageContent::pattern(5, 2_000_000)));
    if !matches!(profile, Profile::V1Only) {
        glance.add_image(image(6, "amphora").tag("amphora"));
    }
    glance
}

#[test]
fn every_recipe_of_the_docs_does_what_it_says() {
    let docs = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs"));
    let recipes = recipes(&fs::read_to_string(docs.join("recipes.md")).unwrap());
    assert!(recipes.len() >= 30, "{}", recipes.len());

    let (prod, old) = (filled(Profile::Today), filled(Profile::V1Only));
    let [dr, lab] = [glance(Profile::Today), glance(Profile::Today)];
    let home = tempfile::tempdir().unwrap();
    let program = Path::new(assert_cmd::cargo::cargo_bin!("glance-replicator"));
    symlink(program, home.path().join("glance-replicator")).unwrap();
    fs::write(home.path().join("disk.raw"), vec![0; 5000]).unwrap();
    fs::create_dir(home.path().join("backup")).unwrap();
    let search = format!("{}:{}", path(home.path()), std::env::var("PATH").unwrap());
    for Recipe { commands, code } in recipes {
        let here = commands
            .replace("cloud:prod", prod.host_port())
            .replace("cloud:dr", dr.host_port())
            .replace("cloud:lab", lab.host_port())
            .replace("glance.old:9292", old.host_port())
            .replace("/backup/", &format!("{}/backup/", path(home.path())));
        let mut shell = Command::new("bash");
        shell
            .args(["-e", "-o", "pipefail", "-c", &here])
            .env("PATH", &search)
            .current_dir(home.path());
        let output = shell.output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{commands}: {output:?}");
    }
    // What they have done, taken together.
    assert!(dr.images().len() >= 7, "{}", dr.images().len());
    for file in [
        "backup/report.json",
        "differences.csv",
        "replicator.log",
        "run.json",
    ] {
        assert!(home.path().join(file).exists(), "{file}");
    }
    let ids = fs::read_to_string(home.path().join("ids.txt")).unwrap();
    assert_eq!(ids.lines().count(), 4, "{ids}");
}

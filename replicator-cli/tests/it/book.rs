//! The book in `docs/`: each of its commands is run as it stands there, and prints what it says.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test helpers")]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use glance_client::testing::{
    Caller, EmbeddedGlance, EmbeddedKeystone, ImageContent, ImageSpec, Profile,
};
use jiff::Timestamp;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::kit::book::{Counts, Machine};

/// The ids of the images, as long as real ones.
const IDS: [&str; 7] = [
    "0c1d5a38-6b5e-4d0e-9a5f-3b0f6d1f7a01",
    "1f4be0c9-52ab-4c9e-8d0c-7a2f0be9d602",
    "2a9c7d11-0f36-4b8b-b1a4-51c3b6e7f803",
    "3e60f2d4-9c87-45f1-a3d2-e8b94c05aa04",
    "4b7788aa-31cd-4e6f-9f10-2d6c1b3e5c05",
    "5d92e6b3-744f-4a21-8c6b-90af3e7d1106",
    "6ba4f7c2-8d3e-4f52-a7b0-c1e59d2f8807",
];
/// The tokens that the commands of a document may take.
const TOKENS: usize = 400;
const AUTH_URL: &str = "https://keystone.example:5000/v3";
const PASSWORD: &str = "the-password";
/// The chapter whose commands are run, and compared, on real servers.
const ON_REAL_SERVERS: &str = "migrating.md";
/// Projects.
const ADMIN: &str = "7f3c1e9a5b2d4c60908e1a2b3c4d5e6f";
const WEB: &str = "6d55dd55053a4765b7bcb30df0ea3861";

/// The regions of the book, an old server, and a machine that knows them: the clouds `prod`, `dr` and
/// `lab` of an administrator, and `web-prod` and `web-dr` of a member of the project web.
struct World {
    machine: Machine,
    _keystones: [EmbeddedKeystone; 2],
    _glances: Vec<EmbeddedGlance>,
    _runtime: Runtime,
}

impl World {
    fn new() -> Self {
        let admin = Caller {
            admin: true,
            ..Caller::member(ADMIN)
        };
        let glance = || {
            let glance = EmbeddedGlance::builder().page_size(1000);
            let token = |number: usize| format!("token-{number}");
            let glance = (1..=TOKENS).fold(glance, |glance, number| {
                let member = Caller::member(WEB);
                let glance = glance.token(&token(number), admin.clone());
                glance.token(&token(TOKENS + number), member)
            });
            glance.start_blocking().unwrap()
        };
        let [prod, dr, lab] = [glance(), glance(), glance()];
        fill(&prod);
        prod.add_image(image(6, "amphora").tag("amphora"));
        let web = image(7, "web-base").owner(WEB).visibility("private");
        prod.add_image(web);
        let old = EmbeddedGlance::builder().profile(Profile::V1Only);
        let old = old.start_blocking().unwrap();
        fill(&old);

        let glances = [
            ("prod", "RegionOne"),
            ("dr", "RegionTwo"),
            ("lab", "RegionThree"),
        ];
        let glances = glances.into_iter().zip([&prod, &dr, &lab]);
        let endpoints = glances.clone().map(|((_, region), glance)| {
            json!({"interface": "public", "region_id": region, "region": region, "url": glance.url()})
        });
        let catalog = json!([{
            "type": "image", "name": "glance", "endpoints": endpoints.collect::<Vec<_>>(),
        }]);
        let runtime = Runtime::new().unwrap();
        let keystones = [("admin", ADMIN, 0), ("member", WEB, TOKENS)];
        let keystones = keystones.map(|(role, project, issued)| {
            let keystone = runtime.block_on(EmbeddedKeystone::start());
            let mut state = keystone.state();
            let name = if project == WEB { "web" } else { "admin" };
            state.project = (project.to_owned(), name.to_owned());
            state.roles = vec![role.to_owned()];
            state.projects = [(ADMIN, "admin"), (WEB, "web"), ("acme", "acme")]
                .map(|(id, name)| (id.to_owned(), name.to_owned(), "Default".to_owned()))
                .to_vec();
            state.catalog = catalog.clone();
            // The tokens of one are those of no other.
            state.issued = issued;
            drop(state);
            keystone
        });

        let mut yaml = String::from("clouds:\n");
        for ((name, region), of_member) in [
            (("prod", "RegionOne"), false),
            (("dr", "RegionTwo"), false),
            (("lab", "RegionThree"), false),
            (("web-prod", "RegionOne"), true),
            (("web-dr", "RegionTwo"), true),
        ] {
            let (url, project) = match of_member {
                true => (format!("{}/identity/v3", keystones[1].url), "web"),
                false => (AUTH_URL.to_owned(), "admin"),
            };
            yaml += &format!(
                "  {name}:\n    region_name: {region}\n    auth: {{auth_url: '{url}', username: alice, \
                 password: {PASSWORD}, project_name: {project}}}\n"
            );
        }
        let mut names = vec![
            ("glance.old:9292".to_owned(), old.host_port().to_owned()),
            (
                AUTH_URL.to_owned(),
                format!("{}/identity/v3", keystones[0].url),
            ),
            (
                "(b5d91ac3f0e94a6f8c1d27e60a43f2d8)".to_owned(),
                "(u1)".to_owned(),
            ),
        ];
        names.extend(glances.map(|((name, _), glance)| {
            (
                format!("https://glance.{name}.example:9292"),
                glance.url().to_owned(),
            )
        }));
        let machine = Machine::new(&yaml, &names, (PASSWORD, "right"));
        fs::write(machine.path("fedora.raw"), vec![0; 5000]).unwrap();
        Self {
            machine,
            _keystones: keystones,
            _glances: vec![prod, dr, lab, old],
            _runtime: runtime,
        }
    }
}

fn image(number: u64, name: &str) -> ImageSpec {
    let now = u64::try_from(Timestamp::now().as_second()).unwrap();
    let image = ImageSpec::new(IDS[usize::try_from(number).unwrap() - 1]).name(name);
    let data = ImageContent::pattern(number, 100_000 * number);
    image.data(data).created_at(now - 86_400 * number)
}

fn fill(glance: &EmbeddedGlance) {
    glance.add_image(image(1, "debian-12").visibility("public"));
    glance.add_image(image(2, "debian-13").owner(WEB));
    glance.add_image(image(3, "debian-13").owner("acme"));
    glance.add_image(image(4, "debian-13").property("image_type", "snapshot"));
    let ubuntu = image(5, "ubuntu-24.04");
    glance.add_image(ubuntu.data(ImageContent::pattern(5, 2_000_000)));
}

/// The chapters, but the one that `tests/live` runs.
fn documents() -> Vec<PathBuf> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let files = fs::read_dir(docs).unwrap();
    let files = files.map(|file| file.unwrap().path());
    let chapters = files.filter(|path| path.extension().is_some_and(|it| it == "md"));
    chapters
        .filter(|path| !path.ends_with(ON_REAL_SERVERS))
        .collect()
}

#[test]
fn every_command_of_the_book_does_what_it_says() {
    let counts: Vec<Counts> = thread::scope(|scope| {
        let documents = documents().into_iter();
        let running = documents
            .map(|document| scope.spawn(move || World::new().machine.run_document(&document)));
        let running: Vec<_> = running.collect();
        running
            .into_iter()
            .map(|running| running.join().unwrap())
            .collect()
    });
    let sum = |of: fn(&Counts) -> usize| counts.iter().map(of).sum::<usize>();
    let (run, not_run) = (sum(|counts| counts.run), sum(|counts| counts.not_run));
    assert!(
        run >= 90 && not_run <= 6,
        "{run} commands are run, {not_run} blocks are not"
    );
}

/// What the program and its tests say, with each literal on a line of its own file's.
fn texts_of_the_program() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut texts = String::new();
    let mut folders = [
        "glance-client/src",
        "glance-model/src",
        "replicator-core/src",
        "replicator-fs/src",
        "replicator-cli/src",
        "replicator-cli/tests/it/snapshots",
    ]
    .map(|folder| root.join(folder))
    .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // A literal goes on behind a backslash, at the first letter of the next line.
            let text = fs::read_to_string(path).unwrap().replace("\\\"", "\"");
            let mut parts = text.split("\\\n");
            texts += parts.next().unwrap();
            parts.for_each(|part| texts += part.trim_start());
            texts += "\n";
        }
    }
    texts
}

/// The texts that a chapter quotes: those in code, in the column of a table that is called so.
fn quoted<'t>(chapter: &'t str, column: &str) -> Vec<&'t str> {
    let mut quoted = Vec::new();
    let mut place = None;
    for line in chapter.lines() {
        let Some(row) = line.strip_prefix('|') else {
            place = None;
            continue;
        };
        let mut cells = row.split('|').map(str::trim);
        match place {
            None => place = cells.position(|cell| cell == column).or(Some(usize::MAX)),
            Some(place) => {
                let cell = cells.nth(place).unwrap_or_default();
                quoted.extend(cell.split('`').skip(1).step_by(2));
            }
        }
    }
    quoted
}

#[test]
fn each_text_that_is_explained_is_one_that_the_program_says() {
    let texts = texts_of_the_program();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    for (chapter, column, least) in [
        ("troubleshooting.md", "the text", 50),
        ("stuck-images.md", "the report says", 8),
    ] {
        let chapter = fs::read_to_string(docs.join(chapter)).unwrap();
        let quoted = quoted(&chapter, column);
        assert!(quoted.len() >= least, "{}", quoted.len());
        let unknown = quoted.into_iter().filter(|quoted| {
            let parts: Vec<&str> = quoted
                .split(['…'])
                .map(str::trim)
                .filter(|part| part.len() > 2)
                .collect();
            let is_said = |line: &str| {
                let mut rest = Some(line);
                for part in &parts {
                    rest = rest
                        .and_then(|rest| rest.split_once(part))
                        .map(|(_, rest)| rest);
                }
                rest.is_some()
            };
            parts.is_empty() || !texts.lines().any(is_said)
        });
        let unknown: Vec<&str> = unknown.collect();
        assert!(unknown.is_empty(), "nobody says {unknown:#?}");
    }
}

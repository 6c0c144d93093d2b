//! The order of files and folders inside each crate, as the pictures in ARCHITECTURE.md draw it.
//!
//! A picture is the rule itself: a block of text that begins with `CRATE/src`. Each line is a storey,
//! and imports only from the lines below it. `a > b` is two storeys on one line, `a, b` are side by
//! side and do not import each other, `a/ x > y` shows the inside of the folder `a` too. Behind `#`
//! stands a remark.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use super::imports::{self, Import, Module, Source};

/// The picture of one crate: for each folder that it orders, the storeys from high to low.
#[derive(Default)]
struct Picture {
    storeys: BTreeMap<Module, Vec<Vec<String>>>,
}

/// Returns where the crates in the directories `packages` of `root` break the order.
pub(super) fn broken(root: &Path, packages: &[&str]) -> Result<Vec<String>, Box<dyn Error>> {
    let document = fs::read_to_string(root.join("ARCHITECTURE.md"))?;
    let pictures = pictures(&document);
    let mut broken = Vec::new();
    for package in packages {
        let (modules, imports) = read(root, package)?;
        let found = match pictures.get(*package) {
            Some(picture) => violations(picture, &modules, &imports),
            None => vec!["it has no picture in ARCHITECTURE.md".to_owned()],
        };
        broken.extend(found.iter().map(|found| format!("{package}: {found}")));
    }
    Ok(broken)
}

/// Reads the files of a crate, and the imports between them.
fn read(root: &Path, package: &str) -> Result<(BTreeSet<Module>, Vec<Import>), Box<dyn Error>> {
    let mut sources = BTreeMap::new();
    let src = root.join(package).join("src");
    collect(&src, &Module::new(), &mut sources, root)?;
    let imports = imports::read(&sources)?;
    Ok((sources.into_keys().collect(), imports))
}

/// Reads the files of a crate, without those that hold tests.
fn collect(
    directory: &Path,
    module: &Module,
    sources: &mut BTreeMap<Module, Source>,
    root: &Path,
) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let mut inner = module.clone();
        if !["lib", "main", "mod"].contains(&&*name) {
            inner.push(name.to_string());
        }
        if name == "tests" {
            continue;
        }
        if path.is_dir() {
            collect(&path, &inner, sources, root)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(root)?.display().to_string();
            let text = fs::read_to_string(&path)?;
            sources.insert(inner, Source { file, text });
        }
    }
    Ok(())
}

/// Reads the pictures of all crates, by the directories of the crates.
fn pictures(document: &str) -> BTreeMap<&str, Picture> {
    let mut pictures: BTreeMap<&str, Picture> = BTreeMap::new();
    let mut open = None;
    for line in document.lines() {
        let line = line.split('#').next().unwrap_or_default().trim_end();
        if line.starts_with("```") {
            open = None;
        } else if let Some(package) = line.strip_suffix("/src").filter(|name| is_name(name)) {
            open = Some(package);
        } else if let Some(package) = open {
            pictures.entry(package).or_default().add(line);
        }
    }
    pictures
}

fn is_name(text: &str) -> bool {
    let letter = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    !text.is_empty() && text.chars().all(letter)
}

impl Picture {
    fn add(&mut self, line: &str) {
        let (folder, inside) = match line.trim().rsplit_once('/') {
            Some((folder, inside)) => (folder, Some(inside)),
            None => ("", None),
        };
        let path: Module = folder.split('/').map(str::to_owned).collect();
        let above = self.storeys.entry(Module::new()).or_default();
        let Some(inside) = inside else {
            above.extend(storeys(line));
            return;
        };
        let drawn = above.iter().flatten().any(|name| name == folder);
        if path.len() == 1 && !drawn {
            above.push(path.clone());
        }
        self.storeys
            .entry(path)
            .or_default()
            .extend(storeys(inside));
    }
}

fn storeys(line: &str) -> Vec<Vec<String>> {
    let rooms = |storey: &str| {
        let rooms = storey.split(',').map(str::trim);
        rooms
            .filter(|room| !room.is_empty())
            .map(str::to_owned)
            .collect()
    };
    let storeys = line.split('>').map(rooms);
    storeys
        .filter(|storey: &Vec<String>| !storey.is_empty())
        .collect()
}

/// Returns what a crate has against its picture.
fn violations(picture: &Picture, modules: &BTreeSet<Module>, imports: &[Import]) -> Vec<String> {
    let levels = levels(imports);
    let mut broken = Vec::new();
    for (folder, storeys) in &picture.storeys {
        let heights = heights(storeys);
        broken.extend(differences(folder, modules, &heights));
        for (arrow, place) in levels.get(folder.as_slice()).into_iter().flatten() {
            if let (Some(from), Some(to)) = (heights.get(arrow.0), heights.get(arrow.1))
                && from <= to
            {
                let relation = if from == to { "beside" } else { "above" };
                let (from, to) = arrow;
                broken.push(format!(
                    "{from} imports {to}, which stands {relation} it: {place}"
                ));
            }
        }
    }
    for (level, arrows) in &levels {
        if !picture.storeys.contains_key(*level) {
            broken.extend(circle(arrows));
        }
    }
    broken
}

/// The imports between the rooms of one folder, each with one place where it is written.
type Arrows<'a> = BTreeMap<(&'a str, &'a str), &'a str>;

/// Sorts the imports by the folder inside which they run.
fn levels(imports: &[Import]) -> BTreeMap<&[String], Arrows<'_>> {
    let mut levels: BTreeMap<&[String], Arrows<'_>> = BTreeMap::new();
    for import in imports {
        // A module and its own children are at home with each other.
        let common = common(&import.from, &import.to);
        if let (Some(from), Some(to)) = (import.from.get(common), import.to.get(common)) {
            let level = import.from.get(..common).unwrap_or_default();
            let arrows = levels.entry(level).or_default();
            arrows.entry((from, to)).or_insert(&import.place);
        }
    }
    levels
}

/// The files and folders right inside a folder.
fn rooms<'a>(folder: &Module, modules: &'a BTreeSet<Module>) -> BTreeSet<&'a str> {
    let inside = modules.iter().filter(|module| module.starts_with(folder));
    let rooms = inside.filter_map(|module| module.get(folder.len()));
    rooms.map(String::as_str).collect()
}

fn common(one: &[String], other: &[String]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// The height of each room, where the lowest storey is 1.
fn heights(storeys: &[Vec<String>]) -> BTreeMap<&str, usize> {
    let storeys = storeys.iter().rev().zip(1..);
    let rooms = storeys.flat_map(|(rooms, height)| rooms.iter().map(move |room| (room, height)));
    rooms
        .map(|(room, height)| (room.as_str(), height))
        .collect()
}

/// The rooms that only the picture or only the source has.
fn differences(
    folder: &Module,
    modules: &BTreeSet<Module>,
    drawn: &BTreeMap<&str, usize>,
) -> Vec<String> {
    let real = rooms(folder, modules);
    let at = ["src"].into_iter().chain(folder.iter().map(String::as_str));
    let at = at.collect::<Vec<_>>().join("/");
    let missing = real.iter().filter(|name| !drawn.contains_key(*name));
    let missing = missing.map(|name| format!("{at}/{name} is not in the picture"));
    let gone = drawn.keys().filter(|name| !real.contains(*name));
    let gone = gone.map(|name| format!("{at}/{name} is in the picture and not in the source"));
    missing.chain(gone).collect()
}

/// Returns one circle of the arrows, if there is any, with the places where it is written.
fn circle(arrows: &Arrows<'_>) -> Option<String> {
    let mut left = arrows.clone();
    loop {
        let starts: BTreeSet<&str> = left.keys().map(|(from, _)| *from).collect();
        let before = left.len();
        left.retain(|(_, to), _| starts.contains(to));
        if left.len() == before {
            break;
        }
    }
    // Each room that is left leads to another that is left, so that a walk comes back.
    let mut walk: Vec<(&str, &str)> = Vec::new();
    let mut room = left.keys().next()?.0;
    while !walk.iter().any(|(from, _)| *from == room) {
        let ((from, to), place) = left.iter().find(|((from, _), _)| *from == room)?;
        walk.push((from, place));
        room = to;
    }
    let circle = walk.iter().skip_while(|(from, _)| *from != room);
    let (rooms, places): (Vec<&str>, Vec<&str>) = circle.copied().unzip();
    Some(format!(
        "circle: {} > {room}\n  {}",
        rooms.join(" > "),
        places.join("\n  ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURES: &str = "
# Architecture

```text
core/src
  replicate, compare     # the verbs
  copy/  schedule > flow
  port > text            # on one line
```

```text
client/src
  client > cloud
  cloud/ sign_in > keystone
```
";

    fn found(package: &str, files: &[(&str, &str)]) -> Vec<String> {
        let sources: BTreeMap<Module, Source> = files
            .iter()
            .map(|(name, text)| {
                let path = name.split('/').filter(|name| !name.is_empty());
                let source = Source {
                    file: format!("{name}.rs"),
                    text: (*text).to_owned(),
                };
                (path.map(str::to_owned).collect(), source)
            })
            .collect();
        let modules = sources.keys().cloned().collect();
        let imports = imports::read(&sources).unwrap();
        let drawn = pictures(PICTURES);
        violations(
            drawn.get(package).unwrap_or(&Picture::default()),
            &modules,
            &imports,
        )
    }

    const CORE: [(&str, &str); 8] = [
        ("", "mod port; pub use port::Error; pub use flow::Late;"),
        ("replicate", "use crate::{copy::schedule, port};"),
        ("compare", "fn f() { crate::port::look(); }"),
        ("copy", "mod schedule; mod flow; pub(crate) use flow::Flow;"),
        ("copy/schedule", "use super::Flow; use std::io;"),
        ("copy/flow", "use crate::Error; //! see crate::replicate"),
        ("port", "use crate::text::Text;"),
        (
            "text",
            "/// See [`replicate`](crate::replicate).\nstruct Text;",
        ),
    ];

    fn core_with(name: &str, text: &str) -> Vec<String> {
        let changed = CORE.map(|(file, now)| (file, if file == name { text } else { now }));
        found("core", &changed)
    }

    #[test]
    fn imports_that_run_down_pass() {
        assert_eq!(found("core", &CORE), [""; 0]);
    }

    #[test]
    fn import_that_runs_up_fails_however_it_is_written() {
        let up = "port imports replicate, which stands above it: port.rs:1: ";
        for (text, path) in [
            ("use crate::replicate::run;", "crate::replicate::run"),
            (
                "use crate::{text, replicate::{self, x}};",
                "crate::replicate",
            ),
            ("use super::replicate as r;", "super::replicate"),
            (
                "fn f() { crate::replicate::run() }",
                "crate::replicate::run",
            ),
            (
                "select! { x = crate::replicate::run() => {} }",
                "crate::replicate::run",
            ),
            (
                "mod inner { use super::super::replicate; }",
                "super::super::replicate",
            ),
        ] {
            assert_eq!(core_with("port", text), [format!("{up}{path}")], "{text}");
        }
    }

    #[test]
    fn import_runs_up_inside_a_folder_and_through_another_module() {
        assert_eq!(
            core_with("copy/flow", "\n\nuse super::schedule::Row;"),
            ["flow imports schedule, which stands above it: copy/flow.rs:3: super::schedule::Row"]
        );
        assert_eq!(
            core_with("port", "use crate::copy::Flow;"),
            ["port imports copy, which stands above it: port.rs:1: crate::copy::Flow"]
        );
        let files = [
            ("", "pub use keystone::Token;"),
            ("client", ""),
            (
                "cloud",
                "use self::sign_in::Session as S; use crate::client::Client;",
            ),
            ("cloud/sign_in", ""),
            ("cloud/keystone", "use super::S;"),
        ];
        assert_eq!(
            found("client", &files),
            [
                "cloud imports client, which stands above it: cloud.rs:1: crate::client::Client",
                "keystone imports sign_in, which stands above it: cloud/keystone.rs:1: super::S",
            ]
        );
    }

    #[test]
    fn side_by_side_do_not_import_each_other() {
        assert_eq!(
            core_with("compare", "use crate::replicate::x;"),
            [
                "compare imports replicate, which stands beside it: compare.rs:1: crate::replicate::x"
            ]
        );
    }

    #[test]
    fn circle_fails_where_no_picture_orders() {
        let files = [
            ("", ""),
            ("a", "use crate::b::x;"),
            ("b", "use crate::c;"),
            ("c", "\nuse crate::a::inner::y;"),
            ("a/inner", ""),
            ("d", "use crate::a;"),
        ];
        assert_eq!(
            found("no picture", &files),
            [
                "circle: a > b > c > a\n  a.rs:1: crate::b::x\n  b.rs:1: crate::c\n  \
              c.rs:2: crate::a::inner::y"
            ]
        );
    }

    #[test]
    fn own_children_and_test_code_do_not_count() {
        let text = "mod data; use data::Data; pub(crate) struct Own; \
            #[cfg(test)] use crate::{replicate}; \
            #[cfg(test)] #[expect(x)] mod tests { use crate::replicate; fn f() {} } \
            #[cfg(all(test, unix))] fn g() { crate::copy::f() } \
            fn h() -> impl Sized + use<'_> { text::crate_() }";
        assert_eq!(core_with("port", text), [""; 0]);
        let files = [("a", "use self::b::B;"), ("a/b", "use super::A;")];
        assert_eq!(found("no picture", &files), [""; 0]);
    }

    #[test]
    fn picture_has_the_rooms_that_the_source_has() {
        let mut files = CORE.to_vec();
        files.retain(|(name, _)| *name != "compare");
        files.extend([("copy/new", ""), ("newer", "")]);
        assert_eq!(
            found("core", &files),
            [
                "src/newer is not in the picture",
                "src/compare is in the picture and not in the source",
                "src/copy/new is not in the picture",
            ]
        );
    }
}

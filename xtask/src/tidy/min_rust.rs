//! Checks of the minimum Rust version: it is one number wherever it stands, and enough for every
//! dependency. That it is enough for our own code is for Clippy (`incompatible_msrv`), and for the
//! workflow, which builds with it.

use std::error::Error;
use std::fs;

use serde_json::Value;

use crate::shell::{cargo, host, output, root};

/// The file that all others follow, and what stands around the number in each.
const FIRST: (&str, &str, &str) = ("Cargo.toml", "\nrust-version = \"", "\"");
const OTHERS: [(&str, &str, &str); 3] = [
    ("fuzz/Cargo.toml", "\nrust-version = \"", "\""),
    ("README.md", "minimum Rust version is ", ", "),
    (".github/workflows/ci.yml", "ubuntu-24.04, rust: \"", "\""),
];
/// Clippy would follow a number of its own in there.
const CLIPPY: &str = "clippy.toml";

const WORKSPACES: [&str; 2] = ["Cargo.toml", "fuzz/Cargo.toml"];

/// Lists where another number stands, and which dependencies it is not enough for.
pub(super) fn problems() -> Result<Vec<String>, Box<dyn Error>> {
    let (file, before, after) = FIRST;
    let text = fs::read_to_string(root().join(file))?;
    let version = between(&text, before, after).ok_or("Cargo.toml has no rust-version")?;
    let mut problems = Vec::new();
    for (file, before, after) in OTHERS {
        let text = fs::read_to_string(root().join(file))?;
        problems.extend(other_version(file, between(&text, before, after), version));
    }
    let clippy = fs::read_to_string(root().join(CLIPPY))?;
    if clippy.lines().any(|line| line.starts_with("msrv")) {
        problems.push(format!(
            "{CLIPPY}: rust-version in Cargo.toml is the one number"
        ));
    }
    // Of other platforms, cargo would have to fetch all crates first.
    let platform = format!("--filter-platform={}", host()?);
    for manifest in WORKSPACES {
        let metadata = output(&mut cargo(&[
            "metadata",
            "--locked",
            "--format-version=1",
            &platform,
            "--manifest-path",
            manifest,
        ]))?;
        problems.extend(too_new(&serde_json::from_str(&metadata)?, version));
    }
    Ok(problems)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}

fn other_version(file: &str, found: Option<&str>, version: &str) -> Option<String> {
    match found {
        Some(found) if found == version => None,
        Some(found) => Some(format!(
            "{file}: the minimum Rust version is {version}, not {found}"
        )),
        None => Some(format!("{file}: does not name the minimum Rust version")),
    }
}

/// Lists the packages of `cargo metadata` that ask for more than `version`.
fn too_new(metadata: &Value, version: &str) -> Vec<String> {
    let packages = metadata["packages"].as_array();
    let packages = packages.into_iter().flatten();
    let asking = packages.filter_map(|package| {
        let asks = package["rust_version"].as_str()?;
        (numbers(asks) > numbers(version)).then(|| {
            format!(
                "{} asks for Rust {asks}, more than {version}",
                package["name"]
            )
        })
    });
    asking.collect()
}

fn numbers(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn minimum_rust_version_is_one_number() {
        assert_eq!(problems().unwrap(), [""; 0]);
        let text = "rust: \"1.95\" }";
        let found = between(text, "rust: \"", "\"");
        assert_eq!(
            other_version("a", found, "1.91").unwrap(),
            "a: the minimum Rust version is 1.91, not 1.95"
        );
        assert_eq!(
            other_version("a", between("", "rust: \"", "\""), "1.91").unwrap(),
            "a: does not name the minimum Rust version"
        );
        assert_eq!(other_version("a", Some("1.91"), "1.91"), None);
    }

    #[test]
    fn dependency_that_asks_for_more_is_a_problem() {
        let asks = |version: Value| {
            let package = json!({ "name": "a", "rust_version": version });
            too_new(&json!({ "packages": [package] }), "1.91").len()
        };
        for (version, problems) in [
            (json!("1.91.0"), 0),
            (json!("1.9"), 0),
            (Value::Null, 0),
            (json!("1.92"), 1),
            (json!("2.0.0"), 1),
        ] {
            assert_eq!(asks(version.clone()), problems, "{version}");
        }
    }
}

//! Checks of the minimum Rust version: it is one number wherever it stands, and enough for every
//! dependency. That it is enough for our own code is for Clippy (`incompatible_msrv`), and for the
//! workflow, which builds with it.

use std::error::Error;
use std::fs;

use crate::shell::{cargo, host, output, root};

/// The files that name the number, and what stands around it; all follow the first.
const NAMED: [(&str, &str, &str); 4] = [
    ("Cargo.toml", "\nrust-version = \"", "\""),
    ("fuzz/Cargo.toml", "\nrust-version = \"", "\""),
    ("README.md", "minimum Rust version is ", ", "),
    (".github/workflows/ci.yml", "ubuntu-24.04, rust: \"", "\""),
];
const WORKSPACES: [&str; 2] = ["Cargo.toml", "fuzz/Cargo.toml"];

/// Lists where another number stands, and which dependencies it is not enough for.
pub(super) fn problems() -> Result<Vec<String>, Box<dyn Error>> {
    let mut problems = Vec::new();
    let mut version = None;
    for (file, before, after) in NAMED {
        let text = fs::read_to_string(root().join(file))?;
        let rest = text.split_once(before).map(|(_, rest)| rest);
        let found = rest.and_then(|rest| Some(rest.split_once(after)?.0.to_owned()));
        let version = version.get_or_insert_with(|| found.clone());
        if found.is_none() || found != *version {
            problems.push(format!(
                "{file}: names {found:?} as minimum, not {version:?}"
            ));
        }
    }
    // Clippy would follow a number of its own in there.
    if fs::read_to_string(root().join("clippy.toml"))?.contains("\nmsrv") {
        problems.push("clippy.toml: rust-version in Cargo.toml is the one number".to_owned());
    }
    let version = version.flatten().unwrap_or_default();
    // Of other platforms, cargo would have to fetch all crates first.
    let platform = format!("--filter-platform={}", host()?);
    for manifest in WORKSPACES {
        let arguments = ["metadata", "--locked", "--format-version=1", &platform];
        let metadata = output(cargo(&arguments).args(["--manifest-path", manifest]))?;
        let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
        let packages = metadata.get("packages").and_then(|all| all.as_array());
        for package in packages.into_iter().flatten() {
            let asks = package["rust_version"].as_str().unwrap_or_default();
            if numbers(asks) > numbers(&version) {
                let name = &package["name"];
                problems.push(format!("{name} asks for Rust {asks}, more than {version}"));
            }
        }
    }
    Ok(problems)
}

/// Major and minor number; the third says nothing about what compiles.
fn numbers(version: &str) -> Vec<u32> {
    let numbers = version.split('.').take(2);
    numbers.map(|number| number.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_older_by_its_numbers() {
        for (older, newer) in [("", "1.91"), ("1.9", "1.91"), ("1.92", "2.0.0")] {
            assert!(numbers(older) < numbers(newer), "{older} {newer}");
        }
        assert_eq!(numbers("1.91.7"), numbers("1.91"));
        assert_eq!(problems().unwrap(), [""; 0]);
    }
}

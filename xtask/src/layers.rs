//! The direction of dependencies: what each crate may link, over `cargo tree`, and which files inside
//! a crate may import which others (`storeys.rs`).

use std::collections::BTreeSet;
use std::error::Error;

use crate::shell::{Outcome, cargo, output, root};

mod imports;
mod storeys;

/// What one crate, with some of its features, links.
struct Rule {
    package: &'static str,
    features: &'static str,
    /// The crates of this workspace that it may link.
    ours: &'static [&'static str],
    /// The third-party crates that it must not link.
    never: &'static [&'static str],
}

const HTTP: &str = "reqwest";
const TERMINAL: &str = "clap";
const FILES: &str = "tempfile";

const RULES: [Rule; 9] = [
    Rule {
        package: "glance-model",
        features: "",
        ours: &[],
        never: &[
            HTTP,
            "http",
            "hyper",
            TERMINAL,
            FILES,
            "tokio",
            "futures-util",
            "async-trait",
        ],
    },
    Rule {
        package: "replicator-core",
        features: "testing",
        ours: &["glance-model"],
        never: &[HTTP, "http", "hyper", TERMINAL, "indicatif", FILES],
    },
    Rule {
        package: "glance-client",
        features: "",
        ours: &["glance-model"],
        never: &[TERMINAL, FILES, "serde-saphyr"],
    },
    Rule {
        package: "glance-client",
        features: "cloud",
        ours: &["glance-model"],
        never: &[TERMINAL, FILES],
    },
    Rule {
        package: "glance-client",
        features: "replicator",
        ours: &["glance-model", "replicator-core"],
        never: &[TERMINAL, FILES],
    },
    Rule {
        package: "glance-client",
        features: "testing",
        ours: &["glance-model"],
        never: &[TERMINAL],
    },
    Rule {
        package: "replicator-fs",
        features: "",
        ours: &["glance-model", "replicator-core"],
        never: &[HTTP, "http", "hyper", TERMINAL],
    },
    Rule {
        package: "replicator-cli",
        features: "",
        ours: &[
            "glance-client",
            "glance-model",
            "replicator-core",
            "replicator-fs",
        ],
        never: &[],
    },
    Rule {
        package: "xtask",
        features: "",
        ours: &[],
        never: &[HTTP, "tokio"],
    },
];

/// A workspace of their own, whose lock file has to keep up. CI builds them, so they
/// do without what takes long.
const FUZZ_TARGETS: Rule = Rule {
    package: "fuzz",
    features: "",
    ours: &["glance-model", "replicator-core", "replicator-fs"],
    never: &[HTTP, "hyper", TERMINAL],
};

/// Checks the rules on each crate, and that each crate of the workspace has one.
pub(crate) fn check() -> Outcome {
    let members = members()?;
    let members = packages(&members);
    let mut broken: Vec<String> = without_rule(&members);
    for rule in &RULES {
        let package = format!("--package={}", rule.package);
        let features = format!("--features={}", rule.features);
        let linked = tree(&[&package, &features])?;
        broken.extend(violations(rule, &members, &packages(&linked)));
    }
    let linked = tree(&["--locked", "--manifest-path=fuzz/Cargo.toml"])?;
    broken.extend(violations(&FUZZ_TARGETS, &members, &packages(&linked)));
    let directories: Vec<&str> = members.into_iter().collect();
    broken.extend(storeys::broken(&root(), &directories)?);
    if broken.is_empty() {
        Ok(())
    } else {
        Err(broken.join("\n").into())
    }
}

/// Prints, for each crate, the order that its files have by what they import.
pub(crate) fn print() -> Outcome {
    let members = members()?;
    let directories: Vec<&str> = packages(&members).into_iter().collect();
    print!("{}", storeys::drawn(&root(), &directories)?);
    Ok(())
}

fn members() -> Result<String, Box<dyn Error>> {
    output(&mut cargo(&[
        "tree",
        "--workspace",
        "--depth=0",
        "--prefix=none",
    ]))
}

fn tree(of: &[&str]) -> Result<String, Box<dyn Error>> {
    output(cargo(&["tree", "--edges=normal", "--prefix=none"]).args(of))
}

/// The names in the output of `cargo tree --prefix=none`.
fn packages(tree: &str) -> BTreeSet<&str> {
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect()
}

fn without_rule(members: &BTreeSet<&str>) -> Vec<String> {
    members
        .iter()
        .filter(|member| !RULES.iter().any(|rule| rule.package == **member))
        .map(|member| format!("{member} has no rule in xtask/src/layers.rs"))
        .collect()
}

fn violations(rule: &Rule, members: &BTreeSet<&str>, linked: &BTreeSet<&str>) -> Vec<String> {
    let Rule {
        package,
        features,
        ours,
        never,
    } = rule;
    linked
        .iter()
        .filter(|name| *name != package)
        .filter(|name| never.contains(name) || (members.contains(*name) && !ours.contains(name)))
        .map(|name| format!("{package} (features: {features:?}) must not link {name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: [&str; 3] = ["replicator-fs", "glance-client", "glance-model"];

    fn broken(linked: &[&str]) -> Vec<String> {
        let rule = Rule {
            package: "replicator-fs",
            features: "",
            ours: &["glance-model"],
            never: &["reqwest"],
        };
        violations(&rule, &MEMBERS.into(), &linked.iter().copied().collect())
    }

    #[test]
    fn names_are_read_from_a_tree() {
        let tree = "glance-model v0.1.0 (/somewhere)\nserde v1.0.229\n\nserde v1.0.229 (*)\n";
        assert_eq!(packages(tree), ["glance-model", "serde"].into());
    }

    #[test]
    fn itself_and_what_is_allowed_pass() {
        assert_eq!(broken(&["replicator-fs", "glance-model", "serde"]), [""; 0]);
    }

    #[test]
    fn third_party_crate_that_is_never_linked_is_named() {
        assert_eq!(
            broken(&["replicator-fs", "reqwest"]),
            [r#"replicator-fs (features: "") must not link reqwest"#]
        );
    }

    #[test]
    fn crate_of_ours_that_is_not_allowed_is_named() {
        assert_eq!(
            broken(&["replicator-fs", "glance-client"]),
            [r#"replicator-fs (features: "") must not link glance-client"#]
        );
    }

    #[test]
    fn crate_without_rule_is_named() {
        assert_eq!(
            without_rule(&["xtask", "glance-new"].into()),
            ["glance-new has no rule in xtask/src/layers.rs"]
        );
    }

    #[test]
    fn nothing_may_link_the_command_line_tool_or_the_tasks() {
        for rule in &RULES {
            assert!(!rule.ours.contains(&"replicator-cli"), "{}", rule.package);
            assert!(!rule.ours.contains(&"xtask"), "{}", rule.package);
        }
    }
}

//! The direction of dependencies: what each crate may link, over `cargo tree`, and which files inside
//! a crate may import which others (`storeys.rs`).

use std::collections::BTreeSet;
use std::error::Error;

use crate::shell::{Outcome, cargo, output, root};

mod imports;
mod storeys;

/// The rule for what one crate, with some of its features, links: names, with blanks between them.
struct Rule {
    package: &'static str,
    features: &'static str,
    /// The crates of this workspace that it may link.
    ours: &'static str,
    /// The third-party crates that it must not link.
    never: &'static str,
}

/// A crate a line: its features, which of ours it may link, and what it must not.
#[rustfmt::skip]
const RULES: [Rule; 9] = [
    rule("glance-model", "", "",
        "reqwest http hyper clap tempfile tokio futures-util async-trait"),
    rule("replicator-core", "testing", "glance-model", "reqwest http hyper clap indicatif tempfile"),
    rule("glance-client", "", "glance-model", "clap tempfile serde-saphyr"),
    rule("glance-client", "cloud", "glance-model", "clap tempfile"),
    rule("glance-client", "replicator", "glance-model replicator-core", "clap tempfile"),
    rule("glance-client", "testing", "glance-model", "clap"),
    rule("replicator-fs", "", "glance-model replicator-core", "reqwest http hyper clap"),
    rule("replicator-cli", "", "glance-client glance-model replicator-core replicator-fs", ""),
    rule("xtask", "", "", "reqwest tokio"),
];

/// A workspace of their own, whose lock file has to keep up. CI builds them, so they
/// do without what takes long.
const FUZZ_TARGETS: Rule = rule(
    "fuzz",
    "",
    "glance-model replicator-core replicator-fs",
    "reqwest hyper clap",
);

const fn rule(
    package: &'static str,
    features: &'static str,
    ours: &'static str,
    never: &'static str,
) -> Rule {
    Rule {
        package,
        features,
        ours,
        never,
    }
}

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
    let (package, features) = (rule.package, rule.features);
    let names = |list: &str, name: &str| list.split(' ').any(|one| one == name);
    linked
        .iter()
        .filter(|name| **name != package)
        .filter(|name| {
            let is_ours = members.contains(*name);
            names(rule.never, name) || (is_ours && !names(rule.ours, name))
        })
        .map(|name| format!("{package} (features: {features:?}) must not link {name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: [&str; 3] = ["replicator-fs", "glance-client", "glance-model"];

    fn broken(linked: &[&str]) -> Vec<String> {
        let rule = rule("replicator-fs", "", "glance-model", "reqwest");
        violations(&rule, &MEMBERS.into(), &linked.iter().copied().collect())
    }

    #[test]
    fn names_are_read_from_a_tree() {
        let tree = "glance-model v0.1.0 (/somewhere)\nserde v1.0.229\n\nserde v1.0.229 (*)\n";
        assert_eq!(packages(tree), ["glance-model", "serde"].into());
    }

    #[test]
    fn what_is_not_allowed_is_named_and_nothing_else() {
        assert_eq!(broken(&["replicator-fs", "glance-model", "serde"]), [""; 0]);
        for name in ["reqwest", "glance-client"] {
            let said = format!("replicator-fs (features: \"\") must not link {name}");
            assert_eq!(broken(&["replicator-fs", name]), [said]);
        }
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
            assert!(!rule.ours.contains("replicator-cli"), "{}", rule.package);
            assert!(!rule.ours.contains("xtask"), "{}", rule.package);
        }
    }
}

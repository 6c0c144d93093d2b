//! Checks of one crate's manifest: one place holds versions, package fields and lints.

/// The package fields that every crate inherits.
const INHERITED: [&str; 5] = [
    "version",
    "edition",
    "rust-version",
    "license",
    "repository",
];

/// Lists what a manifest does not take from the workspace.
pub(super) fn problems(text: &str) -> Vec<String> {
    let mut problems: Vec<String> = INHERITED
        .iter()
        .filter(|field| !text.contains(&format!("\n{field}.workspace = true\n")))
        .map(|field| format!("{field} is not inherited"))
        .collect();
    if !text.contains("\n[lints]\nworkspace = true\n") {
        problems.push("lints are not inherited".to_owned());
    }
    let mut section = "";
    for line in text.lines() {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        } else if section.ends_with("dependencies")
            && let Some((name, value)) = line.split_once('=')
            && !inherits(section, name.trim(), value.trim())
        {
            problems.push(format!("{section}: {} is not inherited", name.trim()));
        } else if section.contains("dependencies.") && !line.is_empty() {
            problems.push(format!("{section}: write it as one line"));
            section = "";
        }
    }
    problems
}

/// A crate may depend on itself, to give its own tests its own features.
fn inherits(section: &str, name: &str, value: &str) -> bool {
    (name.ends_with(".workspace") && value == "true")
        || value.starts_with("{ workspace = true")
        || (section == "dev-dependencies" && value.starts_with("{ path = \".\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"[package]
name = "a"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
repository.workspace = true

[lints]
workspace = true

[dependencies]
serde.workspace = true
tokio = { workspace = true, features = ["fs"] }

[features]
testing = [
    "dep:hyper",
]

[dev-dependencies]
a = { path = ".", features = ["testing"] }
"#;

    #[test]
    fn manifest_that_inherits_all_passes() {
        assert_eq!(problems(GOOD), [""; 0]);
    }

    #[test]
    fn what_is_not_inherited_is_a_problem() {
        for (old, new, problem) in [
            ("\nversion.workspace = true", "\nversion = \"1\"", "version"),
            ("edition.workspace = true\n", "", "edition"),
            (
                "serde.workspace = true",
                "serde = \"1\"",
                "dependencies: serde",
            ),
            (
                "{ workspace = true, f",
                "{ version = \"1\", f",
                "dependencies: tokio",
            ),
            ("path = \".\"", "path = \"../a\"", "dev-dependencies: a"),
        ] {
            let problem = format!("{problem} is not inherited");
            assert_eq!(problems(&GOOD.replace(old, new)), [problem], "{new:?}");
        }
        let without = GOOD.replace("[lints]\nworkspace = true", "");
        assert_eq!(problems(&without), ["lints are not inherited"]);
        let table = "[dependencies.http]\nversion = \"1\"\n[features]";
        assert_eq!(
            problems(&GOOD.replace("[features]", table)),
            ["dependencies.http: write it as one line"]
        );
    }
}

//! Checks that no other tool does: module docs, leftovers, file lengths, manifests, links, promises, the
//! minimum Rust version.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::shell::{Outcome, root};

mod guarantees;
mod links;
mod manifest;
mod min_rust;
mod source;

/// The documents that each crate has beside its manifest.
const DOCUMENTS: [&str; 2] = ["README.md", "CHANGELOG.md"];

/// The fuzz targets, which inherit nothing from a workspace of which they are no part.
const OWN_WORKSPACE: &str = "fuzz/Cargo.toml";

/// The promises, each with the tests that hold it.
const GUARANTEES: &str = "docs/guarantees.md";

/// The chapters of the book; mdBook leaves out, without a word, what is not named here.
const SUMMARY: &str = "docs/SUMMARY.md";

/// Checks every file of the workspace, and lists all problems at once.
pub(crate) fn check() -> Outcome {
    let root = root();
    let mut files = Vec::new();
    list_files(&root, &mut files)?;
    let mut problems = min_rust::problems()?;
    for path in &files {
        let name = path
            .strip_prefix(&root)
            .unwrap_or(path)
            .display()
            .to_string();
        let found = match path.extension().and_then(|extension| extension.to_str()) {
            Some("rs") => {
                let mut found = source::problems(&name, &fs::read_to_string(path)?);
                found.extend(forgotten_test(path));
                found
            }
            Some("md") => {
                let text = fs::read_to_string(path)?;
                let mut found = links::problems(path, &text);
                found.extend(forgotten_chapter(&root, &name)?);
                if name == GUARANTEES {
                    found.extend(guarantees::problems(path, &text));
                }
                found
            }
            Some("toml") if name.ends_with("/Cargo.toml") && name != OWN_WORKSPACE => {
                let crate_dir = path.parent().unwrap_or(&root);
                let mut found = manifest::problems(&fs::read_to_string(path)?);
                found.extend(missing_documents(crate_dir));
                found
            }
            _ => Vec::new(),
        };
        problems.extend(
            found
                .into_iter()
                .map(|problem| format!("{name}: {problem}")),
        );
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems.join("\n").into())
    }
}

/// Collects the files below a directory, but those of tools: hidden ones and `target`.
fn list_files(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == "target" || name.to_string_lossy().starts_with('.') {
            continue;
        }
        if entry.file_type()?.is_dir() {
            list_files(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(())
}

/// The tasks themselves are no product: they have no users to write for.
fn missing_documents(crate_dir: &Path) -> Vec<String> {
    if crate_dir.ends_with("xtask") {
        return Vec::new();
    }
    DOCUMENTS
        .iter()
        .filter(|name| !crate_dir.join(name).is_file())
        .map(|name| format!("the crate has no {name}"))
        .collect()
}

/// Returns the problem of a document in `docs` that is no chapter of the book.
fn forgotten_chapter(root: &Path, name: &str) -> io::Result<Option<String>> {
    let Some(chapter) = name.strip_prefix("docs/").filter(|_| name != SUMMARY) else {
        return Ok(None);
    };
    let summary = fs::read_to_string(root.join(SUMMARY))?;
    let is_named = summary.contains(&format!("]({chapter})"));
    Ok((!is_named).then(|| format!("{SUMMARY} does not name it")))
}

/// Returns the problem of a file in `tests/it` that `main.rs` beside it does not name, so that its
/// tests never run.
fn forgotten_test(path: &Path) -> Option<String> {
    let main = path.with_file_name("main.rs");
    let module = path.file_stem()?.to_str()?;
    let is_test = path.parent()?.ends_with("tests/it") && module != "main";
    let modules = fs::read_to_string(main).unwrap_or_default();
    let is_named = modules.lines().any(|line| line == format!("mod {module};"));
    (is_test && !is_named).then(|| format!("`main.rs` does not say `mod {module};`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_that_main_does_not_name_is_a_problem() {
        let tests = root().join("replicator-core/tests");
        assert_eq!(forgotten_test(&tests.join("it/ids.rs")), None);
        assert_eq!(forgotten_test(&tests.join("it/main.rs")), None);
        assert_eq!(forgotten_test(&tests.join("other/none.rs")), None);
        assert_eq!(
            forgotten_test(&tests.join("it/none.rs")).as_deref(),
            Some("`main.rs` does not say `mod none;`")
        );
    }

    #[test]
    fn document_that_the_book_does_not_name_is_a_problem() {
        let found = |name| forgotten_chapter(&root(), name).unwrap();
        for name in ["docs/guarantees.md", SUMMARY, "README.md"] {
            assert_eq!(found(name), None);
        }
        assert_eq!(
            found("docs/none.md").as_deref(),
            Some("docs/SUMMARY.md does not name it")
        );
    }

    #[test]
    fn crate_without_its_documents_is_a_problem_and_the_tasks_are_exempt() {
        let sources = root().join("xtask/src");
        let expected = [
            "the crate has no README.md",
            "the crate has no CHANGELOG.md",
        ];
        assert_eq!(missing_documents(&sources), expected);
        assert_eq!(missing_documents(&root().join("xtask")), [""; 0]);
    }

    #[test]
    fn hidden_files_and_build_output_are_not_listed() {
        let mut files = Vec::new();
        list_files(&root(), &mut files).unwrap();
        let below = |name: &str| files.iter().any(|path| path.starts_with(root().join(name)));
        assert!(below("xtask"), "{files:?}");
        assert!(!below("target"));
        assert!(!below(".git"));
    }
}

//! Checks of the document of guarantees: each row of its tables names a test, and each test that it
//! names is there. It names one by a link with the test's name, in code, to the test's file.

use std::fs;
use std::path::Path;

/// Lists the promises of the document at `path` that no test holds.
pub(super) fn problems(path: &Path, text: &str) -> Vec<String> {
    let dir = path.parent().unwrap_or(path);
    let mut problems = Vec::new();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let next = lines.get(index + 1).copied().unwrap_or_default();
        let is_row = line.starts_with("| ") && !next.starts_with("|---");
        let tests = tests(line);
        if is_row && tests.is_empty() {
            problems.push(format!("line {}: no test holds this", index + 1));
        }
        for (test, file) in tests {
            // That the file is there is for the links to say.
            let is_there =
                fs::read_to_string(dir.join(file)).is_ok_and(|file| has_test(&file, test));
            if !is_there {
                problems.push(format!("line {}: {file} has no test {test}", index + 1));
            }
        }
    }
    problems
}

/// The tests that a line names, with their files.
fn tests(line: &str) -> Vec<(&str, &str)> {
    let links = line.split("[`").skip(1);
    let parts = links.filter_map(|link| {
        let (test, rest) = link.split_once("`](")?;
        let (file, _) = rest.split_once(')')?;
        file.ends_with(".rs").then_some((test, file))
    });
    parts.collect()
}

/// Returns whether a function of that name stands below an attribute that makes it a test.
fn has_test(file: &str, name: &str) -> bool {
    let mut is_test = false;
    for line in file.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            continue;
        }
        let function = line.strip_prefix("async ").unwrap_or(line);
        let function = function.strip_prefix("fn ");
        let rest = function.and_then(|function| function.strip_prefix(name));
        if is_test && rest.is_some_and(|rest| rest.starts_with('(')) {
            return true;
        }
        is_test = false;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::root;

    fn found(text: &str) -> Vec<String> {
        problems(&root().join("docs/guarantees.md"), text)
    }

    const HERE: &str = "../xtask/src/tidy/guarantees.rs";

    #[test]
    fn promise_with_a_test_passes() {
        let name = "promise_with_a_test_passes";
        let text = format!("| a | b |\n|---|---|\n| x | [`{name}`]({HERE}), [y](z.md) |\n\ntext\n");
        assert_eq!(found(&text), [""; 0]);
    }

    #[test]
    fn promise_without_a_test_or_with_one_that_is_not_there_is_a_problem() {
        for (cell, problem) in [
            ("y", "line 3: no test holds this".to_owned()),
            ("[`y`](z.md)", "line 3: no test holds this".to_owned()),
            ("[`gone`](HERE)", format!("line 3: {HERE} has no test gone")),
            (
                "[`found`](HERE)",
                format!("line 3: {HERE} has no test found"),
            ),
            (
                "[`promise`](HERE)",
                format!("line 3: {HERE} has no test promise"),
            ),
            ("[`y`](gone.rs)", "line 3: gone.rs has no test y".to_owned()),
        ] {
            let cell = cell.replace("HERE", HERE);
            let text = format!("| a | b |\n|---|---|\n| x | {cell} |\n");
            assert_eq!(found(&text), [problem], "{cell}");
        }
    }
}

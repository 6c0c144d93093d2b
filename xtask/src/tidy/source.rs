//! Checks of one Rust file.

/// Past this many lines without its tests, a module holds a second idea.
const MAX_LINES: usize = 500;

/// The beginnings of a file that says what it is for; for a library its README does.
const DOCUMENTED: [&str; 2] = ["//! ", "#![doc = include_str!(\"../README.md\")]"];

/// The marks of code that is to be removed again; split, so that this file passes.
const LEFTOVERS: [&str; 5] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("#[ig", "nore"),
    concat!("d", "bg!("),
    concat!("TO", "DO"),
];

/// Lists what is wrong with the file `name`.
pub(super) fn problems(name: &str, text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if !DOCUMENTED
        .iter()
        .any(|beginning| text.starts_with(beginning))
    {
        problems.push("the first line does not say what the module is for (`//!`)".to_owned());
    }
    for (index, line) in text.lines().enumerate() {
        let found = LEFTOVERS
            .iter()
            .filter(|leftover| line.contains(**leftover));
        problems.extend(found.map(|leftover| format!("line {}: {leftover}", index + 1)));
    }
    let lines = lines_without_tests(text);
    let is_source = name.contains("/src/") && !name.ends_with("/tests.rs");
    if is_source && lines > MAX_LINES {
        problems.push(format!("{lines} lines, more than {MAX_LINES}"));
    }
    problems
}

fn lines_without_tests(text: &str) -> usize {
    text.split("\n#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or(text)
        .lines()
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = "//! A module.\n";

    #[test]
    fn file_without_module_docs_or_with_a_leftover_is_a_problem() {
        let library = "#![doc = include_str!(\"../README.md\")]\n";
        for text in [DOC, library] {
            assert_eq!(problems("a/src/b.rs", text), [""; 0]);
        }
        for text in ["", "use std::fs;\n", "//!\n", "// no doc\n//! A module.\n"] {
            assert_eq!(problems("a/src/b.rs", text).len(), 1, "{text:?}");
        }
        for leftover in LEFTOVERS {
            let found = problems("a/tests/b.rs", &format!("{DOC}\n    {leftover}"));
            assert_eq!(found, [format!("line 3: {leftover}")]);
        }
    }

    #[test]
    fn long_module_is_a_problem_and_its_tests_do_not_count() {
        let longest = format!("{DOC}{}", "\n".repeat(MAX_LINES - 1));
        let with_tests = format!("{longest}\n#[cfg(test)]\nmod tests {{\n}}\n");
        let too_long = format!("{longest}\n");
        assert_eq!(problems("a/src/b.rs", &longest), [""; 0]);
        assert_eq!(problems("a/src/b.rs", &with_tests), [""; 0]);
        assert_eq!(
            problems("a/src/b.rs", &too_long),
            ["501 lines, more than 500"]
        );
        assert_eq!(problems("a/tests/b.rs", &too_long), [""; 0]);
        assert_eq!(problems("a/src/b/tests.rs", &too_long), [""; 0]);
    }
}

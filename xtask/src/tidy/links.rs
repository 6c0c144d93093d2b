//! Checks of one Markdown file: every relative link leads to a file that is there, and to a heading of
//! it if it names one.

use std::fs;
use std::path::Path;

/// Lists the links of the file at `path` that lead nowhere.
pub(super) fn problems(path: &Path, text: &str) -> Vec<String> {
    let dir = path.parent().unwrap_or(path);
    targets(text)
        .filter(|target| is_relative_path(target))
        .filter(|target| !leads_somewhere(path, dir, target))
        .map(|target| format!("the link to {target} leads nowhere"))
        .collect()
}

fn leads_somewhere(path: &Path, dir: &Path, target: &str) -> bool {
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let file = match file {
        "" => path.to_owned(),
        file => dir.join(file),
    };
    if heading.is_empty() || file.extension().is_none_or(|extension| extension != "md") {
        return file.exists();
    }
    fs::read_to_string(file).is_ok_and(|text| has_heading(&text, heading))
}

/// Returns whether a heading has this anchor, as GitHub and mdBook make it.
fn has_heading(text: &str, anchor: &str) -> bool {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    let mut anchors = headings.map(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter_map(|letter| match letter {
            ' ' => Some('-'),
            '-' | '_' => Some(letter),
            letter => letter.is_alphanumeric().then_some(letter),
        });
        kept.collect::<String>()
    });
    anchors.any(|found| found == anchor)
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_code ^= is_fence;
        !in_code && !is_fence
    })
}

/// The targets of inline links and of link definitions, outside of code.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    prose(text).flat_map(|line| {
        let inline = line.split('`').step_by(2).flat_map(|part| {
            part.split("](")
                .skip(1)
                .filter_map(|rest| rest.split([')', ' ']).next())
        });
        let definition = line
            .starts_with('[')
            .then(|| line.split_once("]: "))
            .flatten();
        inline.chain(definition.map(|(_, target)| target.trim()))
    })
}

/// Not a link to another site, or to an item of Rust.
fn is_relative_path(target: &str) -> bool {
    !(target.is_empty() || target.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::root;

    fn broken(text: &str) -> Vec<String> {
        problems(&root().join("xtask/lab/README.md"), text)
    }

    #[test]
    fn links_that_lead_somewhere_pass() {
        let text = "[a](lab) and [`b`](../src/main.rs#main)\n[c](https://example.org/x)\n\
                    [d](#the-cloud-keystone-and-two-regions), [`e`](crate::Thing)\n[f]: ../Cargo.toml\n\
                    [g](../../CONTRIBUTING.md#how-we-write)\n";
        assert_eq!(broken(text), [""; 0]);
    }

    #[test]
    fn code_holds_no_links() {
        assert_eq!(
            broken("`[a](nowhere)`\n```text\n[a](nowhere)\n```\n"),
            [""; 0]
        );
    }

    #[test]
    fn link_that_leads_nowhere_is_a_problem() {
        for text in [
            "[`a`](nowhere.md)",
            "x [a](nowhere.md#part) y",
            "[a]: nowhere.md",
            "```\n```\n[a](nowhere.md \"title\")",
            "[a](#nowhere.md)",
            "[a](../../CONTRIBUTING.md#nowhere.md)",
        ] {
            let problems = broken(text);
            assert_eq!(problems.len(), 1, "{text:?}");
            assert!(problems[0].contains("nowhere.md"), "{problems:?}");
        }
    }
}

//! A YAML or JSON file as a tree of texts, each as it is written: `0123` and `no` are no
//! numbers and no switches before somebody asks for one.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::secret::Secret;

/// A part of a file, and where it begins.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) content: Content,
    /// Line and column, from 1.
    pub(super) place: (u64, u64),
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Null,
    Text(Secret),
    List(Vec<Node>),
    /// In the order of the file, without keys that are no texts.
    Map(Vec<(String, Node)>),
}

/// The reason why a file cannot be read.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) place: (u64, u64),
    /// It quotes nothing of the file, which may have passwords in it.
    pub(super) problem: String,
}

impl Node {
    /// Reads a file. One that is empty is null.
    pub(super) fn parse(file: &str) -> Result<Self, Broken> {
        let options = serde_saphyr::options! {
            duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
            non_finite_float_policy: serde_saphyr::options::NonFiniteFloatPolicy::PassThrough,
            with_snippet: false,
            // Fifty clouds may share one anchor; how much aliases make of a file is limited anyway.
            budget: serde_saphyr::budget! { enforce_alias_anchor_ratio: false },
        };
        match serde_saphyr::from_str_with_options::<Option<Raw>>(file, options) {
            Ok(Some(raw)) => Ok(raw.node(file)),
            Ok(None) => Ok(Self {
                content: Content::Null,
                place: (1, 1),
            }),
            Err(error) => Err(Broken {
                place: error
                    .location()
                    .map_or((1, 1), |at| (at.line(), at.column())),
                problem: problem(&error),
            }),
        }
    }

    /// The value of a key, if this is a map that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Content::Map(entries) = &self.content else {
            return None;
        };
        let mut entries = entries.iter();
        entries
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }
}

/// A node whose numbers and switches are not yet texts again.
struct Raw {
    content: RawContent,
    at: Location,
}

enum RawContent {
    Null,
    Text(Secret),
    /// A number or a switch, whose text is in the file alone.
    Typed,
    List(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl Raw {
    fn node(self, file: &str) -> Node {
        let content = match self.content {
            RawContent::Null => Content::Null,
            RawContent::Text(text) => Content::Text(text),
            RawContent::Typed => Content::Text(written(file, &self.at).into()),
            RawContent::List(list) => {
                Content::List(list.into_iter().map(|raw| raw.node(file)).collect())
            }
            RawContent::Map(map) => {
                let mut entries: Vec<(String, Node)> = Vec::new();
                let mut places = HashMap::new();
                for (key, value) in map {
                    let Content::Text(key) = key.node(file).content else {
                        continue;
                    };
                    let (key, value) = (key.expose().to_owned(), value.node(file));
                    // As it is in Python: the last of two counts, in the place of the first.
                    let at = *places.entry(key.clone()).or_insert(entries.len());
                    match entries.get_mut(at) {
                        Some(entry) => entry.1 = value,
                        None => entries.push((key, value)),
                    }
                }
                Content::Map(entries)
            }
        };
        Node {
            content,
            place: (self.at.line(), self.at.column()),
        }
    }
}

/// The text of a number or a switch; those with a tag may stand in quotes.
fn written(file: &str, at: &Location) -> String {
    let span = at.span();
    let range = || {
        let begin = usize::try_from(span.byte_offset()?).ok()?;
        let len = usize::try_from(span.byte_len()?).ok()?;
        file.get(begin..begin.checked_add(len)?)
    };
    let text = range().unwrap_or_default();
    text.trim_matches(['"', '\'']).to_owned()
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<RawContent>::deserialize(deserializer)?;
        Ok(Self {
            content: spanned.value,
            at: spanned.defined,
        })
    }
}

impl<'de> Deserialize<'de> for RawContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyVisitor;

        impl<'de> Visitor<'de> for AnyVisitor {
            type Value = RawContent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a setting")
            }

            fn visit_str<E>(self, text: &str) -> Result<RawContent, E> {
                Ok(RawContent::Text(text.to_owned().into()))
            }

            fn visit_bool<E>(self, _: bool) -> Result<RawContent, E> {
                Ok(RawContent::Typed)
            }

            fn visit_i64<E>(self, _: i64) -> Result<RawContent, E> {
                Ok(RawContent::Typed)
            }

            fn visit_u64<E>(self, _: u64) -> Result<RawContent, E> {
                Ok(RawContent::Typed)
            }

            fn visit_f64<E>(self, _: f64) -> Result<RawContent, E> {
                Ok(RawContent::Typed)
            }

            fn visit_unit<E>(self) -> Result<RawContent, E> {
                Ok(RawContent::Null)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawContent, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element()? {
                    list.push(element);
                }
                Ok(RawContent::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawContent, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(RawContent::Map(entries))
            }
        }

        deserializer.deserialize_any(AnyVisitor)
    }
}

/// Returns the problem, without any text of the file.
fn problem(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error;
    let problem = match error {
        Error::ExternalMessage { msg, .. } | Error::Message { msg, .. } => msg.clone(),
        Error::Unexpected { expected, .. } => format!("expected {expected}"),
        Error::Eof { .. } => "it ends too early".to_owned(),
        Error::Budget { .. } => "it has more in it than is read of such a file".to_owned(),
        _ => String::new(),
    };
    // Signs of YAML's own may stand in quotes; all else may be of the file.
    let signs = [",", "}", "]", ":", "-", "?", "{", "["].map(|sign| format!("'{sign}'"));
    let rest = signs
        .iter()
        .fold(problem.clone(), |rest, sign| rest.replace(sign, ""));
    if rest.is_empty() || rest.contains(['"', '\'', '`']) {
        return "this is no valid YAML, or not what belongs here".to_owned();
    }
    problem
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(node: &Node, into: &mut Vec<String>) {
        match &node.content {
            Content::Null => into.push("null".to_owned()),
            Content::Text(text) => into.push(text.expose().to_owned()),
            Content::List(list) => list.iter().for_each(|node| texts(node, into)),
            Content::Map(map) => map.iter().for_each(|(_, node)| texts(node, into)),
        }
    }

    #[test]
    fn every_text_is_as_it_is_written() {
        for written in [
            "0123",
            "1.10",
            "010",
            "no",
            "On",
            "1234e56",
            "1e999",
            ".inf",
            "-0",
            "+1",
            "1_000",
            "0x1F",
            "12345678901234567890123456789012",
            "2001-12-14",
            "null",
        ] {
            let files = [
                format!("a: {written}\n"),
                format!("\u{feff}x: \u{e4}\na: &b {written}\nb: *b\n"),
                format!("{{\"a\": {written}}}"),
                format!("x: &x {{a: {written}}}\ny: {{<<: *x}}\nz: [{written}]"),
            ];
            for file in files {
                let mut found = Vec::new();
                texts(&Node::parse(&file).unwrap(), &mut found);
                found.retain(|text| text != "\u{e4}");
                assert!(
                    found.iter().all(|text| text == written),
                    "{file}: {found:?}"
                );
                assert!(!found.is_empty());
            }
        }
        for (file, wanted) in [
            ("a: 'no'", "no"),
            ("a: !!str 012", "012"),
            ("a: !!int '12'", "12"),
            ("a: \"\\u00e4\"", "\u{e4}"),
            ("a: >\n  b\n  c\n", "b c\n"),
            ("a: ~", "null"),
            ("a:", "null"),
            ("a: 1\na: 2", "2"),
            ("{\n\t\"a\":\t3\n}", "3"),
        ] {
            let mut found = Vec::new();
            texts(&Node::parse(file).unwrap(), &mut found);
            assert_eq!(found, [wanted], "{file}");
        }
    }

    #[test]
    fn a_file_that_aliases_blow_up_is_refused() {
        let mut file = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..9 {
            let before = format!("*a{}, ", n - 1).repeat(10);
            file += &format!("a{n}: &a{n} [{before}]\n");
        }
        let broken = Node::parse(&file).unwrap_err();
        assert!(!broken.problem.is_empty());
    }
}

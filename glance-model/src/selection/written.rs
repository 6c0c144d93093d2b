//! A test as it is written.

use std::fmt;

use super::expression::MINE;
use super::test::{Key, Moment, Operator, Test, Text, Values, WORDS};

impl From<Test> for String {
    fn from(test: Test) -> Self {
        test.to_string()
    }
}

/// The test as it is written; what is read from it is the same test.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.key, self.operator)?;
        match &self.values {
            Values::None => Ok(()),
            Values::Flag(flag) => write!(f, "{flag}"),
            Values::Texts(texts) => list(f, texts),
            Values::Numbers(numbers) => list(f, numbers.iter().map(|number| format!("{number}B"))),
            Values::Times(times) => list(f, times),
        }
    }
}

fn list(
    f: &mut fmt::Formatter<'_>,
    values: impl IntoIterator<Item = impl fmt::Display>,
) -> fmt::Result {
    for (index, value) in values.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(f, "{comma}{value}")?;
    }
    Ok(())
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Property(name) => write!(f, "property:{}", quoted_key(name)),
            key => f.write_str(word(key)),
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Has => "",
            Self::Is => "=",
            Self::IsNot => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        })
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(&quoted(text)),
            Self::Like(pattern) => pattern.fmt(f),
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => time.fmt(f),
            Self::Day(day) => day.fmt(f),
        }
    }
}

/// The word of a key; that of a property is the text before its name.
fn word(key: &Key) -> &'static str {
    let mut words = WORDS.iter();
    words
        .find(|(_, known)| known == key)
        .map_or("property:", |(word, _)| *word)
}

/// Returns a text as it is to be written where a value is expected.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:@+ ".contains(c);
    if !text.is_empty() && text.trim() == text && text != MINE && text.chars().all(is_plain) {
        return text.to_owned();
    }
    in_quotes(text)
}

/// Returns the name of a property as it is to be written.
fn quoted_key(name: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
    if !name.is_empty() && name.chars().all(is_plain) {
        return name.to_owned();
    }
    in_quotes(name)
}

fn in_quotes(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

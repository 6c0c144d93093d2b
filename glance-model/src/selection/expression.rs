//! The grammar of a test, `KEY OPERATOR VALUE`, as it is read.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};

use super::test::{Key, Moment, Operator, Test, Text, Values, WORDS};
use crate::{ImageId, Visibility};

/// Values that an expression may mean without saying them.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Surroundings {
    /// The time now, from which ages count.
    pub now: Option<Timestamp>,
    /// The project that `owner=mine` means.
    pub project: Option<String>,
}

impl Surroundings {
    /// Returns surroundings of that time, in which no project is anybody's.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: Some(now),
            project: None,
        }
    }

    /// Returns the same with a project of one's own.
    #[must_use]
    pub fn of_project(mut self, project: Option<String>) -> Self {
        self.project = project;
        self
    }
}

/// A text is no test. Its `Display` form has three lines: what is expected, the text, and a mark
/// under the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}\n  {text}\n  {:column$}^", "")]
pub struct ExpressionError {
    /// The text.
    pub text: String,
    /// The number of characters before the place that cannot be read.
    pub column: usize,
    /// The thing that is expected there.
    pub expected: String,
}

const STATUSES: [&str; 9] = [
    "queued",
    "saving",
    "uploading",
    "importing",
    "active",
    "deactivated",
    "killed",
    "deleted",
    "pending_delete",
];

/// The longer ones first, since the shorter ones are their beginnings.
const OPERATORS: [(&str, Operator); 6] = [
    ("!=", Operator::IsNot),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=", Operator::Is),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// The characters that begin an operator.
const OPERATOR_SIGNS: [char; 4] = ['=', '!', '<', '>'];

/// The owner whose token is used.
pub(super) const MINE: &str = "mine";

impl Test {
    /// Reads a test.
    ///
    /// # Errors
    ///
    /// The place that cannot be read, and what is expected there.
    pub fn parse(text: &str, surroundings: &Surroundings) -> Result<Self, ExpressionError> {
        read(text, surroundings)
    }
}

impl FromStr for Key {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        let mut reader = Reader { text, at: 0 };
        let key = reader.key()?;
        if reader.rest().is_empty() {
            Ok(key)
        } else {
            Err(reader.expected_at(reader.at, "the key alone"))
        }
    }
}

impl FromStr for Test {
    type Err = ExpressionError;

    /// Reads a test that says by itself all that it means: no age, and no `owner=mine`.
    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        Self::parse(text, &Surroundings::default())
    }
}

impl TryFrom<String> for Test {
    type Error = ExpressionError;

    fn try_from(text: String) -> Result<Self, ExpressionError> {
        text.parse()
    }
}

fn read(text: &str, surroundings: &Surroundings) -> Result<Test, ExpressionError> {
    let mut reader = Reader { text, at: 0 };
    let key = reader.key()?;
    let Some((operator_at, operator)) = reader.operator(&key)? else {
        return Ok(Test {
            key,
            operator: Operator::Has,
            values: Values::None,
        });
    };
    let is_order = !matches!(operator, Operator::Is | Operator::IsNot);
    let kind = Kind::of(&key);
    if is_order && !matches!(kind, Kind::Number | Kind::Time) {
        return Err(reader.expected_at(operator_at, "= or !=, since this key has no order"));
    }
    let mut values = Vec::new();
    loop {
        values.push(reader.value(&key, kind, surroundings)?);
        if !reader.skip(',') {
            break;
        }
        if is_order || kind == Kind::Flag {
            return Err(reader.expected_at(reader.at - 1, "one value alone"));
        }
    }
    Ok(Test {
        key,
        operator,
        values: together(values),
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Flag,
    Number,
    Time,
}

impl Kind {
    fn of(key: &Key) -> Self {
        match key {
            Key::Hidden | Key::Protected => Self::Flag,
            Key::Size | Key::MinDisk | Key::MinRam => Self::Number,
            Key::Created | Key::Updated => Self::Time,
            _ => Self::Text,
        }
    }
}

enum Value {
    Text(Text),
    Flag(bool),
    Number(u64),
    Time(Moment),
}

/// Values of one kind, as those of one key are.
fn together(values: Vec<Value>) -> Values {
    let mut all = Values::None;
    for value in values {
        match (&mut all, value) {
            (Values::Texts(texts), Value::Text(text)) => texts.push(text),
            (Values::Numbers(numbers), Value::Number(number)) => numbers.push(number),
            (Values::Times(times), Value::Time(time)) => times.push(time),
            (all, Value::Text(text)) => *all = Values::Texts(vec![text]),
            (all, Value::Number(number)) => *all = Values::Numbers(vec![number]),
            (all, Value::Time(time)) => *all = Values::Times(vec![time]),
            (all, Value::Flag(flag)) => *all = Values::Flag(flag),
        }
    }
    all
}

/// A word and the place of its first byte.
struct Word {
    at: usize,
    text: String,
    is_quoted: bool,
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, sign: char) -> bool {
        let is_next = self.next() == Some(sign);
        if is_next {
            self.at += sign.len_utf8();
        }
        is_next
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn expected_at(&self, at: usize, expected: impl fmt::Display) -> ExpressionError {
        let before = self.text.get(..at).unwrap_or(self.text);
        ExpressionError {
            // One line, below which a column can be shown.
            text: self.text.replace(char::is_control, " "),
            column: before.chars().count(),
            expected: expected.to_string(),
        }
    }

    fn key(&mut self) -> Result<Key, ExpressionError> {
        self.skip_blanks();
        let begin = self.at;
        if self.rest().starts_with("property:") {
            self.at += "property:".len();
            if self.next() == Some('"') {
                return Ok(Key::Property(self.in_quotes()?.text));
            }
            let name = self.until(|c| OPERATOR_SIGNS.contains(&c));
            return match name.trim_end() {
                "" => Err(self.expected_at(self.at, "the name of a property")),
                name => Ok(Key::Property(name.to_owned())),
            };
        }
        let word = self.until(|c| OPERATOR_SIGNS.contains(&c)).trim_end();
        let known = WORDS.iter().find(|(known, _)| *known == word);
        known.map(|(_, key)| key.clone()).ok_or_else(|| {
            let known: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
            let known = known.join(", ");
            self.expected_at(begin, format!("one of the keys {known}, property:NAME"))
        })
    }

    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let word = rest.split(ends).next().unwrap_or(rest);
        self.at += word.len();
        word
    }

    /// The operator and its place; none where a key may stand alone.
    fn operator(&mut self, key: &Key) -> Result<Option<(usize, Operator)>, ExpressionError> {
        self.skip_blanks();
        let at = self.at;
        let rest = self.rest();
        let kind = Kind::of(key);
        if rest.is_empty() && (kind == Kind::Flag || matches!(key, Key::Property(_))) {
            return Ok(None);
        }
        let operator = OPERATORS.iter().find(|(sign, _)| rest.starts_with(sign));
        match operator {
            Some((sign, operator)) => {
                self.at += sign.len();
                Ok(Some((at, *operator)))
            }
            None if matches!(kind, Kind::Number | Kind::Time) => {
                Err(self.expected_at(at, "=, !=, <, <=, > or >="))
            }
            None => Err(self.expected_at(at, "= or !=")),
        }
    }

    fn value(
        &mut self,
        key: &Key,
        kind: Kind,
        surroundings: &Surroundings,
    ) -> Result<Value, ExpressionError> {
        let word = self.word()?;
        let failed = |expected: &str| self.expected_at(word.at, expected);
        match kind {
            Kind::Text => self.text(key, &word, surroundings).map(Value::Text),
            Kind::Flag => match word.text.as_str() {
                "true" => Ok(Value::Flag(true)),
                "false" => Ok(Value::Flag(false)),
                _ => Err(failed("true or false")),
            },
            Kind::Number => {
                let number = number_bytes(&word.text, key.unit_bytes());
                let unit = match key {
                    Key::MinDisk => "GiB",
                    Key::MinRam => "MiB",
                    _ => "bytes",
                };
                let expected = format!("a number of {unit}, or one with B, K, M, G or T");
                number.map(Value::Number).ok_or_else(|| failed(&expected))
            }
            Kind::Time => moment(&word.text, surroundings.now)
                .map(Value::Time)
                .ok_or_else(|| {
                    failed(
                        "a time with its offset such as 2026-11-01T12:00:00Z, a date such as \
                         2026-11-01, or an age such as 30d, 12h or 2w",
                    )
                }),
        }
    }

    /// A value, up to a comma or the end.
    fn word(&mut self) -> Result<Word, ExpressionError> {
        self.skip_blanks();
        let at = self.at;
        match self.next() {
            Some('"') => return self.in_quotes(),
            Some(sign) if OPERATOR_SIGNS.contains(&sign) => {
                let expected = format!("a value, in quotes if it begins with {sign}");
                return Err(self.expected_at(at, expected));
            }
            _ => {}
        }
        // A comma in {a,b} or [a,b] is one of the pattern.
        let (mut braces, mut is_set) = (0_usize, false);
        let end = self.rest().find(|sign: char| {
            match sign {
                '{' => braces += 1,
                '}' => braces = braces.saturating_sub(1),
                '[' => is_set = true,
                ']' => is_set = false,
                _ => {}
            }
            sign == ',' && braces == 0 && !is_set
        });
        let rest = self.rest();
        let word = rest.get(..end.unwrap_or(rest.len())).unwrap_or(rest);
        self.at += word.len();
        match word.trim() {
            "" => Err(self.expected_at(at, "a value")),
            word => Ok(Word {
                at,
                text: word.to_owned(),
                is_quoted: false,
            }),
        }
    }

    /// A text in quotes, in which a backslash stands before quotes and backslashes.
    fn in_quotes(&mut self) -> Result<Word, ExpressionError> {
        let at = self.at;
        let mut text = String::new();
        let mut signs = self.rest().char_indices().skip(1);
        while let Some((index, sign)) = signs.next() {
            match sign {
                '"' => {
                    self.at += index + 1;
                    self.skip_blanks();
                    return Ok(Word {
                        at,
                        text,
                        is_quoted: true,
                    });
                }
                '\\' => match signs.next() {
                    Some((_, escaped @ ('"' | '\\'))) => text.push(escaped),
                    _ => {
                        let expected = "\\\" or \\\\, since a backslash in quotes is doubled";
                        return Err(self.expected_at(at + index, expected));
                    }
                },
                sign => text.push(sign),
            }
        }
        Err(self.expected_at(at, "a second quote after this one"))
    }

    fn text(
        &self,
        key: &Key,
        word: &Word,
        surroundings: &Surroundings,
    ) -> Result<Text, ExpressionError> {
        if word.is_quoted && !matches!(self.next(), None | Some(',')) {
            return Err(self.expected_at(self.at, "a comma or the end"));
        }
        let failed = |expected: String| Err(self.expected_at(word.at, expected));
        if !word.is_quoted && *key == Key::Owner && word.text == MINE {
            return match &surroundings.project {
                Some(project) => Ok(Text::Exact(project.clone())),
                None => failed(
                    "the id of a project: which one is mine is known of a cloud that was signed \
                     in to, and of no other end"
                        .to_owned(),
                ),
            };
        }
        if !word.is_quoted && word.text.contains(['*', '?', '[', '{']) {
            return word.text.parse().map(Text::Like).or_else(|_| {
                failed("a pattern, or a text in quotes if * ? [ { are meant as such".to_owned())
            });
        }
        let text = word.text.clone();
        let known = match key {
            Key::Status => STATUSES.to_vec(),
            Key::Visibility => vec![
                Visibility::Public.as_str(),
                Visibility::Community.as_str(),
                Visibility::Shared.as_str(),
                Visibility::Private.as_str(),
            ],
            Key::Id => {
                return match ImageId::parse(&text) {
                    Ok(_) => Ok(Text::Exact(text)),
                    Err(_) => failed("the id of an image, or a pattern of ids".to_owned()),
                };
            }
            _ => return Ok(Text::Exact(text)),
        };
        if known.contains(&text.as_str()) {
            Ok(Text::Exact(text))
        } else {
            failed(format!("one of {}", known.join(", ")))
        }
    }
}

/// Reads a number of `unit` bytes, or one with a unit of its own.
fn number_bytes(text: &str, unit: u64) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit: u64 = match text.get(digits.len()..)? {
        "" => unit,
        "B" => 1,
        "K" | "KiB" => 1 << 10,
        "M" | "MiB" => 1 << 20,
        "G" | "GiB" => 1 << 30,
        "T" | "TiB" => 1 << 40,
        _ => return None,
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, "0"));
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(part) || part.len() > 9 {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    let tenths = 10_u128.pow(u32::try_from(part.len()).ok()?);
    let part = part.parse::<u128>().ok()? * u128::from(unit) / tenths;
    whole.checked_add(u64::try_from(part).ok()?)
}

fn moment(text: &str, now: Option<Timestamp>) -> Option<Moment> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(Moment::At(time));
    }
    if text.len() == "2026-11-01".len() {
        // With a time of day and no offset, it would say less than it seems to.
        return text.parse::<Date>().ok().map(Moment::Day);
    }
    let unit = text.chars().last()?;
    let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
    let hours = match unit {
        'h' => 1,
        'd' => 24,
        'w' => 7 * 24,
        _ => return None,
    };
    let age = SignedDuration::from_secs(number.checked_mul(hours * 60 * 60)?);
    if number < 0 {
        return None;
    }
    now?.checked_sub(age).ok().map(Moment::At)
}

//! The escaping of control characters in what strangers have written.

use std::borrow::Cow;

use crate::secrets;

/// Makes a text fit to be shown, and for one line: secrets are masked, control characters are
/// written out, and those that change the direction of writing.
///
/// All that leaves the program as text, to the terminal or to a log, passes here.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    match secrets::masked(text) {
        Cow::Borrowed(text) => written_out(text),
        Cow::Owned(text) => Cow::Owned(written_out(&text).into_owned()),
    }
}

/// Makes the text of a JSON value fit to be shown: secrets are masked, and what could do harm to
/// a terminal is written as JSON has it, so that nothing of the value is lost.
pub(crate) fn escaped_json(json: &str) -> Cow<'_, str> {
    let masked = secrets::masked(json);
    if !masked.contains(is_unsafe) {
        return masked;
    }
    let mut safe = String::with_capacity(masked.len());
    for c in masked.chars() {
        if is_unsafe(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                safe += &format!("\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

fn written_out(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if is_unsafe(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_the_terminal_is_written_out() {
        for (text, shown) in [
            ("plain \u{65e5}\u{672c} \\", "plain \u{65e5}\u{672c} \\"),
            ("a\nb\r\t", "a\\nb\\r\\t"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            ("c1 \u{9b}2J", "c1 \\u{9b}2J"),
            ("\u{202e}gpj", "\\u{202e}gpj"),
            ("\u{2068}x\u{7f}\0", "\\u{2068}x\\u{7f}\\u{0}"),
        ] {
            assert_eq!(escaped(text), shown);
        }
    }

    #[test]
    fn value_of_json_stays_what_it_is() {
        let text = "\u{1b}[31m \u{7f} \u{9b}2J \u{202e} \u{65e5} \"\\\n";
        let json = serde_json::to_string(text).unwrap();
        let shown = escaped_json(&json);
        assert!(!shown.contains(is_unsafe), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }
}

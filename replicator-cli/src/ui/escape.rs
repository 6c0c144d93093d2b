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
}

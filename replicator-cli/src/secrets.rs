//! The secrets that this run knows, which are masked wherever a text is shown or logged: a server may
//! repeat what it was sent.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

const MASK: &str = "***";
/// A secret as long as this is masked wherever it stands; a shorter one may be a part of other words.
const LONG_CHARS: usize = 8;
/// A secret shorter than this is masked between quotes alone.
const SHORT_CHARS: usize = 4;
/// As much of the beginning of a secret is masked as well: texts of servers are cut.
const TELLING_CHARS: usize = 16;

static KNOWN: RwLock<Vec<Vec<char>>> = RwLock::new(Vec::new());

/// Has a secret masked from now on.
pub(crate) fn know(secret: &str) {
    let secret: Vec<char> = secret.chars().collect();
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    if !secret.is_empty() && !known.contains(&secret) {
        known.push(secret);
        // One that is in another one comes after it.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }
}

/// Has the password of a URL masked, as it is written and as it is sent.
pub(crate) fn know_url(url: &str) {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    let Some((userinfo, _)) = authority.rsplit_once('@') else {
        return;
    };
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let (user, decoded) = (percent_decoded(user), percent_decoded(password));
    know(password);
    know(&decoded);
    know(&base64(format!("{user}:{decoded}").as_bytes()));
}

/// Puts a mask in the place of each secret, however it is written there.
pub(crate) fn masked(text: &str) -> Cow<'_, str> {
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    mask(text, &known)
}

fn mask<'a>(text: &'a str, secrets: &[Vec<char>]) -> Cow<'a, str> {
    let mut shown = String::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(next) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let found = secrets.iter().find_map(|secret| end_of(text, at, secret));
        if let Some(end) = found {
            shown.push_str(text.get(copied..at).unwrap_or_default());
            shown.push_str(MASK);
            (at, copied) = (end, end);
        } else {
            at += next.len_utf8();
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    shown.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(shown)
}

/// Returns where a secret ends that begins at a byte of a text.
fn end_of(text: &str, at: usize, secret: &[char]) -> Option<usize> {
    let begins = |c: char| secret.first() == Some(&c) || "%&\\+".contains(c);
    if !text.get(at..)?.starts_with(begins) {
        return None;
    }
    let mut ends = vec![at];
    for (count, &c) in secret.iter().enumerate() {
        let mut next: Vec<usize> = Vec::new();
        for &end in &ends {
            forms(text, end, c, &mut next);
        }
        next.sort_unstable();
        next.dedup();
        if next.is_empty() {
            return ends.last().copied().filter(|_| count >= TELLING_CHARS);
        }
        ends = next;
    }
    let before = text.get(..at)?.chars().next_back();
    let is_whole = |end: &usize| {
        let after = text.get(*end..).and_then(|rest| rest.chars().next());
        match secret.len() {
            LONG_CHARS.. => true,
            SHORT_CHARS.. => ![before, after]
                .into_iter()
                .flatten()
                .any(char::is_alphanumeric),
            _ => matches!(before, Some('"' | '\'')) && matches!(after, Some('"' | '\'' | '\\')),
        }
    };
    ends.into_iter().rev().find(is_whole)
}

/// Collects where a character ends that begins at a byte of a text: as it is, percent-encoded, or
/// escaped as in JSON, HTML or a debug form, be it more than once.
fn forms(text: &str, at: usize, c: char, ends: &mut Vec<usize>) {
    let Some(rest) = text.get(at..) else {
        return;
    };
    let end_behind = |left: &str| text.len() - left.len();
    let plain = rest.strip_prefix(c);
    let blank = rest.strip_prefix('+').filter(|_| c == ' ');
    ends.extend(plain.into_iter().chain(blank).map(end_behind));
    if rest.starts_with('%') {
        let mut bytes = [0; 4];
        let bytes = c.encode_utf8(&mut bytes).bytes();
        let left = bytes.clone().try_fold(rest, |rest, byte| {
            // Encoded twice, a `%` is `%25`.
            let rest = rest.strip_prefix('%')?;
            hex(rest, 2, u32::from(byte)).or_else(|| hex(rest.strip_prefix("25")?, 2, byte.into()))
        });
        ends.extend(left.map(end_behind));
    }
    if rest.starts_with('&') {
        let named = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\'' => "&apos;",
            _ => "&;",
        };
        let numbers = [
            format!("&#{};", u32::from(c)),
            format!("&#x{:x};", u32::from(c)),
        ];
        let forms = numbers.iter().map(String::as_str).chain([named]);
        let left = forms.filter_map(|form| rest.strip_prefix(form));
        ends.extend(left.map(end_behind));
    }
    let behind = rest.trim_start_matches('\\');
    let backslashes = rest.len() - behind.len();
    if backslashes > 0 {
        if c == '\\' {
            ends.extend((1..=backslashes).map(|count| at + count));
        }
        ends.extend(behind.strip_prefix(c).map(end_behind));
        ends.extend(
            behind
                .strip_prefix('x')
                .and_then(|rest| hex(rest, 2, c.into()))
                .map(end_behind),
        );
        let braced = behind.strip_prefix("u{").and_then(|rest| {
            let (digits, left) = rest.split_once('}')?;
            (u32::from_str_radix(digits, 16).ok()? == u32::from(c)).then_some(left)
        });
        ends.extend(braced.map(end_behind));
        let mut units = [0; 2];
        let mut units = c.encode_utf16(&mut units).iter();
        let left = units.try_fold(rest, |rest, unit| {
            let rest = rest.trim_start_matches('\\').strip_prefix('u')?;
            hex(rest, 4, u32::from(*unit))
        });
        ends.extend(left.map(end_behind));
    }
}

/// Takes hexadecimal digits of a value off a text.
fn hex(text: &str, digits: usize, value: u32) -> Option<&str> {
    let (number, rest) = text.split_at_checked(digits)?;
    (u32::from_str_radix(number, 16).ok()? == value).then_some(rest)
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, left)) = rest.split_first() {
        let encoded = left.get(..2).filter(|_| byte == b'%');
        let encoded = encoded.and_then(|digits| std::str::from_utf8(digits).ok());
        match encoded.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = left.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = left;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The form of a secret in `Proxy-Authorization: Basic`.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().chain([&0; 2]).take(3);
        let bits = bits.fold(0, |bits, byte| (bits << 8) | usize::from(*byte));
        for digit in 0..=group.len() {
            let digit = DIGITS.get((bits >> (18 - 6 * digit)) & 63);
            text.extend(digit.copied().map(char::from));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask_one(text: &str, secret: &str) -> String {
        mask(text, &[secret.chars().collect()]).into_owned()
    }

    #[test]
    fn a_secret_is_masked_however_it_is_written() {
        let secret = r#"p"ss/w\rd &é+ €"#;
        let json = serde_json::to_string(secret).unwrap();
        let twice = serde_json::to_string(&json).unwrap();
        for written in [
            secret,
            &json,
            &twice,
            &format!("{secret:?}"),
            r"p\u0022ss\/w\\rd \u0026\u00e9\u002B \u20AC",
            "p%22ss%2Fw%5Crd%20%26%C3%A9%2B%20%E2%82%AC",
            "p%22ss/w%5crd+%26%c3%a9%2b+%e2%82%ac",
            "p%2522ss%252Fw%255Crd%2520%2526%25C3%25A9%252B%2520%25E2%2582%25AC",
            "p&quot;ss/w\\rd &amp;é+ €",
            "p&#34;ss/w&#92;rd &#38;é+ &#x20ac;",
        ] {
            let shown = mask_one(&format!("before {written} after"), secret);
            assert!(!shown.contains("ss"), "{written}: {shown}");
            assert!(
                shown.starts_with("before ") && shown.ends_with(" after"),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_long_secret_that_is_cut_is_masked_and_a_short_one_is_no_part_of_words() {
        let token = "gAAAAABmZ0xYc2VjcmV0LXRva2Vu";
        for (text, secret, shown) in [
            ("no gAAAAABmZ0xYc2VjcmV0 (cut)", token, "no *** (cut)"),
            (
                "no gAAAAABm (too little)",
                token,
                "no gAAAAABm (too little)",
            ),
            ("xgAAAAABmZ0xYc2VjcmV0LXRva2Vux", token, "x***x"),
            (
                "code 123456, not 1234567",
                "123456",
                "code ***, not 1234567",
            ),
            (
                "{\"password\": \"ab\"} about ab",
                "ab",
                "{\"password\": \"***\"} about ab",
            ),
            ("nothing of it", token, "nothing of it"),
            ("%", "%%", "%"),
            ("\\", token, "\\"),
        ] {
            assert_eq!(mask_one(text, secret), shown);
        }
    }

    #[test]
    fn passwords_of_urls_are_known_in_every_form() {
        for (text, encoded) in [
            ("", ""),
            ("u", "dQ"),
            ("us", "dXM"),
            ("user:p@ss", "dXNlcjpwQHNz"),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
        know_url("http://proxyuser:proxy%40pass%2Fword@proxy:3128/");
        know_url("http://proxy:3128/a@b");
        let sent = base64(b"proxyuser:proxy@pass/word");
        for text in ["proxy%40pass%2Fword", "proxy@pass/word", &sent] {
            assert_eq!(masked(text), MASK, "{text}");
        }
        assert_eq!(masked("proxy:3128 of proxyuser"), "proxy:3128 of proxyuser");
    }
}

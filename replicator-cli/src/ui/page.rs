//! A page that shows a result in a browser: one file, with all that it takes.

use serde::Serialize;

use super::escape::escaped_json;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");
/// The page lets no other script run than this one.
const HASH: &str = "sha256-JVUNfbWJCSYto/EJB1X7GmEC+/jz4vKECLJTwcVMKv4=";

/// Returns the page of some data.
pub(crate) fn page(data: &impl Serialize) -> String {
    let json = serde_json::to_string(data).unwrap_or_default();
    let parts = [("@HASH@", HASH), ("@STYLE@", STYLE), ("@SCRIPT@", SCRIPT)];
    let page = parts
        .into_iter()
        .fold(PAGE.to_owned(), |page, (place, part)| {
            page.replacen(place, part, 1)
        });
    page.replacen("@DATA@", &inside_script(&json), 1)
}

/// Returns JSON that can stand in a script element, which ends at the first `</script` in it.
fn inside_script(json: &str) -> String {
    escaped_json(json).replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use replicator_core::DigestAlgorithm;

    use super::*;

    #[test]
    fn name_of_an_image_is_never_a_part_of_the_page() {
        let name = "</script><img src=x onerror=alert(1)><!--<script>\u{2028}";
        let page = page(&[name]);
        assert!(!page.contains("<img"), "{page}");
        let (_, data) = page.split_once("id=\"data\">").unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        assert!(!data.contains('\u{2028}'), "{data}");
        assert_eq!(serde_json::from_str::<[String; 1]>(data).unwrap(), [name]);
    }

    #[test]
    fn page_lets_its_own_script_run() {
        let mut digester = DigestAlgorithm::Sha256.digester();
        digester.update(SCRIPT.as_bytes());
        let hex = digester.finish().as_hex().to_owned();
        let bits: String = hex
            .chars()
            .map(|c| format!("{:04b}", c.to_digit(16).unwrap()))
            .collect();
        let digits = bits.as_bytes().chunks(6).map(|six| {
            let six = format!("{:0<6}", str::from_utf8(six).unwrap());
            let digit = usize::from_str_radix(&six, 2).unwrap();
            let alphabet = ('A'..='Z')
                .chain('a'..='z')
                .chain('0'..='9')
                .chain(['+', '/']);
            alphabet.clone().nth(digit).unwrap()
        });
        let base64: String = digits.collect();
        assert_eq!(HASH, format!("sha256-{base64}="));
    }
}

//! Whatever a user names an end by, and what is shown of it.
#![no_main]

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use libfuzzer_sys::fuzz_target;
use url::Url;

// The client's and the command's own files, under the names that these know
// each other by: reading a text needs nothing else of those crates, and so no
// HTTP and no TLS has to be built.
extern crate self as glance_client;
extern crate url as reqwest;

#[path = "../../replicator-cli/src/ends/location.rs"]
mod end;
#[expect(dead_code, reason = "what is asked below an endpoint")]
#[path = "../../glance-client/src/endpoint.rs"]
mod endpoint;
#[path = "../../replicator-cli/src/ui/escape.rs"]
mod escape;
/// A run that signs in nowhere knows no secrets.
mod secrets {
    use std::borrow::Cow;

    pub(crate) fn masked(text: &str) -> Cow<'_, str> {
        Cow::Borrowed(text)
    }
}

use self::end::{End, ParseEndError};
pub use self::endpoint::{Endpoint, InvalidEndpoint};
use self::escape::{escaped, escaped_json};

fuzz_target!(|data: &[u8]| {
    let text = OsStr::from_bytes(data);
    match End::parse(text) {
        Ok(end) => {
            let written = written(&end);
            assert_eq!(End::parse(&written), Ok(end), "{written:?}");
        }
        Err(error) => {
            let shown = error.to_string();
            assert!(!shown.contains(char::is_control), "{shown:?}");
            if !matches!(error, ParseEndError::Cloud { .. }) {
                assert!(shows_no_user(&shown), "{shown}");
            }
        }
    }
    match End::archive(text) {
        Ok(path) => assert!(text.as_bytes().ends_with(path.as_os_str().as_bytes())),
        Err(error) => {
            let shown = error.to_string();
            assert!(
                !shown.contains(char::is_control) && shows_no_user(&shown),
                "{shown:?}"
            );
        }
    }

    let text = text.to_string_lossy();
    let shown = escaped(&text);
    assert!(!shown.contains(char::is_control), "{shown:?}");
    assert_eq!(escaped(&shown), shown);
    let json = serde_json::to_string(&*text).expect("a text is JSON");
    let shown = escaped_json(&json);
    assert!(!shown.contains(char::is_control), "{shown:?}");
    assert_eq!(
        serde_json::from_str::<String>(&shown).expect("it still is"),
        text
    );
});

/// The end as a user would name it.
fn written(end: &End) -> OsString {
    match end {
        End::Glance(endpoint) => {
            let text = endpoint.to_string();
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{text:?}");
            let url = Url::parse(&text).expect("an endpoint is a URL");
            assert!(matches!(url.scheme(), "http" | "https"), "{text}");
            assert!(url.has_host(), "{text}");
            assert!(
                url.username().is_empty() && url.password().is_none(),
                "{text}"
            );
            assert!(url.query().is_none() && url.fragment().is_none(), "{text}");
            text.into()
        }
        End::Cloud(name, None) => format!("cloud:{name}").into(),
        End::Cloud(name, Some(region)) => format!("cloud:{name}/{region}").into(),
        End::Environment => "env:".into(),
        End::Archive(path) => {
            let mut text = b"dir:".to_vec();
            text.extend(path.as_os_str().as_bytes());
            OsString::from_vec(text)
        }
    }
}

/// Nothing but a scheme stands before a host that an `@` sets apart.
fn shows_no_user(error: &str) -> bool {
    let Some((before, _)) = error.rsplit_once('@') else {
        return true;
    };
    let scheme = before
        .strip_prefix('"')
        .and_then(|before| before.strip_suffix("***"));
    scheme.is_some_and(|scheme| {
        let letters = scheme.strip_suffix("://").unwrap_or(scheme);
        letters
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

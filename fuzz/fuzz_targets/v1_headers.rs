//! Headers as a server with v1 may send them, `name: value`, one a line: those of
//! an image, and of its copy behind an empty line.
#![no_main]

use std::collections::BTreeMap;

use glance_model::{ImageMetadata, MetadataDiff, Omit, TargetForm, v1};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (source, target) = text.split_once("\n\n").unwrap_or((&text, ""));
    let source = held(source);
    if let Some(source) = &source {
        headers_lead_back(source.clone());
    }
    if let (Some(source), Some(target)) = (source, held(target)) {
        an_update_leaves_nothing_to_do(&source, target);
    }
});

/// The image that v1 holds after these headers.
fn held(text: &str) -> Option<ImageMetadata> {
    let lines = text.split('\n').filter_map(|line| line.split_once(':'));
    let _ = v1::from_headers(lines.clone());

    let headers = lines
        .map(|(name, value)| (name, value.trim_matches([' ', '\t'])))
        .filter(|(name, value)| can_be_sent(name, value));
    let held = TargetForm::V1.of(v1::from_headers(headers).ok()?);
    assert_eq!(TargetForm::V1.of(held.clone()), held);
    Some(held)
}

fn headers_lead_back(mut image: ImageMetadata) {
    let headers = v1::headers(&image);
    forget_what_is_not_sent(&mut image);
    let read = read(headers.clone(), &image);
    assert_eq!(read, image);
    assert_eq!(v1::headers(&read), headers);
}

fn an_update_leaves_nothing_to_do(source: &ImageMetadata, mut target: ImageMetadata) {
    let between = |target| MetadataDiff::between(source, target, &Omit::default());
    let diff = between(&target);
    // The server keeps what a PUT does not name.
    let mut headers: BTreeMap<_, _> = v1::headers(&target).into_iter().collect();
    headers.extend(v1::update_headers(&diff));
    let updated = read(headers, &target);

    let left = between(&updated).writable();
    assert!(left.is_empty(), "{left:?}");
    forget_what_is_not_sent(&mut target);
    assert_eq!(updated, diff.writable().apply_to(target));
}

/// Reads what was written of an image. Only the status of an active one is sent,
/// and a server states each.
fn read(
    headers: impl IntoIterator<Item = (String, String)>,
    image: &ImageMetadata,
) -> ImageMetadata {
    let mut headers: Vec<_> = headers.into_iter().collect();
    for (name, value) in &headers {
        assert!(can_be_sent(name, value), "{name:?}: {value:?}");
    }
    headers.push(("x-image-meta-status".into(), image.status.to_string()));
    let headers = headers.iter().map(|(name, value)| (&**name, &**value));
    // An empty header is null to the server.
    TargetForm::V1.of(v1::from_headers(headers).expect("was written"))
}

/// RFC 9110, 5.5 and 5.6.2: a token, and text without control characters and
/// without blanks at its ends.
fn can_be_sent(name: &str, value: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty()
        && name.bytes().all(is_token)
        && !value.contains(|c: char| c.is_ascii_control() && c != '\t')
        && value == value.trim_matches([' ', '\t'])
}

fn forget_what_is_not_sent(image: &mut ImageMetadata) {
    image.virtual_size = None;
    (image.hash_algo, image.hash_value) = (None, None);
    (image.created_at, image.updated_at, image.deleted_at) = (None, None, None);
}

//! Judges what a run has left, and whether the next run heals it.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use glance_client::testing::{EmbeddedGlance, RequestKind};

use super::cases::Case;
use super::{OTHER, STRUCK, content};
use crate::kit::program::Ran;

/// Whatever happened, what is active is right.
#[track_caller]
pub(super) fn nothing_is_wrong(target: &EmbeddedGlance, name: &str, ran: &Ran) {
    for image in target.images() {
        if image.status == "active" {
            let (found, wanted) = (image.content.unwrap(), content(&image.id));
            assert!(
                found.sha256().unwrap() == wanted.sha256().unwrap(),
                "{name}: {} is active and wrong: {ran:?}",
                image.id
            );
        }
    }
}

pub(super) fn is_active(target: &EmbeddedGlance, id: &str) -> bool {
    target
        .image(id)
        .is_some_and(|image| image.status == "active")
}

/// The status in which a run has left the image, once the server has noticed that it is over.
pub(super) fn settled_status(target: &EmbeddedGlance) -> Option<String> {
    let status = || target.image(STRUCK).map(|image| image.status);
    let began = Instant::now();
    while status().as_deref() == Some("saving") && began.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(10));
    }
    status()
}

/// Judges a run into a Glance, and heals it by another one.
pub(super) fn judge_target(
    case: &Case,
    name: &str,
    code: i32,
    target: &EmbeddedGlance,
    again: impl Fn() -> Ran,
    ran: &Ran,
) {
    assert_eq!(ran.code, Some(code), "{name}: {ran:?}");
    nothing_is_wrong(target, name, ran);
    assert_eq!(is_active(target, STRUCK), code == 0, "{name}: {ran:?}");
    let of_one_image = code == 3 || code == 6;
    if of_one_image {
        assert!(
            case.on == RequestKind::Create || is_active(target, OTHER),
            "{name}: the others go on: {ran:?}"
        );
        assert!(ran.lists_as_failed(STRUCK), "{name}: {ran:?}");
    }
    let left = settled_status(target);
    let is_burnt = left.as_deref() == Some("killed");
    if is_burnt {
        let ran = again();
        assert_eq!(ran.code, Some(3), "{name}: the next run: {ran:?}");
        let cure = ran.stderr.contains(STRUCK) && ran.stderr.contains("the image is killed");
        assert!(cure && ran.stderr.contains("hint: "), "{name}: {ran:?}");
        nothing_is_wrong(target, name, &ran);
        return;
    }
    let is_reusable = matches!(left.as_deref(), None | Some("active" | "queued"));
    assert!(
        is_reusable || code == 0,
        "{name}: {left:?} is left: {ran:?}"
    );
    let ran = again();
    assert_eq!(ran.code, Some(0), "{name}: the next run: {ran:?}");
    nothing_is_wrong(target, name, &ran);
    assert!(
        is_active(target, STRUCK) && is_active(target, OTHER),
        "{name}: {ran:?}"
    );
}

pub(super) fn judge_archive(
    name: &str,
    code: i32,
    archive: &Path,
    again: impl Fn() -> Ran,
    ran: &Ran,
) {
    assert_eq!(ran.code, Some(code), "{name}: {ran:?}");
    let holds = |id: &str| archive.join(id).exists();
    let is_whole = |id: &str| {
        let data = fs::read(archive.join(format!("{id}.img"))).unwrap();
        data == content(id).to_vec().unwrap()
    };
    for id in [STRUCK, OTHER] {
        assert!(
            !holds(id) || is_whole(id),
            "{name}: {id} looks whole and is not: {ran:?}"
        );
    }
    assert_eq!(holds(STRUCK), code == 0, "{name}: {ran:?}");
    if code == 3 || code == 6 {
        assert!(holds(OTHER), "{name}: the others go on: {ran:?}");
        assert!(ran.lists_as_failed(STRUCK), "{name}: {ran:?}");
    }
    let ran = again();
    assert_eq!(ran.code, Some(0), "{name}: the next run: {ran:?}");
    let (mut left, mut wanted) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(archive).unwrap() {
        left.push(entry.unwrap().file_name().into_string().unwrap());
    }
    left.retain(|name| name.starts_with("0000") || name.ends_with(".partial"));
    left.sort();
    for id in [STRUCK, OTHER] {
        wanted.extend([id.to_owned(), format!("{id}.img")]);
        assert!(is_whole(id), "{name}: {ran:?}");
    }
    assert_eq!(left, wanted, "{name}: stray files: {ran:?}");
}

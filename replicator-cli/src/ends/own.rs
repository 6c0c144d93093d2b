//! The images of one project, of all that a token sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::{StreamExt as _, stream};
use replicator_core::ImageSource;

use super::relisted::relisted;
use crate::ui::{Console, counted};

/// Takes the images of one project alone; one of another project is still there if it is asked for by its
/// id. How many others would have been selected is said once, when they have been listed.
pub(crate) fn own(
    images: &Arc<dyn ImageSource>,
    project: &str,
    console: &Arc<Console>,
) -> Arc<dyn ImageSource> {
    let (project, console) = (project.to_owned(), Arc::clone(console));
    let is_told: Arc<AtomicBool> = Arc::default();
    relisted(images, move |listed, wanted| {
        let (project, wanted) = (project.clone(), wanted.clone());
        let (console, is_told) = (Arc::clone(&console), Arc::clone(&is_told));
        let mut listed = listed.fuse();
        let mut left_out = 0;
        let own = stream::poll_fn(move |cx| {
            loop {
                match listed.poll_next_unpin(cx) {
                    Poll::Ready(Some(Ok(image))) if image.owner.as_ref() != Some(&project) => {
                        left_out += u64::from(wanted.matches(&image));
                    }
                    Poll::Ready(None) => {
                        if left_out > 0 && !is_told.swap(true, Ordering::Relaxed) {
                            console.note(&told(left_out));
                        }
                        return Poll::Ready(None);
                    }
                    next => return next,
                }
            }
        });
        own.boxed()
    })
}

fn told(left_out: u64) -> String {
    let images = counted(left_out, "image");
    format!(
        "{images} of other projects left out, since the token is no administrator's; --all-visible \
         takes what it sees"
    )
}

//! The images that a source has listed.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use glance_model::ImageId;
use replicator_core::ImageSource;

use super::relisted::relisted;

/// The ids of the selected images that a source has listed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Noted(Arc<Mutex<BTreeSet<ImageId>>>);

impl Noted {
    /// Takes the ids that were noted up to now.
    pub(crate) fn take(&self) -> BTreeSet<ImageId> {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes the images of a source from now on.
    pub(crate) fn of(images: &mut Arc<dyn ImageSource>) -> Self {
        let noted = Self::default();
        let noting = noted.clone();
        *images = relisted(images, move |listed, wanted| {
            let (noted, tested) = (noting.clone(), wanted.clone());
            let listed = listed.inspect(move |listed| {
                if let Ok(image) = listed
                    && tested.matches(image)
                {
                    let mut noted = noted.0.lock().unwrap_or_else(PoisonError::into_inner);
                    noted.insert(image.id);
                }
            });
            listed.boxed()
        });
        noted
    }
}

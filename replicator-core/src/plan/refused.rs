//! What the target would refuse of the metadata of an image, as far as it is known before anything is
//! sent.

use glance_model::{ImageMetadata, MetadataDiff, MetadataProblem, Omit, Requirements, Visibility};

use super::{Action, PlannedImage};
use crate::port::Nature;
use crate::run::error::ImageError;

/// Returns the refusal that the target has for an image that is planned to be written.
pub(crate) fn refusal(
    planned: &PlannedImage,
    nature: Nature,
    requirements: &Requirements,
) -> Option<ImageError> {
    if let Some(missing) = missing_format(planned, nature) {
        return Some(ImageError::NoFormat { missing });
    }
    let wanted = &planned.wanted;
    let problems = match (&planned.action, &planned.found) {
        (Action::UpdateMetadata(diff), _) => requirements.refusals_of_update(diff),
        (Action::Copy, Some(found)) => {
            requirements.refusals_of_update(&MetadataDiff::to_make_equal(wanted, found))
        }
        (Action::Copy | Action::CreateRecord, None) => {
            let mut problems = requirements.refusals_of_new(wanted);
            problems.extend(refusals_of_publication(wanted, requirements));
            problems
        }
        _ => Vec::new(),
    };
    (!problems.is_empty()).then_some(ImageError::Metadata { problems })
}

/// Returns what would be refused of the update that publishes an image once it is proven.
fn refusals_of_publication(
    wanted: &ImageMetadata,
    requirements: &Requirements,
) -> Vec<MetadataProblem> {
    if !requirements.requires_in_updates {
        return Vec::new();
    }
    let mut made = wanted.clone();
    if let Some(Visibility::Public | Visibility::Community) = made.visibility {
        made.visibility = Some(Visibility::Private);
    }
    made.protected = made.protected.map(|_| false);
    made.hidden = made.hidden.map(|_| false);
    let diff = MetadataDiff::between(wanted, &made, &Omit::nothing());
    requirements.refusals_of_update(&diff)
}

/// Returns the format that a record must state before it takes data, and that neither the image
/// has nor the record that is there. An image from v1 may have none.
fn missing_format(planned: &PlannedImage, nature: Nature) -> Option<&'static str> {
    if planned.action != Action::Copy || !nature.needs_formats() {
        return None;
    }
    let has = |format: fn(&ImageMetadata) -> &Option<String>| {
        let found = planned.found.as_ref();
        format(&planned.wanted).is_some() || found.is_some_and(|found| format(found).is_some())
    };
    let disk = has(|image| &image.disk_format);
    let container = has(|image| &image.container_format);
    match (disk, container) {
        (true, true) => None,
        (false, true) => Some("disk_format"),
        (true, false) => Some("container_format"),
        (false, false) => Some("disk_format and no container_format"),
    }
}

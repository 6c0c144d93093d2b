//! Servers with images, for any test.
#![expect(clippy::unwrap_used, reason = "test helpers")]

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile};
use serde_json::Value;

/// An id of which the number is seen.
pub(crate) fn id(number: u64) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

/// A server of this kind without images.
pub(crate) fn glance(profile: Profile) -> EmbeddedGlance {
    let builder = EmbeddedGlance::builder().profile(profile);
    builder.start_blocking().unwrap()
}

/// A server of today with images 1, 2, … of 2,000 bytes each.
pub(crate) fn numbered(images: u64) -> EmbeddedGlance {
    let glance = glance(Profile::Today);
    for number in 1..=images {
        let data = ImageContent::pattern(number, 2000);
        glance.add_image(ImageSpec::new(&id(number)).data(data));
    }
    glance
}

/// Images of every kind; the last but one is deactivated, and the last has no data.
pub(crate) fn filled(profile: Profile) -> EmbeddedGlance {
    let glance = glance(profile);
    let image = |number, len| {
        ImageSpec::new(&id(number))
            .name(&format!("image {number}"))
            .data(ImageContent::pattern(number, len))
    };
    glance.add_image(image(1, 0).visibility("public"));
    glance.add_image(image(2, 1).owner("acme").visibility("private"));
    glance.add_image(image(3, 3_000_000).protected().minima(3, 512));
    glance.add_image(
        image(4, 70_000)
            .name("\u{65e5}\u{672c} \"quoted\"")
            .property("note", "it's \u{e9}")
            .property("os_type", "linux"),
    );
    glance.add_image(image(5, 5).formats("aki", "aki").property("empty", ""));
    glance.add_image(image(6, 5).visibility("public").status("deactivated"));
    glance.add_image(ImageSpec::new(&id(7)).name("queued"));
    glance
}

/// The fields that a server does not set by itself, of each image that has data.
pub(crate) fn contents(glance: &EmbeddedGlance) -> Vec<(Value, Option<String>)> {
    let images = glance.images().into_iter();
    let whole = images.filter(|image| matches!(&*image.status, "active" | "deactivated"));
    let content = |image: glance_client::testing::ImageView| {
        let mut record = image.record;
        for field in ["created_at", "updated_at", "virtual_size", "stores"] {
            record.as_object_mut().unwrap().remove(field);
        }
        (record, image.content.map(|data| data.sha256().unwrap()))
    };
    whole.map(content).collect()
}

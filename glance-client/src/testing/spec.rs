//! Images as tests put them on a server, and look at them there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::content::{Digests, ImageContent};
use super::record::RecordV2;
use super::state::{CONTAINER_FORMATS, DISK_FORMATS, StoredImage, VISIBILITIES, known};

const STATUSES: [&str; 10] = [
    "queued",
    "saving",
    "active",
    "killed",
    "deleted",
    "pending_delete",
    "deactivated",
    "uploading",
    "importing",
    "unknown",
];

/// An image to be put on a server, active if it has data, else queued.
#[derive(Clone, Debug)]
pub struct ImageSpec {
    pub(super) image: StoredImage,
    pub(super) digests: SpecDigests,
    status_given: bool,
}

#[derive(Clone, Debug)]
pub(super) enum SpecDigests {
    Computed,
    Given(Option<Digests>),
}

impl ImageSpec {
    /// A queued image: no name, no data, formats `raw` and `bare`, shared, no owner.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let mut image = StoredImage::new(id);
        image.disk_format = Some("raw");
        image.container_format = Some("bare");
        Self {
            image,
            digests: SpecDigests::Computed,
            status_given: false,
        }
    }

    /// Sets the name.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.image.name = Some(name.to_owned());
        self
    }

    /// Gives it data, which makes it active. It is hashed when the image is added.
    #[must_use]
    pub fn data(mut self, content: ImageContent) -> Self {
        self.image.size = Some(content.len_bytes());
        self.image.content = Some(content);
        if !self.status_given {
            self.image.status = "active";
        }
        self
    }

    /// Makes it an active image of this size whose data is gone from the store.
    #[must_use]
    pub fn data_gone(mut self, size: u64) -> Self {
        self = self.data(ImageContent::zeros(size));
        self.image.content = None;
        self
    }

    /// Records this size, whatever the length of the data.
    #[must_use]
    pub fn size(mut self, size: u64) -> Self {
        self.image.size = Some(size);
        self
    }

    /// Records these digests instead of the data's own.
    #[must_use]
    pub fn digests(mut self, md5: &str, algorithm: &str, value: &str) -> Self {
        self.digests = SpecDigests::Given(Some(Digests {
            md5: md5.to_owned(),
            algorithm: algorithm.to_owned(),
            value: value.to_owned(),
        }));
        self
    }

    /// Records no digests.
    #[must_use]
    pub fn without_digests(mut self) -> Self {
        self.digests = SpecDigests::Given(None);
        self
    }

    /// Sets the status.
    ///
    /// # Panics
    ///
    /// If Glance has no such status.
    #[must_use]
    pub fn status(mut self, status: &str) -> Self {
        self.image.status = expect_known(&STATUSES, status);
        self.image.deleted = status == "deleted";
        self.status_given = true;
        self
    }

    /// Sets disk format and container format.
    ///
    /// # Panics
    ///
    /// If Glance has no such format.
    #[must_use]
    pub fn formats(mut self, disk: &str, container: &str) -> Self {
        self.image.disk_format = Some(expect_known(&DISK_FORMATS, disk));
        self.image.container_format = Some(expect_known(&CONTAINER_FORMATS, container));
        self
    }

    /// Leaves both formats unset.
    #[must_use]
    pub fn without_formats(mut self) -> Self {
        self.image.disk_format = None;
        self.image.container_format = None;
        self
    }

    /// Sets the visibility.
    ///
    /// # Panics
    ///
    /// If Glance has no such visibility.
    #[must_use]
    pub fn visibility(mut self, visibility: &str) -> Self {
        self.image.visibility = expect_known(&VISIBILITIES, visibility);
        self
    }

    /// Sets the owner.
    #[must_use]
    pub fn owner(mut self, project: &str) -> Self {
        self.image.owner = Some(project.to_owned());
        self
    }

    /// Protects it from deletion.
    #[must_use]
    pub fn protected(mut self) -> Self {
        self.image.protected = true;
        self
    }

    /// Hides it from default listings.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.image.hidden = true;
        self
    }

    /// Sets the least disk (GB) and memory (MB) of a server.
    #[must_use]
    pub fn minima(mut self, min_disk: u32, min_ram: u32) -> Self {
        self.image.min_disk = min_disk;
        self.image.min_ram = min_ram;
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Self {
        self.image.tags.push(tag.to_owned());
        self
    }

    /// Adds an additional property.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.image
            .properties
            .insert(name.to_owned(), Some(value.to_owned()));
        self
    }

    /// Adds an additional property that is null in the database.
    #[must_use]
    pub fn null_property(mut self, name: &str) -> Self {
        self.image.properties.insert(name.to_owned(), None);
        self
    }

    /// Shares it with a project; `status` is `pending`, `accepted` or `rejected`.
    #[must_use]
    pub fn member(mut self, project: &str, status: &str) -> Self {
        self.image
            .members
            .insert(project.to_owned(), status.to_owned());
        self
    }

    /// Sets the time of creation, in seconds since 1970.
    #[must_use]
    pub fn created_at(mut self, seconds: u64) -> Self {
        self.image.created_at = seconds * 1_000_000;
        self
    }
}

#[expect(clippy::expect_used, reason = "a typing error in a test's fixture")]
fn expect_known(list: &[&'static str], text: &str) -> &'static str {
    known(list, text).expect("a value that Glance knows")
}

/// The state of one image, for tests to look at.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageView {
    /// The id.
    pub id: String,
    /// The status; `deleted` for an id that is used up.
    pub status: String,
    /// The record as today's v2 shows it to an admin, without `stores`.
    pub record: Value,
    /// The data, if there is any.
    pub content: Option<ImageContent>,
    /// The members: project and status.
    pub members: BTreeMap<String, String>,
}

impl ImageView {
    pub(super) fn of(image: &StoredImage) -> Self {
        Self {
            id: image.id.clone(),
            status: image.status.to_owned(),
            record: json!(RecordV2 {
                image,
                stores: Some(&[]),
            }),
            content: image.content.clone(),
            members: image.members.clone(),
        }
    }

    /// Returns one field of the record.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.record.get(name)
    }
}

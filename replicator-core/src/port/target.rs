//! The target of images.

use async_trait::async_trait;
use glance_model::{ImageId, ImageMetadata, MetadataDiff, Requirements, Selection};

use super::{ImageData, ImageSource, ImageStream, Nature, PortError};

/// The room that a target has left, as far as it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// The bytes of image data that it still takes.
    pub bytes: Option<u64>,
    /// The number of images that it still takes.
    pub images: Option<u64>,
}

/// Writes images: a Glance endpoint, or an image archive on disk. What is there
/// already is read through [`ImageSource`].
#[async_trait]
pub trait ImageTarget: ImageSource {
    /// The abilities of the target.
    fn nature(&self) -> Nature;

    /// Asks the target what it requires of the metadata of images, and what it refuses in it. What
    /// it does not say, it says when it is written to.
    async fn requirements(&self) -> Requirements {
        Requirements::default()
    }

    /// Lists the images that take up the selected ids: what [`images`](ImageSource::images)
    /// lists, and, as far as the target can tell, ids that are used up, with the
    /// status that says so. In ascending order of ids.
    fn taken_ids(&self, wanted: &Selection) -> ImageStream {
        self.images(wanted)
    }

    /// Asks how much more the target takes.
    ///
    /// # Errors
    ///
    /// [`PortError::Adapter`] if the target cannot say.
    async fn room(&self) -> Result<Room, PortError> {
        Ok(Room::default())
    }

    /// Finds one image.
    ///
    /// # Errors
    ///
    /// [`PortError::Adapter`] if the target cannot say.
    async fn find_image(&self, id: &ImageId) -> Result<Option<ImageMetadata>, PortError>;

    /// Opens what is kept of the data of an image whose writing broke off, from
    /// its first byte; `None` if nothing is, or more than the image has.
    ///
    /// To go on from there, hash it, and give
    /// [`write_image`](Self::write_image) data that begins where it ends.
    ///
    /// # Errors
    ///
    /// [`PortError::Adapter`] if what is kept cannot be read.
    async fn partial_data(&self, image: &ImageMetadata) -> Result<Option<ImageData>, PortError>;

    /// Makes the record ready that an image's data is to be put into, and returns it:
    /// a new one, or the one without data that is there already (`found`). A
    /// target that takes metadata and data at once does nothing, and returns what is
    /// there.
    ///
    /// Records are made in the order of these calls, which is what a server's times of
    /// creation tell.
    ///
    /// # Errors
    ///
    /// [`PortError::AlreadyExists`] if the id is taken.
    async fn prepare_record(
        &self,
        _wanted: &ImageMetadata,
        found: Option<&ImageMetadata>,
    ) -> Result<Option<ImageMetadata>, PortError> {
        Ok(found.cloned())
    }

    /// Writes an image with its data, and returns what the target says of it
    /// then. The metadata is in the target's [`form`](Nature::form).
    ///
    /// Until the caller has compared the digests, the image is not published:
    /// its visibility, protection and hiding may have to be set afterwards by
    /// [`update_metadata`](Self::update_metadata). A record without data is used that
    /// is ready (`found`); without one, it is made. Where it says `active`, its data
    /// was found to be wrong, and is replaced, as far as the target can do it.
    ///
    /// If `data` ends in an error, or this future is dropped, the image is not
    /// left looking complete, and a later call can write it again. (Save on a
    /// target with v1 alone, where a broken upload uses up the id.)
    ///
    /// # Errors
    ///
    /// [`PortError::AlreadyExists`] if the id is taken.
    async fn write_image(
        &self,
        wanted: &ImageMetadata,
        found: Option<&ImageMetadata>,
        data: ImageData,
    ) -> Result<ImageMetadata, PortError>;

    /// Creates a record without data, as Glance's `queued` images are.
    ///
    /// # Errors
    ///
    /// [`PortError::AlreadyExists`] if the id is taken.
    async fn create_record(&self, wanted: &ImageMetadata) -> Result<(), PortError>;

    /// Makes the changes of a diff that the target lets be made, and returns what the target says
    /// of the image then. An image that becomes a retired one is hidden; an archive puts its files
    /// aside, and back when it is so no more.
    ///
    /// # Errors
    ///
    /// [`PortError::NotFound`] if the image is gone.
    async fn update_metadata(
        &self,
        current: &ImageMetadata,
        diff: &MetadataDiff,
    ) -> Result<ImageMetadata, PortError>;

    /// Deletes an image that is retired, for good. Glance never gives its id back. An archive
    /// deletes no other one than those that it has put aside.
    ///
    /// # Errors
    ///
    /// [`PortError::NotFound`] if the image is gone.
    async fn delete_image(&self, image: &ImageMetadata) -> Result<(), PortError>;

    /// Copies the data of an image that is proven to those of the target's stores that are to have
    /// it and lack it, and returns whether any did. A target whose
    /// [`nature`](Self::nature) does not say so has no stores of its own.
    ///
    /// # Errors
    ///
    /// [`PortError::Adapter`] if one of them does not take it. The image is as good as before then.
    async fn copy_to_stores(&self, _image: &ImageMetadata) -> Result<bool, PortError> {
        Ok(false)
    }
}

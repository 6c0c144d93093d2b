//! Mocks of the ports, for tests of interactions.

use std::fmt;

use async_trait::async_trait;
use glance_model::{ImageId, ImageMetadata, MetadataDiff, Selection, TargetForm};
use mockall::mock;

use crate::port::{ImageData, ImageSource, ImageStream, ImageTarget, Nature, PortError};

// mockall cannot mock an async method that takes an optional reference, so the methods of
// the target are mocked in owned form.
mock! {
    /// An end that is a mock: each call has to be expected.
    pub End {
        /// The writing of an image with its data, which nobody reads.
        pub fn write(&self, image: ImageMetadata) -> ImageMetadata;
        /// The update of an image.
        pub fn update(&self, current: ImageMetadata, diff: MetadataDiff) -> ImageMetadata;
        /// The deletion of an image.
        pub fn delete(&self, image: ImageMetadata);
        /// The creation of a record.
        pub fn create(&self, image: ImageMetadata);
    }

    #[async_trait]
    impl ImageSource for End {
        fn images(&self, wanted: &Selection) -> ImageStream;
        async fn image_data(&self, id: &ImageId, offset_bytes: u64) -> Result<Option<ImageData>, PortError>;
    }
}

#[async_trait]
impl ImageTarget for MockEnd {
    fn nature(&self) -> Nature {
        Nature::glance(TargetForm::V2 { hidden: true })
    }

    async fn find_image(&self, _: &ImageId) -> Result<Option<ImageMetadata>, PortError> {
        Ok(None)
    }

    async fn partial_data(&self, _: &ImageMetadata) -> Result<Option<ImageData>, PortError> {
        Ok(None)
    }

    async fn write_image(
        &self,
        metadata: &ImageMetadata,
        _: Option<&ImageMetadata>,
        _: ImageData,
    ) -> Result<ImageMetadata, PortError> {
        Ok(self.write(metadata.clone()))
    }

    async fn create_record(&self, metadata: &ImageMetadata) -> Result<(), PortError> {
        self.create(metadata.clone());
        Ok(())
    }

    async fn update_metadata(
        &self,
        current: &ImageMetadata,
        diff: &MetadataDiff,
    ) -> Result<ImageMetadata, PortError> {
        Ok(self.update(current.clone(), diff.clone()))
    }

    async fn delete_image(&self, image: &ImageMetadata) -> Result<(), PortError> {
        self.delete(image.clone());
        Ok(())
    }
}

impl fmt::Display for MockEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mock")
    }
}

impl fmt::Debug for MockEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MockEnd")
    }
}

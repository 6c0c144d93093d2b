//! A file as a source: one image, of which the metadata is given and the data is looked at.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use glance_model::{
    ContentProblem, DataFormat, ImageId, ImageMetadata, ImageStatus, Inspector, Selection, wrapping,
};

use crate::content::digest::{Digest, DigestAlgorithm};
use crate::content::hashing::Hashing;
use crate::content::proof::{hash_lost, stated_digest};
use crate::copy::flow::{Flow, FlowOptions, Sent};
use crate::port::{ImageData, ImageFile, ImageSource, ImageStream, PortError};
use crate::run::context::RunContext;
use crate::run::error::ImageError;
use crate::run::event::NoEvents;
use crate::run::options::FormatCheck;
use crate::run::retry::RetryPolicy;

/// The bytes by which formats are told.
const HEAD_BYTES: usize = 64 << 10;

/// A source of one image, whose data is a file.
#[derive(Clone, Debug)]
pub struct FileSource {
    file: Arc<dyn ImageFile>,
    image: ImageMetadata,
}

impl FileSource {
    /// Reads the file once, and completes the metadata by what its data says: its length, its
    /// digests, and, if none is stated, its `disk_format`. So there is something that copies can
    /// be compared with and proven by. A digest that the metadata states already (`hash_algo` and
    /// `hash_value`) has to be that of the data.
    ///
    /// # Errors
    ///
    /// [`ImageError::Content`] if the data does not have the digest that is stated;
    /// [`ImageError::Refused`] if the data is not of the stated format or is unsafe, unless that is
    /// not to be checked; [`ImageError::Source`] if it cannot be read.
    pub async fn read(
        ctx: &RunContext,
        file: Arc<dyn ImageFile>,
        mut image: ImageMetadata,
        check: FormatCheck,
        retry: &RetryPolicy,
    ) -> Result<Self, ImageError> {
        (image.status, image.size) = (ImageStatus::Active, None);
        // The flow checks a digest that is stated; without one, MD5 is what it finds.
        let finds_md5 = stated_digest(&image).is_none();
        let mut source = Self { file, image };
        let shared: Arc<dyn ImageSource> = Arc::new(source.clone());
        // Nothing is transferred yet.
        let quiet = ctx.reporting_to(Arc::new(NoEvents));
        let (sent, options) = (Sent::default(), FlowOptions::only_hashing(retry));
        let open = || Flow::open(&quiet, &shared, &source.image, None, &options, &sent);
        let mut data = retry.run(&quiet, open).await?;
        let mut sha512 = Hashing::start(DigestAlgorithm::Sha512, data.len_bytes);
        let mut look = Look::new(&source.image, check);
        let md5 = || Hashing::start(DigestAlgorithm::Md5, data.len_bytes);
        let mut md5 = (!finds_md5).then(md5);
        let mut len_bytes = 0;
        while let Some(chunk) = data.chunks.next().await {
            let chunk = chunk.map_err(ImageError::of_write)?;
            len_bytes += chunk.len() as u64;
            look.see(&chunk).map_err(ImageError::Refused)?;
            if let Some(md5) = &mut md5 {
                md5.update(chunk.clone()).await;
            }
            sha512.update(chunk).await;
        }
        let disk_format = look.finish().map_err(ImageError::Refused)?;
        let lost = || ImageError::Source(hash_lost(&source.image.id));
        let sha512 = sha512.so_far().await.ok_or_else(lost)?;
        let md5 = match md5 {
            Some(mut md5) => md5.so_far().await,
            None => sent.digest(),
        };
        let md5 = md5.ok_or_else(lost)?;
        let image = &mut source.image;
        image.size = Some(len_bytes);
        image.disk_format = Some(disk_format);
        image.checksum = Some(md5.as_hex().to_owned());
        image.hash_algo = Some(sha512.algorithm().to_string());
        image.hash_value = Some(Digest::as_hex(&sha512).to_owned());
        Ok(source)
    }

    /// The image, as the file and its caller say it.
    #[must_use]
    pub fn image(&self) -> &ImageMetadata {
        &self.image
    }
}

impl fmt::Display for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file.fmt(f)
    }
}

#[async_trait]
impl ImageSource for FileSource {
    fn images(&self, wanted: &Selection) -> ImageStream {
        let image = wanted.matches(&self.image).then(|| Ok(self.image.clone()));
        stream::iter(image).boxed()
    }

    async fn image_data(
        &self,
        id: &ImageId,
        offset_bytes: u64,
    ) -> Result<Option<ImageData>, PortError> {
        if *id != self.image.id {
            return Err(PortError::NotFound { id: *id });
        }
        self.file.open(id, offset_bytes).await.map(Some)
    }
}

/// A look at data as it passes.
struct Look {
    stated: Option<String>,
    container: String,
    check: FormatCheck,
    head: Vec<u8>,
    /// The format, once it is known, and what looks at the rest.
    decided: Option<(String, Option<Inspector>)>,
}

impl Look {
    fn new(image: &ImageMetadata, check: FormatCheck) -> Self {
        Self {
            stated: image.disk_format.clone(),
            container: image.container_format.clone().unwrap_or_default(),
            check,
            head: Vec::new(),
            decided: None,
        }
    }

    fn see(&mut self, chunk: &[u8]) -> Result<(), ContentProblem> {
        let Some((_, inspector)) = &mut self.decided else {
            self.head.extend_from_slice(chunk);
            if self.head.len() >= HEAD_BYTES {
                self.decide()?;
            }
            return Ok(());
        };
        if let Some(inspector) = inspector {
            inspector.see(chunk);
        }
        Ok(())
    }

    fn decide(&mut self) -> Result<(), ContentProblem> {
        let head = std::mem::take(&mut self.head);
        let start = head.get(..HEAD_BYTES).unwrap_or(&head);
        let is_checked = self.check == FormatCheck::Auto;
        let format = match &self.stated {
            Some(stated) => {
                // Glance lets anything pass for raw, which a hypervisor then shows as it is.
                if is_checked && stated == DataFormat::Raw.name() && self.container == "bare" {
                    let found = DataFormat::find(start)?;
                    if found.disk_format() != stated {
                        let stated = stated.clone();
                        return Err(ContentProblem::Mismatch { stated, found });
                    }
                }
                stated.clone()
            }
            None => {
                let found = DataFormat::find(start)?;
                match wrapping(start).filter(|_| is_checked && found == DataFormat::Raw) {
                    Some(found) => return Err(ContentProblem::Wrapped { found }),
                    None => found.disk_format().to_owned(),
                }
            }
        };
        let inspector = is_checked.then(|| {
            let mut inspector = Inspector::new(&format, &self.container);
            inspector.see(&head);
            inspector
        });
        self.decided = Some((format, inspector));
        Ok(())
    }

    /// Returns the format, now that this was all of the data.
    fn finish(mut self) -> Result<String, ContentProblem> {
        if self.decided.is_none() {
            self.decide()?;
        }
        let (format, inspector) = self.decided.unwrap_or_default();
        match inspector.and_then(Inspector::finish) {
            Some(problem) => Err(problem),
            None => Ok(format),
        }
    }
}

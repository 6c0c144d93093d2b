//! Fakes, and the contract that every adapter keeps; for tests only.

pub mod contract;
mod faulty;
mod memory;

pub use faulty::{Faults, Faulty};
pub use memory::MemoryImages;

use glance_model::{ImageId, ImageMetadata, ImageStatus, Visibility};

/// A fresh id.
#[must_use]
pub fn random_id() -> ImageId {
    let mut hex = format!("{:032x}", fastrand::u128(..));
    for at in [8, 13, 18, 23] {
        hex.insert(at, '-');
    }
    match ImageId::parse(&hex) {
        Ok(id) => id,
        Err(_) => unreachable!("32 digits and 4 dashes are an id"),
    }
}

/// An active image with a fresh id, of formats that take any data, whose owner
/// alone sees it.
#[must_use]
pub fn active_image(data: &[u8]) -> ImageMetadata {
    let mut image = ImageMetadata::new(random_id(), ImageStatus::Active);
    let mut md5 = crate::DigestAlgorithm::Md5.digester();
    md5.update(data);
    image.name = Some("an image".to_owned());
    image.disk_format = Some("raw".to_owned());
    image.container_format = Some("bare".to_owned());
    image.visibility = Some(Visibility::NotPublic);
    image.protected = Some(false);
    image.min_disk = Some(1);
    image.min_ram = Some(2);
    image.size = Some(data.len() as u64);
    image.checksum = Some(md5.finish());
    image
}

//! The images that an image names in its additional properties.

use std::collections::BTreeMap;

use crate::{ImageId, ImageMetadata};

/// The images that an instance of this one starts with.
const STARTS_WITH: [&str; 2] = ["kernel_id", "ramdisk_id"];

/// All properties that name images. `block_device_mapping` is JSON with ids in it.
const REFERENCES: [&str; 4] = [
    "kernel_id",
    "ramdisk_id",
    "base_image_ref",
    "block_device_mapping",
];

/// The length of an id in text.
const ID_LEN: usize = 36;

impl ImageMetadata {
    /// Returns the images that an instance of this one starts with: its kernel and its ramdisk.
    pub fn starts_with(&self) -> impl Iterator<Item = ImageId> {
        let texts = STARTS_WITH
            .iter()
            .filter_map(|name| self.properties.get(*name));
        texts.filter_map(|text| ImageId::parse(text).ok())
    }

    /// Returns all images that `kernel_id`, `ramdisk_id`, `base_image_ref` and
    /// `block_device_mapping` name.
    pub fn references(&self) -> impl Iterator<Item = ImageId> {
        let texts = REFERENCES
            .iter()
            .filter_map(|name| self.properties.get(*name));
        texts.flat_map(|text| (0..text.len()).filter_map(|at| id_at(text, at)))
    }

    /// Puts other ids in the place of those that `kernel_id`, `ramdisk_id`, `base_image_ref` and
    /// `block_device_mapping` name, as a map from old to new ids has them.
    pub fn rename_references(&mut self, ids: &BTreeMap<ImageId, ImageId>) {
        if ids.is_empty() {
            return;
        }
        for name in REFERENCES {
            if let Some(text) = self.properties.get_mut(name) {
                rename_in(text, ids);
            }
        }
    }
}

fn id_at(text: &str, at: usize) -> Option<ImageId> {
    ImageId::parse(text.get(at..at + ID_LEN)?).ok()
}

/// Ids are unique, so that nothing else can be meant by one, wherever it stands.
fn rename_in(text: &mut String, ids: &BTreeMap<ImageId, ImageId>) {
    let mut at = 0;
    while at < text.len() {
        match id_at(text, at).and_then(|id| ids.get(&id)) {
            Some(new) => {
                text.replace_range(at..at + ID_LEN, &new.to_string());
                at += ID_LEN;
            }
            None => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ImageStatus;

    fn id(number: u32) -> ImageId {
        ImageId::parse(&format!("00000000-0000-4000-8000-{number:012}")).unwrap()
    }

    #[test]
    fn references_follow_the_map_and_all_else_stays() {
        let mut image = ImageMetadata::new(id(1), ImageStatus::Active);
        let devices = |mapped: ImageId, size: u32| {
            format!(
                "[{{\"é\": \"{mapped}\", \"volume_id\": \"{}\", \"volume_size\": {size}}}]",
                id(7)
            )
        };
        for (name, text) in [
            ("kernel_id", id(2).to_string()),
            ("ramdisk_id", id(3).to_string()),
            ("base_image_ref", id(4).to_string()),
            ("block_device_mapping", devices(id(2), 1)),
            ("note", id(2).to_string()),
        ] {
            image.properties.insert(name.into(), text);
        }
        assert!(image.starts_with().eq([id(2), id(3)]));
        let references: Vec<_> = image.references().collect();
        assert_eq!(references, [2, 3, 4, 2, 7].map(id));
        let ids = BTreeMap::from([(id(2), id(12)), (id(4), id(14))]);
        for _ in 0..2 {
            image.rename_references(&ids);
            let says = |name: &str| image.properties.get(name).cloned().unwrap();
            assert_eq!(says("kernel_id"), id(12).to_string());
            assert_eq!(says("ramdisk_id"), id(3).to_string());
            assert_eq!(says("base_image_ref"), id(14).to_string());
            assert_eq!(says("block_device_mapping"), devices(id(12), 1));
            assert_eq!(says("note"), id(2).to_string());
        }
    }
}

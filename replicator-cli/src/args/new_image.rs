//! The options that describe an image which is made of a file.

use clap::builder::{BoolishValueParser, NonEmptyStringValueParser};
use glance_model::{BaseProperty, ImageId, ImageMetadata, ImageStatus, Visibility};
use replicator_core::{Digest, DigestAlgorithm};

use super::heading;
use super::words::visibility;
use crate::error::CliError;

/// The format of the container of data that has none.
const BARE: &str = "bare";

/// The description of an image which is made of a file. What is not given is left to the target.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = heading::IMAGE)]
pub(crate) struct NewImageArgs {
    /// Id of the image, the same at every target; a new one by default
    ///
    /// Given again, with the same file, it completes what is missing, and otherwise there
    /// is nothing to do. A target that has another image of that id is an error.
    #[arg(long, value_name = "ID")]
    id: Option<ImageId>,

    /// Digest that the file must have, as sha256:HEX
    ///
    /// A file that has another one is not sent (exit 6).
    #[arg(long, value_name = "ALGORITHM:HEX", value_parser = checksum)]
    checksum: Option<Digest>,

    /// Name of the image; that of the file by default
    #[arg(long, value_name = "NAME")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    name: Option<String>,

    /// Format of the disk, such as qcow2; found by default
    ///
    /// The data has to be of this format (see --format-check).
    #[arg(long, value_name = "FORMAT")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    disk_format: Option<String>,

    /// Format of the container around the disk
    #[arg(long, value_name = "FORMAT", default_value = BARE)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    container_format: String,

    /// Disk that an instance needs, in GiB
    #[arg(long, value_name = "GIB")]
    min_disk: Option<u64>,

    /// Memory that an instance needs, in MiB
    #[arg(long, value_name = "MIB")]
    min_ram: Option<u64>,

    /// Additional property of the image; may be given more than once
    #[arg(long, value_name = "KEY=VALUE", action = clap::ArgAction::Append)]
    #[arg(value_parser = property)]
    property: Vec<(String, String)>,

    /// Tag of the image; may be given more than once
    #[arg(long, value_name = "TAG", action = clap::ArgAction::Append)]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    tag: Vec<String>,

    /// Visibility: private, shared, community or public
    ///
    /// Nobody else sees the image before it is proven. Without this option, a target
    /// decides, and today's make it shared.
    #[arg(long, value_name = "WHO")]
    #[arg(value_parser = visibility(), hide_possible_values = true)]
    visibility: Option<Visibility>,

    /// Project that owns the image, by its id
    ///
    /// That of the token by default; an administrator's token alone may choose another one.
    #[arg(long, value_name = "ID")]
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    project: Option<String>,

    /// Protect the image from deletion
    #[arg(long, value_parser = BoolishValueParser::new())]
    protected: bool,

    /// Leave the image out of listings
    #[arg(long, value_parser = BoolishValueParser::new())]
    hidden: bool,
}

impl NewImageArgs {
    /// Returns the id that was given.
    pub(crate) fn id(&self) -> Option<ImageId> {
        self.id
    }

    /// Describes an image of a file of this name.
    pub(crate) fn describe(
        &self,
        id: ImageId,
        file: Option<&str>,
    ) -> Result<ImageMetadata, CliError> {
        if self.container_format != BARE && self.disk_format.is_none() {
            let container = self.container_format.clone();
            return Err(CliError::NoDiskFormat { container });
        }
        let mut image = ImageMetadata::new(id, ImageStatus::Active);
        image.name = self.name.as_deref().or(file).map(str::to_owned);
        image.disk_format.clone_from(&self.disk_format);
        image.container_format = Some(self.container_format.clone());
        (image.min_disk, image.min_ram) = (self.min_disk, self.min_ram);
        image.properties = self.property.iter().cloned().collect();
        image.tags = self.tag.iter().cloned().collect();
        image.visibility = self.visibility;
        image.owner.clone_from(&self.project);
        if let Some(digest) = &self.checksum {
            image.hash_algo = Some(digest.algorithm().to_string());
            image.hash_value = Some(digest.as_hex().to_owned());
        }
        image.protected = self.protected.then_some(true);
        image.hidden = self.hidden.then_some(true);
        Ok(image)
    }
}

fn checksum(text: &str) -> Result<Digest, String> {
    let (algorithm, hex) = text
        .split_once(':')
        .ok_or("it is not of the form ALGORITHM:HEX")?;
    let algorithm = DigestAlgorithm::from_name(algorithm)
        .ok_or_else(|| format!("{algorithm} is no algorithm of digests, such as sha256"))?;
    let len = algorithm.digester().finish().as_hex().len();
    if hex.len() != len || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("{algorithm} has {len} hexadecimal digits"));
    }
    Ok(Digest::new(algorithm, hex))
}

fn property(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .filter(|(key, _)| !key.is_empty())
        .ok_or("it is not of the form KEY=VALUE")?;
    if BaseProperty::from_name(key).is_some() || ["id", "status", "tags"].contains(&key) {
        return Err(format!(
            "{key} is a field of every image, not an additional property"
        ));
    }
    Ok((key.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_names_its_algorithm_and_is_as_long_as_that_makes_it() {
        let (md5, sha256) = ("d41d8cd98f00b204e9800998ecf8427e", "ab".repeat(32));
        let read = |text: &str| checksum(text).map(|digest| digest.to_string());
        assert_eq!(read(&format!("md5:{md5}")), Ok(format!("md5 {md5}")));
        let upper = format!("SHA256:{}", sha256.to_uppercase());
        assert_eq!(read(&upper), Ok(format!("sha256 {sha256}")));
        for text in [
            md5,
            "sha256:abcd",
            "crc:abcd",
            "md5:",
            &format!("sha256:x{}", &sha256[1..]),
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_property_has_a_key_and_is_no_field_of_every_image() {
        let read = |text| property(text).ok();
        let of = |key: &str, value: &str| Some((key.to_owned(), value.to_owned()));
        assert_eq!(read("os_type=linux"), of("os_type", "linux"));
        assert_eq!(read("note=a=b"), of("note", "a=b"));
        assert_eq!(read("note="), of("note", ""));
        for text in ["note", "=x", "name=x", "os_hidden=true", "tags=a"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}

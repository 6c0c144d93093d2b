//! Runs an embedded Glance until standard input is closed.
//!
//! ```text
//! embedded_glance [--port N] [--profile today|legacy|v1] [--images N] [--image-bytes BYTES]
//!                 [--page-size N] [--without-digests] [--throttle BYTES] [--round-trip MS]
//!                 [--content random|mostly-zeros [--digests MD5:SHA512] [--public]] [--discard]
//! ```
//!
//! Without `--content` the images are as various as those of a real server. With it they are
//! alike, as a benchmark wants them: all active, all with the same `--image-bytes` bytes, which
//! are hashed unless `--digests` says what comes out. A server with `--discard` forgets what is
//! uploaded, and states those digests for it if it has the length.
//!
//! The first line on standard output is `listening on http://127.0.0.1:PORT`. After the end of
//! standard input there is a line `KIND COUNT` for each kind of request that was made.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::time::Duration;

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile, RequestKind};

const NAMES: [&str; 5] = [
    "Ubuntu 24.04",
    "東京のイメージ",
    "Windows \"Server\"",
    "debian-13",
    "rescue",
];
const SYSTEMS: [&str; 3] = ["linux", "windows", "freebsd"];

const MIB: usize = 1024 * 1024;
const KINDS: [RequestKind; 9] = [
    RequestKind::Versions,
    RequestKind::Listing,
    RequestKind::Create,
    RequestKind::Show,
    RequestKind::Update,
    RequestKind::Download,
    RequestKind::Upload,
    RequestKind::Delete,
    RequestKind::Other,
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = EmbeddedGlance::builder().page_size(1000);
    let (mut images, mut image_bytes) = (0, 1_048_576);
    let (mut block, mut digests) = (None, None);
    let (mut public, mut discards) = (false, false);
    let mut args = std::env::args().skip(1);
    while let Some(option) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{option} needs a value"));
        match option.as_str() {
            "--port" => builder = builder.port(value()?.parse()?),
            "--page-size" => builder = builder.page_size(value()?.parse()?),
            "--images" => images = value()?.parse()?,
            "--image-bytes" => image_bytes = value()?.parse()?,
            "--without-digests" => builder = builder.without_digests(),
            "--throttle" => builder = builder.throttle(value()?.parse()?),
            "--round-trip" => {
                builder = builder.round_trip(Duration::from_millis(value()?.parse()?));
            }
            "--content" => block = Some(block_of(&value()?)?),
            "--digests" => digests = Some(two_digests(&value()?)?),
            "--public" => public = true,
            "--discard" => discards = true,
            "--profile" => {
                builder = builder.profile(match value()?.as_str() {
                    "today" => Profile::Today,
                    "legacy" => Profile::Legacy,
                    "v1" => Profile::V1Only,
                    other => return Err(format!("no such profile: {other}").into()),
                });
            }
            other => return Err(format!("no such option: {other}").into()),
        }
    }
    if discards {
        builder = match &digests {
            Some((md5, sha512)) => builder.stated_digests(image_bytes, md5, "sha512", sha512),
            None => builder.without_digests(),
        };
    }
    let glance = builder.start_blocking()?;
    match block {
        Some(block) => {
            // Of shared ones, a replication also asks who they are shared with.
            let visibility = if public { "public" } else { "private" };
            let content = ImageContent::repeated(block, image_bytes);
            add_alike(&glance, images, &content, visibility, digests);
        }
        None => (0..images).for_each(|index| glance.add_image(various(index, image_bytes))),
    }
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {}", glance.url())?;
    stdout.flush()?;
    io::copy(&mut io::stdin().by_ref(), &mut io::sink())?;
    for kind in KINDS {
        let name = format!("{kind:?}").to_lowercase();
        writeln!(stdout, "{name} {}", glance.count(kind))?;
    }
    Ok(())
}

/// Makes what the data of images repeats: a MiB of data, or that and nine of zeros.
fn block_of(content: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut block = ImageContent::pattern(1, MIB as u64).to_vec()?;
    match content {
        "random" => {}
        "mostly-zeros" => block.resize(10 * MIB, 0),
        other => return Err(format!("no such content: {other}").into()),
    }
    Ok(block)
}

fn two_digests(text: &str) -> Result<(String, String), String> {
    let (md5, sha512) = text
        .split_once(':')
        .ok_or_else(|| format!("not MD5:SHA512: {text}"))?;
    Ok((md5.to_owned(), sha512.to_owned()))
}

/// Adds images that all hold `content`, and hashes it once at most.
fn add_alike(
    glance: &EmbeddedGlance,
    images: u64,
    content: &ImageContent,
    visibility: &str,
    mut digests: Option<(String, String)>,
) {
    for index in 0..images {
        let id = id(index);
        // The Python tool, beside which this may be measured, stops at a name that is not ASCII.
        let mut image = described(index)
            .name(&format!("image #{index}"))
            .data(content.clone())
            .visibility(visibility);
        if let Some((md5, sha512)) = &digests {
            image = image.digests(md5, "sha512", sha512);
        }
        glance.add_image(image);
        digests = digests.or_else(|| {
            let added = glance.image(&id)?;
            let field = |name| Some(added.field(name)?.as_str()?.to_owned());
            Some((field("checksum")?, field("os_hash_value")?))
        });
    }
}

fn id(index: u64) -> String {
    format!(
        "{:08x}-0000-4000-8000-{index:012x}",
        index.wrapping_mul(0x9e37_79b1) & 0xffff_ffff
    )
}

/// An image without data, with a name and properties.
fn described(index: u64) -> ImageSpec {
    let pick = |list: &[&'static str]| {
        let wanted = index % (list.len() as u64);
        list.iter()
            .zip(0..)
            .find(|(_, at)| *at == wanted)
            .map_or("", |(entry, _)| *entry)
    };
    ImageSpec::new(&id(index))
        .name(&format!("{} #{index}", pick(&NAMES)))
        .created_at(1_750_000_000 + index * 60)
        .property("os_type", pick(&SYSTEMS))
        .property("build", &index.to_string())
}

/// Makes an image whose size lies between nothing and `most` bytes; the first has them all.
fn various(index: u64, most: u64) -> ImageSpec {
    // Steps of three eighths visit all sizes before one comes again.
    let size = most - (index * 3 % 8) * (most / 8);
    let spec = described(index).minima(u32::try_from(size >> 30).unwrap_or_default() + 1, 512);
    match index % 10 {
        9 => spec,
        7 => spec.data(ImageContent::zeros(size)).visibility("public"),
        5 => spec
            .data(ImageContent::pattern(index, size))
            .visibility("public"),
        _ => spec.data(ImageContent::pattern(index, size)),
    }
}

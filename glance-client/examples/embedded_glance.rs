//! Runs an embedded Glance until standard input is closed.
//!
//! ```text
//! embedded_glance [--port N] [--profile today|legacy|v1] [--images N] [--image-bytes BYTES]
//!                 [--page-size N] [--without-digests]
//! ```
//!
//! The first line on standard output is `listening on http://127.0.0.1:PORT`.

use std::error::Error;
use std::io::{self, Read as _, Write as _};

use glance_client::testing::{EmbeddedGlance, ImageContent, ImageSpec, Profile};

const NAMES: [&str; 5] = [
    "Ubuntu 24.04",
    "東京のイメージ",
    "Windows \"Server\"",
    "debian-13",
    "rescue",
];
const SYSTEMS: [&str; 3] = ["linux", "windows", "freebsd"];

fn main() -> Result<(), Box<dyn Error>> {
    let mut builder = EmbeddedGlance::builder().page_size(1000);
    let (mut images, mut image_bytes) = (0, 1_048_576);
    let mut args = std::env::args().skip(1);
    while let Some(option) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{option} needs a value"));
        match option.as_str() {
            "--port" => builder = builder.port(value()?.parse()?),
            "--page-size" => builder = builder.page_size(value()?.parse()?),
            "--images" => images = value()?.parse()?,
            "--image-bytes" => image_bytes = value()?.parse()?,
            "--without-digests" => builder = builder.without_digests(),
            // The line is always written.
            "--state-line" => {}
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
    let glance = builder.start_blocking()?;
    for index in 0..images {
        glance.add_image(example_image(index, image_bytes));
    }
    let mut stdout = io::stdout();
    writeln!(stdout, "listening on {}", glance.url())?;
    stdout.flush()?;
    io::copy(&mut io::stdin().by_ref(), &mut io::sink())?;
    Ok(())
}

/// Makes an image whose size lies between nothing and `most` bytes; the first has them all.
fn example_image(index: u64, most: u64) -> ImageSpec {
    let pick = |list: &[&'static str]| {
        let wanted = index % (list.len() as u64);
        list.iter()
            .zip(0..)
            .find(|(_, at)| *at == wanted)
            .map_or("", |(entry, _)| *entry)
    };
    // Steps of three eighths visit all sizes before one comes again.
    let size = most - (index * 3 % 8) * (most / 8);
    let id = format!(
        "{:08x}-0000-4000-8000-{index:012x}",
        index.wrapping_mul(0x9e37_79b1) & 0xffff_ffff
    );
    let spec = ImageSpec::new(&id)
        .name(&format!("{} #{index}", pick(&NAMES)))
        .created_at(1_750_000_000 + index * 60)
        .property("os_type", pick(&SYSTEMS))
        .property("build", &index.to_string())
        .minima(u32::try_from(size >> 30).unwrap_or_default() + 1, 512);
    match index % 10 {
        9 => spec,
        7 => spec.data(ImageContent::zeros(size)).visibility("public"),
        5 => spec
            .data(ImageContent::pattern(index, size))
            .visibility("public"),
        _ => spec.data(ImageContent::pattern(index, size)),
    }
}

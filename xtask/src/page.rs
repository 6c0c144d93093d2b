//! Opens the page of `status --html` in a browser: what its script makes of 10,000 images at three
//! targets.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::embedded::{DEBUG, Server};
use crate::setup;
use crate::shell::{Outcome, output, root, run};

/// The images of the source, and of each target.
const IMAGES: u32 = 10_000;
const AT_TARGETS: [u32; 3] = [10_000, 9_000, 5_000];
/// The images of the source without those that have no data, each once.
const SHOWN: &str = "10,001 images";
/// The rows of the table that are there at a time, and that of its head.
const ROWS: usize = 101;
const MOST_BYTES: u64 = 5_000_000;
/// The time for the browser to start, to open the page, and to end.
const LONGEST: Duration = Duration::from_secs(10);
const HOSTILE: &str = "</script><img src=x onerror=document.title='owned'>";

/// Builds the programs, writes the page, and looks at what a browser shows. Pictures of it are
/// below target/page.
pub(crate) fn check() -> Outcome {
    setup::install(&["chromium"])?;
    DEBUG.build()?;
    let dir = root().join("target/page");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir)?;
    let source = start(IMAGES)?;
    let targets = AT_TARGETS.map(start).into_iter();
    let targets = targets.collect::<Result<Vec<_>, _>>()?;
    let file = dir.join("hostile.raw");
    fs::write(&file, [0; 5000])?;
    let program = || Command::new(DEBUG.built("glance-replicator"));
    let push = ["push", "--progress", "none", "--name", HOSTILE];
    run(program().args(push).arg(&file).arg(&source.address))?;

    let page = dir.join("status.html");
    let mut status = program();
    status
        .args(["status", "--progress", "none", "--html"])
        .arg(&page);
    status.arg(&source.address);
    status.args(targets.iter().map(|target| &target.address));
    let begun = Instant::now();
    output(&mut status)?;
    let bytes = fs::metadata(&page)?.len();
    println!(
        "written in {:.1} s, {bytes} bytes",
        begun.elapsed().as_secs_f64()
    );
    expect(bytes < MOST_BYTES, "the page is too long")?;

    let begun = Instant::now();
    let shown = output(browser(&dir).arg("--dump-dom").arg(&page))?;
    let took = begun.elapsed();
    println!(
        "opened in {:.1} s, the start of the browser included",
        took.as_secs_f64()
    );
    expect(took < LONGEST, "the page takes too long to open")?;
    expect(
        shown.contains(SHOWN),
        "the number of images is not shown: the script did not run",
    )?;
    let rows = shown.matches("<tr role=\"row\">").count();
    expect(rows == ROWS, &format!("{rows} rows are shown, not {ROWS}"))?;
    let (before, _) = shown
        .split_once("id=\"data\"")
        .ok_or("the page has no data")?;
    let is_text = !before.contains("<img") && !shown.contains("<title>owned");
    expect(
        is_text,
        "the name of an image has become a part of the page",
    )?;

    for (name, width, more) in [
        ("wide-light.png", 1600, None),
        ("wide-dark.png", 1600, Some("--force-dark-mode")),
        ("narrow-light.png", 500, None),
        ("narrow-dark.png", 500, Some("--force-dark-mode")),
    ] {
        let mut command = browser(&dir);
        command
            .args(more)
            .arg(format!("--window-size={width},1200"));
        command.arg(format!("--screenshot={}", dir.join(name).display()));
        output(command.arg(&page))?;
    }
    println!("pictures of it are in {}", dir.display());
    Ok(())
}

fn start(images: u32) -> Result<Server, Box<dyn Error>> {
    let mut command = DEBUG.embedded_glance();
    command.args(["--images", &images.to_string(), "--image-bytes", "1000"]);
    Server::start(command)
}

/// A browser that asks nobody for anything, with a profile of its own.
fn browser(dir: &Path) -> Command {
    let mut command = Command::new("chromium");
    command.args([
        "--headless",
        // It opens this page alone, and as root there is no sandbox.
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--log-level=3",
    ]);
    command.arg(format!("--user-data-dir={}", dir.join("profile").display()));
    command
}

fn expect(is_so: bool, otherwise: &str) -> Outcome {
    match is_so {
        true => Ok(()),
        false => Err(otherwise.into()),
    }
}

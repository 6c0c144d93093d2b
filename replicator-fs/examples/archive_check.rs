//! Reads every image of an archive and compares it with its digest: `archive_check DIR`. The exit code
//! is 1 if one is wrong.

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use glance_model::Selection;
use replicator_core::{RunContext, TargetIds, VerifyBy, VerifyOptions, verify};
use replicator_fs::ImageArchive;

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let path = std::env::args_os().nth(1).ok_or("which directory?")?;
    let archive = Arc::new(ImageArchive::open(path)?);
    let (ctx, all) = (RunContext::silent(), Selection::default());
    let by = VerifyOptions::new(VerifyBy::Reading);
    // Its own digests are what it is held against.
    let copy = Arc::clone(&archive);
    let report = verify(&ctx, archive, copy, &all, TargetIds::new(), by).await?;
    let mut stdout = io::stdout();
    for failed in &report.failures {
        let why = failed.error().map(ToString::to_string).unwrap_or_default();
        writeln!(stdout, "{}: {why}", failed.image.id)?;
    }
    writeln!(
        stdout,
        "{} right, {} wrong",
        report.verified,
        report.failures.len()
    )?;
    Ok(if report.failures.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

//! Hashes so many bytes, as fast as one core can: what a benchmark holds the product against.
//!
//! ```text
//! hash_speed ALGORITHM BYTES
//! ```

use std::error::Error;
use std::io::{self, Write as _};

use replicator_core::DigestAlgorithm;

/// Small enough to stay in the cache of a core.
const BLOCK_BYTES: usize = 256 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(name), Some(bytes)) = (args.next(), args.next()) else {
        return Err("usage: hash_speed ALGORITHM BYTES".into());
    };
    let algorithm = DigestAlgorithm::from_name(&name).ok_or("no such algorithm")?;
    let bytes: u64 = bytes.parse()?;
    let block = vec![0x5a; BLOCK_BYTES];
    let mut digester = algorithm.digester();
    for _ in 0..bytes / BLOCK_BYTES as u64 {
        digester.update(&block);
    }
    // Written, so that no compiler leaves the work out.
    writeln!(io::stdout(), "{}", digester.finish())?;
    Ok(())
}

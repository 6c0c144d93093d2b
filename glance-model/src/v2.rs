//! Images v2: its records, and the patches that change them.

mod patch;
mod record;

pub use self::patch::patch;
pub use self::record::{EarlyRecord, Record, record};

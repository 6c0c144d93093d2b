//! Images v2: its records, and the patches that change them.

mod patch;
mod record;

pub(crate) use self::patch::can_be_patched;
pub use self::patch::patch;
pub use self::record::{EarlyRecord, Record, record};

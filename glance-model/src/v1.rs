//! Images v1: the records of its listing, and the headers that it takes and answers with.

mod headers;
mod record;

pub use self::headers::{from_headers, headers, update_headers};
pub use self::record::{Record, record};

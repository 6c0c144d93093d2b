//! Ends of connections that hyper does not know.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::content::ImageContent;

/// The ends of connections that hyper has let go of.
#[derive(Debug)]
pub(super) enum Ending {
    Reset,
    Raw(Bytes),
    RawForever(Bytes, Bytes),
    /// A head that is no valid HTTP, and the data behind it.
    BrokenHead(Vec<u8>, ImageContent),
}

/// Tells the connection how to end; hyper only learns that it does.
pub(super) type EndingSlot = Arc<Mutex<Option<Ending>>>;

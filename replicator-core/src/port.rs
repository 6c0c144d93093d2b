//! What the core asks of the outside: the vocabulary that adapters speak.

mod data;
mod error;
mod event;
mod id_map;
mod source;
mod target;

pub use data::{ImageData, ImageDataStream};
pub use error::{Cause, FailureKind, Operation, PortError};
pub use event::{Event, EventSink, LeftOut, NoEvents, SkipReason};
pub use id_map::IdMap;
pub use source::{ImageSource, ImageStream, gives_last_byte};
pub use target::{ImageTarget, Stage};

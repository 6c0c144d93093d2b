#![doc = include_str!("../README.md")]

mod context;
mod digest;
mod port;

pub use context::RunContext;
pub use digest::{DigestAlgorithm, Digester};
pub use port::{
    Event, EventSink, FailureKind, ImageData, ImageDataStream, ImageSource, ImageStream,
    ImageTarget, NoEvents, Operation, PortError, SkipReason,
};

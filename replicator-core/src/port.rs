//! The ports: what the core asks of the outside, and the vocabulary that adapters speak.

mod data;
mod error;
mod id_map;
mod image_file;
mod nature;
mod side;
mod source;
mod stage;
mod target;

pub use data::{ImageData, ImageDataStream};
pub use error::{Cause, FailureKind, Operation, PortError};
pub use id_map::{IdMap, TargetIds};
pub use image_file::ImageFile;
pub use nature::{IdUse, Nature};
pub use side::Side;
pub use source::{ImageSource, ImageStream, ReadMembers, gives_last_byte};
pub use stage::Stage;
pub use target::{ImageTarget, Room};

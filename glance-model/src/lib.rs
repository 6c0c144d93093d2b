#![doc = include_str!("../README.md")]

mod content;
mod diff;
mod filter;
mod form;
mod header;
mod id;
mod metadata;
mod patch;
mod property;
mod record;
mod selection;
mod status;

pub use content::{ContentProblem, DataFormat, Inspector};
pub use diff::{Change, Field, FieldValue, MetadataDiff};
pub use filter::{DoNotReplicate, FilterError};
pub use form::TargetForm;
pub use header::{from_headers, to_headers, update_headers};
pub use id::{ImageId, ParseImageIdError};
pub use metadata::{ImageMetadata, NoData};
pub use patch::json_patch;
pub use property::{BaseProperty, Scalar, Visibility};
pub use record::{
    BadRecord, EarlyV2Record, RecordError, V1Record, V2Record, read_record, to_v1_record,
    to_v2_record, valid_unicode,
};
pub use selection::{Selection, Test};
pub use status::ImageStatus;

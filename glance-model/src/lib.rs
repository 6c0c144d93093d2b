#![doc = include_str!("../README.md")]

mod adapt;
mod content;
mod diff;
mod form;
mod id;
mod identity;
mod member;
mod metadata;
mod metadefs;
mod omit;
mod origin;
mod pattern;
mod project;
mod property;
mod record;
mod references;
mod requirements;
mod retirement;
mod selection;
mod status;
pub mod v1;
pub mod v2;
mod view;

pub use adapt::{Adapt, SetPropertyError};
pub use content::{ContentProblem, DataFormat, Inspector, wrapping};
pub use diff::{Change, Field, FieldValue, MembersChange, MetadataDiff};
pub use form::TargetForm;
pub use id::{ImageId, ParseImageIdError};
pub use identity::{
    Identity, NoProject, OnMissingProject, Owner, ProjectMap, ProjectMapError, Unmapped,
};
pub use member::{MemberStatus, Members};
pub use metadata::{ImageMetadata, NoData, WrongType};
pub use metadefs::{BadNamespace, Namespace, NamespaceChange, Part};
pub use omit::{Omit, OmitError};
pub use origin::{Origin, OriginError};
pub use pattern::{Pattern, PatternError};
pub use project::{ProjectName, Projects};
pub use property::{BaseProperty, Scalar, Visibility};
pub use record::{BadRecord, RecordError, read_record, valid_unicode};
pub use requirements::{Excess, MetadataProblem, Requirements, is_additional};
pub use retirement::{Fate, MaxDelete, MaxDeleteError, Retirement};
pub use selection::{
    ExpressionError, Key, Sample, SampleError, Selection, Shard, ShardError, Surroundings, Test,
};
pub use status::ImageStatus;
pub use view::{Lost, View, Wanted};

//! An embedded Glance for tests and demos: in-process, stateful, strict, faulty on demand.
//!
//! It serves Images v2 (2.17, or 2.5 as it was in 2017) and v1 over HTTP on a port of 127.0.0.1, and
//! refuses what Glance refuses, with Glance's statuses and error bodies. It shares no code with the
//! client or the model, so that it finds their mistakes instead of repeating them.
//!
//! ```
//! use glance_client::testing::{EmbeddedGlance, FaultAction, FaultOn, ImageContent, ImageSpec, RequestKind};
//!
//! # fn main() -> std::io::Result<()> {
//! let glance = EmbeddedGlance::builder().page_size(2).start_blocking()?;
//! let id = "11111111-1111-4111-8111-111111111111";
//! glance.add_image(ImageSpec::new(id).name("one").data(ImageContent::pattern(1, 5_000_000)));
//! let second_download = FaultOn::kind(RequestKind::Download).image(id).skip(1).times(1);
//! glance.fault(second_download, FaultAction::retry_after(503, 2));
//! // ... use glance.url() ...
//! assert_eq!(glance.count(RequestKind::Download), 0);
//! assert_eq!(glance.image(id).map(|image| image.status), Some("active".to_owned()));
//! # Ok(())
//! # }
//! ```
//!
//! It lacks what real servers have besides: import of new images, locations, tasks, `copy_from`,
//! concurrent changes that overwrite each other. Broken headers it does send: a v1 answer
//! with a line break in a property, or a blank in the name of one, is as unreadable as the real one.

mod call;
mod caller;
mod connection;
mod content;
mod ending;
mod exchange;
mod fault;
#[cfg(feature = "cloud")]
mod keystone;
mod line;
mod listing;
mod log;
mod pace;
mod record;
mod reply;
mod sending;
mod server;
mod settings;
mod shared;
mod spec;
mod state;
mod v1;
mod v2;

pub use caller::Caller;
pub use content::{HashAlgorithm, ImageContent};
pub use fault::{At, FaultAction, FaultOn};
#[cfg(feature = "cloud")]
pub use keystone::{EmbeddedKeystone, KeystoneState};
pub use log::{RequestKind, RequestRecord};
pub use server::EmbeddedGlance;
pub use settings::{EmbeddedGlanceBuilder, Profile, RangeSupport};
pub use spec::{ImageSpec, ImageView};

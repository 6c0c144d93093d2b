//! Ends: what the user names them by, and how they are opened.

mod connect;
mod definitions;
mod file;
mod location;
mod named;
mod noted;
mod nothing;
mod own;
mod place;
mod relisted;
mod sides;
mod stores;
mod tokens;

pub(crate) use self::connect::{
    Access, Caller, Connected, Opening, Reached, Source, Taken, Target, glance, reach, stage,
    target,
};
pub(crate) use self::definitions::{Definitions, Listed};
pub(crate) use self::file::file;
pub(crate) use self::location::End;
pub(crate) use self::named::Ends;
pub(crate) use self::noted::Noted;
pub(crate) use self::own::own;
pub(crate) use self::sides::Sides;
pub(crate) use self::stores::described;

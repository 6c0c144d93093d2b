//! Two ends, side by side.

pub(crate) mod image_list;
pub(crate) mod members;
pub(crate) mod newest;
pub(crate) mod pairs;
pub(crate) mod selected;
pub(crate) mod tee;
pub(crate) mod withheld;

//! The kit of the tests.

pub(crate) mod background;
pub(crate) mod book;
pub(crate) mod cloud;
pub(crate) mod images;
pub(crate) mod killing;
pub(crate) mod program;
pub(crate) mod runs;
pub(crate) mod terminal;

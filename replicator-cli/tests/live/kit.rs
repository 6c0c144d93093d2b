//! The parts of the kit of `tests/it` that run the program.

#[path = "../it/kit/background.rs"]
pub(crate) mod background;
#[path = "../it/kit/book.rs"]
pub(crate) mod book;
#[path = "../it/kit/killing.rs"]
pub(crate) mod killing;
#[path = "../it/kit/program.rs"]
pub(crate) mod program;

//! The client against real servers; `cargo xtask live` runs it.

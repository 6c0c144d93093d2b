//! The model from outside: what holds for all records, and those that real servers gave out.

mod laws;
mod recorded;

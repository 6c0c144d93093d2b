//! The proof that the bytes of an image are right.

pub(crate) mod digest;
pub(crate) mod hashing;
pub(crate) mod proof;
pub(crate) mod wrong;

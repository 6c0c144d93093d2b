//! Fakes and contracts for tests.

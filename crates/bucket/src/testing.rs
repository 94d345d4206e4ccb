//! Stores that misbehave, and blocks to put into them, for this crate's tests.

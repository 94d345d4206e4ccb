//! Tools for the tests of every other crate: what a test would otherwise write for itself, once and tested.
//!
//! Used as a development dependency only.
//!
//! Knows nothing of the engine: no crate above layer 1 is used here.

pub mod sim_fs;

//! Tools for the tests of every other crate: what a test would otherwise write for itself, once and tested.
//!
//! Used as a development dependency only. Without the feature `engine` it knows of nothing above layer 1, so that the
//! tests of lower crates build without the engine; with it, of the crates of layer 2: [`dataset`] and [`storage`] put
//! samples where the engine finds them, [`script`] runs Prometheus' test scripts on them, [`fuzz`] holds
//! what must hold for any input. With `store` it has an object store that goes wrong on request, [`faulty_store`].
//!
//! Knows nothing of tenants, buckets or HTTP.

#[cfg(feature = "engine")]
pub mod dataset;
#[cfg(feature = "store")]
pub mod faulty_store;
#[cfg(feature = "engine")]
pub mod fuzz;
pub mod measurements;
#[cfg(feature = "engine")]
pub mod script;
pub mod sim_fs;
#[cfg(feature = "engine")]
pub mod storage;

//! `query`: what a query may cost.

use super::quantity::{Duration, Size};
use serde::{Deserialize, Serialize};

/// `query`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// Longest time a query may take.
    pub timeout: Duration,
    /// How far back an instant selector looks.
    pub lookback: Duration,
    /// Threads that evaluate; 0: one a core.
    pub threads: usize,
    /// Queries that run at once; more wait.
    pub concurrent_max: usize,
    /// Series that a query may touch.
    pub series_max: u64,
    /// Samples that a query may decode.
    pub samples_max: u64,
    /// Memory that a query may hold.
    pub memory_max: Size,
    /// Opened blocks that are kept between queries.
    pub open_blocks_max: usize,
    /// Memory for decoded pages of the blocks' lookups, which are kept between queries.
    pub page_cache: Size,
}

impl Default for QueryConfig {
    fn default() -> Self {
        Self {
            timeout: Duration::from_ms(60_000),
            lookback: Duration::from_ms(300_000),
            threads: 0,
            concurrent_max: 10,
            series_max: 200_000,
            samples_max: 50_000_000,
            memory_max: Size::from_bytes(1 << 30),
            open_blocks_max: 1024,
            page_cache: Size::from_bytes(256 << 20),
        }
    }
}

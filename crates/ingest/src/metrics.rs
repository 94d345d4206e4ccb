//! What the ingester counts of itself; the server exposes it.

use std::sync::atomic::AtomicU64;

/// Counters since the process started, and gauges.
#[derive(Debug, Default)]
pub struct IngestMetrics {
    /// Samples stored.
    pub samples_stored: AtomicU64,
    /// Samples that were there already, bit for bit.
    pub samples_duplicate: AtomicU64,
    /// Zeros that were stored where counters began.
    pub zeros_stored: AtomicU64,
    /// Exemplars stored.
    pub exemplars_stored: AtomicU64,
    /// Samples (or histograms, exemplars) refused.
    pub samples_refused: AtomicU64,
    /// Samples (or histograms, exemplars) dropped at the door because their tenant does not want them.
    pub samples_dropped: AtomicU64,
    /// Things that were said of metric families, and for which there was no room.
    pub metadata_left_out: AtomicU64,
    /// Requests turned away with "try again".
    pub requests_turned_away: AtomicU64,
    /// Parts written.
    pub parts_written: AtomicU64,
    /// Cuts that failed; their samples stay in the head and the log.
    pub cuts_failed: AtomicU64,
    /// Tiny heads whose samples were logged again.
    pub heads_logged_again: AtomicU64,
    /// Blocks shipped and committed.
    pub blocks_shipped: AtomicU64,
    /// Ships that failed and will be tried again.
    pub ships_failed: AtomicU64,
    /// Samples replayed at start.
    pub samples_replayed: AtomicU64,
    /// Damaged places found in the log at start.
    pub log_damage: AtomicU64,
}

//! What can be set about the log, with the reasons for the defaults.

/// Settings of the local log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// A segment is closed once it is this long. Large enough that series definitions, which every segment repeats,
    /// stay a small share; small enough that released space comes back in steps.
    pub segment_size_bytes: u64,
    /// A segment grows beyond `segment_size_bytes` as long as definitions are more than a tenth of it, up to here.
    pub segment_size_bytes_max: u64,
    /// When data is made durable.
    pub sync: SyncMode,
    /// At most this much is laid before it is written and synced: bounds the memory and the time of one commit.
    pub group_size_bytes: usize,
    /// Batches that may wait for the writer thread; more are rejected.
    pub queue_batches_max: usize,
    /// Series entries, summed over waiting batches, that may wait for the writer thread.
    pub queue_entries_max: usize,
}

/// When the log is synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// Before anything is delivered.
    Commit,
    /// At most so many milliseconds after it was delivered: a crash of the machine loses that much of what was
    /// acknowledged.
    Interval(u64),
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            segment_size_bytes: 128 << 20,
            segment_size_bytes_max: 1 << 30,
            sync: SyncMode::Commit,
            group_size_bytes: 8 << 20,
            queue_batches_max: 4096,
            queue_entries_max: 4 << 20,
        }
    }
}

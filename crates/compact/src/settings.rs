//! What an operator can set about compaction; every number has a unit and a reason.

use longhaul_model::Retentions;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const GIB: u64 = 1 << 30;

/// When blocks become one block.
#[derive(Clone, Debug, PartialEq)]
pub struct CompactSettings {
    /// Lengths of the aligned ranges whose blocks become one, ms, rising: a query over a month then opens 30 blocks and
    /// not 360, and each sample is written twice more at most.
    pub ranges_ms: Vec<i64>,
    /// Ranges of this length become one block as well where that pays, ms: where a day is so small that what a block
    /// costs, whatever it holds, is most of its cost.
    pub long_range_ms: i64,
    /// It pays up to so many bytes in all.
    pub long_bytes_max: u64,
    /// A range is left alone until this long after its end, ms: its parts are cut and on their way by then.
    pub settle_ms: i64,
    /// After this long it is taken for complete although nothing newer has been shipped, ms: what is small waits for
    /// `ship.max_age` (12 h) on the local disk.
    pub wait_max_ms: i64,
    /// Late blocks wait until they are this share of what they would make rewritten, per cent.
    pub late_percent: u64,
    /// Yet no longer than this, ms.
    pub late_wait_ms: i64,
    /// A block that holds what was deleted is rewritten at the latest this long after that was asked for, ms. It begins at
    /// half of it, so that most are rewritten by a merge that comes anyway.
    pub delete_deadline_ms: i64,
    /// A quarantined block that keeps a deletion from ending is dropped this long after the deadline, ms, with whatever
    /// else is in it: it could not be read all that time, and what is deleted must not stay for good.
    pub delete_unreadable_ms: i64,
    /// How long samples are kept.
    pub retentions: Retentions,
    /// Blocks of one job: each of them is open, with its buffers.
    pub inputs_max: usize,
    /// Bytes of the inputs of one job: the output needs as much local disk, and work that is lost in a crash is bounded.
    pub job_bytes_max: u64,
    /// Series of one block; what a job yields beyond them becomes another. Writing and verifying a block takes some 200
    /// bytes of memory a series, and its index stays far below the 64 GiB that series references reach.
    pub series_per_block_max: u64,
    /// Samples of a chunk that is written anew; chunks of up to half of it are, where they have a neighbour (docs/decisions/0004).
    pub chunk_samples_max: u16,
    /// Bytes of chunks that a job reads ahead, of all its inputs together.
    pub memory_bytes: u64,
    /// Free space on the data disk that compaction does not touch: writes need it, cutting and shipping too.
    pub disk_reserve_bytes_max: u64,
    /// The same as a share of the disk; the smaller of both counts.
    pub disk_reserve_percent: u64,
    /// Jobs that run at once, of all tenants together.
    pub jobs_at_once: usize,
    /// How long the background loop rests between two looks at the bucket, ms: two small requests a tenant each.
    pub interval_ms: i64,
    /// How often it looks for tenants that it does not know, ms: that is a LIST.
    pub discovery_interval_ms: i64,
    /// Whether to write what readers of Mimir and Cortex look at: a LIST, a PUT and one a retired block after each change.
    pub bucket_index: bool,
    /// After this long it is written again although nothing has changed, ms: they refuse an index that is an hour old.
    pub bucket_index_refresh_ms: Option<i64>,
}

impl Default for CompactSettings {
    fn default() -> Self {
        Self {
            ranges_ms: vec![12 * HOUR_MS, DAY_MS],
            long_range_ms: 14 * DAY_MS,
            long_bytes_max: GIB,
            settle_ms: HOUR_MS,
            wait_max_ms: 13 * HOUR_MS,
            late_percent: 5,
            late_wait_ms: DAY_MS,
            delete_deadline_ms: DAY_MS,
            delete_unreadable_ms: 30 * DAY_MS,
            retentions: Retentions::default(),
            inputs_max: 64,
            job_bytes_max: 32 * GIB,
            series_per_block_max: 4_000_000,
            chunk_samples_max: 240,
            memory_bytes: 64 << 20,
            disk_reserve_bytes_max: 2 * GIB,
            disk_reserve_percent: 5,
            jobs_at_once: 1,
            interval_ms: 10 * MINUTE_MS,
            discovery_interval_ms: HOUR_MS,
            bucket_index: false,
            bucket_index_refresh_ms: None,
        }
    }
}

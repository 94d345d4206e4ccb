//! What an operator can set about ingesting; every number has a unit and a reason.

/// One minute, ms.
const MINUTE_MS: i64 = 60_000;
/// One hour, ms.
const HOUR_MS: i64 = 60 * MINUTE_MS;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// How batches are checked, when heads are cut and when parts are shipped.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestSettings {
    /// What a single series and its samples may look like.
    pub limits: WriteLimits,
    /// The aligned range that no chunk and no part crosses; Prometheus' block range.
    pub block_range_ms: i64,
    /// Samples of a sealed chunk (docs/decisions/0004).
    pub chunk_samples_max: u16,
    /// A range is cut this long after it is over: late scrapes and slow senders have arrived by then.
    pub cut_delay_ms: i64,
    /// Late data of a range that was cut before waits this long, so that stragglers do not make a part each.
    pub late_cut_interval_ms: i64,
    /// Ranges that ended longer ago than this go by whole days.
    pub day_cut_age_ms: i64,
    /// Chunks of all heads together; above it the largest head is cut, at 1.25 of it writes get 503.
    pub chunk_budget_bytes: u64,
    /// Labels, symbols, postings and tables of all heads together; above it idle series leave, then new ones are refused.
    pub series_budget_bytes: u64,
    /// Uncovered log beyond this cuts the heads that pin its oldest segment: so replay is bounded.
    pub replay_bytes_max: u64,
    /// A head with less than this in memory is logged again rather than cut when it pins the log.
    pub tiny_head_bytes: u64,
    /// A series without samples in memory leaves the head this long after its last one.
    pub idle_series_ms: i64,
    /// Closed ranges smaller than this wait for others: requests to the store cost money.
    pub ship_small_bytes: u64,
    /// Yet no longer than this.
    pub ship_max_age_ms: i64,
    /// More parts of a range than this are merged locally, so that queries do not open many.
    pub parts_per_range_max: usize,
    /// Free space on the data disk that writes may not use up: cutting and shipping need it to free the rest.
    pub disk_reserve_bytes_max: u64,
    /// The same as a share of the disk; the smaller of both counts.
    pub disk_reserve_percent: u64,
    /// Decoded requests that have been accepted and not answered, together.
    pub inflight_bytes_max: u64,
    /// Threads that apply batches to heads; each head belongs to one.
    pub lanes: usize,
    /// How often a newer manifest is looked for of tenants that queries read, ms: two small requests each.
    pub manifest_refresh_ms: u64,
    /// The same of tenants that nobody reads: well below the 48 hours for which retired blocks keep their bytes.
    pub idle_refresh_ms: i64,
    /// How often the housekeeper looks around.
    pub tick_ms: u64,
}

/// Bounds on what a write may contain (Mimir's names and defaults where it has one), and what is added to it.
#[derive(Clone, Debug, PartialEq)]
pub struct WriteLimits {
    /// Series in memory per tenant.
    pub series_max: Option<u64>,
    /// Exemplars in memory per tenant, about: requests that come at once may exceed it by what they carry.
    pub exemplars_max: usize,
    /// Metric families of which metadata is kept per tenant.
    pub metadata_max: usize,
    /// Buckets of a native histogram; one with more is made coarser, or refused where that does not help.
    pub histogram_buckets_max: usize,
    /// Labels of a series.
    pub label_names_max: usize,
    /// Bytes of a label name.
    pub label_name_bytes_max: usize,
    /// Bytes of a label value.
    pub label_value_bytes_max: usize,
    /// Bytes of all names and values of a series.
    pub label_set_bytes_max: usize,
    /// How far ahead of now a sample may be, ms.
    pub future_max_ms: i64,
    /// Samples older than this are refused; None keeps everything.
    pub retention_ms: Option<i64>,
    /// Samples older than this are refused although they are within the retention; None accepts late data of any age.
    pub out_of_order_max_age_ms: Option<i64>,
    /// Whether a zero is stored where a counter began, as far as its samples say when that was.
    pub zeros_at_start: bool,
}

impl Default for WriteLimits {
    fn default() -> Self {
        Self {
            series_max: None,
            exemplars_max: 200_000,
            metadata_max: 20_000,
            histogram_buckets_max: 1000,
            label_names_max: 40,
            label_name_bytes_max: 256,
            label_value_bytes_max: 2048,
            label_set_bytes_max: 16 << 10,
            future_max_ms: 10 * MINUTE_MS,
            retention_ms: None,
            out_of_order_max_age_ms: None,
            zeros_at_start: false,
        }
    }
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            limits: WriteLimits::default(),
            block_range_ms: 2 * HOUR_MS,
            chunk_samples_max: 120,
            cut_delay_ms: 15 * MINUTE_MS,
            late_cut_interval_ms: 30 * MINUTE_MS,
            day_cut_age_ms: 24 * HOUR_MS,
            chunk_budget_bytes: 2 * GIB,
            series_budget_bytes: 2 * GIB,
            replay_bytes_max: 2 * GIB,
            tiny_head_bytes: 64 * KIB,
            idle_series_ms: HOUR_MS,
            ship_small_bytes: 4 * MIB,
            ship_max_age_ms: 12 * HOUR_MS,
            parts_per_range_max: 8,
            disk_reserve_bytes_max: 2 * GIB,
            disk_reserve_percent: 5,
            inflight_bytes_max: 256 * MIB,
            lanes: 2,
            manifest_refresh_ms: MINUTE_MS as u64,
            idle_refresh_ms: 6 * HOUR_MS,
            tick_ms: 1000,
        }
    }
}

impl IngestSettings {
    /// A day, in which late data is cut and shipped together.
    pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;
}

//! The vocabulary: what a sample, a label set, a matcher, a time range, an id and a batch of accepted writes are.
//!
//! Layer 0: every other crate speaks in these types; they hold no policy and do no I/O.
//!
//! Knows nothing of files, networks, compression or queries.

pub mod clock;
pub mod exemplar;
pub mod histogram;
pub mod id;
pub mod kahan;
pub mod label_section;
pub mod labels;
pub mod matcher;
pub mod measurement;
pub mod metric_kind;
pub mod regex;
pub mod retention;
pub mod sample;
pub mod started;
pub mod tenant;
pub mod time_range;
pub mod tombstone;
pub mod write_batch;

pub use clock::{Clock, ManualClock, SystemClock};
pub use exemplar::Exemplar;
pub use histogram::{
    Bucket, BucketSpan, Combined, CounterResetHint, FloatHistogram, Histogram, HistogramError, HistogramMean,
    HistogramSum, IncompatibleSchemas,
};
pub use id::{BlockId, IdSource, LogId, is_tagged};
pub use label_section::LabelSection;
pub use labels::{Labels, LabelsBuilder, LabelsWriter};
pub use matcher::{MatchOp, Matcher, MatcherError};
pub use measurement::{Measurement, Value};
pub use metric_kind::MetricKind;
pub use retention::{Retention, Retentions, SeriesRetention};
pub use sample::{STALE_NAN_BITS, Sample, is_stale};
pub use started::Started;
pub use tenant::{InvalidTenantId, TenantId};
pub use time_range::TimeRange;
pub use tombstone::Tombstone;
pub use write_batch::{ExemplarEntry, HistogramSample, HistogramValue, MetadataEntry, SeriesEntry, WriteBatch};

/// The label that holds a metric's name.
pub const METRIC_NAME: &str = "__name__";

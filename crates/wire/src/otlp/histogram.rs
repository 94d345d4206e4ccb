//! Buckets of OpenTelemetry's data points as those of native histograms.
//!
//! Source: OpenTelemetry's "Metrics Data Model", exponential histograms to Prometheus native histograms; the layout of
//! spans is that of Prometheus' receiver, whose test vectors are ours.

use crate::proto::opentelemetry::exponential_histogram_data_point::Buckets;
use crate::proto::opentelemetry::{ExponentialHistogramDataPoint, HistogramDataPoint};
use longhaul_model::histogram::{SCHEMA_CUSTOM, SCHEMA_MAX, SCHEMA_MIN};
use longhaul_model::{BucketSpan, Histogram};

/// Observations nearer to zero than this are in the zero bucket; OpenTelemetry's data points do not say from where on
/// their own are.
const ZERO_THRESHOLD: f64 = 1e-128;

/// So many empty buckets are cheaper than a span.
const GAP_MAX: i64 = 2;

/// Neighbouring buckets, and each bucket's count less that of the one before.
type Side = (Vec<BucketSpan>, Vec<i64>);

/// The histogram of a data point with exponential buckets, made coarser if its scale is finer than any schema.
///
/// # Errors
/// A scale that is too coarse, counts or indexes that no histogram has.
pub(super) fn exponential(point: &ExponentialHistogramDataPoint) -> Result<Histogram, String> {
    if point.scale < SCHEMA_MIN {
        return Err(format!("scale {} is below {SCHEMA_MIN}", point.scale));
    }
    let scale_down = point.scale.saturating_sub(SCHEMA_MAX).clamp(0, i64::BITS as i32 - 1);
    let (positive_spans, positive_deltas) = side(point.positive.as_ref(), scale_down)?;
    let (negative_spans, negative_deltas) = side(point.negative.as_ref(), scale_down)?;
    Ok(Histogram {
        schema: point.scale.min(SCHEMA_MAX),
        zero_threshold: ZERO_THRESHOLD,
        zero_count: point.zero_count,
        count: point.count,
        sum: point.sum.unwrap_or_default(),
        positive_spans,
        negative_spans,
        positive_deltas,
        negative_deltas,
        ..Histogram::default()
    })
}

/// A bucket of OpenTelemetry begins where one of Prometheus ends, which has the next index.
fn side(buckets: Option<&Buckets>, scale_down: i32) -> Result<Side, String> {
    let Some(buckets) = buckets else { return Ok(Side::default()) };
    let first = i64::from(buckets.offset);
    layout((first..).zip(&buckets.bucket_counts).map(|(index, count)| ((index >> scale_down) + 1, *count)))
}

/// The histogram with custom buckets of a data point with listed bounds.
///
/// # Errors
/// Counts that no histogram has.
pub(super) fn custom(point: &HistogramDataPoint) -> Result<Histogram, String> {
    let counts = (0..).zip(point.bucket_counts.iter().copied());
    let (positive_spans, positive_deltas) = layout(counts.skip_while(|(_, count)| *count == 0))?;
    Ok(Histogram {
        schema: SCHEMA_CUSTOM,
        count: point.count,
        sum: point.sum.unwrap_or_default(),
        positive_spans,
        positive_deltas,
        custom_bounds: point.explicit_bounds.as_slice().into(),
        ..Histogram::default()
    })
}

/// Buckets with their indexes, which do not fall; those with the same index become one.
fn layout(buckets: impl Iterator<Item = (i64, u64)>) -> Result<Side, String> {
    let mut buckets = buckets.peekable();
    let Some((first, _)) = buckets.peek().copied() else { return Ok(Side::default()) };
    let mut layout = Layout { side: Side::default(), next: first, previous: 0 };
    while let Some((index, mut count)) = buckets.next() {
        while let Some((_, more)) = buckets.next_if(|(next, _)| *next == index) {
            count = count.checked_add(more).ok_or("the buckets count more than there can be")?;
        }
        if count > 0 || buckets.peek().is_none() {
            layout.push(index, count)?;
        }
    }
    Ok(layout.side)
}

struct Layout {
    side: Side,
    /// The index of the bucket that would come next without a gap.
    next: i64,
    /// The count of the bucket before.
    previous: i64,
}

impl Layout {
    fn push(&mut self, index: i64, count: u64) -> Result<(), String> {
        let wrong = |what| move |_| format!("a bucket's {what} is out of range");
        let count = i64::try_from(count).map_err(wrong("count"))?;
        let gap = index - self.next;
        let is_first = self.side.0.is_empty();
        if is_first || gap > GAP_MAX {
            // The first span is where its first bucket is, any other is so far behind the one before.
            let is_skipped = gap > GAP_MAX;
            let offset = match (is_first, is_skipped) {
                (true, true) => index,
                (true, false) => self.next,
                (false, _) => gap,
            };
            self.side.0.push(BucketSpan { offset: i32::try_from(offset).map_err(wrong("index"))?, length: 0 });
            if is_skipped {
                self.next = index;
            }
        }
        while self.next < index {
            self.bucket(0);
        }
        self.bucket(count);
        Ok(())
    }

    fn bucket(&mut self, count: i64) {
        self.side.0.last_mut().expect("a span was begun").length += 1;
        self.side.1.push(count - self.previous);
        self.previous = count;
        self.next += 1;
    }
}

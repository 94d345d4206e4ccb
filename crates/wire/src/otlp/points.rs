//! Data points as series: which they are, and what each gets.
//!
//! A data point is taken as a whole or refused as a whole, with its reason.

use super::attributes::{LabelMap, decimal};
use super::{Decoder, exemplars, histogram};
use crate::WireError;
use crate::proto::opentelemetry::number_data_point::Value;
use crate::proto::opentelemetry::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, KeyValue, NumberDataPoint, SummaryDataPoint,
};
use longhaul_model::histogram::SCHEMA_MAX;
use longhaul_model::write_batch::{HistogramSample, HistogramValue};
use longhaul_model::{Histogram, STALE_NAN_BITS};
use std::sync::Arc;

/// `DataPointFlags`: nothing was measured, the series has ended.
pub(super) const NO_RECORDED_VALUE: u32 = 1;

/// What a data point's series have in common.
pub(super) struct Point<'a> {
    pub labels: LabelMap,
    /// The metric's name.
    pub name: &'a str,
    pub t_ms: i64,
    /// 0 = not known.
    start_ms: i64,
    is_stale: bool,
}

/// A data point of any kind; what all have.
pub(super) trait DataPoint {
    /// Its series' labels but for the name are made of these.
    fn attributes(&self) -> &[KeyValue];
    /// When it counts from, and when it was measured, nanoseconds since the Unix epoch.
    fn times(&self) -> (u64, u64);
    fn flags(&self) -> u32;
    /// Makes series of it; none if it is refused.
    fn write(&self, point: Point<'_>, decoder: &mut Decoder<'_>) -> Result<(), Refusal>;
}

/// Why a data point is not taken.
pub(super) enum Refusal {
    /// It cannot be what the sender meant.
    Point(String),
    /// The request is refused as a whole.
    Request(WireError),
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Self::Request(error)
    }
}

impl From<String> for Refusal {
    fn from(what: String) -> Self {
        Self::Point(what)
    }
}

impl<'a> Point<'a> {
    pub fn new(of: &impl DataPoint, name: &'a str, labels: LabelMap) -> Self {
        let (start, time) = of.times();
        Self {
            labels,
            name,
            t_ms: milliseconds(time),
            start_ms: milliseconds(start),
            is_stale: of.flags() & NO_RECORDED_VALUE != 0,
        }
    }

    /// A series of the point: the metric's name with `suffix`, and one label more.
    fn float(
        &self,
        decoder: &mut Decoder<'_>,
        suffix: &str,
        label: Option<(&str, String)>,
        value: f64,
        exemplars: &[&Exemplar],
    ) -> Result<(), WireError> {
        let value = if self.is_stale { f64::from_bits(STALE_NAN_BITS) } else { value };
        decoder.batch.begin()?;
        decoder.batch.sample(self.t_ms, value, self.start_ms)?;
        decoder.exemplars(exemplars)?;
        decoder.labels(&self.labels, &format!("{}{suffix}", self.name), label)
    }

    fn histogram(
        &self,
        decoder: &mut Decoder<'_>,
        mut histogram: Histogram,
        exemplars: &[Exemplar],
    ) -> Result<(), WireError> {
        if self.is_stale {
            let sum = f64::from_bits(STALE_NAN_BITS);
            let schema = histogram.schema.min(SCHEMA_MAX);
            histogram = Histogram { schema, sum, ..Histogram::default() };
        }
        let value = HistogramValue::Integer(Arc::new(histogram));
        decoder.batch.begin()?;
        decoder.batch.histogram(HistogramSample { t_ms: self.t_ms, start_ms: self.start_ms, value })?;
        decoder.exemplars(&exemplars.iter().collect::<Vec<_>>())?;
        decoder.labels(&self.labels, self.name, None)
    }
}

fn milliseconds(nanoseconds: u64) -> i64 {
    (nanoseconds / 1_000_000) as i64
}

/// The parts of [`DataPoint`] that are alike for all.
macro_rules! fields {
    () => {
        fn attributes(&self) -> &[KeyValue] {
            &self.attributes
        }

        fn times(&self) -> (u64, u64) {
            (self.start_time_unix_nano, self.time_unix_nano)
        }

        fn flags(&self) -> u32 {
            self.flags
        }
    };
}

impl DataPoint for NumberDataPoint {
    fields!();

    fn write(&self, point: Point<'_>, decoder: &mut Decoder<'_>) -> Result<(), Refusal> {
        let value = match self.value {
            Some(Value::AsDouble(value)) => value,
            Some(Value::AsInt(value)) => value as f64,
            None if point.is_stale => 0.0,
            None => return Err("it has no value".to_owned().into()),
        };
        point.float(decoder, "", None, value, &self.exemplars.iter().collect::<Vec<_>>())?;
        Ok(())
    }
}

impl DataPoint for SummaryDataPoint {
    fields!();

    fn write(&self, point: Point<'_>, decoder: &mut Decoder<'_>) -> Result<(), Refusal> {
        point.float(decoder, "_sum", None, self.sum, &[])?;
        point.float(decoder, "_count", None, self.count as f64, &[])?;
        for at in &self.quantile_values {
            point.float(decoder, "", Some(("quantile", decimal(at.quantile))), at.value, &[])?;
        }
        Ok(())
    }
}

impl DataPoint for HistogramDataPoint {
    fields!();

    fn write(&self, point: Point<'_>, decoder: &mut Decoder<'_>) -> Result<(), Refusal> {
        self.check_buckets()?;
        let (bounds, counts) = (&self.explicit_bounds, &self.bucket_counts);
        if decoder.settings.convert_histograms_to_nhcb {
            decoder.batch.buckets(2 * counts.len())?;
            point.histogram(decoder, histogram::custom(self)?, &self.exemplars)?;
            return Ok(());
        }
        if let Some(sum) = self.sum {
            point.float(decoder, "_sum", None, sum, &[])?;
        }
        point.float(decoder, "_count", None, self.count as f64, &[])?;
        let mut exemplars = Vec::with_capacity(self.exemplars.len());
        for exemplar in &self.exemplars {
            let value = exemplars::value(exemplar).unwrap_or_default();
            exemplars.push((bounds.partition_point(|bound| *bound < value), exemplar));
        }
        exemplars.sort_by_key(|(bucket, _)| *bucket);
        let mut exemplars = exemplars.into_iter().peekable();
        let mut below = 0u64;
        // A bound of infinity is the last bucket's anyway.
        let finite = bounds.iter().filter(|bound| **bound != f64::INFINITY).count();
        for (bucket, bound) in bounds[..finite].iter().enumerate() {
            below = below.saturating_add(counts[bucket]);
            let own: Vec<&Exemplar> =
                std::iter::from_fn(|| exemplars.next_if(|(at, _)| *at == bucket)).map(|(_, it)| it).collect();
            point.float(decoder, "_bucket", Some(("le", decimal(*bound))), below as f64, &own)?;
        }
        let own: Vec<&Exemplar> = exemplars.map(|(_, it)| it).collect();
        point.float(decoder, "_bucket", Some(("le", decimal(f64::INFINITY))), self.count as f64, &own)?;
        Ok(())
    }
}

impl HistogramDataPoint {
    /// What is wrong with its buckets.
    pub(super) fn check_buckets(&self) -> Result<(), String> {
        let (bounds, counts) = (&self.explicit_bounds, &self.bucket_counts);
        if !counts.is_empty() && counts.len() != bounds.len() + 1 || counts.is_empty() && !bounds.is_empty() {
            return Err(format!("{} bounds do not go with {} buckets", bounds.len(), counts.len()));
        }
        if bounds.iter().any(|bound| bound.is_nan()) || !bounds.is_sorted_by(|before, after| before < after) {
            return Err("its bounds do not rise".to_owned());
        }
        Ok(())
    }
}

impl DataPoint for ExponentialHistogramDataPoint {
    fields!();

    fn write(&self, point: Point<'_>, decoder: &mut Decoder<'_>) -> Result<(), Refusal> {
        let sides = [&self.positive, &self.negative].into_iter().flatten();
        let buckets: usize = sides.map(|side| side.bucket_counts.len()).sum();
        decoder.batch.buckets(buckets)?;
        point.histogram(decoder, histogram::exponential(self)?, &self.exemplars)?;
        Ok(())
    }
}

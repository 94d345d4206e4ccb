//! Adding data points of one series: numbers, counts bucket by bucket, exponential buckets at the coarser of two scales.

use super::deltas::Total;
use super::points::{DataPoint, NO_RECORDED_VALUE};
use crate::proto::opentelemetry::exponential_histogram_data_point::Buckets;
use crate::proto::opentelemetry::number_data_point::Value;
use crate::proto::opentelemetry::{ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint};
use longhaul_model::histogram::SCHEMA_MIN;

/// Exponential buckets that a total has on either side of zero at most; it gets coarser instead. SDKs have 160.
const BUCKETS_MAX: i64 = 640;

/// A data point that may be a delta.
pub(super) trait Delta: DataPoint + prost::Message + Clone {
    /// The total, if it is one of points of this kind.
    fn of(total: &Total) -> Option<&Self>;
    fn into_total(self) -> Total;
    /// What is wrong with it, so that it cannot be added to anything.
    fn check(&self) -> Result<(), String>;
    /// The total of no points like this one: it counts since when this one does.
    fn zero(&self) -> Self;
    /// Adds it; a total that is of other buckets begins anew. Err: nothing can hold the sum.
    fn add_to(&self, total: &mut Self) -> Result<(), String>;
    fn set_time(&mut self, time_unix_nano: u64);
    /// A copy of the total that has the exemplars of `point`.
    fn with_exemplars_of(&self, point: &Self) -> Self;

    /// Whether nothing was measured: the series has ended.
    fn is_stale(&self) -> bool {
        self.flags() & NO_RECORDED_VALUE != 0
    }
}

impl Total {
    /// What it takes in memory beside itself, bytes.
    pub fn heap_bytes(&self) -> usize {
        let numbers = match self {
            Self::Number(_) => 0,
            Self::Histogram(it) => it.bucket_counts.len() + it.explicit_bounds.len(),
            Self::Exponential(it) => {
                [&it.positive, &it.negative].into_iter().flatten().map(|side| side.bucket_counts.len()).sum()
            }
        };
        numbers * size_of::<u64>()
    }
}

/// The parts of [`Delta`] that are alike for all.
macro_rules! delta {
    ($kind:ident) => {
        fn of(total: &Total) -> Option<&Self> {
            match total {
                Total::$kind(total) => Some(total),
                _ => None,
            }
        }

        fn into_total(self) -> Total {
            Total::$kind(self)
        }

        fn set_time(&mut self, time_unix_nano: u64) {
            self.time_unix_nano = time_unix_nano;
        }

        fn with_exemplars_of(&self, point: &Self) -> Self {
            Self { exemplars: point.exemplars.clone(), ..self.clone() }
        }
    };
}

impl Delta for NumberDataPoint {
    delta!(Number);

    fn check(&self) -> Result<(), String> {
        self.value.map(drop).ok_or_else(|| "it has no value".to_owned())
    }

    fn zero(&self) -> Self {
        Self { start_time_unix_nano: self.start_time_unix_nano, value: Some(Value::AsInt(0)), ..Self::default() }
    }

    fn add_to(&self, total: &mut Self) -> Result<(), String> {
        let number = |value: Option<Value>| match value {
            Some(Value::AsInt(value)) => value as f64,
            Some(Value::AsDouble(value)) => value,
            None => 0.0,
        };
        let sum = || Value::AsDouble(number(total.value) + number(self.value));
        total.value = Some(match (total.value, self.value) {
            (Some(Value::AsInt(one)), Some(Value::AsInt(other))) => {
                one.checked_add(other).map_or_else(sum, Value::AsInt)
            }
            _ => sum(),
        });
        Ok(())
    }
}

impl Delta for HistogramDataPoint {
    delta!(Histogram);

    fn check(&self) -> Result<(), String> {
        self.check_buckets()
    }

    fn zero(&self) -> Self {
        Self {
            start_time_unix_nano: self.start_time_unix_nano,
            explicit_bounds: self.explicit_bounds.clone(),
            bucket_counts: vec![0; self.bucket_counts.len()],
            sum: self.sum.map(|_| 0.0),
            ..Self::default()
        }
    }

    fn add_to(&self, total: &mut Self) -> Result<(), String> {
        let is_like = total.explicit_bounds == self.explicit_bounds;
        if !is_like || total.bucket_counts.len() != self.bucket_counts.len() {
            *total = self.zero();
        }
        total.count = added(total.count, self.count)?;
        for (total, count) in total.bucket_counts.iter_mut().zip(&self.bucket_counts) {
            *total = added(*total, *count)?;
        }
        total.sum = total.sum.zip(self.sum).map(|(one, other)| one + other);
        Ok(())
    }
}

impl Delta for ExponentialHistogramDataPoint {
    delta!(Exponential);

    fn check(&self) -> Result<(), String> {
        match self.scale < SCHEMA_MIN {
            true => Err(format!("scale {} is below {SCHEMA_MIN}", self.scale)),
            false => Ok(()),
        }
    }

    fn zero(&self) -> Self {
        Self {
            start_time_unix_nano: self.start_time_unix_nano,
            scale: self.scale,
            sum: self.sum.map(|_| 0.0),
            ..Self::default()
        }
    }

    fn add_to(&self, total: &mut Self) -> Result<(), String> {
        let scale = common_scale(total, self)?;
        let side = |of_total: &Option<Buckets>, of_self: &Option<Buckets>| {
            let sides = [(of_total, total.scale), (of_self, self.scale)];
            add_sides(sides.map(|(side, of)| (side.as_ref(), of.saturating_sub(scale))))
        };
        let positive = side(&total.positive, &self.positive)?;
        let negative = side(&total.negative, &self.negative)?;
        total.count = added(total.count, self.count)?;
        total.zero_count = added(total.zero_count, self.zero_count)?;
        total.sum = total.sum.zip(self.sum).map(|(one, other)| one + other);
        (total.scale, total.positive, total.negative) = (scale, positive, negative);
        Ok(())
    }
}

fn added(one: u64, other: u64) -> Result<u64, String> {
    one.checked_add(other).ok_or_else(|| "its total counts more than there can be".to_owned())
}

/// The finest scale at which the sum of both has no more buckets than a total may have.
fn common_scale(one: &ExponentialHistogramDataPoint, other: &ExponentialHistogramDataPoint) -> Result<i32, String> {
    let sides = [[&one.positive, &other.positive], [&one.negative, &other.negative]];
    let scales = [one.scale, other.scale];
    let mut scale = one.scale.min(other.scale);
    while scale >= SCHEMA_MIN {
        let fits = sides.iter().all(|of| {
            let shifted = of.iter().zip(scales).map(|(side, from)| (side.as_ref(), from.saturating_sub(scale)));
            extent(shifted).is_none_or(|(first, last)| last - first < BUCKETS_MAX)
        });
        if fits {
            return Ok(scale);
        }
        scale -= 1;
    }
    Err("its buckets lie too far apart to be added".to_owned())
}

/// The first and the last bucket that counts anything, once `shift` halvings have made each side coarser.
fn extent<'a>(sides: impl Iterator<Item = (Option<&'a Buckets>, i32)>) -> Option<(i64, i64)> {
    let extents = sides.filter_map(|(side, shift)| {
        let side = side?;
        let first = side.bucket_counts.iter().position(|count| *count > 0)?;
        let last = side.bucket_counts.iter().rposition(|count| *count > 0)?;
        Some((index(side, first, shift), index(side, last, shift)))
    });
    extents.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
}

/// The index of a bucket `at` its place among its side's, at a scale that is `shift` lower.
fn index(side: &Buckets, at: usize, shift: i32) -> i64 {
    (i64::from(side.offset) + at as i64) >> shift.clamp(0, i64::BITS as i32 - 1)
}

fn add_sides(sides: [(Option<&Buckets>, i32); 2]) -> Result<Option<Buckets>, String> {
    let Some((first, last)) = extent(sides.into_iter()) else { return Ok(None) };
    let offset = i32::try_from(first).map_err(|_| "a bucket's index is out of range".to_owned())?;
    let mut sum = Buckets { offset, bucket_counts: vec![0; (last - first) as usize + 1] };
    for (side, shift) in sides {
        let counts = side.map_or(&[][..], |side| &side.bucket_counts).iter().enumerate();
        for (at, count) in counts.filter(|(_, count)| **count > 0) {
            let side = side.expect("it has counts");
            let total = &mut sum.bucket_counts[(index(side, at, shift) - first) as usize];
            *total = added(*total, *count)?;
        }
    }
    Ok(Some(sum))
}

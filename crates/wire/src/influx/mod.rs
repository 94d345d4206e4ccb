//! InfluxDB's line protocol, as Telegraf and others write it: from its text to a batch.
//!
//! A field of a point is a series: named by measurement and field (`cpu_usage_idle`; by the measurement alone if the field
//! is called `value`), with the point's tags as labels. Characters that names did not have before Prometheus 3 become
//! underscores, as Mimir's proxy for Influx has it. Booleans are 1 and 0. Fields of texts have no number and are passed
//! over, without a word: Telegraf sends some with nearly everything.
//!
//! A line that cannot be read is left out and told with its number; it costs no other line.

mod line;

#[cfg(test)]
mod tests;

use crate::batch_writer::BatchWriter;
use crate::refused::{self, Reason};
use crate::remote_write::DecodeLimits;
use crate::{Decoded, WireError};
use line::{Cursor, Point};
use longhaul_model::METRIC_NAME;
use std::borrow::Cow;

/// The field whose series have the name of the measurement.
const VALUE: &str = "value";

/// In what the times of a text count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "units of time")]
pub enum Precision {
    #[default]
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Minutes,
    Hours,
}

impl Precision {
    /// By the names that versions 1 and 2 of InfluxDB have for it in a request's parameters.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "" | "n" | "ns" => Self::Nanoseconds,
            "u" | "us" | "µ" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            "m" => Self::Minutes,
            "h" => Self::Hours,
            _ => return None,
        })
    }

    fn milliseconds(self, time: i64) -> Option<i64> {
        match self {
            Self::Nanoseconds => Some(time.div_euclid(1_000_000)),
            Self::Microseconds => Some(time.div_euclid(1_000)),
            Self::Milliseconds => Some(time),
            Self::Seconds => time.checked_mul(1_000),
            Self::Minutes => time.checked_mul(60_000),
            Self::Hours => time.checked_mul(3_600_000),
        }
    }
}

/// Decodes a text; points without a time are of `now_ms`.
///
/// # Errors
/// More than the limits allow. Lines that are none cost themselves only.
pub fn decode(text: &[u8], precision: Precision, now_ms: i64, limits: &DecodeLimits) -> Result<Decoded, WireError> {
    let mut batch = BatchWriter::new(limits);
    let mut refused = Vec::new();
    let mut cursor = Cursor::new(text);
    while cursor.next_line() {
        let number = cursor.line_number();
        let point = cursor.point().and_then(|point| {
            let time = point.time.map(|time| precision.milliseconds(time).ok_or("its time is out of range"));
            Ok((time.transpose()?.unwrap_or(now_ms), point))
        });
        match point {
            Ok((t_ms, point)) => write(&mut batch, t_ms, &point)?,
            Err(what) => {
                cursor.skip_line();
                refused::add(&mut refused, Reason::Line, 1, || format!("line {number}: {what}"));
            }
        }
    }
    Ok(Decoded { batch: batch.finish(), refused })
}

fn write(batch: &mut BatchWriter<'_>, t_ms: i64, point: &Point) -> Result<(), WireError> {
    for (field, value) in &point.fields {
        let name = match field.as_str() {
            VALUE => plain(&point.measurement),
            field => Cow::Owned(plain(&format!("{}_{field}", point.measurement)).into_owned()),
        };
        batch.begin()?;
        batch.sample(t_ms, *value, 0)?;
        let tags = point.tags.iter().filter(|(name, _)| name != METRIC_NAME);
        let mut labels: Vec<(Cow<'_, str>, Cow<'_, str>)> =
            tags.map(|(name, value)| (plain(name), Cow::Borrowed(value.as_str()))).collect();
        labels.push((Cow::Borrowed(METRIC_NAME), name));
        batch.label_pairs(&mut labels)?;
    }
    Ok(())
}

/// A name with nothing but letters, digits and underscores, which does not begin with a digit.
fn plain(name: &str) -> Cow<'_, str> {
    let fits = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let is_digit_first = name.starts_with(|character: char| character.is_ascii_digit());
    if !is_digit_first && name.chars().all(fits) {
        return Cow::Borrowed(name);
    }
    let escaped = name.chars().map(|character| if fits(character) { character } else { '_' });
    Cow::Owned(is_digit_first.then_some('_').into_iter().chain(escaped).collect())
}

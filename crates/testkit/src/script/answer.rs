//! What a query has yielded, in the one form that expectations are compared with.

use super::histogram::describe;
use longhaul_model::Labels;
use longhaul_promql::Value;
use longhaul_promql::value::SampleValue;
use std::fmt;

/// A value.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A number.
    Scalar(f64),
    /// A text.
    String(String),
    /// Series with one point each.
    Vector(Vec<Series>),
    /// Series with their points.
    Matrix(Vec<Series>),
}

/// A series with points in order of time.
#[derive(Clone, Debug)]
pub struct Series {
    /// Which.
    pub labels: Labels,
    /// Its points.
    pub points: Vec<Point>,
}

/// A value at a time.
#[derive(Clone, Debug)]
pub struct Point {
    /// When, ms.
    pub t_ms: i64,
    /// What.
    pub value: SampleValue,
}

impl From<Value> for Answer {
    fn from(value: Value) -> Self {
        match value {
            Value::Scalar { value, .. } => Self::Scalar(value),
            Value::String { value, .. } => Self::String(value),
            Value::Vector(vector) => {
                let series = vector.into_iter().map(|sample| Series {
                    labels: sample.labels,
                    points: vec![Point { t_ms: sample.t_ms, value: sample.value }],
                });
                Self::Vector(series.collect())
            }
            Value::Matrix(matrix) => {
                let series = matrix.into_iter().map(|series| {
                    let floats = series.points.t_ms.into_iter().zip(series.points.values);
                    let floats = floats.map(|(t_ms, value)| Point { t_ms, value: SampleValue::Float(value) });
                    let histograms = series.histograms.t_ms.into_iter().zip(series.histograms.values);
                    let histograms =
                        histograms.map(|(t_ms, value)| Point { t_ms, value: SampleValue::Histogram(value) });
                    let mut points: Vec<Point> = floats.chain(histograms).collect();
                    points.sort_by_key(|point| point.t_ms);
                    Series { labels: series.labels, points }
                });
                Self::Matrix(series.collect())
            }
        }
    }
}

impl Answer {
    /// Whether the series of a matrix stand in label order, each once.
    pub fn check_order(&self) -> Result<(), String> {
        let Self::Matrix(series) = self else { return Ok(()) };
        let wrong = series.windows(2).find(|pair| pair[0].labels >= pair[1].labels);
        wrong.map_or(Ok(()), |pair| Err(format!("{} comes before {}", pair[0].labels, pair[1].labels)))
    }

    /// Of a range query's answer what it says of one time, as the instant query there would have it.
    pub fn at(self, t_ms: i64) -> Self {
        let Self::Matrix(mut matrix) = self else { return self };
        matrix.iter_mut().for_each(|series| series.points.retain(|point| point.t_ms == t_ms));
        matrix.retain(|series| !series.points.is_empty());
        Self::Vector(matrix)
    }

    /// The scalar that a range query shows as a series without labels.
    pub fn into_scalar(self) -> Self {
        match &self {
            Self::Vector(series) => match series[..] {
                [Series { ref points, .. }] => match points[..] {
                    [Point { value: SampleValue::Float(value), .. }] => Self::Scalar(value),
                    _ => self,
                },
                _ => self,
            },
            _ => self,
        }
    }
}

/// Line by line as a script would write it, each after a line break; points of a range with their times.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scalar(value) => write!(f, "\n    {value}"),
            Self::String(value) => write!(f, "\n    {value:?}"),
            Self::Vector(series) | Self::Matrix(series) => {
                for Series { labels, points } in series {
                    write!(f, "\n    {labels}")?;
                    for Point { t_ms, value } in points {
                        match value {
                            SampleValue::Float(value) => write!(f, " {value}")?,
                            SampleValue::Histogram(histogram) => write!(f, " {}", describe(histogram))?,
                        }
                        if matches!(self, Self::Matrix(_)) {
                            write!(f, "@{t_ms}ms")?;
                        }
                    }
                }
                if series.is_empty() { f.write_str(" nothing") } else { Ok(()) }
            }
        }
    }
}

//! What happens to a series on its way from a selector to whatever needs more than one series: decoding, then stage by
//! stage a function of that series alone. All of it runs on the CPU pool, many series side by side.

use crate::ast::BinaryOp;
use crate::budget::Budget;
use crate::engine::QueryError;
use crate::engine::annotations::Annotations;
use crate::engine::binary;
use crate::engine::extended;
use crate::engine::labels::{Join, Replacement};
use crate::engine::math;
use crate::engine::points::{Grid, Identity, Presence, SeriesPoints};
use crate::engine::range_functions::RangeFunction;
use crate::engine::select::{Naming, instant};
use crate::engine::window::{Windows, drop_stale, samples_of};
use crate::plan::Answer;
use longhaul_chunk::{Chunk, Columns, SeriesChunks, merge_into};
use std::sync::Arc;

/// How a selector's samples become points.
#[derive(Clone, Debug)]
pub enum Decode {
    /// An instant selector.
    Instant {
        /// Its windows.
        windows: Windows,
        /// What is asked of the samples.
        answer: Answer,
        /// What becomes of the name if that is not their values.
        naming: Naming,
    },
    /// A function over a range.
    Range(RangeFunction),
}

/// A function of one series.
#[derive(Clone, Debug)]
pub enum Stage {
    /// A function of each value.
    Map(fn(f64) -> f64, Naming),
    /// `round(v, to)`
    Round(Arc<[f64]>, Naming),
    /// `clamp`, `clamp_min`, `clamp_max`; a missing bound is the infinity.
    Clamp {
        /// Lower bounds.
        min: Option<Arc<[f64]>>,
        /// Upper bounds.
        max: Option<Arc<[f64]>>,
        /// What becomes of the name.
        naming: Naming,
    },
    /// An operator with a scalar on one side.
    Scalar {
        /// Which.
        op: BinaryOp,
        /// The scalar.
        scalar: Arc<[f64]>,
        /// Whether the scalar stands left.
        scalar_left: bool,
        /// `bool`
        return_bool: bool,
        /// What becomes of the name.
        naming: Naming,
    },
    /// `timestamp` of what is no selector: the time of the step.
    StepTime(Grid, Naming),
    /// A function over the points on a subquery's grid.
    OverSubquery(Grid, Box<RangeFunction>),
    /// `label_replace`
    Replace(Box<Replacement>),
    /// `label_join`
    Join(Box<Join>),
}

/// The way of a series through decoding and stages.
#[derive(Debug)]
pub struct Line {
    /// How samples become points; None where points come in.
    pub decode: Option<Decode>,
    /// What is done with them then, in order.
    pub stages: Vec<Stage>,
    /// Whether start timestamps count.
    pub starts: bool,
    /// The query's account.
    pub budget: Budget,
    /// The query's notes.
    pub notes: Arc<Annotations>,
}

impl Line {
    /// Decodes a series and takes it through the stages; `columns` is scratch. None: nothing is left of it.
    pub fn decode(&self, series: &SeriesChunks, columns: &mut Columns) -> Result<Option<SeriesPoints>, QueryError> {
        columns.clear();
        let points = match &self.decode {
            Some(Decode::Instant { answer: Answer::Start, .. }) if !self.starts => None,
            Some(Decode::Instant { windows, answer, naming }) => {
                merge_into(answering(&series.chunks, windows), windows.reach(), columns)?;
                self.budget.count_samples(columns.len() as u64)?;
                let mut points = if windows.beyond.is_some() {
                    drop_stale(columns);
                    extended::instant(&series.labels, columns, windows)
                } else {
                    instant(&series.labels, columns, windows, *answer)
                };
                if let (Some(points), true) = (&mut points, *answer != Answer::Value) {
                    naming.drop_name(points, Identity::Merge);
                }
                points
            }
            Some(Decode::Range(function)) => {
                merge_into(&series.chunks, function.windows.reach(), columns)?;
                self.budget.count_samples(columns.len() as u64)?;
                drop_stale(columns);
                if !self.starts {
                    columns.start_ms.clear();
                }
                function.evaluate(&series.labels, columns, &self.notes)?
            }
            None => None,
        };
        match points {
            Some(points) => self.apply(points, columns),
            None => Ok(None),
        }
    }

    /// Takes points through the stages.
    pub fn apply(&self, mut series: SeriesPoints, columns: &mut Columns) -> Result<Option<SeriesPoints>, QueryError> {
        for stage in &self.stages {
            match stage.apply(series, columns, &self.notes)? {
                Some(next) => series = next,
                None => return Ok(None),
            }
        }
        Ok((!series.present.is_none()).then_some(series))
    }
}

impl Stage {
    fn apply(
        &self,
        mut series: SeriesPoints,
        columns: &mut Columns,
        notes: &Annotations,
    ) -> Result<Option<SeriesPoints>, QueryError> {
        match self {
            Self::Map(function, naming) => {
                series.values.iter_mut().for_each(|value| *value = function(*value));
                naming.drop_name(&mut series, Identity::Merge);
            }
            Self::Round(to, naming) => {
                series.values.iter_mut().zip(&**to).for_each(|(value, to)| *value = math::round(*value, *to));
                naming.drop_name(&mut series, Identity::Merge);
            }
            Self::Clamp { min, max, naming } => {
                clamp(&mut series, min.as_deref(), max.as_deref());
                naming.drop_name(&mut series, Identity::Merge);
            }
            Self::Scalar { op, scalar, scalar_left, return_bool, naming } => {
                with_scalar(*op, *return_bool, *scalar_left, scalar, &mut series);
                if binary::drops_name(*op, *return_bool) {
                    naming.drop_name(&mut series, Identity::Merge);
                }
            }
            Self::StepTime(grid, naming) => {
                series.values.iter_mut().zip(grid.times()).for_each(|(value, t_ms)| *value = t_ms as f64 / 1000.0);
                naming.drop_name(&mut series, Identity::Merge);
            }
            Self::OverSubquery(grid, function) => {
                samples_of(&series, grid, columns);
                let (drop_name, identity) = (series.drop_name, series.identity);
                return Ok(function.evaluate(&series.labels, columns, notes)?.map(|mut out| {
                    out.drop_name |= drop_name;
                    out.identity = out.identity.or(identity);
                    out
                }));
            }
            Self::Replace(replacement) => {
                replacement.apply(&mut series);
                series.identity = series.identity.or(Some(Identity::Merge));
            }
            Self::Join(join) => {
                join.apply(&mut series);
                series.identity = series.identity.or(Some(Identity::Merge));
            }
        }
        Ok(Some(series))
    }
}

/// The chunks that can answer an instant selector. At a single step that is one: the last that begins in time holds the
/// newest sample, if chunks do not overlap.
fn answering<'a>(chunks: &'a [Chunk], windows: &Windows) -> &'a [Chunk] {
    if windows.grid.steps > 1
        || windows.beyond.is_some()
        || !chunks.windows(2).all(|pair| pair[0].max_ms < pair[1].min_ms)
    {
        return chunks;
    }
    let begun = chunks.partition_point(|chunk| chunk.min_ms <= windows.end_ms(0));
    &chunks[begun.saturating_sub(1)..begun]
}

fn clamp(series: &mut SeriesPoints, min: Option<&[f64]>, max: Option<&[f64]>) {
    for step in 0..series.values.len() {
        let value = series.values[step];
        series.values[step] = match (min.map(|min| min[step]), max.map(|max| max[step])) {
            (Some(min), Some(max)) if max < min => {
                series.present.clear(step);
                value
            }
            (Some(min), Some(max)) => math::clamp(value, min, max),
            (Some(min), None) => math::larger(min, value),
            (None, Some(max)) => math::smaller(max, value),
            (None, None) => value,
        };
    }
}

fn with_scalar(op: BinaryOp, return_bool: bool, scalar_left: bool, scalar: &[f64], series: &mut SeriesPoints) {
    if let (Some(column), false) = (binary::arithmetic(op), scalar_left) {
        return column(&mut series.values, scalar);
    }
    let operand = series.values.clone();
    let (lhs, rhs) = if scalar_left { (scalar, operand.as_slice()) } else { (operand.as_slice(), scalar) };
    binary::combine(op, return_bool, lhs, rhs, &mut series.values, &mut series.present);
}

/// The points of a series that was evaluated at one step, at all steps of `grid`.
pub fn repeat(series: SeriesPoints, grid: &Grid) -> SeriesPoints {
    let steps = grid.steps;
    let present = if series.present.get(0) { Presence::all(steps) } else { Presence::none(steps) };
    SeriesPoints { values: vec![series.values[0]; steps], present, ..series }
}

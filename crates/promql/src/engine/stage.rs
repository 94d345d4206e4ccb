//! What happens to a series on its way from a selector to whatever needs more than one series: decoding, then stage by
//! stage a function of that series alone. All of it runs on the CPU pool, many series side by side.

use crate::ast::{BinaryOp, Span};
use crate::budget::Budget;
use crate::engine::QueryError;
use crate::engine::annotations::{Annotations, Note, NotesAt};
use crate::engine::binary;
use crate::engine::extended;
use crate::engine::histogram_binary::combine_scalar;
use crate::engine::histogram_points::HistogramPoints;
use crate::engine::histogram_stats;
use crate::engine::labels::{Join, Replacement};
use crate::engine::math;
use crate::engine::points::{Grid, Identity, Presence, SeriesPoints};
use crate::engine::range_functions::RangeFunction;
use crate::engine::select::{Naming, instant};
use crate::engine::tally::{self, Tally};
use crate::engine::window::{Windows, drop_stale, samples_of};
use crate::plan::Answer;
use longhaul_chunk::{Chunk, Samples, SeriesChunks, merge_samples};
use longhaul_model::FloatHistogram;
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
        /// Where it stands.
        span: Span,
        /// Whether of histograms only count and sum matter.
        stats_only: bool,
        /// Counts what is found.
        tally: Option<Tally>,
    },
    /// A function over a range.
    Range {
        /// The function.
        function: RangeFunction,
        /// Whether of histograms only count and sum matter.
        stats_only: bool,
    },
}

/// A function of one series.
#[derive(Clone, Debug)]
pub enum Stage {
    /// A function of each float.
    Map(fn(f64) -> f64, Naming),
    /// A function of each histogram.
    Figure(fn(&FloatHistogram) -> f64, Naming),
    /// `-v`
    Negate(Naming),
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
        /// Where to tell what is worth a word.
        notes: NotesAt,
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
    /// Decodes a series and takes it through the stages; `samples` is scratch. None: nothing is left of it.
    pub fn decode(&self, series: &SeriesChunks, samples: &mut Samples) -> Result<Option<SeriesPoints>, QueryError> {
        samples.clear();
        let (chunks, windows, stats_only) = match &self.decode {
            Some(Decode::Instant { answer: Answer::Start, .. }) if !self.starts => return Ok(None),
            Some(Decode::Instant { windows, stats_only, .. }) => {
                let chunks = if *stats_only { &series.chunks } else { answering(&series.chunks, windows) };
                (chunks, windows, *stats_only)
            }
            Some(Decode::Range { function, stats_only }) => (&*series.chunks, &function.windows, *stats_only),
            None => return Ok(None),
        };
        merge_samples(chunks, windows.reach(), samples)?;
        self.budget.count_samples(weight(samples))?;
        let histograms = !samples.histograms.t_ms.is_empty();
        let _held = histograms.then(|| self.budget.hold(histogram_bytes(samples))).transpose()?;
        if stats_only {
            histogram_stats::reduce(&mut samples.histograms);
        }
        let points = match &self.decode {
            Some(Decode::Instant { windows, answer, naming, span, tally, .. }) => {
                let mut points = if windows.beyond.is_some() {
                    drop_stale(samples);
                    extended::instant(&series.labels, samples, windows, &NotesAt::new(&self.notes, *span))
                } else {
                    let points = instant(&series.labels, samples, windows, *answer);
                    if let (Some(tally), Some(points)) = (tally, &points) {
                        tally.instant(points);
                    }
                    points
                };
                if let (Some(points), true) = (&mut points, *answer != Answer::Value) {
                    naming.drop_name(points, Identity::Merge);
                }
                points
            }
            Some(Decode::Range { function, .. }) => {
                drop_stale(samples);
                if !self.starts {
                    samples.floats.start_ms.clear();
                    samples.histograms.start_ms.clear();
                }
                function.evaluate(&series.labels, samples, &self.notes, &self.budget)?
            }
            None => None,
        };
        match points {
            Some(points) => self.apply(points, samples),
            None => Ok(None),
        }
    }

    /// Takes points through the stages.
    pub fn apply(&self, mut series: SeriesPoints, samples: &mut Samples) -> Result<Option<SeriesPoints>, QueryError> {
        for stage in &self.stages {
            match stage.apply(series, samples, &self.notes, &self.budget)? {
                Some(next) => series = next,
                None => return Ok(None),
            }
        }
        Ok((!series.is_empty()).then_some(series))
    }
}

/// How many samples these are to the limits.
pub fn weight(samples: &Samples) -> u64 {
    let histograms = samples.histograms.values.iter().map(|histogram| tally::weight(histogram));
    samples.floats.len() as u64 + histograms.sum::<u64>()
}

fn histogram_bytes(samples: &Samples) -> usize {
    samples.histograms.values.iter().map(|histogram| histogram.size_bytes()).sum()
}

impl Stage {
    fn apply(
        &self,
        mut series: SeriesPoints,
        samples: &mut Samples,
        notes: &Annotations,
        budget: &Budget,
    ) -> Result<Option<SeriesPoints>, QueryError> {
        match self {
            Self::Map(function, naming) => {
                series.histograms = None;
                series.values.iter_mut().for_each(|value| *value = function(*value));
                naming.drop_name(&mut series, Identity::Merge);
            }
            Self::Figure(function, naming) => {
                series.present = Presence::none(series.steps());
                for (step, histogram) in series.histograms.take().into_iter().flat_map(|histograms| *histograms) {
                    series.set(step, function(&histogram));
                }
                naming.drop_bare_name(&mut series, Identity::Merge);
            }
            Self::Negate(naming) => {
                series.values.iter_mut().for_each(|value| *value = -*value);
                for (_, histogram) in series.histograms.iter_mut().flat_map(|histograms| histograms.iter_mut()) {
                    Arc::make_mut(histogram).scale(-1.0);
                }
                naming.drop_name(&mut series, Identity::Merge);
            }
            Self::Round(to, naming) => {
                series.histograms = None;
                series.values.iter_mut().zip(&**to).for_each(|(value, to)| *value = math::round(*value, *to));
                naming.drop_name(&mut series, Identity::Merge);
            }
            Self::Clamp { min, max, naming } => {
                series.histograms = None;
                clamp(&mut series, min.as_deref(), max.as_deref());
                naming.drop_name(&mut series, Identity::Merge);
            }
            Self::Scalar { op, scalar, scalar_left, return_bool, naming, notes } => {
                with_scalar(*op, *return_bool, *scalar_left, scalar, &mut series, notes);
                if binary::drops_name(*op, *return_bool) {
                    naming.drop_name(&mut series, Identity::Merge);
                }
            }
            Self::StepTime(grid, naming) => {
                series.present = series.there().into_owned();
                series.histograms = None;
                series.values.iter_mut().zip(grid.times()).for_each(|(value, t_ms)| *value = t_ms as f64 / 1000.0);
                naming.drop_name(&mut series, Identity::Merge);
            }
            Self::OverSubquery(grid, function) => {
                samples_of(&mut series, grid, samples);
                let (drop_name, identity) = (series.drop_name, series.identity);
                return Ok(function.evaluate(&series.labels, samples, notes, budget)?.map(|mut out| {
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

fn with_scalar(
    op: BinaryOp,
    return_bool: bool,
    scalar_left: bool,
    scalar: &[f64],
    series: &mut SeriesPoints,
    notes: &NotesAt,
) {
    if let (Some(column), false) = (binary::arithmetic(op), scalar_left) {
        column(&mut series.values, scalar);
    } else {
        if binary::trims(op) && !series.present.is_none() {
            notes.add(Note::IncompatibleTypes { op, lhs: "float", rhs: "float" });
        }
        let operand = series.values.clone();
        let (lhs, rhs) = if scalar_left { (scalar, operand.as_slice()) } else { (operand.as_slice(), scalar) };
        binary::combine(op, return_bool, lhs, rhs, &mut series.values, &mut series.present);
    }
    combine_scalar(op, scalar, scalar_left, series, notes);
}

/// The points of a series that was evaluated at one step, at all steps of `grid`.
pub fn repeat(series: SeriesPoints, grid: &Grid) -> SeriesPoints {
    let steps = grid.steps;
    let present = if series.present.get(0) { Presence::all(steps) } else { Presence::none(steps) };
    let histogram = series.histogram(0).map(|histogram| HistogramPoints::all(steps, Arc::clone(histogram)));
    SeriesPoints { values: vec![series.values[0]; steps], present, histograms: histogram.map(Box::new), ..series }
}

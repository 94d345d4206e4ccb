//! The answer to a query: `{"resultType":...,"result":...,"stats":...}`.

use super::histogram::push_histogram;
use super::numbers::{push_time, push_value};
use super::{List, Notes, Pieces, push_labels, push_notes, push_text, rendered};
use axum::response::Response;
use longhaul_promql::budget::Held;
use longhaul_promql::value::{InstantSample, QueryStats, RangeSeries, SampleValue, StepCounts, Value};

/// Points that are rendered in one go: some 16 KiB.
const POINTS_A_PIECE: usize = 512;

/// Histograms that are rendered in one go: each has some tens of buckets.
const HISTOGRAMS_A_PIECE: usize = 16;

/// What a sample in memory is taken to weigh, for the clients that ask how many there were: its time and its value.
const SAMPLE_BYTES: u64 = 16;

/// How long the parts of a query took, ns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timings {
    /// Waiting for a free slot.
    pub(crate) queue_ns: u64,
    /// Pinning what is read.
    pub(crate) preparation_ns: u64,
    /// Evaluating.
    pub(crate) evaluation_ns: u64,
}

/// A success of a query; `stats` only if the client asked for them. `held` accounts for the value, until it has been sent.
pub(crate) fn query_answer(value: Value, held: Held, notes: &Notes, stats: Option<(Timings, QueryStats)>) -> Response {
    let mut tail = Vec::new();
    if let Some((timings, stats)) = stats {
        push_stats(&mut tail, timings, stats);
    }
    tail.push(b'}');
    push_notes(&mut tail, notes);
    match value {
        Value::Scalar { t_ms, value } => single(head("scalar"), t_ms, |out| push_quoted(out, value), tail),
        Value::String { t_ms, value } => single(head("string"), t_ms, |out| push_text(out, &value), tail),
        Value::Vector(samples) => {
            rendered(open(head("vector")), Kept { pieces: List::new(samples, push_sample), _held: held }, close(tail))
        }
        Value::Matrix(series) => {
            rendered(open(head("matrix")), Kept { pieces: Matrix::new(series), _held: held }, close(tail))
        }
    }
}

fn head(result_type: &str) -> Vec<u8> {
    format!(r#"{{"status":"success","data":{{"resultType":"{result_type}","result":"#).into_bytes()
}

fn open(mut head: Vec<u8>) -> Vec<u8> {
    head.push(b'[');
    head
}

fn close(mut tail: Vec<u8>) -> Vec<u8> {
    tail.insert(0, b']');
    tail
}

/// A result of one pair.
fn single(mut head: Vec<u8>, t_ms: i64, push: impl Fn(&mut Vec<u8>), tail: Vec<u8>) -> Response {
    push_pair(&mut head, t_ms, push);
    rendered(head, List::new(Vec::<()>::new(), |_, ()| ()), tail)
}

fn push_pair(out: &mut Vec<u8>, t_ms: i64, push: impl Fn(&mut Vec<u8>)) {
    out.push(b'[');
    push_time(out, t_ms);
    out.push(b',');
    push(out);
    out.push(b']');
}

fn push_quoted(out: &mut Vec<u8>, value: f64) {
    out.push(b'"');
    push_value(out, value);
    out.push(b'"');
}

fn push_sample(out: &mut Vec<u8>, sample: &InstantSample) {
    out.extend_from_slice(br#"{"metric":"#);
    push_labels(out, &sample.labels);
    match &sample.value {
        SampleValue::Float(value) => {
            out.extend_from_slice(br#","value":"#);
            push_pair(out, sample.t_ms, |out| push_quoted(out, *value));
        }
        SampleValue::Histogram(histogram) => {
            out.extend_from_slice(br#","histogram":"#);
            push_pair(out, sample.t_ms, |out| push_histogram(out, histogram));
        }
    }
    out.push(b'}');
}

/// Pieces of what is accounted for.
struct Kept<P> {
    pieces: P,
    _held: Held,
}

impl<P: Pieces> Pieces for Kept<P> {
    fn push_next(&mut self, out: &mut Vec<u8>) -> bool {
        self.pieces.push_next(out)
    }
}

/// The series of a matrix, so many points a piece.
struct Matrix {
    series: std::vec::IntoIter<RangeSeries>,
    open: Option<Open>,
    first: bool,
}

/// The series that is being rendered, and how many of its points are.
struct Open {
    series: RangeSeries,
    floats: usize,
    histograms: usize,
}

impl Matrix {
    fn new(series: Vec<RangeSeries>) -> Self {
        Self { series: series.into_iter(), open: None, first: true }
    }
}

impl Pieces for Matrix {
    fn push_next(&mut self, out: &mut Vec<u8>) -> bool {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => {
                let Some(series) = self.series.next() else { return false };
                out.extend_from_slice(if std::mem::take(&mut self.first) {
                    br#"{"metric":"#
                } else {
                    br#",{"metric":"#
                });
                push_labels(out, &series.labels);
                Open { series, floats: 0, histograms: 0 }
            }
        };
        if open.push_floats(out) && open.push_histograms(out) {
            out.push(b'}');
        } else {
            self.open = Some(open);
        }
        true
    }
}

impl Open {
    /// Appends some of the floats; says whether there are no more.
    fn push_floats(&mut self, out: &mut Vec<u8>) -> bool {
        let points = &self.series.points;
        let (start, all) = (self.floats, points.t_ms.len());
        if start == all {
            return true;
        }
        out.extend_from_slice(if start == 0 { br#","values":["# } else { b"," });
        self.floats = all.min(start + POINTS_A_PIECE);
        let run = start..self.floats;
        push_pairs(out, &points.t_ms[run.clone()], &points.values[run], |out, value| push_quoted(out, *value));
        if self.floats == all {
            out.push(b']');
        }
        self.floats == all
    }

    /// Appends some of the histograms; says whether there are no more.
    fn push_histograms(&mut self, out: &mut Vec<u8>) -> bool {
        let histograms = &self.series.histograms;
        let (start, all) = (self.histograms, histograms.t_ms.len());
        if start == all {
            return true;
        }
        out.extend_from_slice(if start == 0 { br#","histograms":["# } else { b"," });
        self.histograms = all.min(start + HISTOGRAMS_A_PIECE);
        let run = start..self.histograms;
        push_pairs(out, &histograms.t_ms[run.clone()], &histograms.values[run], |out, one| push_histogram(out, one));
        if self.histograms == all {
            out.push(b']');
        }
        self.histograms == all
    }
}

fn push_pairs<T>(out: &mut Vec<u8>, times_ms: &[i64], values: &[T], push: impl Fn(&mut Vec<u8>, &T)) {
    for (index, (&t_ms, value)) in times_ms.iter().zip(values).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_pair(out, t_ms, |out| push(out, value));
    }
}

/// The keys are Prometheus'.
fn push_stats(out: &mut Vec<u8>, timings: Timings, stats: QueryStats) {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let counted = stats.counted.unwrap_or_default();
    let mut samples = serde_json::json!({
        "totalQueryableSamples": counted.queried,
        "peakSamples": stats.bytes_peak / SAMPLE_BYTES,
        "samplesRead": counted.read,
    });
    if !counted.steps.is_empty() {
        let per_step = |figure: fn(&StepCounts) -> u64| -> Vec<(f64, u64)> {
            counted.steps.iter().map(|step| (step.t_ms as f64 / 1000.0, figure(step))).collect()
        };
        samples["totalQueryableSamplesPerStep"] = serde_json::json!(per_step(|step| step.queried));
        samples["samplesReadPerStep"] = serde_json::json!(per_step(|step| step.read));
    }
    let stats = serde_json::json!({
        "timings": {
            "evalTotalTime": seconds(timings.preparation_ns + timings.evaluation_ns),
            "resultSortTime": seconds(stats.phases.sort_ns),
            "queryPreparationTime": seconds(timings.preparation_ns + stats.phases.plan_ns),
            "innerEvalTime": seconds(stats.phases.evaluate_ns),
            "execQueueTime": seconds(timings.queue_ns),
            "execTotalTime": seconds(timings.queue_ns + timings.preparation_ns + timings.evaluation_ns),
        },
        "samples": samples,
    });
    out.extend_from_slice(format!(",\"stats\":{stats}").as_bytes());
}

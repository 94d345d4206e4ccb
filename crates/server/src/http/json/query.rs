//! The answer to a query: `{"resultType":...,"result":...,"stats":...}`.

use super::numbers::{push_time, push_value};
use super::{List, Notes, Pieces, push_labels, push_notes, push_text, rendered};
use axum::response::Response;
use longhaul_promql::value::{InstantSample, Points, QueryStats, RangeSeries, Value};

/// Points that are rendered in one go: some 16 KiB.
const POINTS_A_PIECE: usize = 512;

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

/// A success of a query; `stats` only if the client asked for them.
pub(crate) fn query_answer(value: Value, notes: &Notes, stats: Option<(Timings, QueryStats)>) -> Response {
    let mut tail = Vec::new();
    if let Some((timings, stats)) = stats {
        push_stats(&mut tail, timings, stats);
    }
    tail.push(b'}');
    push_notes(&mut tail, notes);
    match value {
        Value::Scalar { t_ms, value } => single(head("scalar"), t_ms, |out| push_quoted(out, value), tail),
        Value::String { t_ms, value } => single(head("string"), t_ms, |out| push_text(out, &value), tail),
        Value::Vector(samples) => rendered(open(head("vector")), List::new(samples, push_sample), close(tail)),
        Value::Matrix(series) => rendered(open(head("matrix")), Matrix::new(series), close(tail)),
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
    out.extend_from_slice(br#","value":"#);
    push_pair(out, sample.t_ms, |out| push_quoted(out, sample.value));
    out.push(b'}');
}

/// The series of a matrix, so many points a piece.
struct Matrix {
    series: std::vec::IntoIter<RangeSeries>,
    /// The points of the series that is being rendered, and how many of them are.
    open: Option<(Points, usize)>,
    first: bool,
}

impl Matrix {
    fn new(series: Vec<RangeSeries>) -> Self {
        Self { series: series.into_iter(), open: None, first: true }
    }
}

impl Pieces for Matrix {
    fn push_next(&mut self, out: &mut Vec<u8>) -> bool {
        let (points, start) = match self.open.take() {
            Some(open) => open,
            None => {
                let Some(RangeSeries { labels, points }) = self.series.next() else { return false };
                out.extend_from_slice(if std::mem::take(&mut self.first) {
                    br#"{"metric":"#
                } else {
                    br#",{"metric":"#
                });
                push_labels(out, &labels);
                out.extend_from_slice(br#","values":["#);
                (points, 0)
            }
        };
        let end = points.t_ms.len().min(start + POINTS_A_PIECE);
        push_points(out, &points.t_ms[start..end], &points.values[start..end]);
        if end < points.t_ms.len() {
            out.push(b',');
            self.open = Some((points, end));
        } else {
            out.extend_from_slice(b"]}");
        }
        true
    }
}

fn push_points(out: &mut Vec<u8>, times_ms: &[i64], values: &[f64]) {
    for (index, (&t_ms, &value)) in times_ms.iter().zip(values).enumerate() {
        out.extend_from_slice(if index > 0 { b",[" } else { b"[" });
        push_time(out, t_ms);
        out.extend_from_slice(b",\"");
        push_value(out, value);
        out.extend_from_slice(b"\"]");
    }
}

/// The keys are Prometheus'; what it measures and we do not is 0.
fn push_stats(out: &mut Vec<u8>, timings: Timings, stats: QueryStats) {
    let seconds = |ns: u64| ns as f64 / 1e9;
    let stats = serde_json::json!({
        "timings": {
            "evalTotalTime": seconds(timings.preparation_ns + timings.evaluation_ns),
            "resultSortTime": 0.0,
            "queryPreparationTime": seconds(timings.preparation_ns),
            "innerEvalTime": seconds(timings.evaluation_ns),
            "execQueueTime": seconds(timings.queue_ns),
            "execTotalTime": seconds(timings.queue_ns + timings.preparation_ns + timings.evaluation_ns),
        },
        "samples": {
            "totalQueryableSamples": stats.samples,
            "peakSamples": stats.bytes_peak / SAMPLE_BYTES,
            "samplesRead": stats.samples,
        },
    });
    out.extend_from_slice(format!(",\"stats\":{stats}").as_bytes());
}

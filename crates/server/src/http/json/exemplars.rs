//! The answer of `query_exemplars`: series by series, each exemplar with its labels, its value as text, its time in seconds.

use super::numbers::{push_time, push_value};
use super::{Notes, list, push_labels};
use axum::response::Response;
use longhaul_model::Exemplar;
use longhaul_query::SeriesExemplars;

/// A success with the exemplars of some series.
pub(crate) fn exemplars(items: Vec<SeriesExemplars>, notes: &Notes) -> Response {
    list(items, notes, push_series)
}

fn push_series(out: &mut Vec<u8>, series: &SeriesExemplars) {
    out.extend_from_slice(br#"{"seriesLabels":"#);
    push_labels(out, &series.labels);
    out.extend_from_slice(br#","exemplars":["#);
    for (number, exemplar) in series.exemplars.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        push_exemplar(out, exemplar);
    }
    out.extend_from_slice(b"]}");
}

fn push_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    out.extend_from_slice(br#"{"labels":"#);
    push_labels(out, &exemplar.labels);
    out.extend_from_slice(br#","value":""#);
    push_value(out, exemplar.value);
    out.extend_from_slice(br#"","timestamp":"#);
    push_time(out, exemplar.t_ms);
    out.push(b'}');
}

//! Exemplars of data points, with the ids of traces and spans as labels.

use super::attributes::{LabelMap, hex, value_text};
use crate::proto::opentelemetry::Exemplar;
use crate::proto::opentelemetry::exemplar::Value;

/// Most characters of all labels of an exemplar, by OpenMetrics; the ids are kept whatever they are.
const CHARACTERS_MAX: usize = 128;

/// What was observed.
pub(super) fn value(exemplar: &Exemplar) -> Option<f64> {
    match exemplar.value? {
        Value::AsDouble(value) => Some(value),
        Value::AsInt(value) => Some(value as f64),
    }
}

/// What an exemplar says beside its value and time.
pub(super) fn labels(exemplar: &Exemplar) -> LabelMap {
    let mut ids = LabelMap::new();
    for (name, id) in [("trace_id", &exemplar.trace_id), ("span_id", &exemplar.span_id)] {
        if id.iter().any(|byte| *byte != 0) {
            ids.insert(name.to_owned(), hex(id));
        }
    }
    let mut labels: LabelMap = exemplar
        .filtered_attributes
        .iter()
        .map(|attribute| (attribute.key.clone(), value_text(attribute.value.as_ref())))
        .collect();
    let characters: usize =
        ids.iter().chain(&labels).map(|(name, value)| name.chars().count() + value.chars().count()).sum();
    if characters > CHARACTERS_MAX {
        labels.clear();
    }
    labels.extend(ids);
    labels
}

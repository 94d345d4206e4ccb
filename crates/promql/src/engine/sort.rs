//! `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`: the order of an instant vector.

use crate::engine::QueryError;
use crate::engine::order;
use crate::engine::over_time::nan_first;
use crate::engine::vector::Vector;
use crate::functions::Func;
use longhaul_model::Labels;
use std::cmp::Ordering;

/// What `func` sorts: histograms have no order, so that those who sort by values pass them over.
pub fn sortable(func: Func, mut vector: Vector) -> Vector {
    if matches!(func, Func::Sort | Func::SortDesc) {
        vector.series.iter_mut().for_each(|series| series.histograms = None);
        vector.series.retain(|series| !series.is_empty());
    }
    vector
}

/// Sorts as `func` does, by the value at the first step or by the labels `names`. Err if the query must stop.
pub fn sorted(func: Func, names: &[String], vector: Vector) -> Result<Vector, QueryError> {
    let mut vector = sortable(func, vector);
    let series = std::mem::take(&mut vector.series);
    vector.series = order::sorted(series, vector.held.budget(), |a, b| match func {
        Func::Sort | Func::SortDesc => by_value(func, a.values[0], b.values[0]),
        Func::SortByLabelDesc => by_labels(names, &b.labels, &a.labels),
        _ => by_labels(names, &a.labels, &b.labels),
    })?;
    Ok(vector)
}

/// NaN comes last either way.
fn by_value(func: Func, a: f64, b: f64) -> Ordering {
    match (a.is_nan(), b.is_nan()) {
        (false, false) if func == Func::SortDesc => nan_first(b, a),
        (false, false) => nan_first(a, b),
        (a, b) => a.cmp(&b),
    }
}

/// By the values of labels, in the order in which people count; then by all labels.
fn by_labels(names: &[String], a: &Labels, b: &Labels) -> Ordering {
    let value = |labels: &Labels, name: &str| labels.get(name).unwrap_or("").to_owned();
    let named = names.iter().map(|name| natural(&value(a, name), &value(b, name)));
    named.fold(Ordering::Equal, Ordering::then).then_with(|| a.cmp(b))
}

/// Compares texts piece by piece, runs of digits as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        if a.is_empty() || b.is_empty() {
            return a.len().cmp(&b.len());
        }
        let (left, rest_a) = piece(a);
        let (right, rest_b) = piece(b);
        let order = match (left.parse::<u64>(), right.parse::<u64>()) {
            (Ok(left), Ok(right)) => left.cmp(&right),
            _ => left.cmp(right),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
}

/// The run of digits, or of anything else, with which a text begins; and the rest.
fn piece(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_count_numbers() {
        let mut texts = ["4m600", "a10", "4m5", "a9", "4m1000", ""];
        texts.sort_by(|a, b| natural(a, b));
        assert_eq!(texts, ["", "4m5", "4m600", "4m1000", "a9", "a10"]);
    }

    #[test]
    fn zeros_are_equal() {
        assert_eq!(by_value(Func::Sort, 0.0, -0.0), Ordering::Equal);
        assert_eq!(by_value(Func::SortDesc, 0.0, -0.0), Ordering::Equal);
    }

    #[test]
    fn nan_is_last_either_way() {
        for func in [Func::Sort, Func::SortDesc] {
            let mut values = [f64::NAN, 1.0, 2.0];
            values.sort_by(|a, b| by_value(func, *a, *b));
            assert!(values[2].is_nan());
            assert_eq!(values[0], if func == Func::Sort { 1.0 } else { 2.0 });
        }
    }
}

//! `sort`, `sort_desc`, `sort_by_label`, `sort_by_label_desc`: the order of an instant vector.

use crate::engine::points::SeriesPoints;
use crate::functions::Func;
use longhaul_model::Labels;
use std::cmp::Ordering;

/// Sorts by the value at the first step; NaN comes last either way.
pub fn by_value(func: Func, series: &mut [SeriesPoints]) {
    series.sort_by(|a, b| {
        let (a, b) = (a.values[0], b.values[0]);
        match (a.is_nan(), b.is_nan()) {
            (false, false) if func == Func::SortDesc => b.total_cmp(&a),
            (false, false) => a.total_cmp(&b),
            (a, b) => a.cmp(&b),
        }
    });
}

/// Sorts by the values of labels, in the order in which people count; then by all labels.
pub fn by_labels(func: Func, names: &[String], series: &mut [SeriesPoints]) {
    series.sort_by(|a, b| {
        let order = by_named(names, &a.labels, &b.labels);
        if func == Func::SortByLabelDesc { order.reverse() } else { order }
    });
}

fn by_named(names: &[String], a: &Labels, b: &Labels) -> Ordering {
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
    fn nan_is_last_either_way() {
        for func in [Func::Sort, Func::SortDesc] {
            let one = |value: f64| {
                let mut series = SeriesPoints::empty(Labels::empty(), 1);
                series.set(0, value);
                series
            };
            let mut series = [one(f64::NAN), one(1.0), one(2.0)];
            by_value(func, &mut series);
            assert!(series[2].values[0].is_nan());
            assert_eq!(series[0].values[0], if func == Func::Sort { 1.0 } else { 2.0 });
        }
    }
}

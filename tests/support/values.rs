//! Comparing answers: label sets, presence and timestamps exactly, numbers to a relative 1e-9, NaN equal to NaN.

use serde_json::Value;
use std::collections::BTreeMap;

/// A series' labels as text, and its points by time in milliseconds.
pub type Matrix = BTreeMap<String, BTreeMap<i64, f64>>;

/// Whether two numbers count as the same.
pub fn close(a: f64, b: f64) -> bool {
    a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs())
}

/// A number as the API writes it.
pub fn number(text: &Value) -> f64 {
    text.as_str().unwrap_or_else(|| panic!("{text} is no text")).parse().unwrap()
}

/// A time as the API writes it, in milliseconds.
pub fn millis(seconds: &Value) -> i64 {
    (seconds.as_f64().unwrap() * 1000.0).round() as i64
}

/// The result of a query of any type but a string: scalars have no labels.
pub fn matrix(data: &Value) -> Matrix {
    let point = |pair: &Value| (millis(&pair[0]), number(&pair[1]));
    let result = &data["result"];
    match data["resultType"].as_str().unwrap() {
        "scalar" => Matrix::from([(String::new(), BTreeMap::from([point(result)]))]),
        "vector" => by_labels(result, |series| BTreeMap::from([point(&series["value"])])),
        "matrix" => by_labels(result, |series| series["values"].as_array().unwrap().iter().map(point).collect()),
        other => panic!("a result of type {other}"),
    }
}

fn by_labels(result: &Value, points: impl Fn(&Value) -> BTreeMap<i64, f64>) -> Matrix {
    let mut matrix = Matrix::new();
    for series in result.as_array().unwrap() {
        let before = matrix.insert(series["metric"].to_string(), points(series));
        assert!(before.is_none(), "{} comes twice", series["metric"]);
    }
    matrix
}

/// The first difference between two answers.
pub fn difference(expected: &Matrix, found: &Matrix) -> Option<String> {
    difference_by(expected, found, close)
}

fn difference_by(expected: &Matrix, found: &Matrix, same: fn(f64, f64) -> bool) -> Option<String> {
    for (labels, points) in expected {
        let Some(others) = found.get(labels) else { return Some(format!("{labels} is missing")) };
        for (t_ms, value) in points {
            match others.get(t_ms) {
                None => return Some(format!("{labels} has no value at {t_ms}, expected {value}")),
                Some(other) if !same(*value, *other) => {
                    return Some(format!("{labels} at {t_ms}: expected {value}, found {other}"));
                }
                Some(_) => {}
            }
        }
        if let Some((t_ms, value)) = others.iter().find(|(t_ms, _)| !points.contains_key(t_ms)) {
            return Some(format!("{labels} has {value} at {t_ms}, expected nothing"));
        }
    }
    found.keys().find(|labels| !expected.contains_key(*labels)).map(|labels| format!("{labels} was not expected"))
}

/// The first difference between raw samples, which must be equal to the bit of what the API shows.
pub fn exact_difference(expected: &Matrix, found: &Matrix) -> Option<String> {
    let same = |a: f64, b: f64| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan());
    difference_by(expected, found, same)
}

/// How many points there are.
pub fn count(matrix: &Matrix) -> usize {
    matrix.values().map(BTreeMap::len).sum()
}

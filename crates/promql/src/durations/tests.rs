//! Durations that are expressions: computed from step and range, or refused.

use super::*;
use crate::ParseOptions;

/// The query with its durations computed for a step of 10 s and a range of 1 h, printed.
fn resolved(query: &str) -> Result<Expr, String> {
    let mut expr = crate::parse(query, &ParseOptions::default()).unwrap();
    resolve(&mut expr, 10_000, 3_600_000).map_err(|error| error.to_string())?;
    Ok(expr)
}

fn range_ms(query: &str) -> i64 {
    let ExprKind::Matrix(matrix) = resolved(query).unwrap().kind else { panic!("{query}") };
    matrix.range_ms
}

#[test]
fn ranges_are_computed() {
    for (query, wanted) in [
        ("a[5m]", 300_000),
        ("a[step()]", 10_000),
        ("a[range() / 2 - step()]", 1_790_000),
        ("a[11s+10s-5*2^2]", 1000),
        ("a[-(10s-5s)+20s]", 15_000),
        ("a[max_of(step(), 1s) + min_of(1, -1)]", 9000),
        ("a[7 % 4]", 3000),
        ("a[0.0015 * 1]", 1),
    ] {
        assert_eq!(range_ms(query), wanted, "{query}");
    }
}

#[test]
fn every_duration_of_a_tree_is_computed() {
    let expr = resolved("sum(max_over_time(rate(a[step()*2] offset -step())[range():step()*3] offset (1+1)))").unwrap();
    let ExprKind::Aggregate(sum) = expr.kind else { panic!() };
    let ExprKind::Call(max) = &sum.expr.kind else { panic!() };
    let ExprKind::Subquery(subquery) = &max.args[0].kind else { panic!() };
    assert_eq!((subquery.range_ms, subquery.step_ms, subquery.offset_ms), (3_600_000, Some(30_000), 2000));
    let ExprKind::Call(rate) = &subquery.expr.kind else { panic!() };
    let ExprKind::Matrix(matrix) = &rate.args[0].kind else { panic!() };
    assert_eq!((matrix.range_ms, matrix.selector.offset_ms), (20_000, -10_000));
}

#[test]
fn durations_without_a_value_are_refused() {
    for (query, wanted) in [
        ("a[step() - 10s]", "2:14: duration must be greater than 0"),
        ("a[5m:step() - 1h]", "5:16: duration must be greater than 0"),
        ("a offset (1 / (1 - 1))", "10:20: division by zero"),
        ("a offset (1 % (1 - 1))", "10:20: modulo by zero"),
        ("a offset (10 ^ 999)", "10:18: duration is NaN or infinite"),
        ("a[(-1) ^ 0.5]", "2:12: duration is NaN or infinite"),
        ("a[0 * step()] offset (1 % (1 - 1))", "2:12: duration must be greater than 0"),
        ("a[-1 / (0 * step())]", "2:18: division by zero"),
        ("a[10 ^ 12]", "2:9: duration is out of range"),
    ] {
        assert_eq!(resolved(query).unwrap_err(), wanted, "{query}");
    }
}

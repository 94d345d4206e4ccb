//! Queries pinned to a time: whatever time they are evaluated at, the answer is that of the time they are pinned to.

use longhaul_promql::ast::{At, Expr, ExprKind};

/// Functions that look at the time of evaluation itself, or at the times of samples as against it.
const TIME_DEPENDENT: [&str; 15] = [
    "days_in_month",
    "day_of_month",
    "day_of_week",
    "day_of_year",
    "end",
    "hour",
    "minute",
    "month",
    "predict_linear",
    "range",
    "start",
    "step",
    "time",
    "timestamp",
    "year",
];

/// The query with `@ at_ms` at every outermost selector and subquery that has no `@` of its own; None if something in it
/// depends on the time of evaluation all the same.
pub fn pinned(expr: &Expr, at_ms: i64) -> Option<Expr> {
    let mut expr = expr.clone();
    pin(&mut expr, at_ms).then_some(expr)
}

/// False if the expression depends on time.
fn pin(expr: &mut Expr, at_ms: i64) -> bool {
    let at = Some(At::Time(at_ms));
    match &mut expr.kind {
        ExprKind::Vector(vector) => vector.at = vector.at.or(at),
        ExprKind::Matrix(matrix) => matrix.selector.at = matrix.selector.at.or(at),
        // The times at which its steps lie are fixed then, and so is everything in it.
        ExprKind::Subquery(subquery) => {
            subquery.at = subquery.at.or(at);
            return true;
        }
        ExprKind::Call(call) if TIME_DEPENDENT.contains(&call.function.name) => return false,
        _ => {}
    }
    expr.try_for_each_child_mut(|child| if pin(child, at_ms) { Ok(()) } else { Err(()) }).is_ok()
}

/// The times at which a pinned query is evaluated, ms: before, at and long after the time it is pinned to.
pub fn times_ms(at_ms: i64) -> Vec<i64> {
    if at_ms == 0 { vec![-1000, 0, 1000] } else { vec![-10 * at_ms, 0, at_ms / 5, at_ms, 10 * at_ms] }
}

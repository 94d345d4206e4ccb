//! The values of duration expressions: computed when the query's step and range are known, before it is planned.
//!
//! After [`resolve`] every `offset_ms`, `range_ms` and `step_ms` of a tree holds, and no `*_expr` needs to be looked at.

use crate::ast::{DurationExpr, DurationKind, DurationOp, Expr, ExprKind, Span, UnaryOp};
use crate::error::DurationError;

/// Sets the durations of the tree that are given by expressions.
///
/// # Errors
///
/// If one of them has no value, or a range or a step is not greater than 0.
pub fn resolve(expr: &mut Expr, step_ms: i64, range_ms: i64) -> Result<(), DurationError> {
    let query = Query { step_s: step_ms as f64 / 1000.0, range_s: range_ms as f64 / 1000.0 };
    query.resolve(expr)
}

/// What `step()` and `range()` stand for.
struct Query {
    step_s: f64,
    range_s: f64,
}

impl Query {
    fn resolve(&self, expr: &mut Expr) -> Result<(), DurationError> {
        match &mut expr.kind {
            ExprKind::Vector(vector) => {
                if let Some(offset) = &vector.offset_expr {
                    vector.offset_ms = self.milliseconds(offset)?;
                }
            }
            ExprKind::Matrix(matrix) => {
                if let Some(range) = &matrix.range_expr {
                    matrix.range_ms = self.positive_milliseconds(range)?;
                }
                if let Some(offset) = &matrix.selector.offset_expr {
                    matrix.selector.offset_ms = self.milliseconds(offset)?;
                }
            }
            ExprKind::Subquery(subquery) => {
                if let Some(offset) = &subquery.offset_expr {
                    subquery.offset_ms = self.milliseconds(offset)?;
                }
                if let Some(step) = &subquery.step_expr {
                    // Less than a millisecond is no step: the default one, as for a step that is written so.
                    subquery.step_ms = Some(self.positive_milliseconds(step)?).filter(|&step_ms| step_ms > 0);
                }
                if let Some(range) = &subquery.range_expr {
                    subquery.range_ms = self.positive_milliseconds(range)?;
                }
            }
            _ => {}
        }
        expr.try_for_each_child_mut(|child| self.resolve(child))
    }

    fn positive_milliseconds(&self, expr: &DurationExpr) -> Result<i64, DurationError> {
        self.milliseconds_from(expr, |seconds| seconds > 0.0)
    }

    fn milliseconds(&self, expr: &DurationExpr) -> Result<i64, DurationError> {
        self.milliseconds_from(expr, |_| true)
    }

    fn milliseconds_from(&self, expr: &DurationExpr, allowed: fn(f64) -> bool) -> Result<i64, DurationError> {
        let seconds = self.seconds(expr)?;
        if !seconds.is_finite() {
            return Err(error(expr.span, "duration is NaN or infinite"));
        }
        if !allowed(seconds) {
            return Err(error(expr.span, "duration must be greater than 0"));
        }
        if seconds.abs() > SECONDS_MAX {
            return Err(error(expr.span, "duration is out of range"));
        }
        Ok((seconds * 1000.0) as i64)
    }

    fn seconds(&self, expr: &DurationExpr) -> Result<f64, DurationError> {
        Ok(match &expr.kind {
            DurationKind::Number(seconds) | DurationKind::Duration(seconds) => *seconds,
            DurationKind::Step => self.step_s,
            DurationKind::Range => self.range_s,
            DurationKind::Unary(UnaryOp::Minus, inner) => -self.seconds(inner)?,
            DurationKind::Unary(UnaryOp::Plus, inner) | DurationKind::Paren(inner) => self.seconds(inner)?,
            DurationKind::MinOf(sides) => least(self.seconds(&sides.0)?, self.seconds(&sides.1)?),
            DurationKind::MaxOf(sides) => -least(-self.seconds(&sides.0)?, -self.seconds(&sides.1)?),
            DurationKind::Binary(op, sides) => {
                let (lhs, rhs) = (self.seconds(&sides.0)?, self.seconds(&sides.1)?);
                match op {
                    DurationOp::Add => lhs + rhs,
                    DurationOp::Sub => lhs - rhs,
                    DurationOp::Mul => lhs * rhs,
                    DurationOp::Div if rhs == 0.0 => return Err(error(expr.span, "division by zero")),
                    DurationOp::Div => lhs / rhs,
                    DurationOp::Mod if rhs == 0.0 => return Err(error(expr.span, "modulo by zero")),
                    DurationOp::Mod => lhs % rhs,
                    DurationOp::Pow => lhs.powf(rhs),
                }
            }
        })
    }
}

/// The longest duration: Prometheus counts them in nanoseconds, 64 bits.
pub(crate) const SECONDS_MAX: f64 = i64::MAX as f64 / 1e9;

/// The lesser of two, NaN if one is (`f64::min` would pass over it).
fn least(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.min(b) }
}

fn error(span: Span, message: &'static str) -> DurationError {
    DurationError { span, message }
}

#[cfg(test)]
mod tests;

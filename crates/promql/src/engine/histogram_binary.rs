//! Binary operators of which at least one side is a histogram, one pair at a time (Prometheus `promql/engine.go`,
//! `vectorElemBinop`).

use crate::ast::BinaryOp;
use crate::engine::annotations::{Note, NotesAt, Operation, Said};
use crate::engine::points::{Presence, SeriesPoints};
use longhaul_model::{CounterResetHint, FloatHistogram};
use std::sync::Arc;

/// One side of an operator.
#[derive(Clone, Copy, Debug)]
enum Operand<'a> {
    /// A number.
    Float(f64),
    /// A histogram.
    Histogram(&'a FloatHistogram),
}

/// What comes of a pair.
#[derive(Debug)]
enum Outcome {
    /// A histogram.
    Histogram(FloatHistogram),
    /// Whether a comparison holds; the left side is what a filter keeps.
    Holds(bool),
    /// Nothing: the two do not go together. The pair counts as one that did not meet.
    Nothing,
}

/// Evaluates `lhs op rhs` at `steps`, at which both are there and at least one is a histogram, into `out`. Returns the
/// steps at which the two go together, whatever comes of it.
pub fn combine_points(
    op: BinaryOp,
    return_bool: bool,
    [lhs, rhs]: [&SeriesPoints; 2],
    steps: &Presence,
    out: &mut SeriesPoints,
    notes: &NotesAt,
) -> Presence {
    let mut said = Said::default();
    let mut met = Presence::none(out.steps());
    for step in steps.iter() {
        match combine(op, Operand::at(lhs, step), Operand::at(rhs, step), &mut said) {
            Outcome::Nothing => continue,
            Outcome::Histogram(histogram) => out.set_histogram(step, Arc::new(histogram)),
            Outcome::Holds(holds) if return_bool => out.set(step, f64::from(u8::from(holds))),
            Outcome::Holds(true) => lhs.histogram(step).into_iter().for_each(|left| {
                out.set_histogram(step, Arc::clone(left));
            }),
            Outcome::Holds(false) => {}
        }
        met.set(step);
    }
    notes.add_all(said);
    met
}

/// Evaluates an operator between the histograms of `series` and a scalar that has a value at every step.
pub fn combine_scalar(op: BinaryOp, scalar: &[f64], scalar_left: bool, series: &mut SeriesPoints, notes: &NotesAt) {
    let Some(histograms) = series.histograms.take() else { return };
    let mut said = Said::default();
    for (step, histogram) in histograms.iter() {
        let (scalar, histogram) = (Operand::Float(scalar[step]), Operand::Histogram(histogram));
        let (lhs, rhs) = if scalar_left { (scalar, histogram) } else { (histogram, scalar) };
        if let Outcome::Histogram(result) = combine(op, lhs, rhs, &mut said) {
            series.set_histogram(step, Arc::new(result));
        }
    }
    notes.add_all(said);
}

/// Evaluates `lhs op rhs`; what is worth a word goes to `said`.
fn combine(op: BinaryOp, lhs: Operand<'_>, rhs: Operand<'_>, said: &mut Said) -> Outcome {
    use Operand::{Float, Histogram};
    match (op, lhs, rhs) {
        (BinaryOp::Mul, Float(factor), Histogram(histogram)) | (BinaryOp::Mul, Histogram(histogram), Float(factor)) => {
            changed(histogram, |histogram| {
                histogram.scale(factor);
                histogram.compact(0);
            })
        }
        (BinaryOp::Div, Histogram(histogram), Float(divisor)) => changed(histogram, |histogram| {
            histogram.divide(divisor);
            histogram.compact(0);
        }),
        (BinaryOp::TrimUpper, Histogram(histogram), Float(bound)) => Outcome::Histogram(histogram.trim(bound, true)),
        (BinaryOp::TrimLower, Histogram(histogram), Float(bound)) => Outcome::Histogram(histogram.trim(bound, false)),
        (BinaryOp::Add | BinaryOp::Sub, Histogram(lhs), Histogram(rhs)) => sum(op, lhs, rhs, said),
        (BinaryOp::Eq, Histogram(lhs), Histogram(rhs)) => Outcome::Holds(lhs.same(rhs)),
        (BinaryOp::NotEq, Histogram(lhs), Histogram(rhs)) => Outcome::Holds(!lhs.same(rhs)),
        _ => {
            said.add(Note::IncompatibleTypes { op, lhs: lhs.kind(), rhs: rhs.kind() });
            Outcome::Nothing
        }
    }
}

impl<'a> Operand<'a> {
    /// The point of a series at a step where there is one.
    fn at(series: &'a SeriesPoints, step: usize) -> Self {
        match series.histogram(step) {
            Some(histogram) => Self::Histogram(histogram),
            None => Self::Float(series.values[step]),
        }
    }

    /// What notes call it.
    fn kind(self) -> &'static str {
        match self {
            Self::Float(_) => "float",
            Self::Histogram(_) => "histogram",
        }
    }
}

fn changed(histogram: &FloatHistogram, change: impl FnOnce(&mut FloatHistogram)) -> Outcome {
    let mut histogram = histogram.clone();
    change(&mut histogram);
    Outcome::Histogram(histogram)
}

fn sum(op: BinaryOp, lhs: &FloatHistogram, rhs: &FloatHistogram, said: &mut Said) -> Outcome {
    let mut result = lhs.clone();
    let (operation, combined) = match op {
        BinaryOp::Add => (Operation::Addition, result.add(rhs)),
        _ => (Operation::Subtraction, result.sub(rhs)),
    };
    let Ok(combined) = combined else {
        said.add(Note::IncompatibleBuckets(op));
        return Outcome::Nothing;
    };
    if combined.resets_conflict {
        said.add(Note::ConflictingResets(operation));
        return Outcome::Nothing;
    }
    if combined.bounds_reconciled {
        said.add(Note::ReconciledBounds(operation));
    }
    if op == BinaryOp::Sub {
        result.reset_hint = CounterResetHint::Gauge;
    }
    result.compact(0);
    Outcome::Histogram(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_model::BucketSpan;

    fn histogram(schema: i32, hint: CounterResetHint) -> FloatHistogram {
        FloatHistogram {
            schema,
            reset_hint: hint,
            count: 3.0,
            sum: 4.0,
            positive_spans: vec![BucketSpan { offset: 0, length: 2 }],
            positive_counts: vec![1.0, 2.0],
            custom_bounds: if schema == longhaul_model::histogram::SCHEMA_CUSTOM {
                [1.0, 2.0].into()
            } else {
                [].into()
            },
            ..FloatHistogram::default()
        }
    }

    fn evaluate(op: BinaryOp, lhs: Operand<'_>, rhs: Operand<'_>) -> (Outcome, Said) {
        let mut said = Said::default();
        let outcome = combine(op, lhs, rhs, &mut said);
        (outcome, said)
    }

    #[test]
    fn what_goes_together_and_what_does_not() {
        let one = histogram(0, CounterResetHint::Unknown);
        let (h, two) = (Operand::Histogram(&one), Operand::Float(2.0));
        let count = |outcome: Outcome| match outcome {
            Outcome::Histogram(histogram) => Some((histogram.count, histogram.reset_hint)),
            _ => None,
        };
        let same = CounterResetHint::Unknown;
        assert_eq!(count(evaluate(BinaryOp::Mul, two, h).0), Some((6.0, same)));
        assert_eq!(count(evaluate(BinaryOp::Mul, h, Operand::Float(-2.0)).0), Some((-6.0, CounterResetHint::Gauge)));
        assert_eq!(count(evaluate(BinaryOp::Div, h, two).0), Some((1.5, same)));
        assert_eq!(count(evaluate(BinaryOp::Add, h, h).0), Some((6.0, same)));
        assert_eq!(count(evaluate(BinaryOp::Sub, h, h).0), Some((0.0, CounterResetHint::Gauge)));
        assert!(matches!(evaluate(BinaryOp::Eq, h, h).0, Outcome::Holds(true)));
        assert!(matches!(evaluate(BinaryOp::NotEq, h, h).0, Outcome::Holds(false)));
        for (op, lhs, rhs) in [
            (BinaryOp::Div, two, h),
            (BinaryOp::TrimUpper, two, h),
            (BinaryOp::Add, h, two),
            (BinaryOp::Mul, h, h),
            (BinaryOp::Eq, h, two),
            (BinaryOp::Less, h, h),
        ] {
            let (outcome, said) = evaluate(op, lhs, rhs);
            assert!(matches!(outcome, Outcome::Nothing), "{op}");
            assert_eq!(said.notes(), [Note::IncompatibleTypes { op, lhs: lhs.kind(), rhs: rhs.kind() }]);
        }
    }

    #[test]
    fn what_cannot_be_added_is_told() {
        let (exponential, custom) = (histogram(0, CounterResetHint::Reset), histogram(-53, CounterResetHint::Unknown));
        let other = histogram(0, CounterResetHint::NotReset);
        let [exponential, custom, other] = [&exponential, &custom, &other].map(Operand::Histogram);
        let (outcome, said) = evaluate(BinaryOp::Add, exponential, custom);
        assert!(matches!(outcome, Outcome::Nothing));
        assert_eq!(said.notes(), [Note::IncompatibleBuckets(BinaryOp::Add)]);
        let (outcome, said) = evaluate(BinaryOp::Sub, exponential, other);
        assert!(matches!(outcome, Outcome::Nothing));
        assert_eq!(said.notes(), [Note::ConflictingResets(Operation::Subtraction)]);
    }
}

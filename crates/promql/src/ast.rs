//! The syntax tree: what the parser makes, the checker types, the planner reads and the printer writes.

mod operators;

use crate::functions::Signature;
use longhaul_model::Matcher;
use std::fmt;

pub use crate::literal::Text;
pub use operators::{AggregateOp, BinaryOp, DurationOp, UnaryOp};

/// Where a node stands in the query text, bytes, half-open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// First byte after.
    pub end: u32,
}

/// An expression with its place in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
}

/// The kinds of expression.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// `1.5`, `0x10`, `Inf`
    Number(f64),
    /// `5m` where a number may stand: seconds. It differs from [`Number`](Self::Number) only when printed.
    Duration(f64),
    /// `"text"`, unescaped.
    String(Text),
    /// `(expr)`
    Paren(Box<Expr>),
    /// `-expr`, `+expr`
    Unary(UnaryOp, Box<Expr>),
    /// `lhs op rhs`
    Binary(Box<Binary>),
    /// `sum by (x) (expr)`
    Aggregate(Box<Aggregate>),
    /// `rate(expr)`
    Call(Call),
    /// `name{matchers} offset 5m @ 10`
    Vector(VectorSelector),
    /// `name{matchers}[5m] offset 5m @ 10`; offset and `@` stand in the selector.
    Matrix(MatrixSelector),
    /// `expr[5m:1m] offset 5m @ 10`
    Subquery(Box<Subquery>),
}

/// A binary expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Where the operator and its modifiers stand.
    pub op_span: Span,
    /// Left side.
    pub lhs: Expr,
    /// Right side.
    pub rhs: Expr,
    /// Whether `bool` was written.
    pub return_bool: bool,
    /// How series are paired; there exactly where both sides are vectors (defaults filled in by the parser).
    pub matching: Option<VectorMatching>,
}

/// `on|ignoring (labels) group_left|group_right (include)`
#[derive(Clone, Debug, PartialEq)]
pub struct VectorMatching {
    /// How many series of each side may pair.
    pub cardinality: Cardinality,
    /// Labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Whether `labels` came from `on`.
    pub on: bool,
    /// Labels taken over from the one-side.
    pub include: Vec<String>,
    /// `fill` and `fill_left`: the value that stands in for a missing series of the left side.
    pub fill_left: Option<f64>,
    /// `fill` and `fill_right`: the value that stands in for a missing series of the right side.
    pub fill_right: Option<f64>,
}

/// How many series of each side may pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cardinality {
    /// Arithmetic and comparison without a group modifier.
    OneToOne,
    /// `group_left`: many on the left.
    ManyToOne,
    /// `group_right`: many on the right.
    OneToMany,
    /// Set operators.
    ManyToMany,
}

/// An aggregation.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// The operator.
    pub op: AggregateOp,
    /// What is aggregated.
    pub expr: Expr,
    /// `k`, the quantile, or the label of `count_values`.
    pub param: Option<Expr>,
    /// Labels of `by` or `without`.
    pub grouping: Vec<String>,
    /// Whether `grouping` came from `without`.
    pub without: bool,
}

/// A function call; its arguments are checked against the signature.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which function.
    pub function: &'static Signature,
    /// The arguments as written; optional ones may be missing at the end.
    pub args: Vec<Expr>,
}

/// `name{matchers}` with its modifiers.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSelector {
    /// The metric name, if one was written before the braces; a quoted name in them is a matcher only.
    pub name: Option<String>,
    /// All matchers, the one for `name` included (last).
    pub matchers: Vec<Matcher>,
    /// `offset`, ms; positive looks back.
    pub offset_ms: i64,
    /// What `offset_ms` is computed from if it is more than a number; see [`durations::resolve`](crate::durations::resolve).
    pub offset_expr: Option<Box<DurationExpr>>,
    /// `@`
    pub at: Option<At>,
    /// `anchored` or `smoothed`; for a matrix selector they stand here too.
    pub extended: Option<Extended>,
}

/// How samples outside of a range take part in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extended {
    /// `anchored`: the last sample before the range counts as standing at its start.
    Anchored,
    /// `smoothed`: values at both edges are interpolated from the samples around them.
    Smoothed,
}

/// A selector with a range.
#[derive(Clone, Debug, PartialEq)]
pub struct MatrixSelector {
    /// The selector.
    pub selector: VectorSelector,
    /// Where the selector without its range stands.
    pub selector_span: Span,
    /// The range, ms.
    pub range_ms: i64,
    /// What `range_ms` is computed from if it is more than a number; see [`durations::resolve`](crate::durations::resolve).
    pub range_expr: Option<Box<DurationExpr>>,
}

/// A subquery.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// The range, ms.
    pub range_ms: i64,
    /// What `range_ms` is computed from if it is more than a number; see [`durations::resolve`](crate::durations::resolve).
    pub range_expr: Option<Box<DurationExpr>>,
    /// The step, ms; None: the default evaluation interval.
    pub step_ms: Option<i64>,
    /// What `step_ms` is computed from if it is more than a number; see [`durations::resolve`](crate::durations::resolve).
    pub step_expr: Option<Box<DurationExpr>>,
    /// `offset`, ms; positive looks back.
    pub offset_ms: i64,
    /// What `offset_ms` is computed from if it is more than a number; see [`durations::resolve`](crate::durations::resolve).
    pub offset_expr: Option<Box<DurationExpr>>,
    /// `@`
    pub at: Option<At>,
}

/// The `@` modifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// `@ 1609746000`, ms since the epoch.
    Time(i64),
    /// `@ start()`
    Start,
    /// `@ end()`
    End,
}

/// Arithmetic where a duration stands: `[5m * 2]`, `offset -step()`. It may depend on the query's step and range, so that
/// its value is known only when the query is run.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    /// What it is.
    pub kind: DurationKind,
    /// Where it stands, as Prometheus' errors have it: without parentheses around it, and `max_of(a, b)` from a to b.
    pub span: Span,
}

/// The kinds of duration expression.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    /// `5`, seconds.
    Number(f64),
    /// `5m`, in seconds.
    Duration(f64),
    /// `step()`: the query's step.
    Step,
    /// `range()`: the query's end minus its start.
    Range,
    /// `-expr`; `+expr` only directly after `offset`, before a call or a parenthesis.
    Unary(UnaryOp, Box<DurationExpr>),
    /// `(expr)`, which is never directly in another one.
    Paren(Box<DurationExpr>),
    /// `lhs op rhs`
    Binary(DurationOp, Box<(DurationExpr, DurationExpr)>),
    /// `min_of(lhs, rhs)`
    MinOf(Box<(DurationExpr, DurationExpr)>),
    /// `max_of(lhs, rhs)`
    MaxOf(Box<(DurationExpr, DurationExpr)>),
}

/// The types of PromQL's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ValueType {
    Scalar,
    Vector,
    Matrix,
    String,
}

impl Span {
    /// From the start of `self` to the end of `other`.
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: other.end }
    }
}

impl ValueType {
    /// As Prometheus' API and some of its error texts spell it; [`Display`](fmt::Display) is for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Vector => "vector",
            Self::Matrix => "matrix",
            Self::String => "string",
        }
    }
}

impl Expr {
    /// The type of the value that the expression yields.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) | ExprKind::Duration(_) => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => inner.value_type(),
            ExprKind::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
            ExprKind::Aggregate(_) | ExprKind::Vector(_) => ValueType::Vector,
            ExprKind::Call(call) => call.function.returns,
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => ValueType::Matrix,
        }
    }

    /// Calls `visit` with every expression directly below this one, as written from left to right, save that an
    /// aggregation's parameter comes after what it aggregates.
    pub fn for_each_child(&self, mut visit: impl FnMut(&Self)) {
        match &self.kind {
            ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) => {}
            ExprKind::Vector(_) | ExprKind::Matrix(_) => {}
            ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => visit(inner),
            ExprKind::Binary(binary) => {
                visit(&binary.lhs);
                visit(&binary.rhs);
            }
            ExprKind::Aggregate(aggregate) => {
                visit(&aggregate.expr);
                aggregate.param.iter().for_each(visit);
            }
            ExprKind::Call(call) => call.args.iter().for_each(visit),
            ExprKind::Subquery(subquery) => visit(&subquery.expr),
        }
    }

    /// [`for_each_child`](Self::for_each_child) for changing them; the first error ends it.
    pub fn try_for_each_child_mut<E>(&mut self, mut visit: impl FnMut(&mut Self) -> Result<(), E>) -> Result<(), E> {
        match &mut self.kind {
            ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) => Ok(()),
            ExprKind::Vector(_) | ExprKind::Matrix(_) => Ok(()),
            ExprKind::Paren(inner) | ExprKind::Unary(_, inner) => visit(inner),
            ExprKind::Binary(binary) => {
                visit(&mut binary.lhs)?;
                visit(&mut binary.rhs)
            }
            ExprKind::Aggregate(aggregate) => {
                visit(&mut aggregate.expr)?;
                aggregate.param.iter_mut().try_for_each(visit)
            }
            ExprKind::Call(call) => call.args.iter_mut().try_for_each(visit),
            ExprKind::Subquery(subquery) => visit(&mut subquery.expr),
        }
    }
}

/// As error texts spell it.
impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
            Self::String => "string",
        })
    }
}

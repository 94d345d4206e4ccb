//! The syntax tree: what the parser makes, the checker types, the planner reads and the printer writes.

use crate::functions::Signature;
use longhaul_model::Matcher;

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
    /// `1.5`, `0x10`, `Inf`, and durations in places where numbers may stand.
    Number(f64),
    /// `"text"`, unescaped.
    String(String),
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

/// The sign operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `+`
    Plus,
    /// `-`
    Minus,
}

/// The binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    Pow,
    Atan2,
    Eq,
    NotEq,
    Less,
    LessEq,
    Greater,
    GreaterEq,
    And,
    Or,
    Unless,
}

/// A binary expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// Left side.
    pub lhs: Expr,
    /// Right side.
    pub rhs: Expr,
    /// Whether `bool` was written.
    pub return_bool: bool,
    /// How series are paired, where both sides are vectors (defaults filled in by the parser).
    pub matching: Option<VectorMatching>,
}

/// `on|ignoring (labels) group_left|group_right (include)`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VectorMatching {
    /// How many series of each side may pair.
    pub cardinality: Cardinality,
    /// Labels of `on` or `ignoring`.
    pub labels: Vec<String>,
    /// Whether `labels` came from `on`.
    pub on: bool,
    /// Labels taken over from the one-side.
    pub include: Vec<String>,
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

/// The aggregation operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum AggregateOp {
    Sum,
    Min,
    Max,
    Avg,
    Count,
    Group,
    Stddev,
    Stdvar,
    TopK,
    BottomK,
    Quantile,
    CountValues,
    LimitK,
    LimitRatio,
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
    /// The metric name, if one was written before the braces (or as a quoted name in them).
    pub name: Option<String>,
    /// All matchers, the one for `name` included (last).
    pub matchers: Vec<Matcher>,
    /// `offset`, ms; positive looks back.
    pub offset_ms: i64,
    /// `@`
    pub at: Option<At>,
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
}

/// A subquery.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is evaluated.
    pub expr: Expr,
    /// The range, ms.
    pub range_ms: i64,
    /// The step, ms; None: the default evaluation interval.
    pub step_ms: Option<i64>,
    /// `offset`, ms; positive looks back.
    pub offset_ms: i64,
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

/// The types of PromQL's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ValueType {
    Scalar,
    Vector,
    Matrix,
    String,
}

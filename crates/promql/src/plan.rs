//! What will be done: every expression with the grid of times it is evaluated on, every selector with its window of time;
//! selectors that ask the same are fetched once, expressions that are the same at every step are evaluated once, arithmetic
//! between constants is done.
//!
//! A pure function of the tree and the request: `explain` shows it, the engine runs it.

mod info;
mod planner;
mod scope;
mod wanted;

pub use info::InfoSelector;
pub use planner::plan;
pub use scope::Scope;

use crate::ast::{AggregateOp, BinaryOp, Span, ValueType, VectorMatching};
use crate::engine::QueryError;
use crate::engine::points::Grid;
use crate::engine::window::Windows;
use crate::functions::Signature;
use crate::literal::Text;
use crate::source::LabelsWanted;
use longhaul_model::{METRIC_NAME, MatchOp, Matcher, TimeRange};
use std::sync::Arc;

/// What of a request the plan depends on.
#[derive(Clone, Copy, Debug)]
pub struct PlanRequest {
    /// The times of the query.
    pub grid: Grid,
    /// Its last time as asked for, ms (the grid may end before).
    pub end_ms: i64,
    /// Whether it is an instant query.
    pub instant: bool,
    /// How far an instant selector looks back, ms.
    pub lookback_ms: i64,
    /// The step of subqueries that name none, ms.
    pub subquery_step_ms: i64,
    /// Whether samples are to be counted as Prometheus counts them.
    pub counted: bool,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The whole expression.
    pub root: Arc<Node>,
    /// What is asked of the source.
    pub fetches: Vec<Fetch>,
    /// The longest grid in it.
    pub steps_max: usize,
    /// Whether it is an instant query's.
    pub instant: bool,
}

/// One question to the source.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Which series.
    pub matchers: Vec<Matcher>,
    /// The samples that matter.
    pub range: TimeRange,
    /// How many selectors of the query it serves.
    pub uses: usize,
    /// The labels that matter to them.
    pub labels: LabelsWanted,
    /// Whether only the newest sample in the range matters to them.
    pub newest_only: bool,
}

/// An expression with the times that it is evaluated at.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it does.
    pub kind: NodeKind,
    /// When.
    pub grid: Grid,
    /// What it yields.
    pub yields: ValueType,
    /// Where it stands in the text.
    pub span: Span,
    /// How the samples that it looks at count, if they do.
    pub scope: Option<Arc<Scope>>,
}

/// The kinds of node.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// The same number at every step.
    Number(f64),
    /// A text.
    Text(Text),
    /// `time()`
    Time,
    /// An instant selector, its windows as long as the lookback.
    Instant {
        /// Index of its [`Fetch`].
        fetch: usize,
        /// Where it looks.
        windows: Windows,
        /// What is asked of the samples: `timestamp` and `start_timestamp` look at more than values.
        answer: Answer,
        /// Whether of histograms only count and sum matter.
        stats_only: bool,
    },
    /// A range on its own: the result of an instant query.
    Range(RangeInput),
    /// A function over a range.
    OverRange {
        /// The function.
        function: &'static Signature,
        /// Its range.
        input: RangeInput,
        /// Where the range stands.
        input_span: Span,
        /// Its other arguments, in order.
        args: Vec<Arc<Node>>,
    },
    /// Any other function.
    Call {
        /// The function.
        function: &'static Signature,
        /// Its arguments.
        args: Vec<Arc<Node>>,
    },
    /// `info(vector, {matchers})`: what it asks the source for is known only when `input` is.
    Info {
        /// What is described.
        input: Arc<Node>,
        /// By what.
        selector: InfoSelector,
    },
    /// `-vector`
    Negate(Arc<Node>),
    /// `lhs op rhs`
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Left and right side.
        sides: [Arc<Node>; 2],
        /// Whether a comparison yields 0 and 1.
        return_bool: bool,
        /// How the series of two vectors pair.
        matching: Option<VectorMatching>,
    },
    /// An aggregation.
    Aggregate {
        /// The operator.
        op: AggregateOp,
        /// What is aggregated.
        input: Arc<Node>,
        /// The parameter.
        param: Option<Arc<Node>>,
        /// Labels of `by` or `without`.
        grouping: Vec<String>,
        /// Whether they came from `without`.
        without: bool,
    },
    /// Evaluated at one step, the same at all.
    Once(Arc<Node>),
}

/// What is asked of the sample that an instant selector finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its value.
    Value,
    /// When it was taken, seconds (`timestamp`).
    Time,
    /// Since when it counts, seconds; 0 if that is not known (`start_timestamp`).
    Start,
}

/// Where the samples of a range come from.
#[derive(Clone, Debug)]
pub enum RangeInput {
    /// A selector.
    Selector {
        /// Index of its [`Fetch`].
        fetch: usize,
        /// Where its windows lie.
        windows: Windows,
        /// Whether of histograms only count and sum matter.
        stats_only: bool,
    },
    /// A subquery: an expression on a grid of its own.
    Subquery {
        /// The expression.
        inner: Arc<Node>,
        /// Where the windows over its points lie.
        windows: Windows,
    },
}

impl Fetch {
    /// Whether every series of it has the same metric name.
    pub fn has_one_name(&self) -> bool {
        self.matchers.iter().any(|matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal)
    }
}

pub(crate) fn not_supported(what: &str) -> QueryError {
    QueryError::execution(format!("{what} not supported yet"))
}

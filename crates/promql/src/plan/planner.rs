//! From a syntax tree to a [`Plan`].

use crate::ast::{Aggregate, At, Binary, Call, Expr, ExprKind, Extended, Subquery, UnaryOp, ValueType, VectorSelector};
use crate::engine::QueryError;
use crate::engine::binary::{calculate, trims};
use crate::engine::extended;
use crate::engine::points::Grid;
use crate::engine::window::{Beyond, Windows};
use crate::functions::{Func, Signature};
use crate::plan::{Answer, Fetch, InfoSelector, Node, NodeKind, Plan, PlanRequest, RangeInput, Scope, info, wanted};
use crate::source::LabelsWanted;
use std::sync::Arc;

/// Makes the plan; durations of the tree are resolved.
pub fn plan(expr: &Expr, request: PlanRequest) -> Result<Plan, QueryError> {
    let scope = request.counted.then(|| Arc::new(Scope::of_query()));
    let mut planner =
        Planner { request, fetches: Vec::new(), steps_max: request.grid.steps, around: Around::default(), scope };
    let root = Arc::new(planner.node(expr, request.grid)?);
    wanted::note(&root, &mut planner.fetches);
    Ok(Plan { root, fetches: planner.fetches, steps_max: planner.steps_max, instant: request.instant })
}

struct Planner {
    request: PlanRequest,
    fetches: Vec<Fetch>,
    steps_max: usize,
    around: Around,
    /// How the samples of what is being planned count.
    scope: Option<Arc<Scope>>,
}

/// What the expressions around the one that is being planned ask of histograms.
#[derive(Clone, Copy, Debug, Default)]
struct Around {
    /// One asks for count or sum.
    stats: bool,
    /// One asks for buckets, which a subquery does: what it hands on has no hints of resets.
    buckets: bool,
}

impl Around {
    /// The same with `expr` around.
    fn inside(self, expr: &Expr) -> Self {
        match &expr.kind {
            ExprKind::Call(call) => match call.function.func {
                Func::HistogramCount | Func::HistogramSum | Func::HistogramAvg => Self { stats: true, ..self },
                Func::HistogramQuantile | Func::HistogramQuantiles | Func::HistogramFraction => {
                    Self { buckets: true, ..self }
                }
                _ => self,
            },
            ExprKind::Binary(binary) if trims(binary.op) => Self { buckets: true, ..self },
            ExprKind::Subquery(_) => Self { buckets: true, ..self },
            _ => self,
        }
    }

    fn stats_only(self) -> bool {
        self.stats && !self.buckets
    }
}

impl Planner {
    fn node(&mut self, expr: &Expr, grid: Grid) -> Result<Node, QueryError> {
        let around = self.around;
        self.around = around.inside(expr);
        let node = self.node_inside(expr, grid)?;
        self.around = around;
        Ok(node)
    }

    fn node_inside(&mut self, expr: &Expr, grid: Grid) -> Result<Node, QueryError> {
        let yields = expr.value_type();
        let constant = matches!(expr.kind, ExprKind::Number(_) | ExprKind::Duration(_)) || yields == ValueType::String;
        if grid.steps > 1 && !constant && yields != ValueType::Matrix && is_step_invariant(expr) {
            let inner = self.scoped(|scope| scope.once(&grid), |it| it.node(expr, Grid::instant(grid.start_ms)))?;
            let kind = match inner.kind {
                NodeKind::Number(number) => NodeKind::Number(number),
                _ => NodeKind::Once(Arc::new(inner)),
            };
            return Ok(Node { kind, grid, yields, span: expr.span, scope: self.scope.clone() });
        }
        let kind = match &expr.kind {
            ExprKind::Number(number) | ExprKind::Duration(number) => NodeKind::Number(*number),
            ExprKind::String(text) => NodeKind::Text(text.clone()),
            ExprKind::Paren(inner) | ExprKind::Unary(UnaryOp::Plus, inner) => return self.node(inner, grid),
            ExprKind::Unary(UnaryOp::Minus, inner) => match self.node(inner, grid)? {
                Node { kind: NodeKind::Number(number), .. } => NodeKind::Number(-number),
                inner => NodeKind::Negate(Arc::new(inner)),
            },
            ExprKind::Binary(binary) => self.binary(binary, grid)?,
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate, grid)?,
            ExprKind::Call(call) => self.call(call, grid)?,
            ExprKind::Vector(selector) => self.instant_selector(selector, grid, Answer::Value),
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => NodeKind::Range(self.range(expr, grid, true)?),
        };
        Ok(Node { kind, grid, yields, span: expr.span, scope: self.scope.clone() })
    }

    /// Plans something of another scope.
    fn scoped<T>(&mut self, scope: impl FnOnce(&Scope) -> Scope, work: impl FnOnce(&mut Self) -> T) -> T {
        let outer = self.scope.clone();
        self.scope = outer.as_deref().map(|outer| Arc::new(scope(outer)));
        let done = work(self);
        self.scope = outer;
        done
    }

    fn binary(&mut self, binary: &Binary, grid: Grid) -> Result<NodeKind, QueryError> {
        let sides = [self.node(&binary.lhs, grid)?, self.node(&binary.rhs, grid)?];
        if trims(binary.op) && sides.iter().all(|side| side.yields == ValueType::Scalar) {
            let text = format!("operator \"{}\" not allowed for Scalar operations", binary.op);
            return Err(QueryError::execution(text));
        }
        if let [NodeKind::Number(lhs), NodeKind::Number(rhs)] = sides.each_ref().map(|side| &side.kind) {
            return Ok(NodeKind::Number(calculate(binary.op, *lhs, *rhs)));
        }
        Ok(NodeKind::Binary {
            op: binary.op,
            sides: sides.map(Arc::new),
            return_bool: binary.return_bool,
            matching: binary.matching.clone(),
        })
    }

    fn aggregate(&mut self, aggregate: &Aggregate, grid: Grid) -> Result<NodeKind, QueryError> {
        let param = aggregate.param.as_ref().map(|param| self.node(param, grid)).transpose()?;
        Ok(NodeKind::Aggregate {
            op: aggregate.op,
            input: Arc::new(self.node(&aggregate.expr, grid)?),
            param: param.map(Arc::new),
            grouping: aggregate.grouping.clone(),
            without: aggregate.without,
        })
    }

    fn call(&mut self, call: &Call, grid: Grid) -> Result<NodeKind, QueryError> {
        let seconds = |ms: i64| NodeKind::Number(ms as f64 / 1000.0);
        let (start_ms, end_ms) = (self.request.grid.start_ms, self.request.end_ms);
        match call.function.func {
            Func::Time => return Ok(NodeKind::Time),
            Func::Pi => return Ok(NodeKind::Number(std::f64::consts::PI)),
            Func::Start => return Ok(seconds(start_ms)),
            Func::End => return Ok(seconds(end_ms)),
            Func::Range => return Ok(seconds(end_ms - start_ms)),
            Func::Step => return Ok(seconds(if self.request.instant { 0 } else { self.request.grid.step_ms })),
            func @ (Func::Timestamp | Func::StartTimestamp) => {
                if let Some(selector) = call.args.first().and_then(plain_selector) {
                    let answer = if func == Func::Timestamp { Answer::Time } else { Answer::Start };
                    return Ok(self.instant_selector(selector, grid, answer));
                }
            }
            Func::Info => return self.info(call, grid),
            _ => {}
        }
        let (mut input, mut args) = (None, Vec::with_capacity(call.args.len()));
        for arg in &call.args {
            if arg.value_type() == ValueType::Matrix {
                refuse_extended(call.function, arg)?;
                input = Some((self.range(arg, grid, false)?, without_parens(arg).span));
            } else {
                args.push(Arc::new(self.node(arg, grid)?));
            }
        }
        let function = call.function;
        Ok(match input {
            Some((input, input_span)) => NodeKind::OverRange { function, input, input_span, args },
            None => NodeKind::Call { function, args },
        })
    }

    fn instant_selector(&mut self, selector: &VectorSelector, grid: Grid, answer: Answer) -> NodeKind {
        let lookback_ms = self.request.lookback_ms;
        // What is not there yet counts too if values are smoothed; an anchor makes no difference at an instant.
        let smoothed = selector.extended == Some(Extended::Smoothed) && answer == Answer::Value;
        let beyond = smoothed.then_some(Beyond { extended: Extended::Smoothed, before_ms: 0, after_ms: lookback_ms });
        let windows = Windows { beyond, ..self.windows(grid, lookback_ms, selector.offset_ms, selector.at) };
        let stats_only = self.around.stats_only();
        NodeKind::Instant { fetch: self.fetch(selector, windows), windows, answer, stats_only }
    }

    fn info(&mut self, call: &Call, grid: Grid) -> Result<NodeKind, QueryError> {
        let (at, offset_ms) = info::reference(&call.args[0]).unwrap_or_default();
        let windows = self.windows(grid, self.request.lookback_ms, offset_ms, at);
        let matchers = match call.args.get(1).map(|arg| &arg.kind) {
            Some(ExprKind::Vector(selector)) => selector.matchers.as_slice(),
            _ => &[],
        };
        let selector = InfoSelector::new(matchers, windows);
        Ok(NodeKind::Info { input: Arc::new(self.node(&call.args[0], grid)?), selector })
    }

    /// `alone`: the range is the whole query.
    fn range(&mut self, expr: &Expr, grid: Grid, alone: bool) -> Result<RangeInput, QueryError> {
        match &expr.kind {
            ExprKind::Paren(inner) => self.range(inner, grid, alone),
            ExprKind::Matrix(matrix) => {
                let selector = &matrix.selector;
                let before_ms = self.request.lookback_ms;
                let beyond = selector.extended.map(|extended| {
                    let after_ms = if extended == Extended::Smoothed { before_ms } else { 0 };
                    Beyond { extended, before_ms, after_ms }
                });
                let windows = self.windows(grid, matrix.range_ms, selector.offset_ms, selector.at);
                let windows = Windows { beyond, ..windows };
                let stats_only = self.around.stats_only();
                Ok(RangeInput::Selector { fetch: self.fetch(selector, windows), windows, stats_only })
            }
            ExprKind::Subquery(subquery) => {
                let around = self.around;
                self.around = around.inside(expr);
                let input = self.subquery(subquery, grid, alone)?;
                self.around = around;
                Ok(input)
            }
            _ => Err(QueryError::BadData("expected a range vector".to_owned())),
        }
    }

    /// The inner grid lies on multiples of its step, whatever the query's times are.
    fn subquery(&mut self, subquery: &Subquery, grid: Grid, alone: bool) -> Result<RangeInput, QueryError> {
        let windows = self.windows(grid, subquery.range_ms, subquery.offset_ms, subquery.at);
        let step_ms = subquery.step_ms.unwrap_or(self.request.subquery_step_ms).max(1);
        let before_ms = windows.end_ms(0).saturating_sub(subquery.range_ms);
        let first_ms = before_ms.div_euclid(step_ms).saturating_add(1).saturating_mul(step_ms);
        let last_ms = windows.end_ms(grid.steps.saturating_sub(1));
        let inner_grid = Grid::new(first_ms, last_ms, step_ms);
        self.steps_max = self.steps_max.max(inner_grid.steps);
        let scope = |scope: &Scope| match alone {
            true => scope.subquery_alone(&inner_grid),
            false => scope.subquery(&windows, &inner_grid),
        };
        let inner = self.scoped(scope, |it| it.node(&subquery.expr, inner_grid))?;
        Ok(RangeInput::Subquery { inner: Arc::new(inner), windows })
    }

    fn windows(&self, grid: Grid, range_ms: i64, offset_ms: i64, at: Option<At>) -> Windows {
        let at_ms = at.map(|at| match at {
            At::Time(t_ms) => t_ms,
            At::Start => self.request.grid.start_ms,
            At::End => self.request.end_ms,
        });
        Windows { grid, range_ms, offset_ms, at_ms, beyond: None }
    }

    /// The fetch that serves a selector: one that asks the same of a time that touches, or a new one.
    fn fetch(&mut self, selector: &VectorSelector, windows: Windows) -> usize {
        let range = windows.reach();
        let same = |fetch: &Fetch| fetch.matchers == selector.matchers && fetch.range.overlaps(&range);
        if let Some(index) = self.fetches.iter().position(same) {
            let fetch = &mut self.fetches[index];
            fetch.range = fetch.range.hull(&range);
            fetch.uses += 1;
            return index;
        }
        let matchers = selector.matchers.clone();
        self.fetches.push(Fetch { matchers, range, uses: 1, labels: LabelsWanted::All, newest_only: false });
        self.fetches.len() - 1
    }
}

/// Few functions make sense of samples beside their range.
fn refuse_extended(function: &Signature, range: &Expr) -> Result<(), QueryError> {
    let matrix = match &range.kind {
        ExprKind::Paren(inner) => return refuse_extended(function, inner),
        ExprKind::Matrix(matrix) => matrix,
        _ => return Ok(()),
    };
    let Some(extended) = matrix.selector.extended else { return Ok(()) };
    let allowed = extended::functions(extended);
    if allowed.iter().any(|(_, func)| *func == function.func) {
        return Ok(());
    }
    let modifier = if extended == Extended::Anchored { "anchored" } else { "smoothed" };
    let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
    let text = format!("{modifier} modifier can only be used with: {} - not with {}", names.join(", "), function.name);
    Err(QueryError::Execution(text))
}

fn without_parens(expr: &Expr) -> &Expr {
    match &expr.kind {
        ExprKind::Paren(inner) => without_parens(inner),
        _ => expr,
    }
}

fn plain_selector(expr: &Expr) -> Option<&VectorSelector> {
    match &expr.kind {
        ExprKind::Paren(inner) => plain_selector(inner),
        ExprKind::Vector(selector) => Some(selector),
        _ => None,
    }
}

/// Whether the expression has the same value at every step: all its selectors are pinned by `@`, and no function of it
/// looks at the time of the step.
fn is_step_invariant(expr: &Expr) -> bool {
    let own = match &expr.kind {
        ExprKind::Vector(selector) => return selector.at.is_some(),
        ExprKind::Matrix(matrix) => return matrix.selector.at.is_some(),
        ExprKind::Subquery(subquery) => return subquery.at.is_some(),
        // The second argument of `info` is pinned by what pins the first.
        ExprKind::Call(call) if call.function.func == Func::Info => {
            let pinned = matches!(info::reference(&call.args[0]), Some((Some(_), _)));
            return pinned && is_step_invariant(&call.args[0]);
        }
        ExprKind::Call(call) => !looks_at_time(call.function.func),
        _ => true,
    };
    let mut all = own;
    expr.for_each_child(|child| all = all && is_step_invariant(child));
    all
}

fn looks_at_time(func: Func) -> bool {
    matches!(
        func,
        Func::Time
            | Func::Timestamp
            | Func::PredictLinear
            | Func::DayOfMonth
            | Func::DayOfWeek
            | Func::DayOfYear
            | Func::DaysInMonth
            | Func::Hour
            | Func::Minute
            | Func::Month
            | Func::Year
    )
}

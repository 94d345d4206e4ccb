//! Walks a plan: lines of stages where series stay by themselves, sinks where they come together.
//!
//! Every node is evaluated by a task of its own (`tasks.rs`); a parent waits for its children's answers. So no stack grows
//! with the depth of a query.

use crate::ast::{AggregateOp, Span, ValueType};
use crate::budget::{Budget, Held};
use crate::engine::absent::{self, Absent};
use crate::engine::aggregate::{Fold, Grouped};
use crate::engine::annotations::{Annotations, Note, NotesAt};
use crate::engine::ask::Answers;
use crate::engine::collide;
use crate::engine::dates::part_of_date;
use crate::engine::histogram_quantile::{BucketSeries, Buckets, Question};
use crate::engine::hold::{CountValues, Quantile};
use crate::engine::labels::{Grouping, is_label_name};
use crate::engine::matching::VectorOperator;
use crate::engine::pipe::{Pipe, is_stage, text, texts};
use crate::engine::points::{Presence, SeriesPoints};
use crate::engine::pool::Pool;
use crate::engine::results::{self, Accounted};
use crate::engine::select::Naming;
use crate::engine::sort;
use crate::engine::stage::{Line, repeat};
use crate::engine::stream::{Sink, drive};
use crate::engine::tally::{Counts, Tally};
use crate::engine::tasks::{Answer, Tasks};
use crate::engine::topk::Choice;
use crate::engine::vector::Vector;
use crate::engine::{EngineSettings, QueryError, math};
use crate::functions::{Func, Signature};
use crate::plan::{Node, NodeKind, Plan, RangeInput, not_supported};
use crate::source::SeriesSource;
use crate::value::{Histograms, Points, RangeSeries, Value};
use longhaul_model::Labels;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One query under way.
pub struct Run {
    pub(super) source: Arc<dyn SeriesSource>,
    pub(super) plan: Arc<Plan>,
    pub(super) answers: Answers,
    pool: Arc<Pool>,
    pub(super) budget: Budget,
    pub(super) notes: Arc<Annotations>,
    pub(super) delayed: bool,
    pub(super) typed: bool,
    starts: bool,
    counts: Option<Arc<Counts>>,
    sort_ns: AtomicU64,
    /// Accounts for the columns of scalars, of which many nodes have a share, as long as the query runs.
    pub(super) scalars_held: Mutex<Held>,
    tasks: Tasks,
}

impl Run {
    /// A query with nothing done yet.
    pub fn new(
        source: Arc<dyn SeriesSource>,
        plan: Arc<Plan>,
        settings: &EngineSettings,
        pool: Arc<Pool>,
        budget: Budget,
        counts: Option<Arc<Counts>>,
        tasks: Tasks,
    ) -> Self {
        let scalars_held = budget.nothing_held();
        Self {
            source,
            answers: Answers::new(plan.fetches.len()),
            pool,
            budget,
            notes: Arc::default(),
            delayed: settings.delayed_name_removal,
            typed: settings.type_and_unit_labels,
            starts: settings.use_start_timestamps,
            counts,
            sort_ns: AtomicU64::new(0),
            scalars_held: Mutex::new(scalars_held),
            plan,
            tasks,
        }
    }

    /// The warnings and infos so far.
    pub fn notes(&self) -> &Annotations {
        &self.notes
    }

    /// How long it took to bring the result into its order and form, ns.
    pub fn sort_ns(&self) -> u64 {
        self.sort_ns.load(Ordering::Relaxed)
    }

    /// Counts what a node looks at, if anyone asks. `reads`: it looks at samples, not at the points of a subquery.
    pub(super) fn tally(&self, node: &Node, reads: bool) -> Option<Tally> {
        Some(Tally::new(node.scope.as_ref()?, self.counts.as_ref()?, reads))
    }

    /// Evaluates the whole plan.
    pub async fn result(self: Arc<Self>, instant: bool) -> Result<Accounted, QueryError> {
        let node = &self.plan.root;
        let grid = node.grid;
        let small = |value| Ok(Accounted { value, held: self.budget.nothing_held() });
        match (node.yields, &node.kind) {
            (ValueType::Matrix, NodeKind::Range(input)) => self.matrix(input).await,
            (ValueType::String, NodeKind::Text(text)) => {
                small(Value::String { t_ms: grid.start_ms, value: text.as_str().to_owned() })
            }
            (ValueType::Scalar, _) => {
                let values = self.scalar(node).await?;
                if instant {
                    return small(Value::Scalar { t_ms: grid.start_ms, value: values[0] });
                }
                let points = Points { t_ms: grid.times().collect(), values: values.to_vec() };
                let histograms = Histograms::default();
                small(Value::Matrix(vec![RangeSeries { labels: Labels::empty(), points, histograms }]))
            }
            (ValueType::Vector, _) => {
                let vector = self.vector(node).await?;
                let run = Arc::clone(&self);
                self.on_pool(move || run.timed(|| results::finish(vector, run.delayed, instant, &grid))).await?
            }
            _ => Err(QueryError::execution("an expression of an unexpected type")),
        }
    }

    /// Does the last step, and notes how long it takes.
    fn timed<T>(&self, last: impl FnOnce() -> T) -> T {
        let begun_ns = self.budget.now_ns();
        let done = last();
        self.sort_ns.store(self.budget.now_ns().saturating_sub(begun_ns), Ordering::Relaxed);
        done
    }

    /// The raw samples of a range, or the points of a subquery.
    async fn matrix(self: &Arc<Self>, input: &RangeInput) -> Result<Accounted, QueryError> {
        match input {
            RangeInput::Selector { fetch, windows, .. } => {
                let (shared, windows, budget) = (self.shared(*fetch).await?, *windows, self.budget.clone());
                let tally = self.tally(&self.plan.root, true);
                self.on_pool(move || results::raw(&shared.series, &windows, &budget, tally.as_ref())).await?
            }
            RangeInput::Subquery { inner, .. } => {
                let (vector, grid) = (self.vector(inner).await?, inner.grid);
                let run = Arc::clone(self);
                self.on_pool(move || run.timed(|| results::finish(vector, true, false, &grid))).await?
            }
        }
    }

    pub(super) async fn on_pool<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, QueryError> {
        self.budget.check()?;
        let done = self.pool.run(job).await;
        done.ok_or_else(|| QueryError::execution("unexpected error: an operator panicked"))
    }

    /// One value a step.
    pub(super) fn scalar(self: &Arc<Self>, node: &Arc<Node>) -> Answer<Arc<[f64]>> {
        self.tasks.spawn(Arc::clone(self).scalar_task(Arc::clone(node)))
    }

    /// All series of an instant vector over its grid.
    pub(super) fn vector(self: &Arc<Self>, node: &Arc<Node>) -> Answer<Vector> {
        self.tasks.spawn(Arc::clone(self).vector_task(Arc::clone(node)))
    }

    /// The line that yields a vector's series one by one.
    pub(super) fn pipe(self: &Arc<Self>, node: &Arc<Node>) -> Answer<Pipe> {
        self.tasks.spawn(Arc::clone(self).pipe_task(Arc::clone(node)))
    }

    async fn vector_task(self: Arc<Self>, node: Arc<Node>) -> Result<Vector, QueryError> {
        let grid = node.grid;
        self.budget.check()?;
        if grid.steps == 0 {
            return self.held(Vec::new());
        }
        match &node.kind {
            NodeKind::Once(inner) => {
                let (once, mut all) = (self.vector(inner).await?, Vector::new(&self.budget));
                let repeated =
                    move || once.series.into_iter().try_for_each(|one| all.push(repeat(one, &grid))).map(|()| all);
                self.on_pool(repeated).await?
            }
            NodeKind::Aggregate { op, input, param, grouping, without } => {
                let grouping = if *without { Grouping::without(grouping) } else { Grouping::by(grouping) };
                self.aggregate(*op, input, param.as_ref(), grouping, node.span).await
            }
            NodeKind::Binary { op, sides, return_bool, matching: Some(matching) } => {
                let operator = VectorOperator {
                    op: *op,
                    return_bool: *return_bool,
                    matching: matching.clone(),
                    delayed: self.delayed,
                    steps: grid.steps,
                    notes: self.notes_at(node.span),
                };
                let (lhs, rhs) = futures::join!(self.vector(&sides[0]), self.vector(&sides[1]));
                let (lhs, rhs) = (lhs?, rhs?);
                self.on_pool(move || operator.apply(lhs, rhs)).await?
            }
            NodeKind::Call { function, args } => match self.call(function, args, &node).await? {
                Some(vector) => Ok(vector),
                None => self.collect(self.pipe(&node).await?).await,
            },
            NodeKind::OverRange { function, input, input_span, args } if function.func == Func::AbsentOverTime => {
                let labels = match input {
                    RangeInput::Selector { fetch, .. } => absent::labels_of(&self.plan.fetches[*fetch].matchers),
                    RangeInput::Subquery { .. } => Labels::empty(),
                };
                let present = self.over_range(function.func, input, *input_span, args, &node).await?;
                let there = self.drive(present, |series| series.there().into_owned(), Absent::new(grid.steps));
                self.held(there.await?.finish(labels))
            }
            NodeKind::Info { input, selector } => self.info(input, selector, self.tally(&node, true)).await,
            NodeKind::Instant { .. }
            | NodeKind::OverRange { .. }
            | NodeKind::Negate(_)
            | NodeKind::Binary { matching: None, .. } => self.collect(self.pipe(&node).await?).await,
            other => Err(QueryError::execution(format!("unexpected vector expression {other:?}"))),
        }
    }

    /// A vector of few series.
    pub(super) fn held(&self, series: Vec<SeriesPoints>) -> Result<Vector, QueryError> {
        let mut vector = Vector::new(&self.budget);
        series.into_iter().try_for_each(|series| vector.push(series))?;
        Ok(vector)
    }

    /// Functions that need more than one series at a time. None: `func` is a stage.
    async fn call(
        self: &Arc<Self>,
        function: &Signature,
        args: &[Arc<Node>],
        node: &Node,
    ) -> Result<Option<Vector>, QueryError> {
        let (func, grid, steps) = (function.func, node.grid, node.grid.steps);
        Ok(Some(match func {
            Func::Vector => {
                let values = self.scalar(&args[0]).await?.to_vec();
                self.held(vec![SeriesPoints::new(Labels::empty(), values, Presence::all(steps))])?
            }
            Func::Absent => {
                let labels = match &args[0].kind {
                    NodeKind::Instant { fetch, .. } => absent::labels_of(&self.plan.fetches[*fetch].matchers),
                    _ => Labels::empty(),
                };
                let there =
                    self.drive(self.pipe(&args[0]).await?, |series| series.there().into_owned(), Absent::new(steps));
                self.held(there.await?.finish(labels))?
            }
            Func::Sort | Func::SortDesc | Func::SortByLabel | Func::SortByLabelDesc => {
                let (vector, names) = (self.vector(&args[0]).await?, texts(&args[1..]));
                if self.plan.instant {
                    self.on_pool(move || sort::sorted(func, &names, vector)).await??
                } else {
                    self.notes.add(node.span, Note::SortInRangeQuery);
                    sort::sortable(func, vector)
                }
            }
            Func::HistogramQuantile => {
                let q = self.quantiles(&args[0]).await?;
                self.histogram(&args[1], Question::quantile(q, self.budget.nothing_held())).await?
            }
            Func::HistogramQuantiles => {
                let mut all = Vec::with_capacity(args.len() - 2);
                for arg in &args[2..] {
                    all.push(self.quantiles(arg).await?);
                }
                let (label, held) = (text(&args[1]).to_owned(), self.budget.nothing_held());
                let question = self.on_pool(move || Question::quantiles(&label, &all, held)).await??;
                self.histogram(&args[0], question).await?
            }
            Func::HistogramFraction => {
                let (lower, upper) = (self.scalar(&args[0]).await?, self.scalar(&args[1]).await?);
                self.histogram(&args[2], Question::fraction(lower, upper, self.budget.nothing_held())).await?
            }
            Func::StartTimestamp => {
                // Only samples have a start; what comes of an operation is none. Its warnings and errors count.
                self.vector(&args[0]).await?;
                self.held(Vec::new())?
            }
            _ if args.is_empty() => match part_of_date(func) {
                Some(part) => {
                    let values = grid.times().map(|t_ms| part(t_ms as f64 / 1000.0)).collect();
                    self.held(vec![SeriesPoints::new(Labels::empty(), values, Presence::all(steps))])?
                }
                None => return Err(not_supported(function.name)),
            },
            _ if is_stage(func) => return Ok(None),
            _ => return Err(not_supported(function.name)),
        }))
    }

    /// A parameter that should be a quantile.
    async fn quantiles(self: &Arc<Self>, node: &Arc<Node>) -> Result<Arc<[f64]>, QueryError> {
        let q = self.scalar(node).await?;
        self.note_quantiles(&q, node.span);
        Ok(q)
    }

    fn note_quantiles(&self, q: &[f64], span: Span) {
        for q in q.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
            self.notes.add(span, Note::InvalidQuantile(*q));
        }
    }

    async fn histogram(self: &Arc<Self>, input: &Arc<Node>, question: Question) -> Result<Vector, QueryError> {
        let (question, grid) = (Arc::new(question), input.grid);
        let pipe = self.pipe(input).await?;
        let naming = Naming { delayed: self.delayed, one_name: pipe.one_name };
        let buckets = Buckets::new(self.budget.nothing_held(), self.notes_at(input.span), naming);
        let (asked, budget) = (Arc::clone(&question), self.budget.clone());
        let buckets = self.drive(pipe, move |series| BucketSeries::new(series, &asked, &budget), buckets).await?;
        self.on_pool(move || collide::merge_marked(buckets.finish(&question, &grid)?)).await?
    }

    async fn aggregate(
        self: &Arc<Self>,
        op: AggregateOp,
        input: &Arc<Node>,
        param: Option<&Arc<Node>>,
        grouping: Grouping,
        span: Span,
    ) -> Result<Vector, QueryError> {
        let steps = input.grid.steps;
        let number = match param {
            Some(param) if param.yields == ValueType::Scalar => self.scalar(param).await?,
            _ => Arc::from([]),
        };
        let pipe = self.pipe(input).await?;
        let (held, notes) = (self.budget.nothing_held(), self.notes_at(input.span));
        let grouping = Arc::new(grouping);
        let by = Arc::clone(&grouping);
        let group = move |series| Grouped::new(series, &by);
        match op {
            AggregateOp::TopK | AggregateOp::BottomK | AggregateOp::LimitK | AggregateOp::LimitRatio => {
                if op == AggregateOp::LimitRatio {
                    let at = param.map_or(input.span, |param| param.span);
                    for ratio in beyond(&number, -1.0, 1.0) {
                        self.notes.add(at, Note::InvalidRatio(ratio, ratio.signum()));
                    }
                }
                let choice = Choice::new(op, number, held, self.notes_at(span))?;
                let choice = self.drive(pipe, group, choice).await?;
                self.on_pool(move || collide::merge_marked(choice.finish(steps)?)).await?
            }
            AggregateOp::Quantile => {
                let nan = number.iter().copied().find(|q| q.is_nan());
                let told: Vec<f64> = nan.into_iter().chain(beyond(&number, 0.0, 1.0)).collect();
                self.note_quantiles(&told, param.map_or(input.span, |param| param.span));
                let values = self.drive(pipe, group, Quantile::new(held, notes)).await?;
                self.on_pool(move || values.finish(&number)).await?
            }
            AggregateOp::CountValues => {
                let Some(NodeKind::Text(label)) = param.map(|param| &param.kind) else {
                    return Err(QueryError::execution("count_values without a label"));
                };
                if !is_label_name(label.as_str()) {
                    return Err(QueryError::execution(format!("invalid label name {label}")));
                }
                let label = label.as_str();
                let counts = CountValues::new(label, Arc::new(grouping.with(label)), held);
                let counts = self.drive(pipe, |series| series, counts).await?;
                self.on_pool(move || counts.finish()).await?
            }
            _ => {
                let fold = self.drive(pipe, group, Fold::new(op, steps, held, notes)).await?;
                self.on_pool(move || fold.finish()).await?
            }
        }
    }

    /// For notes about the expression at `span`.
    pub(super) fn notes_at(&self, span: Span) -> NotesAt {
        NotesAt::new(&self.notes, span)
    }

    pub(super) async fn collect(&self, pipe: Pipe) -> Result<Vector, QueryError> {
        let collected = self.drive(pipe, |series| series, Vector::new(&self.budget)).await?;
        self.on_pool(move || collide::merge_marked(collected)).await?
    }

    pub(super) async fn drive<S: Sink>(
        &self,
        pipe: Pipe,
        prepare: impl Fn(SeriesPoints) -> S::Item + Send + Sync + 'static,
        sink: S,
    ) -> Result<S, QueryError> {
        let line = Line {
            decode: pipe.decode,
            stages: pipe.stages,
            starts: self.starts,
            budget: self.budget.clone(),
            notes: Arc::clone(&self.notes),
        };
        drive(&self.pool, pipe.feed, line, pipe.steps, prepare, sink).await
    }
}

/// The value of a parameter that lies farthest below `lowest` and the one that lies farthest above `highest`: of those that
/// should not be, these are told.
fn beyond(values: &[f64], lowest: f64, highest: f64) -> impl Iterator<Item = f64> {
    let (min, max) = math::extent(values);
    [(min < lowest).then_some(min), (max > highest).then_some(max)].into_iter().flatten()
}

//! The engine: runs queries against a [`SeriesSource`].
//!
//! [`Engine::run`] is the way of a query: parse, resolve durations, plan (`crate::plan`), evaluate, render. Evaluation
//! (`evaluate.rs`) walks the plan. What concerns one series alone is a [stage](stage) of a line that batches of series run
//! through on the CPU pool (`stream.rs`); at a line's end stands a sink: an aggregation, or a list for operators that
//! need several series at once. Points are columns over all steps (`points.rs`).
//!
//! Invariant: the bits of a result depend on the data and the request only, not on threads or batches.

mod absent;
mod aggregate;
mod annotations;
mod ask;
pub(crate) mod binary;
mod classic_buckets;
mod collide;
mod dates;
mod error;
mod evaluate;
pub(crate) mod extended;
mod extended_histogram;
mod extrapolate;
mod histogram_binary;
mod histogram_fold;
pub mod histogram_points;
mod histogram_quantile;
mod histogram_range;
mod histogram_rate;
mod histogram_stats;
mod hold;
mod info;
mod labels;
mod matching;
mod math;
mod native_quantile;
mod note;
mod order;
mod ordered_window;
mod over_time;
mod pairs;
pub(crate) mod pipe;
pub mod points;
mod pool;
mod range_functions;
mod results;
mod scalar;
mod select;
mod sort;
mod stage;
mod starts;
mod stream;
mod tally;
mod tasks;
#[cfg(test)]
mod tests;
mod topk;
mod vector;
pub mod window;

pub use error::QueryError;

use crate::ast::{Expr, ValueType};
use crate::budget::{Budget, Limit};
use crate::durations;
use crate::plan::{Plan, PlanRequest, plan};
use crate::source::SeriesSource;
use crate::value::{Phases, QueryResult, QueryStats};
use crate::{ParseOptions, parse};
use points::Grid;
use pool::Pool;
use results::Accounted;
use std::sync::Arc;
use tally::Counts;

/// How an engine works.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Threads that evaluate; the results are the same for any number.
    pub threads: usize,
    /// Whether names are dropped at the end of a query instead of at each operation (Prometheus' feature flag
    /// `promql-delayed-name-removal`, off there by default).
    pub delayed_name_removal: bool,
    /// Whether `rate` and its kin go by start timestamps where samples have them (Prometheus' feature flag
    /// `use-start-timestamps`).
    pub use_start_timestamps: bool,
    /// Whether series say in `__type__` what they are, so that a rate of something else than a counter is told by that and
    /// not by its name (Prometheus' feature flag `type-and-unit-labels`).
    pub type_and_unit_labels: bool,
    /// The most steps of a query or subquery: a column of that many values must be nothing to the process.
    pub steps_max: usize,
    /// What query texts may contain.
    pub parse: ParseOptions,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            threads: 2,
            delayed_name_removal: false,
            use_start_timestamps: true,
            type_and_unit_labels: false,
            steps_max: 2_000_000,
            parse: ParseOptions::default(),
        }
    }
}

/// A query to run.
#[derive(Clone, Debug)]
pub struct QueryRequest {
    /// The query. Places in warnings refer to this text.
    pub text: Arc<str>,
    /// The parsed text, if whoever asks has it; else the engine parses.
    pub expr: Option<Arc<Expr>>,
    /// The first time, ms.
    pub start_ms: i64,
    /// The last time, ms, inclusive; equal to `start_ms` in an instant query.
    pub end_ms: i64,
    /// Between two times, ms; 0: an instant query at `start_ms`.
    pub step_ms: i64,
    /// How far back a sample may lie to answer for a time, ms.
    pub lookback_ms: i64,
    /// The step of subqueries that name none, ms.
    pub default_subquery_step_ms: i64,
    /// Whether its samples are to be counted as Prometheus counts them.
    pub count_samples: CountSamples,
}

/// How a query's samples are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CountSamples {
    /// Not as Prometheus counts them.
    #[default]
    No,
    /// All together.
    InTotal,
    /// All together, and step by step.
    PerStep,
}

impl QueryRequest {
    /// An instant query with Prometheus' defaults.
    pub fn instant(text: &str, at_ms: i64) -> Self {
        Self::range(text, at_ms, at_ms, 0)
    }

    /// A range query with Prometheus' defaults.
    pub fn range(text: &str, start_ms: i64, end_ms: i64, step_ms: i64) -> Self {
        Self {
            text: Arc::from(text),
            expr: None,
            start_ms,
            end_ms,
            step_ms,
            lookback_ms: 300_000,
            default_subquery_step_ms: 60_000,
            count_samples: CountSamples::No,
        }
    }

    /// Whether it asks for one instant.
    pub fn is_instant(&self) -> bool {
        self.step_ms <= 0
    }
}

/// Runs queries. One engine serves all tenants; it owns the CPU pool.
#[derive(Debug)]
pub struct Engine {
    settings: EngineSettings,
    pool: Arc<Pool>,
}

impl Engine {
    /// An engine with its threads.
    pub fn new(settings: EngineSettings) -> Self {
        let pool = Arc::new(Pool::new(settings.threads));
        Self { settings, pool }
    }

    /// How it works.
    pub fn settings(&self) -> &EngineSettings {
        &self.settings
    }

    /// Parses and plans without running: what the query would fetch and do.
    pub fn explain(&self, request: &QueryRequest) -> Result<Plan, QueryError> {
        let mut expr = match &request.expr {
            Some(expr) => Expr::clone(expr),
            None => {
                parse(&request.text, &self.settings.parse).map_err(|error| QueryError::BadData(error.to_string()))?
            }
        };
        let range_ms = request.end_ms.saturating_sub(request.start_ms);
        durations::resolve(&mut expr, request.step_ms.max(0), range_ms)
            .map_err(|error| QueryError::BadData(error.to_string()))?;
        let grid = match request.is_instant() {
            true => Grid::instant(request.start_ms),
            false => Grid::new(request.start_ms, request.end_ms, request.step_ms),
        };
        if !request.is_instant() && matches!(expr.value_type(), ValueType::Matrix | ValueType::String) {
            return Err(QueryError::BadData(format!(
                "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
                expr.value_type()
            )));
        }
        let plan = plan(
            &expr,
            PlanRequest {
                grid,
                end_ms: if request.is_instant() { request.start_ms } else { request.end_ms },
                instant: request.is_instant(),
                lookback_ms: request.lookback_ms,
                subquery_step_ms: request.default_subquery_step_ms,
                counted: request.count_samples != CountSamples::No,
            },
        )?;
        if plan.steps_max > self.settings.steps_max {
            return Err(QueryError::Limit {
                limit: Limit::Steps,
                asked: plan.steps_max as u64,
                allowed: self.settings.steps_max as u64,
            });
        }
        Ok(plan)
    }

    /// Runs a query. Dropping the future ends it: work that was handed to threads looks whether it is still wanted every
    /// so often.
    pub async fn run(
        &self,
        source: Arc<dyn SeriesSource>,
        request: &QueryRequest,
        budget: &Budget,
    ) -> Result<QueryResult, QueryError> {
        let (budget, _stop) = budget.for_run();
        let begun_ns = budget.now_ns();
        let plan = Arc::new(self.explain(request)?);
        let planned_ns = budget.now_ns();
        let counts = Counts::new(plan.root.grid, request.count_samples);
        let (tasks, spawned) = tasks::tasks();
        let pool = Arc::clone(&self.pool);
        let run = evaluate::Run::new(source, plan, &self.settings, pool, budget.clone(), counts.clone(), tasks);
        let run = Arc::new(run);
        let Accounted { value, held } = spawned.run(Arc::clone(&run).result(request.is_instant())).await?;
        let (warnings, infos) = run.notes().render(&request.text);
        let sort_ns = run.sort_ns();
        let phases = Phases {
            plan_ns: planned_ns.saturating_sub(begun_ns),
            evaluate_ns: budget.now_ns().saturating_sub(planned_ns).saturating_sub(sort_ns),
            sort_ns,
        };
        let stats = QueryStats { phases, counted: counts.map(|counts| counts.figures()), ..budget.stats() };
        Ok(QueryResult { value, warnings, infos, stats, held })
    }
}

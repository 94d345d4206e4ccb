//! `query` and `query_range`: parse the parameters, run the query, render its answer.

use crate::app::{App, AppState};
use crate::http::allowance::Allowance;
use crate::http::auth::Tenant;
use crate::http::error::ApiError;
use crate::http::expression;
use crate::http::json::{self, Notes, Timings};
use crate::http::params::{DurationNs, Params};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use longhaul_model::TenantId;
use longhaul_promql::engine::CountSamples;
use longhaul_promql::{Budget, QueryRequest, QueryResult, Value};
use std::sync::Arc;

pub(crate) fn routes() -> Router<AppState> {
    Router::new().route("/query", get(query).post(query)).route("/query_range", get(query_range).post(query_range))
}

/// Steps of a range query, the first one not counted: a screen has fewer pixels. Prometheus' number.
const STEPS_MAX: i128 = 11_000;

/// The step of subqueries that name none: Prometheus' default evaluation interval.
const SUBQUERY_STEP_MS: i64 = 60_000;

/// A query as the client asks for it.
struct Asked {
    request: QueryRequest,
    /// Series of the answer.
    limit: Option<usize>,
    /// What the client is willing to wait; None: what the server allows.
    timeout: Option<DurationNs>,
    stats: Stats,
}

/// What `stats` asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stats {
    None,
    /// `true`
    Asked,
    /// `all`: step by step too.
    All,
    /// Anything else counts as `true`; Prometheus means to refuse it some day.
    Deprecated(String),
}

async fn query(State(app): State<AppState>, Tenant(tenant): Tenant, params: Params) -> Result<Response, ApiError> {
    Asked::instant(&params, &app)?.answer(&app, &tenant).await
}

async fn query_range(
    State(app): State<AppState>,
    Tenant(tenant): Tenant,
    params: Params,
) -> Result<Response, ApiError> {
    Asked::range(&params, &app)?.answer(&app, &tenant).await
}

impl Asked {
    /// The parameters in the order in which Prometheus looks at them: the first wrong one is reported.
    fn instant(params: &Params, app: &App) -> Result<Self, ApiError> {
        let limit = params.limit()?;
        let t_ms = params.optional_time_ms("time")?.unwrap_or_else(|| app.clock.now_ms());
        Self::over(params, app, limit, (t_ms, t_ms, 0))
    }

    fn range(params: &Params, app: &App) -> Result<Self, ApiError> {
        let limit = params.limit()?;
        let (start_ms, end_ms) = (params.time_ms("start")?, params.time_ms("end")?);
        if end_ms < start_ms {
            return Err(ApiError::invalid_parameter("end", "end timestamp must not be before start time"));
        }
        let step = params.duration("step")?;
        if step.whole_ms() <= 0 {
            let reason = "zero or negative query resolution step widths are not accepted. Try a positive integer";
            return Err(ApiError::invalid_parameter("step", reason));
        }
        if (i128::from(end_ms) - i128::from(start_ms)) * 1_000_000 / i128::from(step.0) > STEPS_MAX {
            return Err(ApiError::bad_data(
                "exceeded maximum resolution of 11,000 points per timeseries. \
                 Try decreasing the query resolution (?step=XX)",
            ));
        }
        Self::over(params, app, limit, (start_ms, end_ms, step.whole_ms()))
    }

    /// What instant and range queries have in common, over `(start_ms, end_ms, step_ms)`.
    fn over(params: &Params, app: &App, limit: Option<usize>, grid: (i64, i64, i64)) -> Result<Self, ApiError> {
        let timeout = params.get("timeout").map(|_| params.duration("timeout")).transpose()?;
        let lookback_ms = lookback_ms(params)?.unwrap_or(app.config.query.lookback.ms);
        let expr = Arc::new(expression::of(params)?);
        let text = Arc::from(params.get("query").unwrap_or_default());
        let ((start_ms, end_ms, step_ms), stats) = (grid, Stats::of(params));
        let request = QueryRequest {
            text,
            expr: Some(expr),
            start_ms,
            end_ms,
            step_ms,
            lookback_ms,
            default_subquery_step_ms: SUBQUERY_STEP_MS,
            count_samples: stats.counting(),
        };
        Ok(Self { request, limit, timeout, stats })
    }

    /// Waits for a slot, pins the data, evaluates, renders.
    async fn answer(self, app: &App, tenant: &TenantId) -> Result<Response, ApiError> {
        let allowance = Allowance::new(app, self.timeout);
        let evaluated = evaluate(app, tenant, &self.request, &allowance.budget);
        let (result, timings) = allowance.within("query execution", evaluated).await?;

        let QueryResult { mut value, warnings, infos, stats, held } = result;
        let mut notes = Notes { warnings, infos };
        match &mut value {
            Value::Vector(samples) => notes.truncate(samples, self.limit),
            Value::Matrix(series) => notes.truncate(series, self.limit),
            Value::Scalar { .. } | Value::String { .. } => {}
        }
        notes.warnings.splice(0..0, self.stats.warning());
        Ok(json::query_answer(value, held, &notes, (self.stats != Stats::None).then_some((timings, stats))))
    }
}

async fn evaluate(
    app: &App,
    tenant: &TenantId,
    request: &QueryRequest,
    budget: &Budget,
) -> Result<(QueryResult, Timings), ApiError> {
    let now_ns = || app.clock.monotonic_ns();
    let asked_ns = now_ns();
    let slot = app.query_slot().await?;
    let admitted_ns = now_ns();
    let source = app.source(tenant, slot).await?;
    let pinned_ns = now_ns();
    let result = app.engine.run(Arc::new(source), request, budget).await?;
    let timings = Timings {
        queue_ns: admitted_ns - asked_ns,
        preparation_ns: pinned_ns - admitted_ns,
        evaluation_ns: now_ns() - pinned_ns,
    };
    Ok((result, timings))
}

/// How far back an instant selector looks; None: as far as it does by default.
fn lookback_ms(params: &Params) -> Result<Option<i64>, ApiError> {
    let Some(text) = params.get("lookback_delta") else { return Ok(None) };
    let wrong = |error| ApiError::bad_data(format!("error parsing lookback delta duration: {error}"));
    let lookback = DurationNs::parse(text).map_err(wrong)?;
    Ok(Some(lookback.whole_ms()).filter(|&lookback_ms| lookback_ms > 0))
}

impl Stats {
    fn of(params: &Params) -> Self {
        match params.get("stats") {
            None => Self::None,
            Some("true") => Self::Asked,
            Some("all") => Self::All,
            Some(other) => Self::Deprecated(other.to_owned()),
        }
    }

    fn counting(&self) -> CountSamples {
        match self {
            Self::None => CountSamples::No,
            Self::Asked | Self::Deprecated(_) => CountSamples::InTotal,
            Self::All => CountSamples::PerStep,
        }
    }

    fn warning(&self) -> Option<String> {
        let Self::Deprecated(value) = self else { return None };
        Some(format!(
            "value {value:?} for parameter \"stats\" is deprecated and will be rejected in the next major release, \
             use \"true\" or \"all\""
        ))
    }
}

//! Queries: what is printed parses to the same, a small budget holds, an instant query is one step of a range query.

use crate::script;
use crate::storage::{MemoryStorage, Storage};
use futures::executor::block_on;
use longhaul_model::ManualClock;
use longhaul_promql::source::SeriesSource;
use longhaul_promql::value::{RangeSeries, SampleValue};
use longhaul_promql::{
    Budget, BudgetLimits, CancelFlag, Engine, EngineSettings, ParseOptions, QueryError, QueryRequest, QueryResult,
    Value, parse, pretty,
};
use std::sync::{Arc, LazyLock};

/// What the queries find: counters, gauges with gaps and stale markers, start timestamps, classic and native histograms.
const DATA: &str = include_str!("data.test");

/// Steps of a query at most, so that whatever is asked is answered soon.
const STEPS_MAX: usize = 500;

/// The longest query, bytes.
const QUERY_BYTES_MAX: usize = 2048;

/// The limits of a query within a budget.
const LIMITS: BudgetLimits =
    BudgetLimits { samples_max: 20_000, series_max: 100, bytes_max: 1 << 20, time_max_ms: u64::MAX };

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    let parse = ParseOptions { length_max_bytes: QUERY_BYTES_MAX, ..ParseOptions::default() };
    Engine::new(EngineSettings { threads: 1, steps_max: STEPS_MAX, parse, ..EngineSettings::default() })
});

static SOURCE: LazyLock<Arc<dyn SeriesSource>> = LazyLock::new(|| {
    let data = script::load(DATA).expect("the data is a script");
    MemoryStorage.store(&data).expect("the data can be stored")
});

/// A text is a query or no query, and a query is printed as one that is printed likewise, on one line or on many.
pub fn parse_print_parse(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let expr = match parse(text, &ParseOptions::default()) {
        Ok(expr) => expr,
        Err(errors) => {
            assert!(!errors.to_string().is_empty());
            return;
        }
    };
    // What is printed may be longer than what was written.
    let options = ParseOptions { length_max_bytes: usize::MAX, ..ParseOptions::default() };
    let printed = expr.to_string();
    for text in [&printed, &pretty(&expr)] {
        let again = parse(text, &options).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(again.to_string(), printed, "{text}");
    }
}

/// However a query ends, it has not taken more than it may.
pub fn evaluate_within_budget(bytes: &[u8]) {
    let Some((time, query)) = timed(bytes) else { return };
    let request = match time.steps {
        0 => QueryRequest::instant(query, time.at_ms),
        steps => QueryRequest::range(query, time.at_ms, time.at_ms + i64::from(steps) * time.step_ms, time.step_ms),
    };
    let budget = Budget::new(LIMITS, Arc::new(ManualClock::at(0)), CancelFlag::default());
    let result = run(&request, &budget);
    let used = budget.stats();
    assert!(used.bytes_peak <= LIMITS.bytes_max, "{used:?}");
    match result {
        Ok(_) => assert!(used.samples <= LIMITS.samples_max && used.series <= LIMITS.series_max, "{used:?}"),
        Err(QueryError::Limit { asked, allowed, .. }) => assert!(asked > allowed, "{asked} of {allowed}"),
        Err(error) => assert!(!error.to_string().contains("panicked"), "{error}"),
    }
}

/// An instant query has the answer of a range query with this one step: the same labels and bits, the same error.
pub fn instant_is_one_step(bytes: &[u8]) {
    let Some((time, query)) = timed(bytes) else { return };
    if query.contains("step") {
        return; // an instant has none
    }
    let ask = |request: QueryRequest| run(&request, &Budget::unlimited());
    let alone = ask(QueryRequest::instant(query, time.at_ms));
    if let Ok(QueryResult { value: Value::Matrix(_) | Value::String { .. }, .. }) = alone {
        return; // only instants have such values
    }
    let step = ask(QueryRequest::range(query, time.at_ms, time.at_ms, time.step_ms));
    match (alone, step) {
        (Ok(alone), Ok(step)) => {
            assert_eq!(spell(alone.value), spell(step.value), "alone and as one step");
            if !query.contains("sort") {
                assert_eq!((alone.warnings, alone.infos), (step.warnings, step.infos), "alone and as one step");
            }
        }
        (Err(alone), Err(step)) => {
            assert!(alone == step || matches!(step, QueryError::BadData(_)), "alone {alone}, as one step {step}")
        }
        (alone, step) => panic!("alone {alone:?}, as one step {step:?}"),
    }
}

fn run(request: &QueryRequest, budget: &Budget) -> Result<QueryResult, QueryError> {
    block_on(ENGINE.run(SOURCE.clone(), request, budget))
}

/// When a query is evaluated.
struct Time {
    at_ms: i64,
    step_ms: i64,
    /// After the first; 0 may mean an instant query.
    steps: u8,
}

/// Four bytes of time, then the query. The bytes are digits and letters where people write them: `0000` is time 0.
fn timed(bytes: &[u8]) -> Option<(Time, &str)> {
    const STEPS_MS: [i64; 4] = [1_000, 15_000, 60_000, 3_600_000];
    let (head, query) = bytes.split_first_chunk::<4>()?;
    let [tens, ones, step, steps] = head.map(|byte| byte.wrapping_sub(b'0'));
    let at_ms = (i64::from(tens) * 10 + i64::from(ones)) * 60_000;
    let step_ms = STEPS_MS[usize::from(step) % STEPS_MS.len()];
    Some((Time { at_ms, step_ms, steps: steps % 32 }, std::str::from_utf8(query).ok()?))
}

/// Everything about a value but the order of series, which counts in an instant vector and is by labels in a matrix.
fn spell(value: Value) -> Vec<String> {
    let mut points: Vec<String> = match value {
        Value::String { value, .. } => vec![value],
        // A range query makes a series without labels of it.
        Value::Scalar { t_ms, value } => vec![format!("{{}} {t_ms} {}", bits(value))],
        Value::Vector(vector) => {
            let spelled = vector.into_iter().map(|sample| match sample.value {
                SampleValue::Float(value) => format!("{} {} {}", sample.labels, sample.t_ms, bits(value)),
                SampleValue::Histogram(value) => format!("{} {} {value:?}", sample.labels, sample.t_ms),
            });
            spelled.collect()
        }
        Value::Matrix(matrix) => {
            let spelled = matrix.into_iter().flat_map(|RangeSeries { labels, points, histograms }| {
                let floats = points.t_ms.into_iter().zip(points.values.into_iter().map(bits));
                let histograms = histograms.t_ms.into_iter().zip(histograms.values);
                let histograms = histograms.map(|(t_ms, value)| (t_ms, format!("{value:?}")));
                let all = floats.chain(histograms).map(|(t_ms, value)| format!("{labels} {t_ms} {value}"));
                all.collect::<Vec<_>>()
            });
            spelled.collect()
        }
    };
    points.sort();
    points
}

/// The bits of a number; all that is no number is the same.
fn bits(value: f64) -> String {
    if value.is_nan() { "NaN".to_owned() } else { format!("{value:?} {:x}", value.to_bits()) }
}

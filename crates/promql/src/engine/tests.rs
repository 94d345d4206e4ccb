//! Tests of the whole engine on small data.

use crate::memory::MemorySource;
use crate::plan::NodeKind;
use crate::{Budget, BudgetLimits, CancelFlag, Engine, EngineSettings, QueryError, QueryRequest, QueryResult, Value};
use futures::executor::block_on;
use longhaul_model::{Labels, ManualClock, Sample};
use std::sync::Arc;

fn labels(text: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(text.iter().copied())
}

/// `x{i="…"}`, a counter every 15 s.
fn counters(series: usize) -> Arc<MemorySource> {
    let all: Vec<(Labels, Vec<Sample>)> = (0..series)
        .map(|number| {
            let i = format!("{number:05}");
            let sample = |n: i64| Sample::new(n * 15_000, (n * (number as i64 % 7 + 1)) as f64 / 3.0);
            let group = (number % 5).to_string();
            (labels(&[("__name__", "x_total"), ("group", &group), ("i", &i)]), (0..40).map(sample).collect())
        })
        .collect();
    Arc::new(MemorySource::from_samples(all.iter().map(|(labels, samples)| (labels.clone(), samples.as_slice()))))
}

fn run(text: &str, source: &Arc<MemorySource>) -> Result<QueryResult, QueryError> {
    let engine = Engine::new(EngineSettings::default());
    block_on(engine.run(source.clone(), &QueryRequest::range(text, 0, 600_000, 30_000), &Budget::unlimited()))
}

#[test]
fn the_deepest_tree_fits_the_stack() {
    let source = counters(1);
    // A parenthesis with an operator is two levels, and so is a function over a subquery.
    for (open, close, times) in [
        ("abs(", ")", 500),
        ("sum(", ")", 500),
        ("(1 + ", ")", 250),
        ("max_over_time(", "[1m:30s])", 250),
        ("", " + 1", 500),
    ] {
        let text = format!("{}x_total{}", open.repeat(times), close.repeat(times));
        let result = std::thread::Builder::new()
            .stack_size(crate::STACK_SIZE_BYTES)
            .spawn({
                let source = source.clone();
                move || run(&text, &source).map(|result| matches!(result.value, Value::Matrix(_)))
            })
            .unwrap()
            .join()
            .unwrap();
        assert_eq!(result, Ok(true), "{open}");
    }
}

#[test]
fn absence_over_time_is_one_series_to_what_is_around_it() {
    let source = counters(3);
    for (text, expected) in [
        ("absent_over_time(x_total[1m])", None),
        ("sum(absent_over_time(x_total[1m]))", None),
        ("absent_over_time(x_total[1m]) + 1", None),
        ("-absent_over_time(x_total[1m])", None),
        ("abs(absent_over_time(x_total[1m]))", None),
        ("count(absent_over_time(y_total{i=\"1\"}[1m]))", Some(1.0)),
        ("absent_over_time(y_total{i=\"1\"}[1m]) * 3", Some(3.0)),
        ("-absent_over_time(y_total{i=\"1\"}[1m])", Some(-1.0)),
    ] {
        let Ok(QueryResult { value: Value::Matrix(series), .. }) = run(text, &source) else { panic!("{text}") };
        let values: Vec<f64> = series.iter().flat_map(|series| series.points.values.iter().copied()).collect();
        assert_eq!(values, expected.map_or(vec![], |value| vec![value; 21]), "{text}");
    }
}

#[test]
fn any_number_of_threads_and_any_batches_give_the_same_bits() {
    let source = counters(700);
    let queries = [
        "sum by (group) (rate(x_total[2m]))",
        "avg by (group) (rate(x_total[2m]))",
        "stddev(rate(x_total[2m]))",
        "topk(3, rate(x_total[2m]))",
        "quantile(0.3, x_total)",
        "sum(x_total / on (i) group_left x_total)",
        "sum_over_time(sum by (group) (x_total)[2m:15s])",
    ];
    for query in queries {
        let bits = |threads: usize, batch: usize| {
            let engine = Engine::new(EngineSettings { threads, ..EngineSettings::default() });
            let source = Arc::new(MemorySource::clone(&source).with_batches_of(batch));
            let request = QueryRequest::range(query, 60_000, 540_000, 30_000);
            let result = block_on(engine.run(source, &request, &Budget::unlimited())).unwrap();
            let Value::Matrix(matrix) = result.value else { panic!("a range query yields a matrix") };
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            matrix.iter().map(|one| (one.labels.to_string(), bits(&one.points.values))).collect::<Vec<_>>()
        };
        let alone = bits(1, 1000);
        assert!(!alone.is_empty(), "{query}");
        for (threads, batch) in [(2, 1000), (4, 1), (3, 17)] {
            assert_eq!(bits(threads, batch), alone, "{query} with {threads} threads, {batch} series at once");
        }
    }
}

#[test]
fn limits_name_themselves_and_flags_stop() {
    let source = counters(50);
    let engine = Engine::new(EngineSettings::default());
    let with = |limits: BudgetLimits, cancel: CancelFlag| {
        let budget = Budget::new(limits, Arc::new(ManualClock::at(0)), cancel);
        let request = QueryRequest::range("sum(rate(x_total[2m]))", 0, 600_000, 30_000);
        block_on(engine.run(source.clone(), &request, &budget)).map(|result| result.stats)
    };
    let limits = BudgetLimits::default();
    let stats = with(limits, CancelFlag::default()).unwrap();
    assert_eq!((stats.series, stats.samples), (50, 50 * 40));
    assert!(stats.bytes_peak > 0);
    let text = |limits| with(limits, CancelFlag::default()).unwrap_err().to_string();
    assert!(text(BudgetLimits { samples_max: 1999, ..limits }).contains("samples_max is 1999"));
    assert!(text(BudgetLimits { series_max: 49, ..limits }).contains("series_max is 49"));
    assert!(text(BudgetLimits { bytes_max: 1000, ..limits }).contains("bytes_max is 1000"));
    assert_eq!(with(BudgetLimits { time_max_ms: 0, ..limits }, CancelFlag::default()), Err(QueryError::Timeout));
    let canceled = CancelFlag::default();
    canceled.cancel();
    assert_eq!(with(limits, canceled), Err(QueryError::Canceled));
    let steps = run("max_over_time(vector(1)[100000d:1ms])", &source).unwrap_err().to_string();
    assert!(steps.contains("steps_max"), "{steps}");
}

#[test]
fn a_plan_fetches_once_and_folds_constants() {
    let engine = Engine::new(EngineSettings::default());
    let plan = |text: &str| engine.explain(&QueryRequest::range(text, 0, 600_000, 30_000)).unwrap();
    let twice = plan("rate(x[5m]) / (x + 2 * 3)");
    assert_eq!((twice.fetches.len(), twice.fetches[0].uses), (1, 2));
    assert_eq!((twice.fetches[0].range.start_ms, twice.fetches[0].range.end_ms), (-299_999, 600_001));
    assert_eq!(plan("x / x offset 1d").fetches.len(), 2, "far apart: what lies between is not read");
    assert!(matches!(plan("1 + 2 * 3").root.kind, NodeKind::Number(7.0)));
    assert!(matches!(plan("sum(x @ 10)").root.kind, NodeKind::Once(_)));
    assert!(matches!(plan("sum(x @ 10) + time()").root.kind, NodeKind::Binary { .. }));
}

#[test]
fn equal_series_meet_or_fail() {
    let sample = |t: i64| Sample::new(t, 1.0);
    let (early, late) = ([sample(0)], [sample(400_000)]);
    let all = [
        (labels(&[("__name__", "a"), ("l", "1")]), early.as_slice()),
        (labels(&[("__name__", "b"), ("l", "1")]), late.as_slice()),
    ];
    let disjoint = Arc::new(MemorySource::from_samples(all.clone()));
    let matrix = run("-{l=\"1\"}", &disjoint).unwrap().value;
    assert!(matches!(matrix, Value::Matrix(matrix) if matrix.len() == 1), "one series, as they never meet");
    let same = Err("vector cannot contain metrics with the same labelset".to_owned());
    let failure = |text: &str, source| run(text, source).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(failure("count_over_time({l=\"1\"}[1m])", &disjoint), same, "range functions refuse even so");
    assert_eq!(failure("sum(count_over_time({l=\"1\"}[1m]))", &disjoint), same, "and under an aggregation");
    let meeting = Arc::new(MemorySource::from_samples([all[0].clone(), (all[1].0.clone(), early.as_slice())]));
    assert_eq!(failure("abs({l=\"1\"})", &meeting), same);
    assert_eq!(failure("sum(abs({l=\"1\"}))", &meeting), same);
    assert_eq!(failure("sum({l=\"1\"})", &meeting), Ok(()));
}

#[test]
fn a_parameter_that_changes_is_told_of_by_its_extremes() {
    let source = counters(1);
    let warnings = |text: &str| run(text, &source).unwrap().warnings;
    // From 2 to 3, and from -1 to 2.
    let above = warnings("quantile(2 + time() / 600, x_total)");
    assert_eq!(above, ["PromQL warning: quantile value should be between 0 and 1, got 3 (1:10)"]);
    let around = warnings("limit_ratio(time() / 200 - 1, x_total)");
    assert_eq!(around, ["PromQL warning: ratio value should be between -1 and 1, got 2, capping to 1 (1:13)"]);
}

#[test]
fn grouping_takes_type_and_unit_for_labels_and_a_count_keeps_its_name() {
    let sample = [Sample::new(0, 1.0)];
    let series = |unit: &str| (labels(&[("__name__", "x"), ("__unit__", unit), ("a", unit)]), sample.as_slice());
    let source = Arc::new(MemorySource::from_samples([series("s"), series("m")]));
    let settings = EngineSettings { delayed_name_removal: true, ..EngineSettings::default() };
    let engine = Engine::new(settings);
    let found = |text: &str| {
        let result = block_on(engine.run(source.clone(), &QueryRequest::instant(text, 0), &Budget::unlimited()));
        let Value::Vector(vector) = result.unwrap().value else { panic!("a vector") };
        let mut found: Vec<String> = vector.iter().map(|sample| sample.labels.to_string()).collect();
        found.sort();
        found
    };
    assert_eq!(found("sum without (a) (x)"), [r#"{__unit__="m"}"#, r#"{__unit__="s"}"#]);
    assert_eq!(found(r#"count_values by (__name__) ("v", -x)"#), [r#"{__name__="x", v="-1"}"#]);
}

#[test]
fn ranges_alone_are_for_instant_queries() {
    let source = counters(2);
    assert_eq!(
        run("x_total[1m]", &source).unwrap_err(),
        QueryError::BadData(
            "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector".to_owned()
        )
    );
    let engine = Engine::new(EngineSettings::default());
    let instant = |text: &str| {
        block_on(engine.run(source.clone(), &QueryRequest::instant(text, 60_000), &Budget::unlimited())).unwrap().value
    };
    let Value::Matrix(matrix) = instant("x_total[1m]") else { panic!("a range is a matrix") };
    assert_eq!(matrix[0].points.t_ms, [15_000, 30_000, 45_000, 60_000], "left-open");
    let Value::Matrix(matrix) = instant("x_total[1m:20s]") else { panic!("a subquery is a matrix") };
    assert_eq!(matrix[1].points.t_ms, [20_000, 40_000, 60_000]);
    assert!(matches!(instant("\"text\""), Value::String { t_ms: 60_000, value } if value == "text"));
    assert!(matches!(instant("max_of(1, scalar(vector(2)))"), Value::Scalar { t_ms: 60_000, value: 2.0 }));
}

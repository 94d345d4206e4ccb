//! Random queries over the series of `data.rs`: well-formed, most of them with an answer.

use proptest::prelude::*;

/// An instant vector.
pub fn vector() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        4 => (selector(), offset()).prop_map(|(selector, offset)| selector + &offset),
        4 => (over_time(), range()).prop_map(|(function, range)| format!("{function}({range})")),
        1 => (differences(), selector(), one_of(&["anchored", "smoothed"]))
            .prop_map(|(function, selector, edges)| format!("{function}({selector}[2m] {edges})")),
        1 => selector().prop_map(|selector| format!("{selector} smoothed")),
        1 => selector().prop_map(|selector| format!("timestamp({selector})")),
        1 => selector().prop_map(|selector| format!("start_timestamp({selector})")),
        1 => one_of(&["vector(1)", "vector(time())", "vector(NaN)", "vector(-Inf)", "absent(none)"]),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            (aggregation(), grouping(), inner.clone()).prop_map(|(op, by, inner)| aggregated(&op, &by, &inner)),
            (inner.clone(), arithmetic(), matching(), inner.clone())
                .prop_map(|(lhs, op, matching, rhs)| format!("({lhs}) {op} {matching} ({rhs})")),
            (
                inner.clone(),
                one_of(&["and", "or", "unless"]),
                one_of(&["", "on (job)", "ignoring (le)"]),
                inner.clone()
            )
                .prop_map(|(lhs, op, matching, rhs)| format!("({lhs}) {op} {matching} ({rhs})")),
            (inner.clone(), arithmetic(), scalar()).prop_map(|(lhs, op, rhs)| format!("({lhs}) {op} {rhs}")),
            (scalar(), arithmetic(), inner.clone()).prop_map(|(lhs, op, rhs)| format!("{lhs} {op} ({rhs})")),
            (mapping(), inner.clone()).prop_map(|(function, inner)| function.replace('…', &inner)),
            (over_time(), inner.clone(), subrange(), offset())
                .prop_map(|(function, inner, range, offset)| format!("{function}(({inner})[{range}]{offset})")),
            inner.prop_map(|inner| format!("-({inner})")),
        ]
    })
    .boxed()
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop::sample::select(words).prop_map(str::to_owned)
}

fn selector() -> impl Strategy<Value = String> + Clone {
    one_of(&[
        "requests_total",
        "requests_total{job=\"api\"}",
        "temperature",
        "temperature{instance=~\"a.*|c:1\"}",
        "latency_seconds_bucket",
        "latency_seconds_bucket{le!=\"1\"}",
        "started_total",
        "target_info",
        "special",
        "late",
        "none",
        "duration_seconds",
        "load",
        "sizes",
        "{job=\"api\"}",
        "{__name__=~\"re.*|te.*\", job!=\"\"}",
    ])
}

fn offset() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        4 => Just(String::new()),
        1 => one_of(&[" offset 5m", " offset -1m", " @ 1500", " @ 1500 offset 1m", " @ -1", " offset 10000w"]),
    ]
}

fn range() -> impl Strategy<Value = String> {
    (selector(), one_of(&["15s", "1m", "2m30s", "5m", "1h", "1ms"]), offset())
        .prop_map(|(selector, range, offset)| format!("{selector}[{range}]{offset}"))
}

fn subrange() -> impl Strategy<Value = String> {
    one_of(&["5m:1m", "5m:", "2m:7s", "10s:1m", "1m:61s"])
}

fn differences() -> impl Strategy<Value = String> + Clone {
    one_of(&["rate", "increase", "delta"])
}

fn over_time() -> impl Strategy<Value = String> + Clone {
    one_of(&[
        "rate",
        "increase",
        "delta",
        "irate",
        "idelta",
        "changes",
        "resets",
        "sum_over_time",
        "avg_over_time",
        "min_over_time",
        "max_over_time",
        "count_over_time",
        "last_over_time",
        "first_over_time",
        "stddev_over_time",
        "mad_over_time",
        "present_over_time",
        "absent_over_time",
        "deriv",
        "ts_of_max_over_time",
    ])
}

fn aggregation() -> impl Strategy<Value = String> + Clone {
    one_of(&[
        "sum",
        "min",
        "max",
        "avg",
        "count",
        "group",
        "stddev",
        "topk(2,",
        "bottomk(1,",
        "limitk(2,",
        "limit_ratio(0.5,",
        "limit_ratio(-2,",
        "quantile(0.9,",
        "quantile(NaN,",
        "count_values(\"v\",",
    ])
}

fn grouping() -> impl Strategy<Value = String> + Clone {
    one_of(&["", "by (job)", "by (job, none)", "without (instance)", "by (le)"])
}

fn aggregated(op: &str, by: &str, inner: &str) -> String {
    match op.split_once('(') {
        Some((op, param)) => format!("{op} {by} ({param} {inner})"),
        None => format!("{op} {by} ({inner})"),
    }
}

fn arithmetic() -> impl Strategy<Value = String> + Clone {
    one_of(&["+", "-", "*", "/", "%", "^", "atan2", "==", ">", "<= bool", "!=", "</", ">/"])
}

fn matching() -> impl Strategy<Value = String> + Clone {
    one_of(&[
        "",
        "on (job, instance)",
        "ignoring (le)",
        "on (job) group_left",
        "on (job, instance) group_right (version)",
        "on (job, instance) fill (0)",
        "ignoring (le) fill_left (-1)",
    ])
}

fn scalar() -> impl Strategy<Value = String> + Clone {
    one_of(&["2", "0", "-1.5", "Inf", "NaN", "time()", "scalar(late)", "scalar(requests_total)", "max_of(1, pi())"])
}

/// Functions of one vector, which stands where the dots are.
fn mapping() -> impl Strategy<Value = String> + Clone {
    one_of(&[
        "abs(…)",
        "ceil(…)",
        "exp(…)",
        "sqrt(…)",
        "clamp(…, 0, 10)",
        "clamp_min(…, NaN)",
        "round(…, 0.5)",
        "timestamp(…)",
        "hour(…)",
        "absent(…)",
        "sort(…)",
        "sort_desc(…)",
        "sort_by_label(…, \"instance\", \"le\")",
        "info(…)",
        "info(…, {version=~\".+\"})",
        "label_replace(…, \"job\", \"$1\", \"instance\", \"(.).*\")",
        "label_join(…, \"joined\", \"-\", \"job\", \"instance\")",
        "histogram_quantile(0.9, …)",
        "histogram_fraction(0, 0.5, …)",
        "histogram_count(…)",
        "histogram_avg(…)",
        "histogram_stddev(…)",
        "vector(scalar(…))",
    ])
}

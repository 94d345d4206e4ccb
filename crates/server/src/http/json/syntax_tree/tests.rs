//! Trees as Prometheus 3.14 answers them.

use super::*;
use longhaul_promql::{ParseOptions, parse};

fn tree(query: &str) -> Value {
    syntax_tree(&parse(query, &ParseOptions::default()).unwrap_or_else(|errors| panic!("{query}: {errors}")))
}

fn selector(name: &str) -> Value {
    json!({
        "type": "vectorSelector",
        "name": name,
        "offset": 0,
        "offsetExpr": null,
        "matchers": [{ "name": "__name__", "type": "=", "value": name }],
        "timestamp": null,
        "startOrEnd": null,
        "anchored": false,
        "smoothed": false,
    })
}

fn number(value: &str) -> Value {
    json!({ "type": "numberLiteral", "val": value })
}

/// A node of a duration expression.
fn node(op: &str, lhs: Value, rhs: Value, wrapped: bool) -> Value {
    json!({ "type": "durationExpr", "op": op, "lhs": lhs, "rhs": rhs, "wrapped": wrapped })
}

fn length(value: &str, duration: bool) -> Value {
    json!({ "type": "numberLiteral", "val": value, "duration": duration })
}

#[test]
fn every_kind_of_node_has_its_fields() {
    let cases = [
        ("1e3", number("1000")),
        ("-Inf", number("-Inf")),
        ("5m", number("300")),
        ("\"a\\n\"", json!({ "type": "stringLiteral", "val": "a\n" })),
        ("(up)", json!({ "type": "parenExpr", "expr": selector("up") })),
        ("-up", json!({ "type": "unaryExpr", "op": "-", "expr": selector("up") })),
        (
            "topk by (job) (5, up)",
            json!({
                "type": "aggregation", "op": "topk", "expr": selector("up"), "param": number("5"),
                "grouping": ["job"], "without": false,
            }),
        ),
        (
            "sum without () (up)",
            json!({
                "type": "aggregation", "op": "sum", "expr": selector("up"), "param": null,
                "grouping": [], "without": true,
            }),
        ),
        (
            "1 == bool up",
            json!({
                "type": "binaryExpr", "op": "==", "lhs": number("1"), "rhs": selector("up"),
                "matching": null, "bool": true,
            }),
        ),
        (
            "a * on (x) group_left (y) fill_right (0.5) b",
            json!({
                "type": "binaryExpr", "op": "*", "lhs": selector("a"), "rhs": selector("b"), "bool": false,
                "matching": {
                    "card": "many-to-one", "labels": ["x"], "on": true, "include": ["y"],
                    "fillValues": { "lhs": null, "rhs": 0.5 },
                },
            }),
        ),
        (
            "foo{a!=\"b\", \"c d\"=~\"e\"} offset 1m @ 1.5",
            json!({
                "type": "vectorSelector", "name": "foo", "offset": 60_000, "offsetExpr": null,
                "matchers": [
                    { "name": "a", "type": "!=", "value": "b" },
                    { "name": "c d", "type": "=~", "value": "e" },
                    { "name": "__name__", "type": "=", "value": "foo" },
                ],
                "timestamp": 1500, "startOrEnd": null, "anchored": false, "smoothed": false,
            }),
        ),
        (
            "foo[5m:] @ end()",
            json!({
                "type": "subquery", "expr": selector("foo"), "range": 300_000, "rangeExpr": null, "offset": 0,
                "offsetExpr": null, "step": 0, "stepExpr": null, "timestamp": null, "startOrEnd": "end",
            }),
        ),
    ];
    for (query, wanted) in cases {
        assert_eq!(tree(query), wanted, "{query}");
    }
    let matrix = tree("{\"x\"}[5m] smoothed");
    assert_eq!(
        (&matrix["type"], &matrix["name"], &matrix["range"]),
        (&json!("matrixSelector"), &json!(""), &json!(300_000))
    );
    assert_eq!((&matrix["smoothed"], &matrix["matchers"][0]["value"]), (&json!(true), &json!("x")));
}

#[test]
fn calls_tell_how_their_function_is_called() {
    for (query, arg_types, variadic, returns) in [
        ("time()", json!([]), 0, "scalar"),
        ("rate(a[1m])", json!(["matrix"]), 0, "vector"),
        ("round(a)", json!(["vector", "scalar"]), 1, "vector"),
        ("hour()", json!(["vector"]), 1, "vector"),
        ("label_join(a, \"b\", \"c\")", json!(["vector", "string", "string", "string"]), -1, "vector"),
        ("histogram_quantiles(a, \"q\", 0.5)", json!(["vector", "string", "scalar", "scalar"]), 9, "vector"),
        ("info(a)", json!(["vector", "vector"]), 1, "vector"),
        ("sort_by_label(a, \"b\")", json!(["vector", "string"]), -1, "vector"),
    ] {
        let name = query.split_once('(').unwrap().0;
        let wanted = json!({ "name": name, "argTypes": arg_types, "variadic": variadic, "returnType": returns });
        assert_eq!(tree(query)["func"], wanted, "{query}");
    }
    assert_eq!(tree("clamp(a, 1, 2)")["args"], json!([selector("a"), number("1"), number("2")]));
}

#[test]
fn durations_are_shown_as_they_are_computed() {
    let step = || node("step", Value::Null, Value::Null, false);
    let range = || node("range", Value::Null, Value::Null, false);
    let five = || length("300", true);
    for (query, field, wanted) in [
        ("a[5m+1]", "rangeExpr", node("+", five(), length("1", false), false)),
        ("a[max_of(step(), 5m)]", "rangeExpr", node("max_of", step(), five(), false)),
        ("a offset -step()", "offsetExpr", node("-", Value::Null, step(), false)),
        ("a offset +range()", "offsetExpr", node("+", Value::Null, range(), false)),
        ("a offset ((step() ^ 2))", "offsetExpr", node("^", step(), length("2", false), true)),
        // A number in parentheses is an operation that does nothing.
        ("a offset (5m)", "offsetExpr", node("+", Value::Null, five(), true)),
        ("a offset +(5m)", "offsetExpr", node("+", Value::Null, five(), true)),
        ("a offset -(5m)", "offsetExpr", node("-", Value::Null, node("+", Value::Null, five(), true), false)),
        ("a[1m:-(-1)]", "stepExpr", node("-", Value::Null, node("+", Value::Null, length("-1", false), true), false)),
    ] {
        let tree = tree(query);
        assert_eq!(tree[field], wanted, "{query}");
        assert_eq!(tree["offset"], 0);
    }
}

//! A syntax tree as `parse_query` shows it: node types, fields and nulls are those of Prometheus
//! (`web/api/v1/translate_ast.go`), whose query builder reads them.
//!
//! It is the tree as parsed: what a duration expression is worth is known only when the query is run, so that the
//! milliseconds beside one are 0.

use longhaul_promql::ast::{
    Aggregate, At, Binary, Call, Cardinality, DurationExpr, DurationKind, Expr, ExprKind, Extended, MatrixSelector,
    Subquery, UnaryOp, ValueType, VectorMatching, VectorSelector,
};
use longhaul_promql::functions::Signature;
use longhaul_promql::printer::format_number;
use serde_json::{Value, json};

/// The tree under `expr`.
pub(crate) fn syntax_tree(expr: &Expr) -> Value {
    match &expr.kind {
        // As a value, a duration is its seconds.
        ExprKind::Number(value) | ExprKind::Duration(value) => {
            json!({ "type": "numberLiteral", "val": format_number(*value) })
        }
        ExprKind::String(text) => json!({ "type": "stringLiteral", "val": text.as_str() }),
        ExprKind::Paren(inner) => json!({ "type": "parenExpr", "expr": syntax_tree(inner) }),
        ExprKind::Unary(op, inner) => {
            json!({ "type": "unaryExpr", "op": op.to_string(), "expr": syntax_tree(inner) })
        }
        ExprKind::Binary(binary) => of_binary(binary),
        ExprKind::Aggregate(aggregate) => of_aggregate(aggregate),
        ExprKind::Call(call) => of_call(call),
        ExprKind::Vector(vector) => of_selector("vectorSelector", vector),
        ExprKind::Matrix(matrix) => of_matrix(matrix),
        ExprKind::Subquery(subquery) => of_subquery(subquery),
    }
}

fn of_aggregate(aggregate: &Aggregate) -> Value {
    json!({
        "type": "aggregation",
        "op": aggregate.op.to_string(),
        "expr": syntax_tree(&aggregate.expr),
        "param": aggregate.param.as_ref().map(syntax_tree),
        "grouping": aggregate.grouping,
        "without": aggregate.without,
    })
}

fn of_binary(binary: &Binary) -> Value {
    json!({
        "type": "binaryExpr",
        "op": binary.op.to_string(),
        "lhs": syntax_tree(&binary.lhs),
        "rhs": syntax_tree(&binary.rhs),
        "matching": binary.matching.as_ref().map(of_matching),
        "bool": binary.return_bool,
    })
}

fn of_matching(matching: &VectorMatching) -> Value {
    let cardinality = match matching.cardinality {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    json!({
        "card": cardinality,
        "labels": matching.labels,
        "on": matching.on,
        "include": matching.include,
        "fillValues": { "lhs": fill(matching.fill_left), "rhs": fill(matching.fill_right) },
    })
}

/// A number proper, not a text. JSON has none for infinities and NaN (Prometheus answers such a query with an error).
fn fill(value: Option<f64>) -> Value {
    /// Below this, every whole number is a float of its own.
    const EXACT_MAX: f64 = (1_u64 << 53) as f64;
    match value {
        // Without the `.0` that a float would have.
        Some(whole) if whole.fract() == 0.0 && whole.abs() < EXACT_MAX => json!(whole as i64),
        other => json!(other),
    }
}

fn of_call(call: &Call) -> Value {
    let Signature { name, args, returns, .. } = *call.function;
    let arg_types: Vec<&str> = args.iter().map(|arg| arg.name()).collect();
    json!({
        "type": "call",
        "func": {
            "name": name,
            "argTypes": arg_types,
            "variadic": variadic(call.function),
            "returnType": ValueType::name(returns),
        },
        "args": call.args.iter().map(syntax_tree).collect::<Vec<_>>(),
    })
}

/// How many arguments there may be beyond all but the last; -1: any number. 0 where none may be missing.
fn variadic(function: &Signature) -> i64 {
    match (function.optional, function.args_max) {
        (0, _) => 0,
        (_, usize::MAX) => -1,
        (_, max) => (max - (function.args.len() - 1)) as i64,
    }
}

fn of_matrix(matrix: &MatrixSelector) -> Value {
    let mut tree = of_selector("matrixSelector", &matrix.selector);
    tree["range"] = json!(matrix.range_ms);
    tree["rangeExpr"] = of_optional(&matrix.range_expr);
    tree
}

fn of_selector(kind: &str, selector: &VectorSelector) -> Value {
    let matchers = selector
        .matchers
        .iter()
        .map(|matcher| json!({ "name": matcher.name, "value": matcher.value, "type": matcher.op.to_string() }));
    let (timestamp, start_or_end) = at(selector.at);
    json!({
        "type": kind,
        "name": selector.name.as_deref().unwrap_or_default(),
        "offset": selector.offset_ms,
        "offsetExpr": of_optional(&selector.offset_expr),
        "matchers": matchers.collect::<Vec<_>>(),
        "timestamp": timestamp,
        "startOrEnd": start_or_end,
        "anchored": selector.extended == Some(Extended::Anchored),
        "smoothed": selector.extended == Some(Extended::Smoothed),
    })
}

fn of_subquery(subquery: &Subquery) -> Value {
    let (timestamp, start_or_end) = at(subquery.at);
    json!({
        "type": "subquery",
        "expr": syntax_tree(&subquery.expr),
        "range": subquery.range_ms,
        "rangeExpr": of_optional(&subquery.range_expr),
        "offset": subquery.offset_ms,
        "offsetExpr": of_optional(&subquery.offset_expr),
        "step": subquery.step_ms.unwrap_or(0),
        "stepExpr": of_optional(&subquery.step_expr),
        "timestamp": timestamp,
        "startOrEnd": start_or_end,
    })
}

/// `timestamp` in ms and `startOrEnd`: one of them, or none.
fn at(at: Option<At>) -> (Option<i64>, Option<&'static str>) {
    match at {
        None => (None, None),
        Some(At::Time(t_ms)) => (Some(t_ms), None),
        Some(At::Start) => (None, Some("start")),
        Some(At::End) => (None, Some("end")),
    }
}

fn of_optional(duration: &Option<Box<DurationExpr>>) -> Value {
    duration.as_ref().map_or(Value::Null, |duration| of_duration(duration))
}

fn of_duration(duration: &DurationExpr) -> Value {
    match &duration.kind {
        DurationKind::Number(value) => of_length(*value, false),
        DurationKind::Duration(seconds) => of_length(*seconds, true),
        DurationKind::Step => operation("step", Value::Null, Value::Null),
        DurationKind::Range => operation("range", Value::Null, Value::Null),
        // Prometheus forgets the sign.
        DurationKind::Unary(UnaryOp::Plus, inner) if matches!(inner.kind, DurationKind::Paren(_)) => of_duration(inner),
        DurationKind::Unary(op, inner) => operation(&op.to_string(), Value::Null, of_duration(inner)),
        DurationKind::Binary(op, sides) => operation(&op.to_string(), of_duration(&sides.0), of_duration(&sides.1)),
        DurationKind::MinOf(sides) => operation("min_of", of_duration(&sides.0), of_duration(&sides.1)),
        DurationKind::MaxOf(sides) => operation("max_of", of_duration(&sides.0), of_duration(&sides.1)),
        DurationKind::Paren(inner) => {
            // Parentheses are a property of an operation. A number in them becomes one that does nothing.
            let mut tree = match &inner.kind {
                DurationKind::Number(_) | DurationKind::Duration(_) => operation("+", Value::Null, of_duration(inner)),
                _ => of_duration(inner),
            };
            tree["wrapped"] = json!(true);
            tree
        }
    }
}

fn of_length(seconds: f64, duration: bool) -> Value {
    json!({ "type": "numberLiteral", "val": format_number(seconds), "duration": duration })
}

fn operation(op: &str, lhs: Value, rhs: Value) -> Value {
    json!({ "type": "durationExpr", "op": op, "lhs": lhs, "rhs": rhs, "wrapped": false })
}

#[cfg(test)]
mod tests;

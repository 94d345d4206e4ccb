//! Printing by hand, and random expressions: what is printed parses to the same tree.

use super::*;
use crate::ParseOptions;
use crate::ast::Span;
use proptest::prelude::*;

fn read(query: &str) -> Expr {
    crate::parse(query, &ParseOptions::default()).unwrap_or_else(|errors| panic!("{query}: {errors}"))
}

#[test]
fn expressions_are_printed_canonically() {
    let cases = [
        ("foo/bar", "foo / bar"),
        ("sum(rate(foo{c=~\"d.*\",a='b'}[5m]))by(x)", "sum by (x) (rate(foo{a=\"b\",c=~\"d.*\"}[5m]))"),
        ("sum by () (a)", "sum(a)"),
        ("sum(a) without ()", "sum without () (a)"),
        ("topk(5,a)", "topk(5, a)"),
        ("a*on(x,\"y.z\")group_left(\"y\")b", "a * on (x, \"y.z\") group_left (y) b"),
        ("a*ignoring()group_right b", "a * ignoring () group_right () b"),
        ("a and ignoring () b", "a and b"),
        ("a > bool fill(0) b", "a > bool fill (0) b"),
        ("a + fill_right (1) fill_left (-2) b", "a + fill_left (-2) fill_right (1) b"),
        ("-foo^2", "-foo ^ 2"),
        ("{\"a.b\"}", "{__name__=\"a.b\"}"),
        ("foo[5m:1m] @ 100", "foo[5m:1m] @ 100.000"),
        ("foo[60:] offset -90s", "foo[1m:] offset -1m30s"),
        ("foo[5m] offset 1w anchored @ -0.5", "foo[5m] anchored @ -0.500 offset 1w"),
        ("foo @ start() smoothed offset 5", "foo @ start() smoothed offset 5s"),
        ("foo[-(2*3s)+step()] offset (+5)", "foo[-(2 * 3s) + step()] offset (5)"),
        ("foo[min_of(range(),1m):2*step()]", "foo[min_of(range(), 1m):2 * step()]"),
        ("vector(5m) + 1e3 - 0x10 * -Inf", "vector(5m) + 1000 - 16 * -Inf"),
        ("vector(1s1ms)", "vector(1s1ms)"),
        ("a + fill (1e6) b", "a + fill (1e+06) b"),
        ("a + fill_left (1e-5) fill_right (NaN) b", "a + fill_left (1e-05) fill_right (NaN) b"),
        ("a offset (((5m)) - ((step() * 2)))", "a offset ((5m) - (step() * 2))"),
        ("a offset +step()", "a offset +step()"),
        ("a offset +(5m) - 3", "a offset +(5m) - 3"),
        ("a offset - -5m - 3", "a offset + +5m - 3"),
        ("a offset - -step() * 3", "a offset --step() * 3"),
        ("a offset + -2 ^ 2", "a offset + +-2 ^ 2"),
        (r#"sort_by_label(a, "\ufffd\xff")"#, r#"sort_by_label(a, "\ufffd\xff")"#),
        (r#"a{b="\ufffd",c="\u0939\u093f\u200b"}"#, r#"a{b="\ufffd",c="हि\u200b"}"#),
    ];
    for (query, wanted) in cases {
        assert_eq!(read(query).to_string(), wanted, "{query}");
    }
    let selector = r#"foo{"a.b"="\n", a!="x"}"#;
    assert_eq!(read(selector).to_string(), r#"foo{"a.b"="\n",a!="x"}"#);
}

#[test]
fn long_expressions_take_several_lines() {
    let selector = format!("rate({}{{job=\"api\"}}[5m])", "metric_".repeat(8));
    let query = format!("histogram_quantile(0.9, sum by (le) ({selector})) / on (job) group_left () -({selector} + 1)");
    let wanted = format!(
        "  histogram_quantile(\n    0.9,\n    sum by (le) ({selector})\n  )\n/ on (job) group_left ()\n  -({selector} + 1)"
    );
    assert_eq!(pretty(&read(&query)), wanted);
    assert_eq!(pretty(&read("a + b")), "a + b");

    let topk = format!("topk(\n  scalar(some_other_metric),\n  {selector}\n)[1h:]");
    assert_eq!(pretty(&read(&format!("topk(scalar(some_other_metric), {selector})[1h:]"))), topk);
    // A subquery that fits is not indented, one that does not is.
    let short = format!("quantile_over_time(\n  0.95,\n{selector}[1h:1m]\n)");
    assert_eq!(pretty(&read(&format!("quantile_over_time(0.95, {selector}[1h:1m])"))), short);
    let long = format!("max_over_time(\n  {selector}[1h:1m] @ start() offset 10m\n)");
    assert_eq!(pretty(&read(&format!("max_over_time({selector}[1h:1m] @ start() offset 10m)"))), long);
    let paren = format!("(\n    {selector}\n  +\n    {selector}\n)");
    assert_eq!(pretty(&read(&format!("({selector} + {selector})"))), paren);
}

/// The texts in field `query` of a file of conformance data; none where it is not at hand, which must not be in CI.
fn conformance_queries(file: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/conformance/").to_owned() + file;
    let Ok(text) = std::fs::read_to_string(&path) else {
        assert!(std::env::var_os("CI").is_none(), "{path} is missing");
        println!("skipped: {path} is missing");
        return Vec::new();
    };
    let case = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let valid = |case: &serde_json::Value| case["valid"] != false;
    text.lines().map(case).filter(valid).filter_map(|case| case["query"].as_str().map(str::to_owned)).collect()
}

#[test]
fn conformance_queries_are_printed_and_read_back() {
    for (file, count) in
        [("parser/cases.jsonl", 150), ("promqltest/cases.jsonl", 1604), ("compliance/expanded-queries.jsonl", 385)]
    {
        let queries = conformance_queries(file);
        println!("{} expressions of {file}", queries.len());
        assert!(queries.is_empty() || queries.len() == count, "{file}");
        queries.iter().for_each(|query| assert_comes_back(query));
    }
}

/// What is printed of the query, on one line or on several, is read as the same. (As text: NaN is to equal itself.)
fn assert_comes_back(query: &str) {
    let expr = placeless(read(query));
    for printed in [expr.to_string(), pretty(&expr)] {
        assert_eq!(format!("{:?}", placeless(read(&printed))), format!("{expr:?}"), "{query} is printed as {printed}");
    }
}

/// The expression as if it stood nowhere.
fn placeless(mut expr: Expr) -> Expr {
    erase(&mut expr);
    expr
}

fn erase(expr: &mut Expr) {
    expr.span = Span::default();
    match &mut expr.kind {
        ExprKind::Vector(vector) => erase_duration(&mut vector.offset_expr),
        ExprKind::Matrix(matrix) => {
            matrix.selector_span = Span::default();
            erase_duration(&mut matrix.range_expr);
            erase_duration(&mut matrix.selector.offset_expr);
        }
        ExprKind::Subquery(subquery) => {
            erase_duration(&mut subquery.range_expr);
            erase_duration(&mut subquery.step_expr);
            erase_duration(&mut subquery.offset_expr);
        }
        ExprKind::Binary(binary) => binary.op_span = Span::default(),
        _ => {}
    }
    // Matchers are printed sorted.
    if let ExprKind::Vector(selector) | ExprKind::Matrix(MatrixSelector { selector, .. }) = &mut expr.kind {
        selector.matchers.sort_by_key(|matcher| matcher.to_string());
    }
    let erased: Result<(), ()> = expr.try_for_each_child_mut(|child| {
        erase(child);
        Ok(())
    });
    assert_eq!(erased, Ok(()));
}

fn erase_duration(expr: &mut Option<Box<DurationExpr>>) {
    fn walk(expr: &mut DurationExpr) {
        expr.span = Span::default();
        match &mut expr.kind {
            DurationKind::Unary(_, inner) | DurationKind::Paren(inner) => walk(inner),
            DurationKind::Binary(_, sides) | DurationKind::MinOf(sides) | DurationKind::MaxOf(sides) => {
                walk(&mut sides.0);
                walk(&mut sides.1);
            }
            DurationKind::Number(_) | DurationKind::Duration(_) | DurationKind::Step | DurationKind::Range => {}
        }
    }
    expr.iter_mut().for_each(|expr| walk(expr));
}

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    prop::sample::select(words).prop_map(str::to_owned)
}

fn duration() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        (1_u32..1000).prop_map(|seconds| seconds.to_string()),
        one_of(&["5m", "1h30m", "1w", "10ms", "step()", "range()", "1.5", "-3s"]),
    ];
    leaf.prop_recursive(3, 8, 2, |inner| {
        let op = one_of(&["+", "-", "*", "/", "%", "^"]);
        prop_oneof![
            (inner.clone(), op, inner.clone()).prop_map(|(lhs, op, rhs)| format!("{lhs} {op} {rhs}")),
            inner.clone().prop_map(|inner| format!("({inner})")),
            inner.clone().prop_map(|inner| format!("-({inner})")),
            (inner.clone(), inner).prop_map(|(lhs, rhs)| format!("max_of({lhs}, {rhs})")),
        ]
    })
    .boxed()
}

fn modifiers() -> impl Strategy<Value = String> + Clone {
    let at = one_of(&["", " @ 1.5", " @ -7", " @ start()", " @ end()"]);
    let offset = one_of(&[
        "",
        " offset 5m",
        " offset -1h1ms",
        " offset step()",
        " offset (2 ^ 3)",
        " offset -(5m)",
        " offset + -2 ^ 2 * 3",
    ]);
    (at, offset).prop_map(|(at, offset)| at + &offset)
}

fn selector() -> impl Strategy<Value = String> + Clone {
    let name = one_of(&["foo", "a:b", "sum", "offset", "by", "Start", "_x"]);
    let matchers = one_of(&["", "{}", "{a=\"b\"}", "{a!~\"[bc]\", \"d.é\"='\\n\"', }", "{step!=``, on=~\"\\\\d+\"}"]);
    prop_oneof![(name, matchers).prop_map(|(name, matchers)| name + &matchers), one_of(&["{\"x y\"}", "{a=\"b\"}"])]
}

fn matching() -> impl Strategy<Value = String> + Clone {
    one_of(&["", " on ()", " ignoring (a, by)", " on (\"x.y\") group_left", " ignoring (a) group_right (b) fill (-1)"])
}

fn vector() -> impl Strategy<Value = String> {
    let extended = one_of(&["", " anchored", " smoothed"]);
    let leaf = prop_oneof![
        (selector(), extended.clone(), modifiers()).prop_map(|(name, edges, rest)| name + &edges + &rest),
        (selector(), duration(), extended, modifiers()).prop_filter_map(
            "a positive range",
            |(name, range, edges, rest)| {
                Some(format!("rate({name}[{range}]{edges}{rest})")).filter(|query| is_valid(query))
            }
        ),
        (-1e9_f64..1e9).prop_map(|value| format!("vector({value})")),
        one_of(&["vector(1h)", "vector(Inf)", "label_join(a, \"b\", `\\`)", "vector(-5)"]),
    ];
    leaf.prop_recursive(5, 40, 3, |inner| {
        let arithmetic = one_of(&["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", "<", "<=", ">", ">=", "</", ">/"]);
        let set = one_of(&["and", "or", "unless", "and on (a)", "or ignoring (b, sum)"]);
        let aggregation =
            one_of(&["sum", "count by (a)", "max without (b, \"c d\")", "topk by () (3,", "quantile(0.5,"]);
        prop_oneof![
            (inner.clone(), arithmetic.clone(), matching(), inner.clone())
                .prop_map(|(lhs, op, matching, rhs)| format!("{lhs} {op}{matching} {rhs}")),
            (inner.clone(), set, inner.clone()).prop_map(|(lhs, op, rhs)| format!("{lhs} {op} {rhs}")),
            (inner.clone(), arithmetic).prop_map(|(lhs, op)| format!("{lhs} {op} -1.5")),
            inner.clone().prop_map(|inner| format!("({inner})")),
            inner.clone().prop_map(|inner| format!("-{inner}")),
            (aggregation, inner.clone()).prop_map(|(head, inner)| match head.ends_with(',') {
                true => format!("{head} {inner})"),
                false => format!("{head} ({inner})"),
            }),
            (inner.clone(), modifiers()).prop_map(|(inner, rest)| format!("max_over_time(({inner})[1h:5m]{rest})")),
        ]
    })
}

fn is_valid(query: &str) -> bool {
    crate::parse(query, &ParseOptions::default()).is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_is_printed_parses_to_the_same(query in vector()) {
        prop_assume!(is_valid(&query));
        assert_comes_back(&query);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[\\[\\](){}a-e0-9 \"'`\\\\.:@!=~<>,+*/^%#\n-]{0,40}") {
        if is_valid(&text) {
            assert_comes_back(&text);
        }
    }

    #[test]
    fn no_run_of_words_makes_the_parser_panic(words in prop::collection::vec(
        one_of(&[
            "sum", "by", "(", ")", "[", "]", "{", "}", "5m", "1", "foo", "offset", "@", "-", "^", ":", ",", "=", "\"x\"", "=~",
            "on", "group_left", "fill", "bool", "step()", "max_of(", "rate(", "info(", "anchored", "or", "==", "start()",
        ]),
        0..16,
    )) {
        let query = words.join(" ");
        if is_valid(&query) {
            assert_comes_back(&query);
        }
    }
}

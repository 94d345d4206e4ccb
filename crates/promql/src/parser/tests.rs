//! Shapes of trees, places of errors, and limits against hostile texts; recorded verdicts are in `tests/`.

use super::*;
use crate::ast::{At, DurationKind, Extended};
use longhaul_model::{METRIC_NAME, MatchOp};
use std::time::Duration;

fn read(query: &str) -> Expr {
    parse(query, &ParseOptions::default()).unwrap_or_else(|errors| panic!("{query}: {errors}"))
}

fn refusal(query: &str) -> String {
    refusal_with(query, &ParseOptions::default())
}

fn refusal_with(query: &str, options: &ParseOptions) -> String {
    match parse(query, options) {
        Ok(expr) => panic!("{query} is accepted as {expr}"),
        Err(errors) => errors.to_string(),
    }
}

/// The expression with parentheses around everything that has an operator.
fn grouped(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Binary(binary) => format!("({} {} {})", grouped(&binary.lhs), binary.op, grouped(&binary.rhs)),
        ExprKind::Unary(op, inner) => format!("({op}{})", grouped(inner)),
        _ => expr.to_string(),
    }
}

#[test]
fn operators_bind_as_in_prometheus() {
    let cases = [
        ("a or b and c", "(a or (b and c))"),
        ("a and b unless c or d", "(((a and b) unless c) or d)"),
        ("a + b * c ^ d ^ e", "(a + (b * (c ^ (d ^ e))))"),
        ("a - b - c", "((a - b) - c)"),
        ("a == bool b + c", "(a == (b + c))"),
        ("a % b atan2 c", "((a % b) atan2 c)"),
        ("-a ^ b * c", "((-(a ^ b)) * c)"),
        ("a ^ -b ^ c", "(a ^ (-(b ^ c)))"),
        ("a </ b >/ c", "((a </ b) >/ c)"),
        ("- -1", "1"),
        ("-foo[5m:] offset 1m", "(-foo[5m:] offset 1m)"),
    ];
    for (query, wanted) in cases {
        let options = ParseOptions::default();
        // Types do not matter here.
        let mut parser = Parser::new(query, &options);
        let Ok(expr) = parser.query() else { panic!("{query}: {:?}", parser.errors) };
        assert_eq!(grouped(&expr), wanted, "{query}");
    }
}

#[test]
fn keywords_name_metrics_and_labels_too() {
    for name in ["sum", "by", "offset", "start", "step", "fill", "or", "max_of", "anchored", "SUM"] {
        let ExprKind::Vector(vector) = read(name).kind else { panic!("{name}") };
        assert_eq!(vector.name.as_deref(), Some(name));
    }
    read("sum by (by, on, bool, group_left, atan2, offset, step) (by)");
    read("fill + fill offset 5m");
    for name in ["on", "bool", "ignoring", "group_left", "atan2"] {
        assert!(refusal(name).starts_with("1:1: parse error: unexpected <"), "{name}");
    }
}

#[test]
fn selectors_have_all_their_parts() {
    let query = r#"foo{a="b", "c.d"!~'e|f', __name__=~".+",}[5m] @ 1.5 offset -1h smoothed"#;
    let query = query.replace("__name__=~\".+\",", "");
    let ExprKind::Matrix(matrix) = read(&query).kind else { panic!() };
    let selector = &matrix.selector;
    assert_eq!((matrix.range_ms, selector.offset_ms), (300_000, -3_600_000));
    assert_eq!((selector.at, selector.extended), (Some(At::Time(1500)), Some(Extended::Smoothed)));
    let matchers: Vec<_> = selector.matchers.iter().map(|m| (m.name.as_str(), m.op, m.value.as_str())).collect();
    let wanted = [("a", MatchOp::Equal, "b"), ("c.d", MatchOp::NotRegex, "e|f"), (METRIC_NAME, MatchOp::Equal, "foo")];
    assert_eq!(matchers, wanted);
    assert_eq!(
        &query[matrix.selector_span.start as usize..matrix.selector_span.end as usize],
        r#"foo{a="b", "c.d"!~'e|f', }"#
    );
}

#[test]
fn a_quoted_name_is_a_matcher() {
    let ExprKind::Vector(vector) = read(r#"{"foo.bar", x="y"}"#).kind else { panic!() };
    assert_eq!(vector.name, None);
    assert_eq!((vector.matchers[0].name.as_str(), vector.matchers[0].value.as_str()), (METRIC_NAME, "foo.bar"));
}

#[test]
fn durations_may_be_numbers() {
    for (query, range_ms, offset_ms) in [
        ("a[300]", 300_000, 0),
        ("a[0x10]", 16_000, 0),
        ("a[4.018] offset 5", 4018, 5000),
        ("a[1m] offset -0.5", 60_000, -500),
    ] {
        let ExprKind::Matrix(matrix) = read(query).kind else { panic!("{query}") };
        assert_eq!((matrix.range_ms, matrix.selector.offset_ms), (range_ms, offset_ms), "{query}");
    }
}

#[test]
fn arithmetic_after_offset_needs_parentheses() {
    for (query, wanted) in [
        ("foo offset 5m - 3", "(foo offset 5m - 3)"),
        ("foo offset -2 ^ 2", "(foo offset -2s ^ 2)"),
        ("foo offset step() * 2", "(foo offset step() * 2)"),
        ("foo offset -(1 + 2) * 2", "(foo offset -(1 + 2) * 2)"),
        ("foo offset (5m) - 3", "foo offset (5m) - 3"),
    ] {
        assert_eq!(grouped(&read(query)), wanted, "{query}");
    }
    let ExprKind::Vector(vector) = read("foo offset max_of(step(), 5s + -range())").kind else { panic!() };
    assert!(matches!(vector.offset_expr.unwrap().kind, DurationKind::MaxOf(_)));
}

#[test]
fn fills_are_kept_by_side() {
    let sides = |query: &str| {
        let ExprKind::Binary(binary) = read(query).kind else { panic!("{query}") };
        let matching = binary.matching.unwrap();
        (matching.fill_left, matching.fill_right)
    };
    assert_eq!(sides("a + fill (5) b"), (Some(5.0), Some(5.0)));
    assert_eq!(sides("a == bool on (x) fill_left (-Inf) b"), (Some(f64::NEG_INFINITY), None));
    assert_eq!(sides("a - fill_right (1) fill_left (2) b"), (Some(2.0), Some(1.0)));
    assert_eq!(sides("a * fill"), (None, None));
}

#[test]
fn the_checker_settles_how_sides_match() {
    let cardinality = |query: &str| {
        let ExprKind::Binary(binary) = read(query).kind else { panic!("{query}") };
        binary.matching.map(|matching| matching.cardinality)
    };
    assert_eq!(cardinality("a + b"), Some(Cardinality::OneToOne));
    assert_eq!(cardinality("a or b"), Some(Cardinality::ManyToMany));
    assert_eq!(cardinality("a * on (x) group_left b"), Some(Cardinality::ManyToOne));
    assert_eq!(cardinality("a * ignoring (x) group_right (y) b"), Some(Cardinality::OneToMany));
    assert_eq!(cardinality("a + 1"), None);
}

#[test]
fn experiments_can_be_switched_off() {
    let all = ParseOptions::default();
    let cases = [
        ("info(a)", "function \"info\" is not enabled", ParseOptions { experimental_functions: false, ..all.clone() }),
        (
            "limitk(1, a)",
            "limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
            ParseOptions { experimental_functions: false, ..all.clone() },
        ),
        (
            "a[5m * 2]",
            "experimental duration expression is not enabled",
            ParseOptions { duration_expressions: false, ..all.clone() },
        ),
        (
            "a smoothed",
            "smoothed modifier is experimental and not enabled",
            ParseOptions { extended_range_selectors: false, ..all.clone() },
        ),
        (
            "a + fill (1) b",
            "binop fill modifiers are experimental and not enabled",
            ParseOptions { fill_modifiers: false, ..all.clone() },
        ),
    ];
    for (query, message, options) in cases {
        read(query);
        assert!(refusal_with(query, &options).ends_with(message), "{query}");
    }
}

#[test]
fn errors_stand_where_the_fault_is() {
    let cases = [
        ("", "unknown position: parse error: no expression found in input"),
        (
            "sum(\n  rate(foo)\n)",
            "2:8: parse error: expected type range vector in call to function \"rate\", got instant vector",
        ),
        ("foo bar", "1:5: parse error: unexpected identifier \"bar\""),
        ("sum(foo bar)", "1:9: parse error: unexpected identifier \"bar\" in aggregation"),
        ("sum by (job (x)", "1:13: parse error: unexpected \"(\" in grouping opts, expected \",\" or \")\""),
        ("foo[5m:1m:]", "1:10: parse error: unexpected colon ':'"),
        ("foo)", "1:5: parse error: unexpected right parenthesis ')'"),
        ("foo[:5m]", "1:6: parse error: unexpected colon before duration in duration expression"),
        (
            "foo[5m][:1m]",
            "1:9: parse error: unexpected \":\" in subquery or range selector, expected number, duration, step(), or range()",
        ),
        ("0xee", "1:1: parse error: bad number or duration syntax: \"0xee\""),
        (".5.5", "1:1: parse error: error parsing number: strconv.ParseFloat: parsing \".5.5\": invalid syntax"),
        ("a * on (x) group_left * b", "1:23: parse error: unexpected <op:*> in grouping opts, expected \"(\""),
        ("'\u{fffd}'", "1:1: parse error: invalid UTF-8 rune"),
        ("sum(\"\\\n\")", "1:5: parse error: unknown escape sequence U+000A"),
        ("a - on (b) 'x'", "1:12: parse error: binary expression must contain only scalar and instant vector types"),
        ("info(rate({}), foo)", "1:16: parse error: expected label selectors only, got vector selector instead"),
        ("foo @ start", "1:12: parse error: unexpected end of input in @, expected timestamp"),
        ("foo @ 1 @ 2", "1:1: parse error: @ <timestamp> may not be set multiple times"),
        ("foo anchored smoothed", "1:1: parse error: anchored and smoothed modifiers cannot be used together"),
        ("\"a\\'b\"", "1:1: parse error: unknown escape sequence U+0027 '''"),
        ("`a", "1:1: parse error: unterminated raw string"),
        ("label_join(a, \"b\")", "1:1: parse error: expected at least 3 argument(s) in call to \"label_join\", got 2"),
        ("sum(1)", "1:5: parse error: expected type instant vector in aggregation expression, got scalar"),
        ("foo[5m][1m:]", "1:1: parse error: subquery is only allowed on instant vector, got matrix instead"),
        (
            "foo offset \"5m\"",
            "1:12: parse error: unexpected string \"\\\"5m\\\"\" in offset, expected number, duration, step(), or range()",
        ),
    ];
    for (query, wanted) in cases {
        assert_eq!(refusal(query), wanted, "{query}");
    }
}

#[test]
fn faults_are_told_in_the_order_of_the_text() {
    let cases = [
        // What is complete is judged before the next token is read…
        ("unknown(1) $", "1:1: parse error: unknown function with name \"unknown\""),
        ("{a=~\"[\" $", "1:2: parse error: error parsing regexp: missing closing ]: `[`"),
        // …and what may go on is not.
        ("sum(a, b) $", "1:11: parse error: unexpected character: '$'"),
        ("a[-1 $", "1:6: parse error: unexpected character: '$'"),
        ("a offset 1 offset 2 $", "1:1: parse error: offset may not be set multiple times"),
    ];
    for (query, wanted) in cases {
        assert_eq!(refusal(query), wanted, "{query}");
    }
}

#[test]
fn a_step_needs_no_number_before_it() {
    let ExprKind::Subquery(subquery) = read("a[range():step()]").kind else { panic!() };
    assert!(matches!(subquery.range_expr.unwrap().kind, DurationKind::Range));
}

#[test]
fn a_lone_selector_is_nothing_else() {
    let matchers = |text: &str| parse_selector(text, &ParseOptions::default());
    assert_eq!(matchers("foo{a!=\"b\"}").unwrap().len(), 2);
    assert_eq!(matchers("{}").unwrap(), []);
    assert_eq!(matchers("1").unwrap_err().to_string(), "1:1: parse error: unexpected number \"1\"");
    assert_eq!(matchers("foo offset 1m").unwrap_err().to_string(), "1:5: parse error: unexpected <offset>");
    assert_eq!(matchers("foo{").unwrap_err().to_string(), "1:5: parse error: unexpected end of input inside braces");
}

/// The result, and the CPU time that this thread spent on it: however busy the machine is, that says how much work it was.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let spent = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let begin = spent();
    let result = work();
    (result, spent() - begin)
}

/// Texts that would be deeper than any stack: each nests in its own way.
fn deep(levels: usize) -> Vec<String> {
    vec![
        "(".repeat(levels),
        "(".repeat(levels) + "1" + &")".repeat(levels),
        "-".repeat(levels) + "a",
        "1 + ".repeat(levels) + "1",
        "1 ^ ".repeat(levels) + "1",
        "abs(".repeat(levels) + "a" + &")".repeat(levels),
        "sum by (x) (".repeat(levels) + "a" + &")".repeat(levels),
        "a".to_owned() + &"[5m:]".repeat(levels),
        "a[".to_owned() + &"(".repeat(levels),
        "a[".to_owned() + &"-".repeat(levels) + "step()]",
        "a[".to_owned() + &"1 + ".repeat(levels) + "1]",
        "a offset ".to_owned() + &"-".repeat(levels) + "1",
        "a[".to_owned() + &"max_of(".repeat(levels),
    ]
}

/// Runs `work` on a thread as those that queries run on.
fn on_a_thread(work: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(crate::STACK_SIZE_BYTES).spawn(work).unwrap().join().unwrap();
}

#[test]
fn hostile_nesting_is_refused_at_once() {
    on_a_thread(|| {
        let options = ParseOptions { length_max_bytes: usize::MAX, ..ParseOptions::default() };
        for query in deep(100_000) {
            let (message, elapsed) = timed(|| refusal_with(&query, &options));
            let begin = &query[..20];
            assert!(message.ends_with("the expression is nested more than 512 levels deep"), "{begin}: {message}");
            assert!(elapsed < Duration::from_millis(500), "{begin}: {elapsed:?}");
            let (message, size) = (refusal(&query), query.len());
            let wanted = match size <= 128 << 10 {
                true => "the expression is nested more than 512 levels deep".to_owned(),
                false => format!("the expression has {size} bytes, more than the 131072 that are allowed"),
            };
            assert!(message.ends_with(&wanted), "{begin}: {message}");
        }
    });
}

#[test]
fn long_texts_take_linear_time() {
    let options = ParseOptions { length_max_bytes: usize::MAX, ..ParseOptions::default() };
    let size = 1_000_000;
    let texts = [
        "a".repeat(size),
        " ".repeat(size),
        "fill ".repeat(size / 5),
        "\"".to_owned() + &"\\".repeat(size),
        "{".to_owned() + &"a=\"b\",".repeat(size / 6) + "}",
        "sum by (".to_owned() + &"a,".repeat(size / 2) + ") (b)",
        "9".repeat(size),
        "#".repeat(size),
        "@".repeat(size),
        "a[".to_owned() + &" ".repeat(size) + ":",
        "vector(".to_owned() + &"1,".repeat(size / 2) + "1)",
    ];
    for text in texts {
        let (_, elapsed) = timed(|| parse(&text, &options).is_ok());
        assert!(elapsed < Duration::from_secs(5), "{}: {elapsed:?}", &text[..20]);
        let (refused, elapsed) = timed(|| refusal(&text));
        assert!(refused.contains("bytes, more than") && elapsed < Duration::from_millis(100), "{elapsed:?}");
    }
}

#[test]
fn the_deepest_tree_leaves_room_on_the_stack_of_a_thread() {
    on_a_thread(|| {
        for levels in [255, 510] {
            for query in deep(levels) {
                if let Ok(expr) = parse(&query, &ParseOptions::default()) {
                    crate::printer::pretty(&expr);
                    assert_eq!(read(&expr.to_string()).to_string(), expr.to_string());
                }
            }
        }
    });
}

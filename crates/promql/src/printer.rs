//! Trees to text: [`Expr`]'s `Display` is the canonical form on one line, which parses to the same tree; [`pretty`] breaks
//! long expressions over several lines. Both print as Prometheus does, save where what it prints would be read otherwise:
//! a number such as `1s1ms` keeps its milliseconds, an offset such as `+(5m)` its sign.

use crate::ast::{
    Aggregate, At, Binary, Cardinality, DurationExpr, DurationKind, Expr, ExprKind, Extended, MatrixSelector, Subquery,
    VectorMatching, VectorSelector,
};
use crate::literal::{format_duration, format_general, quote};
use longhaul_model::{METRIC_NAME, MatchOp, Matcher};
use std::fmt::{self, Display, Formatter, Write};

pub use crate::literal::format_number;

/// Expressions up to that length stay on their line.
const LINE_BYTES_MAX: usize = 100;

/// The expression over as many lines as it needs, indented by two spaces a level.
pub fn pretty(expr: &Expr) -> String {
    let mut out = String::new();
    push_pretty(&mut out, expr, 0);
    out
}

fn push_pretty(out: &mut String, expr: &Expr, level: usize) {
    match &expr.kind {
        ExprKind::Unary(op, inner) => {
            indent(out, level);
            push(out, op);
            let start = out.len();
            push_pretty(out, inner, level);
            let indentation = out[start..].len() - out[start..].trim_start().len();
            out.replace_range(start..start + indentation, "");
        }
        // Prometheus does not indent it.
        ExprKind::Subquery(_) if fits(expr) => push(out, expr),
        ExprKind::Subquery(subquery) => {
            push_pretty(out, &subquery.expr, level);
            push(out, &Window(subquery));
        }
        ExprKind::Binary(binary) if !fits(expr) => {
            push_pretty(out, &binary.lhs, level + 1);
            out.push('\n');
            indent(out, level);
            push(out, &Operator(binary));
            out.push('\n');
            push_pretty(out, &binary.rhs, level + 1);
        }
        ExprKind::Paren(inner) if !fits(expr) => push_block(out, level, &"", [&**inner]),
        ExprKind::Aggregate(aggregate) if !fits(expr) => {
            push_block(out, level, &Head(aggregate), aggregate.param.iter().chain([&aggregate.expr]));
        }
        ExprKind::Call(call) if !fits(expr) => push_block(out, level, &call.function.name, &call.args),
        _ => {
            indent(out, level);
            push(out, expr);
        }
    }
}

/// `head(`, each of `parts` on lines of its own, `)`
fn push_block<'a>(out: &mut String, level: usize, head: &dyn Display, parts: impl IntoIterator<Item = &'a Expr>) {
    indent(out, level);
    push(out, head);
    out.push('(');
    for (index, part) in parts.into_iter().enumerate() {
        out.push_str(if index > 0 { ",\n" } else { "\n" });
        push_pretty(out, part, level + 1);
    }
    out.push('\n');
    indent(out, level);
    out.push(')');
}

fn indent(out: &mut String, level: usize) {
    out.extend(std::iter::repeat_n("  ", level));
}

fn push(out: &mut String, item: &dyn Display) {
    write!(out, "{item}").expect("a String takes everything");
}

/// Whether the expression may stay on one line. Looks no further than the line is long.
fn fits(expr: &Expr) -> bool {
    write!(Room(LINE_BYTES_MAX), "{expr}").is_ok()
}

/// So many bytes may still be written.
struct Room(usize);

impl Write for Room {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 = self.0.checked_sub(text.len()).ok_or(fmt::Error)?;
        Ok(())
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(value) => f.write_str(&format_number(*value)),
            ExprKind::Duration(seconds) => f.write_str(&format_duration(milliseconds(*seconds))),
            ExprKind::String(text) => text.fmt(f),
            ExprKind::Paren(inner) => write!(f, "({inner})"),
            ExprKind::Unary(op, inner) => write!(f, "{op}{inner}"),
            ExprKind::Binary(binary) => write!(f, "{} {} {}", binary.lhs, Operator(binary), binary.rhs),
            ExprKind::Aggregate(aggregate) => {
                write!(f, "{}(", Head(aggregate))?;
                if let Some(param) = &aggregate.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", aggregate.expr)
            }
            ExprKind::Call(call) => {
                write!(f, "{}(", call.function.name)?;
                for (index, arg) in call.args.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    write!(f, "{comma}{arg}")?;
                }
                f.write_char(')')
            }
            ExprKind::Vector(vector) => {
                write!(f, "{}{}{}{}", Series(vector), AtTime(vector.at), Edges(vector.extended), LooksBack::of(vector))
            }
            ExprKind::Matrix(matrix) => fmt_matrix(matrix, f),
            ExprKind::Subquery(subquery) => write!(f, "{}{}", subquery.expr, Window(subquery)),
        }
    }
}

fn fmt_matrix(matrix: &MatrixSelector, f: &mut Formatter<'_>) -> fmt::Result {
    let selector = &matrix.selector;
    let range = Length(matrix.range_ms, &matrix.range_expr);
    write!(f, "{}[{range}]", Series(selector))?;
    write!(f, "{}{}{}", Edges(selector.extended), AtTime(selector.at), LooksBack::of(selector))
}

/// The one-line form, for error texts and `explain`.
impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationKind::Number(value) => f.write_str(&format_number(*value)),
            DurationKind::Duration(seconds) => f.write_str(&format_duration(milliseconds(*seconds))),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::Unary(op, inner) => write!(f, "{op}{inner}"),
            DurationKind::Paren(inner) => write!(f, "({inner})"),
            DurationKind::Binary(op, sides) => write!(f, "{} {op} {}", sides.0, sides.1),
            DurationKind::MinOf(sides) => write!(f, "min_of({}, {})", sides.0, sides.1),
            DurationKind::MaxOf(sides) => write!(f, "max_of({}, {})", sides.0, sides.1),
        }
    }
}

fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

/// `sum by (a, b) `, `topk`: an aggregation without its arguments.
struct Head<'a>(&'a Aggregate);

impl Display for Head<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Aggregate { op, grouping, without, .. } = self.0;
        match without {
            true => write!(f, "{op} without ({}) ", Names(grouping)),
            false if !grouping.is_empty() => write!(f, "{op} by ({}) ", Names(grouping)),
            false => op.fmt(f),
        }
    }
}

/// `== bool on (a) group_left (b)`
struct Operator<'a>(&'a Binary);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.op.fmt(f)?;
        if self.0.return_bool {
            f.write_str(" bool")?;
        }
        self.0.matching.as_ref().map_or(Ok(()), |matching| fmt_matching(matching, f))
    }
}

fn fmt_matching(matching: &VectorMatching, f: &mut Formatter<'_>) -> fmt::Result {
    let group = match matching.cardinality {
        Cardinality::ManyToOne => Some("group_left"),
        Cardinality::OneToMany => Some("group_right"),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if !matching.labels.is_empty() || matching.on || group.is_some() {
        let word = if matching.on { "on" } else { "ignoring" };
        write!(f, " {word} ({})", Names(&matching.labels))?;
    }
    if let Some(group) = group {
        write!(f, " {group} ({})", Names(&matching.include))?;
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left == right => write!(f, " fill ({})", format_general(left)),
        (left, right) => {
            for (side, value) in [("left", left), ("right", right)] {
                if let Some(value) = value {
                    write!(f, " fill_{side} ({})", format_general(value))?;
                }
            }
            Ok(())
        }
    }
}

/// `a, b, "c.d"`
struct Names<'a>(&'a [String]);

impl Display for Names<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{}", Name(name))?;
        }
        Ok(())
    }
}

/// A label's name, in quotes if it is none of the old kind.
struct Name<'a>(&'a str);

impl Display for Name<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let letters = |c: char| c == '_' || c.is_ascii_alphanumeric();
        let plain = self.0.chars().all(letters) && self.0.starts_with(|c: char| !c.is_ascii_digit());
        if plain { f.write_str(self.0) } else { f.write_str(&quote(self.0)) }
    }
}

/// `name{a="b"}`: a selector without its modifiers.
struct Series<'a>(&'a VectorSelector);

impl Display for Series<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let is_name = |matcher: &Matcher| {
            let name = self.0.name.as_deref().filter(|name| !name.is_empty());
            matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal && Some(matcher.value.as_str()) == name
        };
        let mut matchers: Vec<String> = (self.0.matchers.iter())
            .filter(|matcher| !is_name(matcher))
            .map(|matcher| format!("{}{}{}", Name(&matcher.name), matcher.op, quote(&matcher.value)))
            .collect();
        matchers.sort_unstable();
        f.write_str(self.0.name.as_deref().unwrap_or_default())?;
        if matchers.is_empty() && self.0.name.is_some() {
            return Ok(());
        }
        write!(f, "{{{}}}", matchers.join(","))
    }
}

/// `[5m:1m] @ 10.000 offset 1h`: what makes an expression a subquery.
struct Window<'a>(&'a Subquery);

impl Display for Window<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Subquery { range_ms, range_expr, step_ms, step_expr, offset_ms, offset_expr, at, .. } = self.0;
        write!(f, "[{}:", Length(*range_ms, range_expr))?;
        if step_ms.is_some() || step_expr.is_some() {
            Length(step_ms.unwrap_or(0), step_expr).fmt(f)?;
        }
        write!(f, "]{}{}", AtTime(*at), LooksBack(*offset_ms, offset_expr))
    }
}

/// A duration in ms, or the expression that it comes from.
struct Length<'a>(i64, &'a Option<Box<DurationExpr>>);

impl Display for Length<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(expr) => expr.fmt(f),
            None => f.write_str(&format_duration(self.0)),
        }
    }
}

/// ` offset 5m`
struct LooksBack<'a>(i64, &'a Option<Box<DurationExpr>>);

impl<'a> LooksBack<'a> {
    fn of(vector: &'a VectorSelector) -> Self {
        Self(vector.offset_ms, &vector.offset_expr)
    }
}

impl Display for LooksBack<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0 == 0 && self.1.is_none() {
            return Ok(());
        }
        let signs = self.1.as_ref().filter(|expr| !ends_as_offset(expr)).map_or("", |_| "+ +");
        write!(f, " offset {signs}{}", Length(self.0, self.1))
    }
}

/// Whether all of the expression belongs to the `offset` that it is printed after. Arithmetic does only if a parenthesis
/// or a second sign comes first; signs that change nothing make it so (Prometheus prints what it would read otherwise).
fn ends_as_offset(expr: &DurationExpr) -> bool {
    let mut first = expr;
    while let DurationKind::Binary(_, sides) = &first.kind {
        first = &sides.0;
    }
    let alone = std::ptr::eq(first, expr);
    match &first.kind {
        DurationKind::Paren(_) => true,
        DurationKind::Unary(_, inner) => match inner.kind {
            DurationKind::Unary(..) => true,
            DurationKind::Binary(..) => false,
            _ => alone,
        },
        _ => alone,
    }
}

/// ` @ 10.000`
struct AtTime(Option<At>);

impl Display for AtTime {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(At::Time(ms)) => {
                let sign = if ms < 0 { "-" } else { "" };
                let ms = ms.unsigned_abs();
                write!(f, " @ {sign}{}.{:03}", ms / 1000, ms % 1000)
            }
            Some(At::Start) => f.write_str(" @ start()"),
            Some(At::End) => f.write_str(" @ end()"),
        }
    }
}

/// ` anchored`
struct Edges(Option<Extended>);

impl Display for Edges {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            None => "",
            Some(Extended::Anchored) => " anchored",
            Some(Extended::Smoothed) => " smoothed",
        })
    }
}

#[cfg(test)]
mod tests;

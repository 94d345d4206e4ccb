//! What a tree must satisfy beyond its syntax: types, numbers of arguments, where modifiers make sense. It also settles
//! how the sides of binary operators are matched.

use crate::ast::{Aggregate, Binary, Call, Cardinality, Expr, ExprKind, Span, ValueType, VectorSelector};
use crate::functions::Func;
use crate::literal::quote;
use longhaul_model::METRIC_NAME;
use std::collections::HashSet;

/// Checks the tree; `report` gets every fault, in Prometheus' order and words.
pub(crate) fn check(expr: &mut Expr, report: &mut dyn FnMut(Span, String)) {
    Checker { report }.expr(expr);
}

struct Checker<'a> {
    report: &'a mut dyn FnMut(Span, String),
}

impl Checker<'_> {
    fn fault(&mut self, span: Span, message: impl Into<String>) {
        (self.report)(span, message.into());
    }

    fn expr(&mut self, expr: &mut Expr) -> ValueType {
        let span = expr.span;
        match &mut expr.kind {
            ExprKind::Number(_) | ExprKind::Duration(_) => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Paren(inner) => self.expr(inner),
            ExprKind::Unary(_, inner) => {
                let found = self.expr(inner);
                if !is_arithmetic(found) {
                    let allowed = "expressions of type scalar or instant vector";
                    self.fault(span, format!("unary expression only allowed on {allowed}, got \"{found}\""));
                }
                found
            }
            ExprKind::Binary(binary) => self.binary(binary, span),
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate),
            ExprKind::Call(call) => self.call(call, span),
            ExprKind::Vector(vector) => {
                self.vector(vector, span, true);
                ValueType::Vector
            }
            ExprKind::Matrix(matrix) => {
                self.vector(&matrix.selector, matrix.selector_span, true);
                ValueType::Matrix
            }
            ExprKind::Subquery(subquery) => {
                let found = self.expr(&mut subquery.expr);
                if found != ValueType::Vector {
                    let found = found.name();
                    self.fault(span, format!("subquery is only allowed on instant vector, got {found} instead"));
                }
                ValueType::Matrix
            }
        }
    }

    fn expect(&mut self, expr: &mut Expr, wanted: ValueType, place: &str) {
        let found = self.expr(expr);
        if found != wanted {
            self.fault(expr.span, format!("expected type {wanted} in {place}, got {found}"));
        }
    }

    fn aggregate(&mut self, aggregate: &mut Aggregate) -> ValueType {
        self.expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression");
        if let (Some(param), Some(wanted)) = (&mut aggregate.param, aggregate.op.param_type()) {
            self.expect(param, wanted, "aggregation parameter");
        }
        ValueType::Vector
    }

    fn binary(&mut self, binary: &mut Binary, span: Span) -> ValueType {
        let (lhs, rhs) = (self.expr(&mut binary.lhs), self.expr(&mut binary.rhs));
        let op = binary.op;
        let op_span = binary.op_span;
        let scalars = lhs == ValueType::Scalar && rhs == ValueType::Scalar;
        if binary.return_bool && !op.is_comparison() {
            self.fault(op_span, "bool modifier can only be used on comparison operators");
        }
        if op.is_comparison() && !binary.return_bool && scalars {
            self.fault(op_span, "comparisons between scalars must use BOOL modifier");
        }
        self.labels_once(binary);
        for (side, found) in [(&binary.lhs, lhs), (&binary.rhs, rhs)] {
            if !is_arithmetic(found) {
                self.fault(side.span, "binary expression must contain only scalar and instant vector types");
            }
        }
        self.matching(binary, span, lhs == ValueType::Vector && rhs == ValueType::Vector);
        if op.is_set() && (lhs == ValueType::Scalar || rhs == ValueType::Scalar) {
            self.fault(span, format!("set operator \"{op}\" not allowed in binary scalar expression"));
        }
        if scalars { ValueType::Scalar } else { ValueType::Vector }
    }

    /// No label of `on` may be taken over from the one-side: both sides have it.
    fn labels_once(&mut self, binary: &Binary) {
        let Some(matching) = binary.matching.as_ref().filter(|matching| matching.on) else { return };
        let include: HashSet<&String> = matching.include.iter().collect();
        for label in matching.labels.iter().filter(|label| include.contains(label)) {
            let message = format!("label {} must not occur in ON and GROUP clause at once", quote(label));
            self.fault(binary.op_span, message);
        }
    }

    /// Settles how the sides are matched: not at all unless both are vectors, many to many for set operators.
    fn matching(&mut self, binary: &mut Binary, span: Span, vectors: bool) {
        let Some(matching) = &mut binary.matching else { return };
        let op = binary.op;
        if op.is_set() && matching.cardinality == Cardinality::OneToOne {
            matching.cardinality = Cardinality::ManyToMany;
        }
        let filled = matching.fill_left.is_some() || matching.fill_right.is_some();
        if !vectors {
            if !matching.labels.is_empty() {
                self.fault(span, "vector matching only allowed between instant vectors");
            }
            if filled {
                self.fault(span, "filling in missing series only allowed between instant vectors");
            }
            binary.matching = None;
        } else if op.is_set() {
            if matching.cardinality != Cardinality::ManyToMany {
                self.fault(span, format!("no grouping allowed for \"{op}\" operation"));
                self.fault(span, "set operations must always be many-to-many");
            }
            if filled {
                self.fault(span, "filling in missing series not allowed for set operators");
            }
        }
    }

    fn call(&mut self, call: &mut Call, span: Span) -> ValueType {
        let function = call.function;
        let (name, got) = (function.name, call.args.len());
        let (min, max) = (function.args_min(), function.args_max);
        if min == max && got != min {
            self.fault(span, format!("expected {min} argument(s) in call to \"{name}\", got {got}"));
        } else if got < min {
            self.fault(span, format!("expected at least {min} argument(s) in call to \"{name}\", got {got}"));
        } else if got > max {
            self.fault(span, format!("expected at most {max} argument(s) in call to \"{name}\", got {got}"));
        }
        let place = format!("call to function \"{name}\"");
        let selector = (function.func == Func::Info).then_some(1);
        if let Some(arg) = selector.and_then(|index| call.args.get(index)) {
            self.info_selector(arg, span, &place);
        }
        for (index, arg) in call.args.iter_mut().enumerate() {
            let Some(wanted) = function.arg_type(index) else { break };
            match &arg.kind {
                ExprKind::Vector(vector) if selector == Some(index) => self.vector(vector, arg.span, false),
                _ => self.expect(arg, wanted, &place),
            }
        }
        function.returns
    }

    /// The second argument of `info` is a selector without a name, which may select everything.
    fn info_selector(&mut self, arg: &Expr, call: Span, place: &str) {
        let found = arg.value_type();
        if found != ValueType::Vector {
            self.fault(call, format!("expected type {} in {place}, got {found}", ValueType::Vector));
        }
        match &arg.kind {
            ExprKind::Vector(VectorSelector { name: None, .. }) => {}
            ExprKind::Vector(_) => {
                self.fault(arg.span, "expected label selectors only, got vector selector instead");
            }
            _ => self.fault(arg.span, "expected label selectors only"),
        }
    }

    fn vector(&mut self, vector: &VectorSelector, span: Span, selective: bool) {
        let Some(name) = &vector.name else {
            // Whoever selects everything has mistyped something.
            if selective && vector.matchers.iter().all(|matcher| matcher.matches_empty()) {
                self.fault(span, "vector selector must contain at least one non-empty matcher");
            }
            return;
        };
        // The last one is that of the name itself.
        for other in vector.matchers.iter().rev().skip(1).rev().filter(|matcher| matcher.name == METRIC_NAME) {
            let (name, other) = (quote(name), quote(&other.value));
            self.fault(span, format!("metric name must not be set twice: {name} or {other}"));
        }
    }
}

/// Whether operators work on values of that type.
fn is_arithmetic(value: ValueType) -> bool {
    matches!(value, ValueType::Scalar | ValueType::Vector)
}

//! What `info(v, {selector})` asks of info metrics, and as of when: the first selector inside `v` says.

use crate::ast::{At, Expr, ExprKind};
use crate::engine::window::Windows;
use longhaul_model::{Labels, METRIC_NAME, MatchOp, Matcher};

/// The info metric that is meant when none is named.
const DEFAULT_METRIC: &str = "target_info";

/// The names that are meant when it is only said which are not.
const ANY_METRIC: &str = ".+_info";

/// Which info series describe, and by which of their labels.
#[derive(Clone, Debug)]
pub struct InfoSelector {
    /// What their names must satisfy; at least one.
    pub names: Vec<Matcher>,
    /// What their other labels must satisfy. If there is any, labels that none of them names are not taken over.
    pub data: Vec<Matcher>,
    /// The samples that count.
    pub windows: Windows,
}

impl InfoSelector {
    /// `matchers`: those of the second argument.
    pub fn new(matchers: &[Matcher], windows: Windows) -> Self {
        let (mut names, data): (Vec<_>, Vec<_>) =
            matchers.iter().cloned().partition(|matcher| matcher.name == METRIC_NAME);
        if names.is_empty() {
            names.push(Matcher::equal(METRIC_NAME, DEFAULT_METRIC));
        } else if !names.iter().any(Matcher::is_positive) {
            let any = Matcher::new(METRIC_NAME, MatchOp::Regex, ANY_METRIC);
            names.insert(0, any.expect("the constant is a regular expression"));
        }
        Self { names, data, windows }
    }

    /// Whether a series is itself one of those that describe.
    pub fn is_info(&self, labels: &Labels) -> bool {
        self.names.iter().all(|matcher| matcher.matches(labels.metric_name()))
    }
}

/// The time that the info series of `expr` are looked up at instead of the step's, and how far before it: the `@` and the
/// offsets of its first selector, and of the subqueries around that as long as no `@` has been met.
pub fn reference(expr: &Expr) -> Option<(Option<At>, i64)> {
    match &expr.kind {
        ExprKind::Vector(selector) => Some((selector.at, selector.offset_ms)),
        ExprKind::Matrix(matrix) => Some((matrix.selector.at, matrix.selector.offset_ms)),
        ExprKind::Subquery(subquery) => Some(match reference(&subquery.expr)? {
            (None, offset_ms) => (subquery.at, offset_ms.saturating_add(subquery.offset_ms)),
            pinned => pinned,
        }),
        _ => {
            let mut first = None;
            expr.for_each_child(|child| first = first.or_else(|| reference(child)));
            first
        }
    }
}

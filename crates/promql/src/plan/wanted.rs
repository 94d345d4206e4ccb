//! What of the series a query looks at: a sum by one label needs no other label, an instant needs one sample. The source is
//! told, and saves itself the rest.
//!
//! Only what one selector feeds into one aggregation, by nothing but functions of single series, is looked at: there no
//! other operator sees the labels, and dropping a name that all series share makes no two of them equal.

use super::{Answer, Fetch, Node, NodeKind, RangeInput};
use crate::ast::AggregateOp;
use crate::engine::pipe::is_stage;
use crate::functions::Func;
use crate::source::LabelsWanted;

/// Notes in each fetch what its selector wants.
pub(super) fn note(root: &Node, fetches: &mut [Fetch]) {
    walk(root, &Line { labels: LabelsWanted::All, drops_name: false }, fetches);
}

/// The way from an aggregation down to a selector.
#[derive(Clone)]
struct Line {
    /// The labels that the aggregation looks at.
    labels: LabelsWanted,
    /// Whether something on the way drops the metric's name.
    drops_name: bool,
}

impl Line {
    fn dropping_name(&self) -> Self {
        Self { drops_name: true, ..self.clone() }
    }
}

fn walk(node: &Node, line: &Line, fetches: &mut [Fetch]) {
    let whole = Line { labels: LabelsWanted::All, drops_name: false };
    match &node.kind {
        NodeKind::Instant { fetch, windows, answer, stats_only } => {
            // Without buckets, whether a counter was reset shows in the sample before.
            let one_sample = windows.grid.steps == 1 && windows.beyond.is_none() && !stats_only;
            let (line, one_sample) = match answer {
                Answer::Value => (line.clone(), one_sample),
                _ => (line.dropping_name(), false),
            };
            note_selector(&mut fetches[*fetch], line, one_sample);
        }
        NodeKind::Info { input, .. } => walk(input, &whole, fetches),
        NodeKind::OverRange { function, input, args, .. } => {
            args.iter().for_each(|arg| walk(arg, &whole, fetches));
            let keeps_name = matches!(function.func, Func::LastOverTime | Func::FirstOverTime);
            match input {
                RangeInput::Selector { fetch, .. } => {
                    let line = if keeps_name { line.clone() } else { line.dropping_name() };
                    note_selector(&mut fetches[*fetch], line, false);
                }
                RangeInput::Subquery { inner, .. } => walk(inner, &whole, fetches),
            }
        }
        NodeKind::Range(RangeInput::Subquery { inner, .. }) => walk(inner, &whole, fetches),
        NodeKind::Negate(inner) => walk(inner, &line.dropping_name(), fetches),
        NodeKind::Once(inner) => walk(inner, line, fetches),
        NodeKind::Binary { sides, matching: None, .. } => {
            sides.iter().for_each(|side| walk(side, &line.dropping_name(), fetches));
        }
        NodeKind::Call { function, args } if is_stage(function.func) && !sets_labels(function.func) => {
            args.iter().for_each(|arg| walk(arg, &line.dropping_name(), fetches));
        }
        NodeKind::Call { args, .. } => args.iter().for_each(|arg| walk(arg, &whole, fetches)),
        NodeKind::Binary { sides, .. } => sides.iter().for_each(|side| walk(side, &whole, fetches)),
        NodeKind::Aggregate { op, input, param, grouping, without } => {
            param.iter().for_each(|param| walk(param, &whole, fetches));
            let labels = if *without || keeps_series(*op) {
                LabelsWanted::All
            } else {
                LabelsWanted::Only(grouping.as_slice().into())
            };
            walk(input, &Line { labels, drops_name: false }, fetches);
        }
        NodeKind::Number(_) | NodeKind::Text(_) | NodeKind::Time | NodeKind::Range(RangeInput::Selector { .. }) => {}
    }
}

fn note_selector(fetch: &mut Fetch, line: Line, one_sample: bool) {
    if fetch.uses > 1 {
        return;
    }
    fetch.newest_only = one_sample;
    if !line.drops_name || fetch.has_one_name() {
        fetch.labels = line.labels;
    }
}

fn sets_labels(func: Func) -> bool {
    matches!(func, Func::LabelReplace | Func::LabelJoin)
}

/// Whether the aggregation hands out labels of its input, or makes labels of it.
fn keeps_series(op: AggregateOp) -> bool {
    match op {
        AggregateOp::TopK
        | AggregateOp::BottomK
        | AggregateOp::LimitK
        | AggregateOp::LimitRatio
        | AggregateOp::CountValues => true,
        AggregateOp::Sum
        | AggregateOp::Min
        | AggregateOp::Max
        | AggregateOp::Avg
        | AggregateOp::Count
        | AggregateOp::Group
        | AggregateOp::Stddev
        | AggregateOp::Stdvar
        | AggregateOp::Quantile => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, EngineSettings, QueryRequest};

    /// What the query's only fetch wants: labels (None for all), and whether one sample is enough.
    fn wanted(request: &QueryRequest) -> (Option<Vec<String>>, bool) {
        let plan = Engine::new(EngineSettings { threads: 1, ..EngineSettings::default() }).explain(request).unwrap();
        let fetch = &plan.fetches[0];
        match &fetch.labels {
            LabelsWanted::All => (None, fetch.newest_only),
            LabelsWanted::Only(names) => (Some(names.to_vec()), fetch.newest_only),
        }
    }

    #[test]
    fn an_aggregation_wants_the_labels_that_it_groups_by() {
        let labels = |text: &str| wanted(&QueryRequest::range(text, 0, 60_000, 1000)).0;
        let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(labels("sum by (b, a) (rate(x[5m]))"), names(&["b", "a"]));
        assert_eq!(labels("count({__name__=~'x|y'})"), names(&[]));
        assert_eq!(labels("sum(abs(-x) > 2)"), names(&[]));
        assert_eq!(labels("max by (a) (last_over_time({a='b'}[5m]))"), names(&["a"]));
        assert_eq!(labels("sum by (a) (rate({__name__=~'x|y'}[5m]))"), None, "two may be one without their names");
        assert_eq!(labels("sum by (a) (-{a='b'})"), None, "likewise");
        assert_eq!(labels("sum without (a) (x)"), None);
        assert_eq!(labels("topk by (a) (1, x)"), None);
        assert_eq!(labels("count_values by (a) ('v', x)"), None);
        assert_eq!(labels("sum by (a) (label_replace(x, 'a', '$1', 'b', '(.*)'))"), None);
        assert_eq!(labels("sum by (a) (x * on (c) group_left () x)"), None);
        assert_eq!(labels("sum(x) + x"), None, "both read the same fetch");
        assert_eq!(labels("sum(max_over_time(rate(x[5m])[1h:]))"), None);
        assert_eq!(labels("x"), None);
    }

    #[test]
    fn an_instant_wants_one_sample() {
        let newest = |text: &str| wanted(&QueryRequest::instant(text, 60_000)).1;
        assert!(newest("x") && newest("sum(x offset 5m)"));
        assert!(!newest("rate(x[5m])") && !newest("x smoothed") && !newest("x + x offset 1s"));
        assert!(!newest("histogram_count(x + y)") && newest("histogram_quantile(0.5, x)"));
        assert!(!wanted(&QueryRequest::range("x", 0, 60_000, 1000)).1);
        assert!(wanted(&QueryRequest::range("x @ 5", 0, 60_000, 1000)).1, "evaluated once");
    }
}

//! Lines: what of a plan looks at one series at a time, from the source (or another operator) to the next sink.

use crate::ast::{Span, ValueType};
use crate::engine::dates::part_of_date;
use crate::engine::evaluate::Run;
use crate::engine::labels::{Join, Replacement, is_metadata};
use crate::engine::native_quantile::figure;
use crate::engine::points::SeriesPoints;
use crate::engine::range_functions::RangeFunction;
use crate::engine::select::Naming;
use crate::engine::stage::{Decode, Stage};
use crate::engine::stream::Feed;
use crate::engine::vector::Vector;
use crate::engine::window::Windows;
use crate::engine::{QueryError, math};
use crate::functions::Func;
use crate::plan::{Answer, Node, NodeKind, RangeInput};
use std::sync::Arc;

/// A line that is not running yet.
pub struct Pipe {
    pub feed: Feed,
    pub decode: Option<Decode>,
    pub stages: Vec<Stage>,
    /// The longest grid on the way.
    pub steps: usize,
    /// Whether dropping names makes no two series equal.
    pub one_name: bool,
    /// Whether equal series may come out that are to be merged.
    pub may_merge: bool,
}

impl Run {
    /// The line that yields a vector's series one by one.
    pub async fn pipe_task(self: Arc<Self>, node: Arc<Node>) -> Result<Pipe, QueryError> {
        if node.grid.steps == 0 {
            return Ok(self.ready(self.held(Vec::new())?, 0));
        }
        let pipe = match &node.kind {
            NodeKind::Instant { fetch, windows, answer, stats_only } => {
                let (naming, windows, stats_only) = (self.naming(*fetch), *windows, *stats_only);
                let (span, tally) = (node.span, self.tally(&node, true));
                let decode = Decode::Instant { windows, answer: *answer, naming, span, stats_only, tally };
                let merges = *answer != Answer::Value && !naming.one_name;
                Some(self.fetched(*fetch, decode, node.grid.steps, merges).await?)
            }
            // Absence is a matter of all series, not of each.
            NodeKind::OverRange { function, .. } if function.func == Func::AbsentOverTime => None,
            NodeKind::OverRange { function, input, input_span, args } => {
                Some(self.over_range(function.func, input, *input_span, args, &node).await?)
            }
            NodeKind::Negate(inner) => {
                let pipe = self.pipe(inner).await?;
                Some(pipe.then(self.delayed, Stage::Negate))
            }
            NodeKind::Binary { op, sides, return_bool, matching: None } => {
                let scalar_left = sides[0].yields == ValueType::Scalar;
                let [scalar, vector] = if scalar_left { [0, 1] } else { [1, 0] };
                let scalar = self.scalar(&sides[scalar]).await?;
                let (op, return_bool, notes) = (*op, *return_bool, self.notes_at(node.span));
                let stage = |naming| Stage::Scalar { op, scalar, scalar_left, return_bool, naming, notes };
                Some(self.pipe(&sides[vector]).await?.then(self.delayed, stage))
            }
            NodeKind::Call { function, args } => self.stage_call(function.func, args, &node).await?,
            _ => None,
        };
        match pipe {
            Some(pipe) => Ok(pipe),
            None => Ok(self.ready(self.vector(&node).await?, node.grid.steps)),
        }
    }

    /// Functions of single series. None: it is none.
    async fn stage_call(
        self: &Arc<Self>,
        func: Func,
        args: &[Arc<Node>],
        node: &Node,
    ) -> Result<Option<Pipe>, QueryError> {
        let Some(input) = args.first().filter(|input| input.yields == ValueType::Vector) else { return Ok(None) };
        let scalars = async |from: usize| -> Result<Vec<Arc<[f64]>>, QueryError> {
            let mut scalars = Vec::new();
            for arg in args.iter().skip(from) {
                scalars.push(self.scalar(arg).await?);
            }
            Ok(scalars)
        };
        let stage: Box<dyn FnOnce(Naming) -> Stage + Send> = match func {
            Func::Round => {
                let to = scalars(1).await?.pop().unwrap_or_else(|| vec![1.0; node.grid.steps].into());
                Box::new(move |naming| Stage::Round(to, naming))
            }
            Func::Clamp | Func::ClampMin | Func::ClampMax => {
                let mut bounds = scalars(1).await?.into_iter();
                let min = (func != Func::ClampMax).then(|| bounds.next()).flatten();
                let max = (func != Func::ClampMin).then(|| bounds.next()).flatten();
                Box::new(move |naming| Stage::Clamp { min, max, naming })
            }
            Func::Timestamp => {
                let grid = node.grid;
                Box::new(move |naming| Stage::StepTime(grid, naming))
            }
            Func::LabelReplace => {
                let replacement = Replacement::new(text(&args[1]), text(&args[2]), text(&args[3]), text(&args[4]))?;
                Box::new(move |_| Stage::Replace(Box::new(replacement)))
            }
            Func::LabelJoin => {
                let join = Join::new(text(&args[1]), text(&args[2]), texts(&args[3..]))?;
                Box::new(move |_| Stage::Join(Box::new(join)))
            }
            _ => match (math::unary(func).or_else(|| part_of_date(func)), figure(func)) {
                (Some(function), _) => Box::new(move |naming| Stage::Map(function, naming)),
                (None, Some(figure)) => Box::new(move |naming| Stage::Figure(figure, naming)),
                (None, None) => return Ok(None),
            },
        };
        let mut pipe = self.pipe(input).await?;
        if matches!(func, Func::LabelReplace | Func::LabelJoin) {
            pipe.one_name = false;
        }
        Ok(Some(pipe.then(self.delayed, stage)))
    }

    /// A function over the windows of each series; `absent_over_time` yields where a series is there.
    pub(super) async fn over_range(
        self: &Arc<Self>,
        func: Func,
        input: &RangeInput,
        input_span: Span,
        args: &[Arc<Node>],
        node: &Node,
    ) -> Result<Pipe, QueryError> {
        let mut scalars = Vec::with_capacity(args.len());
        for arg in args {
            scalars.push(self.scalar(arg).await?);
        }
        let spans = [input_span, args.first().map_or(node.span, |arg| arg.span)];
        let typed = self.typed;
        let tally = self.tally(node, matches!(input, RangeInput::Selector { .. }));
        let function =
            |windows: Windows, naming| RangeFunction { func, windows, args: scalars, spans, naming, typed, tally };
        match input {
            RangeInput::Selector { fetch, windows, stats_only } => {
                let function = function(*windows, self.naming(*fetch));
                let decode = Decode::Range { function, stats_only: *stats_only };
                self.fetched(*fetch, decode, node.grid.steps, false).await
            }
            RangeInput::Subquery { inner, windows } => {
                let mut pipe = self.pipe(inner).await?;
                if pipe.may_merge {
                    // Equal series are one before the windows slide over them.
                    pipe = self.ready(self.collect(pipe).await?, inner.grid.steps);
                }
                let naming = Naming { delayed: self.delayed, one_name: pipe.one_name };
                pipe.steps = pipe.steps.max(node.grid.steps);
                pipe.stages.push(Stage::OverSubquery(inner.grid, Box::new(function(*windows, naming))));
                Ok(pipe)
            }
        }
    }

    fn naming(&self, fetch: usize) -> Naming {
        Naming { delayed: self.delayed, one_name: self.plan.fetches[fetch].has_one_name() }
    }

    /// A line that begins at the source.
    async fn fetched(&self, fetch: usize, decode: Decode, steps: usize, may_merge: bool) -> Result<Pipe, QueryError> {
        let feed = if self.plan.fetches[fetch].uses > 1 {
            Feed::Shared(self.shared(fetch).await?, 0)
        } else {
            Feed::Source {
                set: self.select(fetch).await?,
                pending: Vec::new().into_iter(),
                held: self.budget.nothing_held(),
            }
        };
        let one_name = self.plan.fetches[fetch].has_one_name();
        Ok(Pipe { feed, decode: Some(decode), stages: Vec::new(), steps, one_name, may_merge })
    }

    /// A line that begins at what another operator has made.
    fn ready(&self, vector: Vector, steps: usize) -> Pipe {
        let nameless = |series: &SeriesPoints| !series.labels.iter().any(|(name, _)| is_metadata(name));
        Pipe {
            one_name: vector.series.iter().all(nameless),
            feed: Feed::Points { rest: vector.series.into_iter(), _held: vector.held },
            decode: None,
            stages: Vec::new(),
            steps,
            may_merge: false,
        }
    }
}

impl Pipe {
    /// The line with one more stage.
    fn then(mut self, delayed: bool, stage: impl FnOnce(Naming) -> Stage) -> Self {
        self.stages.push(stage(Naming { delayed, one_name: self.one_name }));
        self.may_merge |= !self.one_name;
        self
    }
}

/// Whether a function looks at one series at a time, so that [`Run::stage_call`] knows it.
pub fn is_stage(func: Func) -> bool {
    let own = matches!(
        func,
        Func::Round
            | Func::Clamp
            | Func::ClampMin
            | Func::ClampMax
            | Func::Timestamp
            | Func::LabelReplace
            | Func::LabelJoin
    );
    own || math::unary(func).is_some() || part_of_date(func).is_some() || figure(func).is_some()
}

/// The text that a node is.
pub fn text(node: &Node) -> &str {
    match &node.kind {
        NodeKind::Text(text) => text.as_str(),
        _ => "",
    }
}

/// The texts that nodes are.
pub fn texts(nodes: &[Arc<Node>]) -> Vec<String> {
    nodes.iter().map(|node| text(node).to_owned()).collect()
}

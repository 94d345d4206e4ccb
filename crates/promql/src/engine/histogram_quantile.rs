//! `histogram_quantile`, `histogram_quantiles` and `histogram_fraction`, of classic histograms (series with `le`) and of
//! native ones.
//!
//! The buckets of a classic histogram arrive as series of their own, so that all have to be held until the last one has
//! come. A native histogram is answered for where it arrives, and only the answer is held.

use crate::budget::{Budget, Held};
use crate::engine::QueryError;
use crate::engine::aggregate::Groups;
use crate::engine::annotations::{Note, NotesAt};
use crate::engine::classic_buckets::{self, Bucket};
use crate::engine::collide::Watch;
use crate::engine::labels::{parse_float, with_label};
use crate::engine::native_quantile::{self, NanObservations};
use crate::engine::points::{Grid, Identity, Presence, SeriesPoints};
use crate::engine::select::Naming;
use crate::engine::stream::Sink;
use crate::engine::vector::Vector;
use crate::literal::format_general;
use foldhash::fast::RandomState;
use longhaul_model::{FloatHistogram, Labels};
use std::collections::HashMap;
use std::sync::Arc;

/// What is asked of each histogram.
#[derive(Debug)]
pub struct Question {
    parts: Vec<Part>,
    /// Accounts for them.
    _held: Held,
}

/// One of the answers to a question: a series, with points at some steps only.
#[derive(Debug)]
struct Part {
    /// What it asks for at a step.
    figure: Figure,
    /// The label that tells the answers apart, and its value.
    label: Option<(Arc<str>, String)>,
    /// The steps that it is about; None: all.
    steps: Option<Presence>,
}

/// A number for every step, or two.
#[derive(Debug)]
enum Figure {
    Quantile(Arc<[f64]>),
    Fraction(Arc<[f64]>, Arc<[f64]>),
}

/// What is asked at one step.
#[derive(Clone, Copy)]
enum Asked {
    Quantile(f64),
    Fraction(f64, f64),
}

impl Figure {
    fn at(&self, step: usize) -> Asked {
        match self {
            Self::Quantile(q) => Asked::Quantile(q[step]),
            Self::Fraction(lower, upper) => Asked::Fraction(lower[step], upper[step]),
        }
    }
}

impl Asked {
    fn same(self, other: Self) -> bool {
        let bits = |asked: Self| match asked {
            Self::Quantile(q) => [q, q].map(f64::to_bits),
            Self::Fraction(lower, upper) => [lower, upper].map(f64::to_bits),
        };
        bits(self) == bits(other)
    }
}

impl Question {
    /// The quantile `q[step]`.
    pub fn quantile(q: Arc<[f64]>, held: Held) -> Self {
        Self { parts: vec![Part { figure: Figure::Quantile(q), label: None, steps: None }], _held: held }
    }

    /// The share of observations between `lower[step]` and `upper[step]`.
    pub fn fraction(lower: Arc<[f64]>, upper: Arc<[f64]>, held: Held) -> Self {
        Self { parts: vec![Part { figure: Figure::Fraction(lower, upper), label: None, steps: None }], _held: held }
    }

    /// Several quantiles, each under its own value of `label`. One that changes from step to step belongs to another series
    /// then. Err if that is too much.
    pub fn quantiles(label: &str, all: &[Arc<[f64]>], mut held: Held) -> Result<Self, QueryError> {
        let label: Arc<str> = Arc::from(label);
        let mut parts: Vec<Part> = Vec::new();
        for q in all {
            let mut index: HashMap<u64, usize, RandomState> = HashMap::default();
            for (step, value) in q.iter().enumerate() {
                let at = match index.get(&value.to_bits()) {
                    Some(at) => *at,
                    None => {
                        held.grow(size_of::<Part>() + q.len() / 8)?;
                        parts.push(Part {
                            figure: Figure::Quantile(Arc::clone(q)),
                            label: Some((Arc::clone(&label), quantile_label(*value))),
                            steps: Some(Presence::none(q.len())),
                        });
                        index.insert(value.to_bits(), parts.len() - 1);
                        parts.len() - 1
                    }
                };
                parts[at].steps.iter_mut().for_each(|steps| steps.set(step));
            }
        }
        Ok(Self { parts, _held: held })
    }
}

/// A quantile as the value of a label (OpenMetrics: always with a point or an exponent).
fn quantile_label(q: f64) -> String {
    let text = format_general(q);
    if text.contains(['.', 'e', 'N', 'I']) { text } else { text + ".0" }
}

impl Part {
    /// The steps of a series that it is about.
    fn of(&self, there: &Presence) -> Presence {
        let mut steps = there.clone();
        if let Some(own) = &self.steps {
            steps.intersect(own);
        }
        steps
    }

    /// An answer without points yet, for a histogram of these labels.
    fn series(&self, labels: &Labels, drop_name: bool, steps: usize) -> SeriesPoints {
        let labels = match &self.label {
            Some((name, value)) => with_label(labels, name, value),
            None => labels.clone(),
        };
        // The same quantile may be asked for twice.
        let identity = self.label.as_ref().map(|_| Identity::Merge);
        SeriesPoints { drop_name, identity, ..SeriesPoints::empty(labels, steps) }
    }
}

/// A series on its way to the buckets: what it is to a classic histogram, and the answers for the native histograms in
/// it.
#[derive(Debug)]
pub struct BucketSeries {
    series: SeriesPoints,
    /// The labels of the classic histogram that it would be a bucket of.
    histogram: Labels,
    bound: Option<f64>,
    native: Result<Natives, QueryError>,
}

/// The answers for the native histograms of a series, accounted for.
#[derive(Debug)]
struct Natives {
    all: Vec<Native>,
    held: Held,
}

/// An answer for native histograms, with what is to be said of it at some steps.
#[derive(Debug)]
struct Native {
    /// The labels of the series.
    histogram: Labels,
    answer: SeriesPoints,
    nan: Vec<(usize, NanObservations)>,
}

impl BucketSeries {
    /// Reads the bound and answers for native histograms.
    pub fn new(series: SeriesPoints, question: &Question, budget: &Budget) -> Self {
        let bound = series.labels.get("le").and_then(parse_float);
        let native = Natives::new(&series, question, budget);
        Self { histogram: series.labels.without(|name| name == "le"), series, bound, native }
    }
}

impl Natives {
    fn new(series: &SeriesPoints, question: &Question, budget: &Budget) -> Result<Self, QueryError> {
        let (mut natives, mut pace) = (Self { all: Vec::new(), held: budget.nothing_held() }, budget.pace());
        for part in question.parts.iter().filter(|_| series.has_histograms()) {
            pace.go_on(series.steps())?;
            let native = Native::new(series, part);
            if !native.answer.is_empty() {
                natives.held.grow(native.answer.size_bytes())?;
                natives.all.push(native);
            }
        }
        Ok(natives)
    }
}

impl Native {
    fn new(series: &SeriesPoints, part: &Part) -> Self {
        let mut answer = part.series(&series.labels, series.drop_name, series.steps());
        let mut nan = Vec::new();
        let mut last = Last::default();
        for (step, histogram) in series.histograms.iter().flat_map(|histograms| histograms.iter()) {
            if part.steps.as_ref().is_none_or(|steps| steps.get(step)) {
                let (value, found) = last.answer(part.figure.at(step), histogram);
                answer.set(step, value);
                nan.extend(found.map(|found| (step, found)));
            }
        }
        Self { histogram: series.labels.clone(), answer, nan }
    }
}

/// The answer that was given last: a histogram often stands at many steps, and is asked the same.
#[derive(Default)]
struct Last<'a>(Option<(Asked, &'a Arc<FloatHistogram>, Answer)>);

/// A figure, and what is to be said of it.
type Answer = (f64, Option<NanObservations>);

impl<'a> Last<'a> {
    fn answer(&mut self, asked: Asked, histogram: &'a Arc<FloatHistogram>) -> Answer {
        match self.0 {
            Some((before, other, answer)) if before.same(asked) && Arc::ptr_eq(other, histogram) => answer,
            _ => {
                let answer = match asked {
                    Asked::Quantile(q) => native_quantile::quantile(q, histogram),
                    Asked::Fraction(lower, upper) => native_quantile::fraction(lower, upper, histogram),
                };
                self.0 = Some((asked, histogram, answer));
                answer
            }
        }
    }
}

/// The buckets of all classic histograms of a vector, and the answers for the native ones.
#[derive(Debug)]
pub struct Buckets {
    classic: Groups<Vec<(f64, SeriesPoints)>>,
    native: Vec<Native>,
    watch: Watch,
    held: Held,
    notes: NotesAt,
    naming: Naming,
}

impl Sink for Buckets {
    type Item = BucketSeries;

    fn take(&mut self, item: BucketSeries) -> Result<(), QueryError> {
        let BucketSeries { mut series, histogram, bound, native } = item;
        self.watch.admit(&series, &mut self.held)?;
        series.histograms = None;
        let Natives { all, held } = native?;
        drop(held); // it goes over to the sink
        self.held.grow(all.iter().map(|native| native.answer.size_bytes()).sum())?;
        self.native.extend(all);
        if series.is_empty() {
            return Ok(());
        }
        let Some(bound) = bound else {
            let le = series.labels.get("le").unwrap_or("").to_owned();
            self.notes.add(Note::BadBucketLabel(le, self.metric(&series.labels)));
            return Ok(());
        };
        self.held.grow(series.size_bytes())?;
        self.classic.entry(histogram, series.drop_name, Vec::new).push((bound, series));
        Ok(())
    }
}

impl Buckets {
    /// None yet.
    pub fn new(held: Held, notes: NotesAt, naming: Naming) -> Self {
        Self { classic: Groups::default(), native: Vec::new(), watch: Watch::default(), held, notes, naming }
    }

    /// The name that notes give to a metric: none if it has been dropped by now.
    fn metric(&self, labels: &Labels) -> String {
        if self.naming.delayed { labels.metric_name().to_owned() } else { String::new() }
    }

    /// Answers for every histogram over `grid`.
    pub fn finish(mut self, question: &Question, grid: &Grid) -> Result<Vector, QueryError> {
        self.part_kinds();
        let mut out = Vector::new(self.held.budget());
        for Native { histogram, mut answer, nan } in std::mem::take(&mut self.native) {
            for (_, found) in nan.into_iter().filter(|(step, _)| answer.present.get(*step)) {
                self.notes.add(found.note(self.metric(&histogram)));
            }
            self.naming.drop_name(&mut answer, Identity::Merge);
            self.held.shrink(answer.size_bytes()); // it goes over to the result
            if !answer.is_empty() {
                out.push(answer)?;
            }
        }
        for (labels, drop_name, mut members) in std::mem::take(&mut self.classic) {
            members.sort_by(|a, b| a.0.total_cmp(&b.0));
            for part in &question.parts {
                out.go_on(members.len() * grid.steps)?;
                let mut answer = part.series(&labels, drop_name, grid.steps);
                self.answer(part, &labels, &members, grid, &mut answer);
                self.naming.drop_name(&mut answer, Identity::Merge);
                if !answer.is_empty() {
                    out.push(answer)?;
                }
            }
        }
        Ok(out)
    }

    /// Where a classic and a native histogram have the same labels at the same step, neither is answered for.
    fn part_kinds(&mut self) {
        let mut mixed = Vec::new();
        for native in &mut self.native {
            let Some(members) = self.classic.get(&native.histogram) else { continue };
            let mut both = Presence::none(native.answer.steps());
            members.iter().for_each(|(_, member)| both.unite(&member.present));
            both.intersect(&native.answer.present);
            if !both.is_none() {
                native.answer.remove(&both);
                mixed.push((native.histogram.clone(), both));
            }
        }
        for (labels, both) in mixed {
            self.notes.add(Note::MixedClassicNative(self.metric(&labels)));
            let members = self.classic.get_mut(&labels).into_iter().flatten();
            members.for_each(|(_, member)| member.remove(&both));
        }
    }

    fn answer(
        &self,
        part: &Part,
        labels: &Labels,
        members: &[(f64, SeriesPoints)],
        grid: &Grid,
        out: &mut SeriesPoints,
    ) {
        let mut buckets = Vec::with_capacity(members.len());
        for step in part.of(&Presence::all(grid.steps)).iter() {
            buckets.clear();
            let there = members.iter().filter(|(_, member)| member.present.get(step));
            buckets.extend(there.map(|(bound, member)| Bucket { bound: *bound, count: member.values[step] }));
            if buckets.is_empty() {
                continue;
            }
            let value = match part.figure.at(step) {
                Asked::Fraction(lower, upper) => classic_buckets::fraction(lower, upper, &mut buckets),
                Asked::Quantile(q) => {
                    let (value, falls) = classic_buckets::quantile(q, &mut buckets);
                    if let Some(falls) = falls {
                        let metric = self.metric(labels);
                        self.notes.add(Note::ForcedMonotonicity { metric, falls, t_ms: grid.time_ms(step) });
                    }
                    value
                }
            };
            out.set(step, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::{BudgetLimits, CancelFlag};
    use longhaul_model::ManualClock;

    fn budget(bytes_max: u64) -> Budget {
        let limits = BudgetLimits { bytes_max, ..BudgetLimits::default() };
        Budget::new(limits, Arc::new(ManualClock::at(0)), CancelFlag::default())
    }

    fn question(steps: usize, budget: &Budget) -> Result<Question, QueryError> {
        let q: Arc<[f64]> = (0..steps).map(|step| step as f64 / steps as f64).collect();
        Question::quantiles("q", &[Arc::clone(&q), Arc::from(vec![0.5; steps])], budget.nothing_held())
    }

    #[test]
    fn a_quantile_that_changes_at_every_step_is_accounted_for() {
        assert!(question(200_000, &budget(1 << 20)).is_err());
        let small = budget(1 << 20);
        let question = question(1000, &small).unwrap();
        assert_eq!(question.parts.len(), 1001);
        let mut series = SeriesPoints::empty(Labels::empty(), 1000);
        (0..1000).for_each(|step| series.set_histogram(step, Arc::default()));
        let asked =
            |budget: &Budget| BucketSeries::new(series.clone(), &question, budget).native.map(|it| it.all.len());
        assert_eq!(asked(&Budget::unlimited()), Ok(1001));
        assert!(asked(&small).is_err(), "a column an answer");
    }
}

//! Operators between two vectors: which series pair, and what comes of each pair.
//!
//! Prometheus matches step by step. Here series are paired once, by their matching labels, and a pair is computed over
//! all steps at once; what Prometheus would refuse at some step shows as two presences that intersect.

use crate::ast::{BinaryOp, Cardinality, VectorMatching};
use crate::engine::QueryError;
use crate::engine::annotations::NotesAt;
use crate::engine::binary;
use crate::engine::collide;
use crate::engine::histogram_binary::combine_points;
use crate::engine::labels::{Grouping, is_metadata};
use crate::engine::points::{Presence, SeriesPoints};
use crate::engine::vector::Vector;
use foldhash::fast::RandomState;
use longhaul_model::Labels;
use std::collections::HashMap;

/// An operator between vectors.
#[derive(Clone, Debug)]
pub struct VectorOperator {
    /// Which.
    pub op: BinaryOp,
    /// Whether a comparison yields 0 and 1.
    pub return_bool: bool,
    /// How series pair.
    pub matching: VectorMatching,
    /// Names go at the end of the query.
    pub delayed: bool,
    /// Length of the grid.
    pub steps: usize,
    /// Where to tell what is worth a word.
    pub notes: NotesAt,
}

/// The series of both sides that have the same matching labels.
#[derive(Default)]
struct Group {
    many: Vec<SeriesPoints>,
    one: Vec<SeriesPoints>,
}

/// What has come of a group's pairs so far.
struct Results<'a> {
    /// The results of this group and of those before it.
    all: &'a mut Vector,
    /// At which steps pairs with these labels have met; empty without a group modifier.
    met: HashMap<Labels, Presence, RandomState>,
}

impl VectorOperator {
    /// Evaluates it.
    pub fn apply(&self, lhs: Vector, rhs: Vector) -> Result<Vector, QueryError> {
        collide::merge(if self.op.is_set() { self.set(lhs, rhs)? } else { self.pair(lhs, rhs)? })
    }

    fn grouping(&self) -> Grouping {
        match self.matching.on {
            true => Grouping::by(&self.matching.labels),
            false => Grouping::without(&self.matching.labels),
        }
    }

    fn set(&self, lhs: Vector, rhs: Vector) -> Result<Vector, QueryError> {
        let (grouping, mut out) = (self.grouping(), Vector::new(lhs.held.budget()));
        let (Vector { series: mut lhs, held: lhs_held, .. }, Vector { series: mut rhs, held: rhs_held, .. }) =
            (lhs, rhs);
        if self.op == BinaryOp::Or {
            let left = self.presences(&grouping, &lhs, &mut out)?;
            for series in &mut rhs {
                out.go_on(self.steps)?;
                if let Some(there) = left.get(&grouping.of(&series.labels)) {
                    series.remove(there);
                }
            }
            lhs.append(&mut rhs);
        } else {
            let right = self.presences(&grouping, &rhs, &mut out)?;
            for series in &mut lhs {
                out.go_on(self.steps)?;
                match (right.get(&grouping.of(&series.labels)), self.op) {
                    (Some(there), BinaryOp::And) => series.keep(there),
                    (None, BinaryOp::And) => series.keep(&Presence::none(self.steps)),
                    (Some(there), _) => series.remove(there),
                    (None, _) => {}
                }
            }
        }
        lhs.retain(|series| !series.is_empty());
        // They are those that came in, and are accounted for anew.
        drop((lhs_held, rhs_held));
        out.held.grow(lhs.iter().map(SeriesPoints::size_bytes).sum())?;
        out.series = lhs;
        Ok(out)
    }

    fn pair(&self, lhs: Vector, rhs: Vector) -> Result<Vector, QueryError> {
        let mut out = Vector::new(lhs.held.budget());
        let _held = (lhs.held, rhs.held);
        let swapped = self.matching.cardinality == Cardinality::OneToMany;
        let (many, one) = if swapped { (rhs.series, lhs.series) } else { (lhs.series, rhs.series) };
        // Prometheus does not turn these with the sides: under `group_right`, `fill_left` stands in for the right side.
        let (fill_many, fill_one) = (self.matching.fill_left, self.matching.fill_right);
        // Steps at which a side has nothing at all are passed over, refusals included.
        let mut active = self.reach(&many, fill_many);
        active.intersect(&self.reach(&one, fill_one));

        let grouping = self.grouping();
        let mut index: HashMap<Labels, usize, RandomState> = HashMap::default();
        let mut groups: Vec<(Labels, Group)> = Vec::new();
        let mut group_of = |labels: &Labels| {
            let key = grouping.of(labels);
            *index.entry(key.clone()).or_insert_with(|| {
                groups.push((key, Group::default()));
                groups.len() - 1
            })
        };
        let mut at = Vec::with_capacity(many.len() + one.len());
        for series in many.iter().chain(&one) {
            out.go_on(series.labels.size_bytes())?;
            at.push(group_of(&series.labels));
        }
        let many_len = many.len();
        for (number, (series, at)) in many.into_iter().chain(one).zip(at).enumerate() {
            let group = &mut groups[at].1;
            if number < many_len { group.many.push(series) } else { group.one.push(series) }
        }
        let ones_there = self.unique_sides(&groups, &active, swapped)?;
        for ((key, group), one_there) in groups.into_iter().zip(ones_there) {
            let mut matched = Presence::none(self.steps);
            let mut results = Results { all: &mut out, met: HashMap::default() };
            for many in &group.many {
                let mut met = Presence::none(self.steps);
                for one in &group.one {
                    met.unite(&self.compute(many, one, swapped, None, &mut results)?);
                }
                if let Some(value) = fill_one {
                    let one = constant(&key, value, self.steps);
                    met.unite(&self.compute(many, &one, swapped, Some(&one_there), &mut results)?);
                }
                self.refuse_ambiguous(&met, &matched)?;
                matched.unite(&met);
            }
            if let Some(value) = fill_many {
                for one in &group.one {
                    self.compute(&constant(&key, value, self.steps), one, swapped, Some(&matched), &mut results)?;
                }
            }
        }
        Ok(out)
    }

    fn reach(&self, side: &[SeriesPoints], fill: Option<f64>) -> Presence {
        if fill.is_some() { Presence::all(self.steps) } else { union(side, self.steps) }
    }

    /// The steps at which each group's one-side is there. Refuses before anything is matched, as Prometheus does; of several
    /// groups the one that comes first by its key, since their order may be a matter of `sort`.
    fn unique_sides(
        &self,
        groups: &[(Labels, Group)],
        active: &Presence,
        swapped: bool,
    ) -> Result<Vec<Presence>, QueryError> {
        let unique_side = |(key, group): &(Labels, Group)| self.unique_side(key, &group.one, active, swapped);
        let all: Result<_, _> = groups.iter().map(unique_side).collect();
        all.map_err(|error| {
            let refusals = groups.iter().filter_map(|group| Some((&group.0, unique_side(group).err()?)));
            refusals.min_by(|(a, _), (b, _)| a.cmp(b)).map_or(error, |(_, first)| first)
        })
    }

    /// The one-side of a group must have at most one series at every step.
    fn unique_side(
        &self,
        key: &Labels,
        one: &[SeriesPoints],
        active: &Presence,
        swapped: bool,
    ) -> Result<Presence, QueryError> {
        let mut there = Presence::none(self.steps);
        for series in one {
            let mut clash = there.clone();
            clash.intersect(&series.there());
            clash.intersect(active);
            if let Some(step) = clash.iter().next() {
                // Whatever order they came in, which `sort` may have changed, the same two are named.
                let mut there: Vec<&Labels> =
                    one.iter().filter(|series| series.there().get(step)).map(|series| &series.labels).collect();
                there.sort();
                let (first, second) = (there[0], there[1]);
                return Err(QueryError::execution(format!(
                    "found duplicate series for the match group {key} on the {} hand-side of the operation: \
                     [{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side",
                    if swapped { "left" } else { "right" },
                )));
            }
            there.unite(&series.there());
        }
        Ok(there)
    }

    /// Computes a pair where both are present (and `except` is not) and adds it to `results` if anything is left. Returns
    /// the steps at which the two go together.
    fn compute(
        &self,
        many: &SeriesPoints,
        one: &SeriesPoints,
        swapped: bool,
        except: Option<&Presence>,
        results: &mut Results<'_>,
    ) -> Result<Presence, QueryError> {
        results.all.go_on(self.steps / 16 + 1)?; // most pairs never meet, which a glance tells
        let (lhs, rhs) = if swapped { (one, many) } else { (many, one) };
        let mut met = many.there().into_owned();
        met.intersect(&one.there());
        if let Some(except) = except {
            met.subtract(except);
        }
        if met.is_none() {
            return Ok(met);
        }
        let mut present = many.present.clone();
        present.intersect(&one.present);
        present.intersect(&met);
        if binary::trims(self.op) {
            present = Presence::none(self.steps); // Floats cannot be trimmed, which is to be told.
        }
        met.subtract(&present);
        let mut floats = present.clone();
        let mut values = lhs.values.clone();
        binary::combine(self.op, self.return_bool, &lhs.values, &rhs.values, &mut values, &mut floats);
        let mut result = SeriesPoints::new(Labels::empty(), values, floats);
        if !met.is_none() {
            met = combine_points(self.op, self.return_bool, [lhs, rhs], &met, &mut result, &self.notes);
        }
        met.unite(&present);
        result.labels = self.result_labels(&many.labels, &one.labels);
        self.refuse_equal(&result.labels, &met, results)?;
        if !result.is_empty() {
            result.drop_name = self.delayed && self.return_bool;
            results.all.push(result)?;
        }
        Ok(met)
    }

    /// The steps at which any series of a group of `side` is there, group by group.
    fn presences(
        &self,
        grouping: &Grouping,
        side: &[SeriesPoints],
        out: &mut Vector,
    ) -> Result<HashMap<Labels, Presence, RandomState>, QueryError> {
        let mut all: HashMap<Labels, Presence, RandomState> = HashMap::default();
        for series in side {
            out.go_on(series.labels.size_bytes())?;
            let there = all.entry(grouping.of(&series.labels)).or_insert_with(|| Presence::none(self.steps));
            there.unite(&series.there());
        }
        Ok(all)
    }

    /// The labels of a pair's result. Arithmetic makes another metric of it, whatever becomes of names elsewhere; what a
    /// comparison lets through is what its labels say, even if that name was to go at the end.
    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let matching = &self.matching;
        let another = binary::arithmetic(self.op).is_some() || (self.return_bool && !self.delayed);
        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        let kept = many.without(|name| {
            let listed = matching.labels.iter().any(|label| label == name);
            (another && is_metadata(name)) || (one_to_one && listed != matching.on)
        });
        if matching.include.is_empty() {
            return kept;
        }
        let included = matching.include.iter().map(|name| (name.as_str(), one.get(name).unwrap_or("")));
        Labels::from_pairs(kept.iter().chain(included))
    }

    /// Without a group modifier, at most one series of the left side may find a partner at any step, whether or not a
    /// comparison lets the pair through.
    fn refuse_ambiguous(&self, met: &Presence, matched: &Presence) -> Result<(), QueryError> {
        if self.matching.cardinality == Cardinality::OneToOne && met.intersects(matched) {
            return Err(QueryError::execution(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
            ));
        }
        Ok(())
    }

    /// With a group modifier, no two pairs of a group may come out with the same labels at the same step, whether or not a
    /// comparison lets them through.
    fn refuse_equal(&self, labels: &Labels, met: &Presence, results: &mut Results<'_>) -> Result<(), QueryError> {
        if self.matching.cardinality == Cardinality::OneToOne {
            return Ok(());
        }
        let seen = results.met.entry(labels.clone()).or_insert_with(|| Presence::none(self.steps));
        if seen.intersects(met) {
            return Err(QueryError::execution(
                "multiple matches for labels: grouping labels must ensure unique matches",
            ));
        }
        seen.unite(met);
        Ok(())
    }
}

fn union(side: &[SeriesPoints], steps: usize) -> Presence {
    let mut there = Presence::none(steps);
    side.iter().for_each(|series| there.unite(&series.there()));
    there
}

fn constant(labels: &Labels, value: f64, steps: usize) -> SeriesPoints {
    SeriesPoints::new(labels.clone(), vec![value; steps], Presence::all(steps))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    fn series(labels: &[(&str, &str)], points: &[Option<f64>]) -> SeriesPoints {
        let mut series = SeriesPoints::empty(Labels::from_pairs(labels.iter().copied()), points.len());
        points.iter().enumerate().for_each(|(step, v)| {
            if let Some(v) = v {
                series.set(step, *v)
            }
        });
        series
    }

    fn operator(op: BinaryOp, cardinality: Cardinality, on: &[&str], include: &[&str]) -> VectorOperator {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let matching = VectorMatching {
            cardinality,
            labels: owned(on),
            on: true,
            include: owned(include),
            fill_left: None,
            fill_right: None,
        };
        VectorOperator { op, return_bool: false, matching, delayed: false, steps: 2, notes: NotesAt::default() }
    }

    fn apply(
        operator: &VectorOperator,
        lhs: Vec<SeriesPoints>,
        rhs: Vec<SeriesPoints>,
    ) -> Result<Vec<SeriesPoints>, QueryError> {
        let [lhs, rhs] = [lhs, rhs].map(|series| {
            let mut vector = Vector::new(&Budget::unlimited());
            series.into_iter().for_each(|series| vector.push(series).unwrap());
            vector
        });
        operator.apply(lhs, rhs).map(|vector| vector.series)
    }

    #[test]
    fn a_pod_that_is_replaced_changes_the_included_label() {
        let many = vec![series(&[("__name__", "m"), ("node", "n"), ("i", "1")], &[Some(1.0), Some(2.0)])];
        let one = vec![
            series(&[("node", "n"), ("pod", "a")], &[Some(10.0), None]),
            series(&[("node", "n"), ("pod", "b")], &[None, Some(20.0)]),
        ];
        let operator = operator(BinaryOp::Mul, Cardinality::ManyToOne, &["node"], &["pod"]);
        let result = apply(&operator, many, one).unwrap();
        assert_eq!(result.len(), 2);
        assert_eq!(result[0].labels.to_string(), r#"{i="1", node="n", pod="a"}"#);
        assert_eq!(result[1].points().collect::<Vec<_>>(), [(1, 40.0)]);
    }

    #[test]
    fn duplicates_count_only_at_the_steps_where_they_meet() {
        let lhs = || vec![series(&[("a", "1")], &[Some(1.0), Some(1.0)])];
        let disjoint = vec![
            series(&[("x", "1"), ("a", "1")], &[Some(1.0), None]),
            series(&[("x", "2"), ("a", "1")], &[None, Some(2.0)]),
        ];
        let operator = operator(BinaryOp::Add, Cardinality::OneToOne, &["a"], &[]);
        let merged = apply(&operator, lhs(), disjoint.clone()).unwrap();
        assert_eq!(merged.len(), 1, "both pairs have the labels {{a=\"1\"}}");
        assert_eq!(merged[0].values, [2.0, 3.0]);
        let mut meeting = disjoint;
        meeting[0].set(1, 5.0);
        let error = apply(&operator, lhs(), meeting.clone()).unwrap_err().to_string();
        assert!(error.ends_with(
            "on the right hand-side of the operation: [{a=\"1\", x=\"1\"}, {a=\"1\", x=\"2\"}];many-to-many matching not \
             allowed: matching labels must be unique on one side"
        ));
        let error = apply(&operator, meeting, lhs()).unwrap_err().to_string();
        assert!(error.contains("many-to-one matching must be explicit"));
    }

    #[test]
    fn pairs_that_a_comparison_holds_back_count_as_matches() {
        let many = ["1", "2"].map(|i| series(&[("node", "n"), ("i", i)], &[Some(1.0), None]));
        let one = vec![series(&[("node", "n"), ("i", "x")], &[Some(5.0), None])];
        let operator = |include| operator(BinaryOp::Greater, Cardinality::ManyToOne, &["node"], include);
        let error = apply(&operator(&["i"]), many.to_vec(), one.clone()).unwrap_err().to_string();
        assert!(error.ends_with("grouping labels must ensure unique matches"), "{error}");
        assert!(apply(&operator(&[]), many.to_vec(), one).unwrap().is_empty());
    }

    #[test]
    fn names_go_where_the_result_is_another_metric() {
        let named = || vec![series(&[("__name__", "m"), ("__unit__", "s"), ("a", "1")], &[Some(1.0), None])];
        let result = |op, return_bool, delayed| {
            let mut lhs = named();
            lhs[0].drop_name = delayed;
            let ignoring = operator(op, Cardinality::OneToOne, &[], &[]);
            let matching = VectorMatching { on: false, ..ignoring.matching.clone() };
            let operator = VectorOperator { return_bool, delayed, matching, ..ignoring };
            let result = apply(&operator, lhs, named()).unwrap().remove(0);
            (result.labels.to_string(), result.drop_name)
        };
        let (whole, bare) = (r#"{__name__="m", __unit__="s", a="1"}"#.to_owned(), r#"{a="1"}"#.to_owned());
        for delayed in [false, true] {
            assert_eq!(result(BinaryOp::Add, false, delayed), (bare.clone(), false));
            assert_eq!(result(BinaryOp::Eq, false, delayed), (whole.clone(), false));
        }
        assert_eq!(result(BinaryOp::Eq, true, false), (bare, false));
        assert_eq!(result(BinaryOp::Eq, true, true), (whole, true));
    }

    #[test]
    fn sets_go_by_step() {
        let lhs = || vec![series(&[("a", "1")], &[Some(1.0), None])];
        let rhs = || vec![series(&[("a", "1"), ("b", "1")], &[Some(5.0), Some(6.0)])];
        let set = |op| apply(&operator(op, Cardinality::ManyToMany, &["a"], &[]), lhs(), rhs()).unwrap();
        assert_eq!(set(BinaryOp::And)[0].points().collect::<Vec<_>>(), [(0, 1.0)]);
        assert!(set(BinaryOp::Unless).is_empty());
        let or = set(BinaryOp::Or);
        assert_eq!(or[1].points().collect::<Vec<_>>(), [(1, 6.0)]);
    }
}

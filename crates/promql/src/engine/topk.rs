//! The aggregations that choose series: topk, bottomk, limitk, limit_ratio. What is kept at each step is k points a
//! group; of the input only the labels of the series that still stand among them.

use crate::ast::AggregateOp;
use crate::budget::Held;
use crate::engine::QueryError;
use crate::engine::aggregate::{Grouped, Groups};
use crate::engine::annotations::{Note, NotesAt};
use crate::engine::collide::Watch;
use crate::engine::math;
use crate::engine::over_time::nan_first;
use crate::engine::points::{Identity, SeriesPoints};
use crate::engine::stream::Sink;
use crate::engine::vector::Vector;
use crate::literal::format_general;
use longhaul_model::{FloatHistogram, Labels};
use std::cmp::Ordering;
use std::sync::Arc;

/// The groups of a choosing aggregation.
#[derive(Debug)]
pub struct Choice {
    op: AggregateOp,
    /// How many at each step; for `limit_ratio` the ratio.
    params: Arc<[f64]>,
    groups: Groups<Vec<Vec<Chosen>>>,
    series: Slots,
    watch: Watch,
    held: Held,
    notes: NotesAt,
}

/// A point that stands among the chosen.
#[derive(Clone, Debug)]
struct Chosen {
    value: f64,
    /// A histogram in the value's place (`limitk` and `limit_ratio` take any point).
    histogram: Option<Arc<FloatHistogram>>,
    series: usize,
}

/// The series of the chosen points. A place that no point refers to any more is used again.
#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Slot {
    labels: Labels,
    drop_name: bool,
    identity: Option<Identity>,
    /// How many of its points are among the chosen.
    points: usize,
}

impl Choice {
    /// No groups yet; checks the parameter.
    pub fn new(op: AggregateOp, params: Arc<[f64]>, held: Held, notes: NotesAt) -> Result<Self, QueryError> {
        if op == AggregateOp::LimitRatio {
            if params.iter().any(|ratio| ratio.is_nan()) {
                return Err(QueryError::execution("Ratio value is NaN"));
            }
        } else {
            refuse_count(&params)?;
        }
        let (groups, series, watch) = (Groups::default(), Slots::default(), Watch::default());
        Ok(Self { op, params, groups, series, watch, held, notes })
    }

    /// The chosen series; for an instant query group by group, best first.
    pub fn finish(self, steps: usize) -> Result<Vector, QueryError> {
        let mut at: Vec<Option<usize>> = vec![None; self.series.slots.len()];
        let mut out = Vector::new(self.held.budget());
        for (_, _, mut heaps) in self.groups {
            for (step, heap) in heaps.iter_mut().enumerate() {
                out.go_on(heap.len())?;
                if matches!(self.op, AggregateOp::TopK | AggregateOp::BottomK) {
                    heap.sort_by(|a, b| worse(self.op, b.value, a.value));
                }
                for chosen in heap {
                    let at = match at[chosen.series] {
                        Some(at) => at,
                        None => {
                            let Slot { labels, drop_name, identity, .. } = &self.series.slots[chosen.series];
                            let empty = SeriesPoints::empty(labels.clone(), steps);
                            out.push(SeriesPoints { drop_name: *drop_name, identity: *identity, ..empty })?;
                            *at[chosen.series].insert(out.series.len() - 1)
                        }
                    };
                    match chosen.histogram.take() {
                        Some(histogram) => out.series[at].set_histogram(step, histogram),
                        None => out.series[at].set(step, chosen.value),
                    }
                }
            }
        }
        Ok(out)
    }

    /// Histograms have no order: topk and bottomk pass them over, and say so.
    fn pass_over_histograms(&self, series: &mut SeriesPoints) {
        let Some(histograms) = series.histograms.take() else { return };
        if histograms.iter().any(|(step, _)| at_most(self.params[step]) > 0) {
            self.notes.add(Note::IgnoredInAggregation(self.op));
        }
    }
}

impl Sink for Choice {
    type Item = Grouped;

    fn take(&mut self, Grouped { mut series, group }: Grouped) -> Result<(), QueryError> {
        self.watch.admit(&series, &mut self.held)?;
        let (op, steps, number) = (self.op, series.steps(), self.series.reserve());
        if matches!(op, AggregateOp::TopK | AggregateOp::BottomK) {
            self.pass_over_histograms(&mut series);
        }
        if !self.groups.contains(&group) {
            self.held.grow(group.size_bytes() + steps * size_of::<Vec<Chosen>>())?;
        }
        let sample = if op == AggregateOp::LimitRatio { ratio_sample(&series.labels) } else { 0.0 };
        let heaps = self.groups.entry(group, false, || vec![Vec::new(); steps]);
        let (mut points, mut grown, mut shrunk) = (0, 0, 0);
        for step in series.there().iter() {
            let (value, heap, param) = (series.values[step], &mut heaps[step], self.params[step]);
            let wanted = match op {
                AggregateOp::LimitRatio => in_ratio(sample, param),
                AggregateOp::LimitK => heap.len() < at_most(param),
                _ => is_wanted(op, heap, at_most(param), value),
            };
            if wanted {
                let chosen = Chosen { value, histogram: series.histogram(step).cloned(), series: number };
                let bytes = chosen.size_bytes();
                match put(op, heap, at_most(param), chosen) {
                    Some(gone) => shrunk += self.series.release(gone.series),
                    None => grown += bytes,
                }
                points += 1;
            }
        }
        self.held.shrink(shrunk);
        if points > 0 {
            grown += series.labels.size_bytes() + size_of::<Slot>();
            let (drop_name, identity) = (series.drop_name, series.identity);
            self.series.slots[number] = Slot { labels: series.labels, drop_name, identity, points };
        } else {
            self.series.free.push(number);
        }
        self.held.grow(grown)
    }
}

impl Chosen {
    fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.histogram.as_ref().map_or(0, |histogram| histogram.size_bytes())
    }
}

impl Slots {
    /// A place for a series, which is to be filled or given back.
    fn reserve(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { labels: Labels::empty(), drop_name: false, identity: None, points: 0 });
            self.slots.len() - 1
        })
    }

    /// One point of a series less. Returns how many bytes that lets go.
    fn release(&mut self, number: usize) -> usize {
        let slot = &mut self.slots[number];
        slot.points -= 1;
        if slot.points > 0 {
            return 0;
        }
        let labels = std::mem::replace(&mut slot.labels, Labels::empty());
        self.free.push(number);
        labels.size_bytes() + size_of::<Slot>()
    }
}

/// Errs if any of the `params` cannot be how many. Where none asks for a single one there is nothing to refuse.
fn refuse_count(params: &[f64]) -> Result<(), QueryError> {
    const MAX: f64 = 9_223_372_036_854_774_784.0;
    const MIN: f64 = -9_223_372_036_854_775_808.0;
    let (min, max) = math::extent(params);
    let text = if max < 1.0 {
        return Ok(());
    } else if params.iter().any(|k| k.is_nan()) {
        "Parameter value is NaN".to_owned()
    } else if min <= MIN {
        format!("Scalar value {} underflows int64", format_general(min))
    } else if max >= MAX {
        format!("Scalar value {} overflows int64", format_general(max))
    } else {
        return Ok(());
    };
    Err(QueryError::Execution(text))
}

fn at_most(k: f64) -> usize {
    k.max(0.0) as usize
}

/// Whether a value belongs to the `k` best, of which the worst is on top of the heap. Which one of equals goes is decided
/// by the heap's shape, so that it is the same heap as Prometheus' (`container/heap`).
fn is_wanted(op: AggregateOp, heap: &[Chosen], k: usize, value: f64) -> bool {
    if heap.len() < k {
        return true;
    }
    let Some(worst) = heap.first() else { return false };
    let better = match op {
        AggregateOp::TopK => worst.value < value,
        _ => worst.value > value,
    };
    better || (worst.value.is_nan() && !value.is_nan())
}

/// Puts a point among the chosen; of topk and bottomk one gives way where there are `k` already.
fn put(op: AggregateOp, heap: &mut Vec<Chosen>, k: usize, chosen: Chosen) -> Option<Chosen> {
    let best = matches!(op, AggregateOp::TopK | AggregateOp::BottomK);
    if best && heap.len() >= k {
        let gone = std::mem::replace(&mut heap[0], chosen);
        sift_down(op, heap);
        return Some(gone);
    }
    heap.push(chosen);
    if best {
        sift_up(op, heap);
    }
    None
}

fn sift_up(op: AggregateOp, heap: &mut [Chosen]) {
    let mut at = heap.len() - 1;
    while at > 0 {
        let parent = (at - 1) / 2;
        if !is_worse(op, &heap[at], &heap[parent]) {
            break;
        }
        heap.swap(at, parent);
        at = parent;
    }
}

fn sift_down(op: AggregateOp, heap: &mut [Chosen]) {
    let mut at = 0;
    loop {
        let left = 2 * at + 1;
        if left >= heap.len() {
            return;
        }
        let right = left + 1;
        let child = if right < heap.len() && is_worse(op, &heap[right], &heap[left]) { right } else { left };
        if !is_worse(op, &heap[child], &heap[at]) {
            return;
        }
        heap.swap(at, child);
        at = child;
    }
}

fn is_worse(op: AggregateOp, a: &Chosen, b: &Chosen) -> bool {
    a.value.is_nan() || worse(op, a.value, b.value) == Ordering::Less
}

/// Orders values from worst to best, NaN the worst for either.
fn worse(op: AggregateOp, a: f64, b: f64) -> Ordering {
    if op == AggregateOp::TopK || a.is_nan() || b.is_nan() { nan_first(a, b) } else { nan_first(b, a) }
}

/// Where a series stands between 0 and 1, by its labels alone.
fn ratio_sample(labels: &Labels) -> f64 {
    // FNV-1a with a final mix: the same in every process, unlike the maps' hashes.
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut feed = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    for (name, value) in labels.iter() {
        name.bytes().for_each(&mut feed);
        feed(0xff);
        value.bytes().for_each(&mut feed);
        feed(0xff);
    }
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (hash ^ (hash >> 33)) as f64 / u64::MAX as f64
}

/// Whether a sample is in the ratio; a negative ratio takes what its complement leaves.
fn in_ratio(sample: f64, ratio: f64) -> bool {
    let ratio = ratio.clamp(-1.0, 1.0);
    if ratio >= 0.0 { sample < ratio } else { sample >= 1.0 + ratio }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::Budget;

    fn choose(op: AggregateOp, param: f64, values: &[f64]) -> Vec<f64> {
        let held = Budget::unlimited().hold(0).unwrap();
        let mut choice = Choice::new(op, Arc::from([param]), held, NotesAt::default()).unwrap();
        for (index, value) in values.iter().enumerate() {
            let mut series = SeriesPoints::empty(Labels::from_pairs([("i", index.to_string().as_str())]), 1);
            series.set(0, *value);
            choice.take(Grouped { series, group: Labels::empty() }).unwrap();
        }
        choice.finish(1).unwrap().series.iter().map(|series| series.values[0]).collect()
    }

    #[test]
    fn the_best_come_first_and_nan_last() {
        let values = [1.0, f64::NAN, 3.0, 2.0, f64::NAN];
        assert_eq!(choose(AggregateOp::TopK, 2.0, &values), [3.0, 2.0]);
        assert_eq!(choose(AggregateOp::BottomK, 2.0, &values), [1.0, 2.0]);
        let all = choose(AggregateOp::BottomK, 4.0, &values);
        assert!(all[..3] == [1.0, 2.0, 3.0] && all[3].is_nan());
        assert!(choose(AggregateOp::TopK, 0.0, &values).is_empty());
        assert_eq!(choose(AggregateOp::LimitK, 1.0, &values), [1.0]);
    }

    #[test]
    fn a_count_that_is_none_is_refused_where_any_is_asked_for() {
        let refusal = |params: &[f64]| refuse_count(params).err().map(|error| error.to_string());
        for params in [&[f64::NEG_INFINITY][..], &[-1e300, 0.5], &[9e18, -9e18]] {
            assert_eq!(refusal(params), None, "{params:?}");
        }
        assert!(refusal(&[f64::NAN]).unwrap().ends_with("Parameter value is NaN"));
        assert!(refusal(&[f64::NAN, 0.0]).unwrap().ends_with("Parameter value is NaN"));
        assert!(refusal(&[1.0, f64::NEG_INFINITY]).unwrap().ends_with("Scalar value -Inf underflows int64"));
        assert!(refusal(&[1.0, 1e19]).unwrap().ends_with("Scalar value 1e+19 overflows int64"));
    }

    #[test]
    fn a_ratio_and_its_complement_are_everything() {
        let values: Vec<f64> = (0..1000).map(f64::from).collect();
        let (some, rest) =
            (choose(AggregateOp::LimitRatio, 0.3, &values), choose(AggregateOp::LimitRatio, -0.7, &values));
        assert_eq!(some.len() + rest.len(), 1000);
        assert!((200..400).contains(&some.len()), "{}", some.len());
    }
}

//! The head against a map of maps: random samples of all kinds in and out of order, cuts with every end, evictions,
//! deletions, pins.

use super::*;
use crate::{CutView, HeadSeries, Verdict};
use longhaul_model::{MatchOp, Matcher, Tombstone};
use longhaul_testkit::measurements::{KINDS, measurement};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// Samples of a series that begin at a time, with a distance, a count, a kind, and a value.
    Samples {
        series: usize,
        t_ms: i64,
        step_ms: i64,
        count: i64,
        kind: u8,
        value: u8,
    },
    Cut {
        first: i64,
        ranges: i64,
    },
    Release(usize),
    Abandon(usize),
    Drop(usize),
    /// The parts leave the machine.
    Ship,
    Evict(i64),
    Delete {
        matchers: Vec<usize>,
        start_ms: i64,
        end_ms: i64,
    },
    Pin {
        start_ms: i64,
        end_ms: i64,
    },
    Unpin(usize),
    Select {
        matchers: Vec<usize>,
        start_ms: i64,
        end_ms: i64,
    },
}

const SERIES: [&[(&str, &str)]; 7] = [
    &[("__name__", "up"), ("job", "a")],
    &[("__name__", "up"), ("job", "a"), ("zone", "1")],
    &[("__name__", "up"), ("job", "b"), ("zone", "2")],
    &[("__name__", "down"), ("job", "b")],
    &[("__name__", "down"), ("job", "job")],
    &[("__name__", "a")],
    &[],
];

fn matchers() -> Vec<Matcher> {
    let new = |name, op, value| Matcher::new(name, op, value).unwrap();
    vec![
        Matcher::equal("__name__", "up"),
        Matcher::equal("zone", ""),
        new("job", MatchOp::NotEqual, "a"),
        new("job", MatchOp::Regex, "b|job"),
        new("job", MatchOp::NotRegex, "j.*"),
        new("zone", MatchOp::Regex, ".+"),
        new("__name__", MatchOp::Regex, "d.*"),
    ]
}

/// Plain floats half of the time.
fn kind() -> impl Strategy<Value = u8> {
    prop_oneof![Just(0), 0..KINDS]
}

fn step() -> impl Strategy<Value = Step> {
    let time = (-100i64..300).prop_map(|t| t * 20); // few enough that samples meet
    prop_oneof![
        12 => (0..SERIES.len(), time.clone(), (-3i64..10).prop_map(|t| t * 20), 1i64..25, kind(), 0u8..3).prop_map(
            |(series, t_ms, step_ms, count, kind, value)| Step::Samples { series, t_ms, step_ms, count, kind, value }
        ),
        3 => (-3i64..6, 1i64..4).prop_map(|(first, ranges)| Step::Cut { first, ranges }),
        3 => any::<usize>().prop_map(Step::Release),
        1 => any::<usize>().prop_map(Step::Abandon),
        1 => any::<usize>().prop_map(Step::Drop),
        1 => Just(Step::Ship),
        1 => (-3000i64..9000).prop_map(Step::Evict),
        1 => (proptest::collection::vec(0..7usize, 0..3), time.clone(), time.clone())
            .prop_map(|(matchers, start_ms, end_ms)| Step::Delete { matchers, start_ms, end_ms }),
        1 => (time.clone(), time.clone()).prop_map(|(start_ms, end_ms)| Step::Pin { start_ms, end_ms }),
        1 => any::<usize>().prop_map(Step::Unpin),
        3 => (proptest::collection::vec(0..7usize, 0..3), time.clone(), time)
            .prop_map(|(matchers, start_ms, end_ms)| Step::Select { matchers, start_ms, end_ms }),
    ]
}

/// Where a sample is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Uncut,
    InCut(usize),
}

/// A value with its start: the canonical form of the one, then the other.
type Content = (Vec<u8>, i64);

type Samples = BTreeMap<(usize, i64), (Content, u64, Place)>;

fn content(it: &Measurement) -> Content {
    let mut canonical = Vec::new();
    it.value.canonical(&mut canonical);
    (canonical, it.start_ms)
}

/// What a series holds in `range`, as (time, content); and that queries are told the same.
fn contents(chunks: &SeriesChunks, range: TimeRange) -> Vec<(i64, Content)> {
    let decoded = decode_all(chunks, range);
    let mut columns = longhaul_chunk::Samples::default();
    longhaul_chunk::merge_samples(&chunks.chunks, range, &mut columns).unwrap();
    let of_kind = |float: bool| {
        let of_kind = decoded.iter().filter(move |it| matches!(it.value, Value::Float(_)) == float);
        of_kind.map(|it| (it.t_ms, it.start_ms)).collect::<Vec<_>>()
    };
    let with_starts = |t_ms: &[i64], start_ms: &[i64]| {
        let starts = start_ms.iter().copied().chain(std::iter::repeat(0));
        t_ms.iter().copied().zip(starts).collect::<Vec<_>>()
    };
    assert_eq!(with_starts(&columns.floats.t_ms, &columns.floats.start_ms), of_kind(true));
    assert_eq!(with_starts(&columns.histograms.t_ms, &columns.histograms.start_ms), of_kind(false));
    decoded.iter().map(|it| (it.t_ms, content(it))).collect()
}

struct World {
    head: Arc<Head>,
    parts: Parts,
    offset: u64,
    /// What the head must show: (series, time) -> (content, offset, place).
    samples: Samples,
    /// Everything that was ever stored: once its part has left the machine, a sample can be corrected.
    stored: BTreeMap<(usize, i64, u64), Content>,
    cuts: Vec<(usize, CutView)>,
    cuts_made: usize,
    /// Whether something was deleted: the lowest offset of what is left is then known as a bound only.
    deleted: bool,
    /// A pin with what it must show at least.
    pins: Vec<(HeadSeries, Pinned)>,
}

/// (series, time, offset) of what there was.
type Pinned = Vec<(usize, i64, u64)>;

fn labels(series: usize) -> Labels {
    Labels::from_sorted(SERIES[series].iter().copied())
}

impl World {
    fn new() -> Self {
        Self {
            head: small_head(),
            parts: Parts::default(),
            offset: 0,
            samples: Samples::new(),
            stored: BTreeMap::new(),
            cuts: Vec::new(),
            cuts_made: 0,
            deleted: false,
            pins: Vec::new(),
        }
    }

    fn apply(&mut self, series: usize, sample: Measurement) {
        self.offset += 1;
        let handle = get_or_create(&self.head, SERIES[series]);
        let (t_ms, content) = (sample.t_ms, content(&sample));
        let in_head = self.samples.get(&(series, t_ms)).map(|it| (it.0.0 == content.0, it.2 != Place::Uncut));
        let older = || Some((self.parts.value_at(&labels(series), t_ms)?.same(&sample.value), true));
        let expected = match in_head.or_else(older) {
            None => Verdict::Stored,
            Some((true, false)) => Verdict::Duplicate,
            Some((true, true)) => Verdict::DuplicateOfOlder,
            Some((false, _)) => Verdict::Conflict,
        };
        let verdict = match sample.value {
            Value::Float(value) if sample.start_ms == 0 && self.offset.is_multiple_of(2) => {
                self.head.apply(&handle, Sample::new(t_ms, value), self.offset, &self.parts)
            }
            _ => self.head.apply_any(&handle, sample, self.offset, &self.parts),
        };
        assert_eq!(verdict, expected, "series {series} at {t_ms}");
        if verdict == Verdict::Stored {
            self.stored.insert((series, t_ms, self.offset), content.clone());
            self.samples.insert((series, t_ms), (content, self.offset, Place::Uncut));
        }
    }

    fn cut(&mut self, range: TimeRange) {
        // Views that were dropped without a decision come back first, whether or not there is anything else.
        let live: Vec<usize> = self.cuts.iter().map(|it| it.0).collect();
        for it in self.samples.values_mut() {
            if matches!(it.2, Place::InCut(cut) if !live.contains(&cut)) {
                it.2 = Place::Uncut;
            }
        }
        let mut expected = BTreeMap::<Labels, Vec<(i64, Content)>>::new();
        let mut first_offset = u64::MAX;
        for ((series, t_ms), (content, offset, place)) in &mut self.samples {
            if range.contains(*t_ms) && *place == Place::Uncut {
                *place = Place::InCut(self.cuts_made);
                expected.entry(labels(*series)).or_default().push((*t_ms, content.clone()));
                first_offset = first_offset.min(*offset);
            }
        }
        let Some(view) = self.head.cut(range, self.offset) else { return assert!(expected.is_empty()) };
        assert_eq!((view.through(), view.series_count()), (self.offset, expected.len()));
        assert!(self.is_first_offset(view.from() + 1, first_offset));
        assert_eq!(view.samples(), expected.values().map(|it| it.len() as u64).sum::<u64>());
        let found: Vec<_> = view.series().map(|it| (it.labels.clone(), contents(&it, TimeRange::ALL))).collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        self.cuts.push((self.cuts_made, view));
        self.cuts_made += 1;
    }

    fn select(&self, matchers: &[Matcher], range: TimeRange) {
        let mut expected = BTreeMap::<Labels, Vec<(i64, Content)>>::new();
        for ((series, t_ms), (content, ..)) in &self.samples {
            let labels = labels(*series);
            if range.contains(*t_ms) && matchers.iter().all(|it| it.matches(labels.get(&it.name).unwrap_or(""))) {
                expected.entry(labels).or_default().push((*t_ms, content.clone()));
            }
        }
        let found = self.head.select(matchers, range);
        assert!(found.is_sorted_by(|a, b| a.labels < b.labels));
        let mut decoded: Vec<_> = found.iter().map(|it| (it.labels.clone(), contents(it, range))).collect();
        decoded.retain(|it| !it.1.is_empty()); // a chunk may overlap a range without having a sample in it
        assert_eq!(decoded, expected.into_iter().collect::<Vec<_>>());
    }

    fn check_pin(&self, pinned: &(HeadSeries, Pinned)) {
        let found: BTreeMap<Labels, Vec<(i64, Content)>> = (0..pinned.0.len())
            .flat_map(|i| pinned.0.batch(i..i + 1))
            .map(|it| (it.labels.clone(), contents(&it, pinned.0.range())))
            .collect();
        for (series, t_ms, offset) in &pinned.1 {
            // What has been corrected since: either value is right for this pin.
            let right: Vec<_> = self.stored.range((*series, *t_ms, *offset)..=(*series, *t_ms, u64::MAX)).collect();
            let seen = found.get(&labels(*series)).and_then(|it| it.iter().find(|it| it.0 == *t_ms));
            let known = |seen: &&(i64, Content)| right.iter().any(|it| *it.1 == seen.1);
            assert!(seen.is_some_and(|it| known(&it)), "series {series} at {t_ms}: {seen:?}");
        }
    }

    fn check_ranges(&self) {
        let mut expected = BTreeMap::<i64, (u64, u64, u64)>::new();
        for ((_, t_ms), (_, offset, place)) in &self.samples {
            let state = expected.entry(t_ms.div_euclid(RANGE_MS) * RANGE_MS).or_insert((0, 0, u64::MAX));
            match place {
                Place::Uncut => state.0 += 1,
                Place::InCut(_) => state.1 += 1,
            }
            state.2 = state.2.min(*offset);
        }
        let mut states = self.head.ranges();
        // A cut may be left with nothing.
        states.retain(|it| !self.deleted || it.samples + it.cutting_samples > 0);
        assert_eq!(states.len(), expected.len());
        for (found, (start_ms, (samples, cutting_samples, first_offset))) in states.iter().zip(expected) {
            let counts = (found.range.start_ms, found.samples, found.cutting_samples);
            assert_eq!(counts, (start_ms, samples, cutting_samples));
            assert!(self.is_first_offset(found.first_offset, first_offset));
        }
        let stats = self.head.stats();
        assert_eq!(stats.samples as usize, self.samples.len());
        if self.pins.is_empty() {
            assert_eq!(stats.chunk_bytes == 0, self.samples.is_empty(), "{} bytes", stats.chunk_bytes);
        }
    }

    fn is_first_offset(&self, found: u64, expected: u64) -> bool {
        found == expected || self.deleted && found < expected
    }

    fn delete(&mut self, matchers: Vec<Matcher>, range: TimeRange) {
        let tombstone = Tombstone { matchers, range };
        let is_gone = |series: usize, t_ms: i64| range.contains(t_ms) && tombstone.is_about(&labels(series));
        let gone: BTreeMap<(usize, i64), u64> = self
            .samples
            .extract_if(.., |(series, t_ms), _| is_gone(*series, *t_ms))
            .map(|(at, (_, offset, _))| (at, offset))
            .collect();
        assert_eq!(self.head.delete(&tombstone), gone.len() as u64);
        self.deleted |= !gone.is_empty();
        for (_, pinned) in &mut self.pins {
            pinned.retain(|(series, t_ms, offset)| gone.get(&(*series, *t_ms)) != Some(offset));
        }
        let with_samples = |it: &usize| self.samples.range((*it, i64::MIN)..=(*it, i64::MAX)).next().is_some();
        let meant = (0..SERIES.len()).filter(|it| tombstone.is_about(&labels(*it)));
        for series in meant.filter(|it| !with_samples(it)) {
            let found = self.head.label_values("zone", &[], TimeRange::ALL);
            let others = (0..SERIES.len())
                .filter(|it| *it != series)
                .any(|it| labels(it).get("zone") == labels(series).get("zone"));
            let zone = labels(series).get("zone").map(str::to_owned);
            assert!(others || zone.is_none_or(|zone| !found.iter().any(|it| **it == *zone)), "labels of what is gone");
        }
    }

    fn step(&mut self, step: Step) {
        let range = |start_ms: i64, end_ms: i64| TimeRange::new(start_ms.min(end_ms), start_ms.max(end_ms));
        let pick = |at: usize, len: usize| (len > 0).then(|| at % len);
        match step {
            Step::Samples { series, t_ms, step_ms, count, kind, value } => {
                (0..count).for_each(|i| self.apply(series, measurement(t_ms + i * step_ms, kind, value)));
            }
            Step::Cut { first, ranges } => {
                self.cut(TimeRange::new(first * RANGE_MS, (first + ranges) * RANGE_MS));
            }
            Step::Release(at) => {
                let Some(at) = pick(at, self.cuts.len()) else { return };
                let (cut, view) = self.cuts.remove(at);
                self.parts.add(view.series());
                self.head.release(&view);
                self.samples.retain(|_, it| it.2 != Place::InCut(cut));
            }
            Step::Abandon(at) => {
                let Some(at) = pick(at, self.cuts.len()) else { return };
                let (cut, view) = self.cuts.remove(at);
                self.head.abandon(&view);
                let back = self.samples.values_mut().filter(|it| it.2 == Place::InCut(cut));
                back.for_each(|it| it.2 = Place::Uncut);
            }
            Step::Drop(at) => {
                let Some(at) = pick(at, self.cuts.len()) else { return };
                self.cuts.remove(at);
            }
            Step::Ship => self.parts.0.lock().clear(),
            Step::Evict(idle_before_ms) => {
                let evicted = self.head.evict_idle(idle_before_ms);
                assert!(evicted <= SERIES.len());
                let with_samples = |it: usize| self.samples.range((it, i64::MIN)..=(it, i64::MAX)).next().is_some();
                assert!((0..SERIES.len()).filter(|it| with_samples(*it)).count() <= self.head.stats().series);
            }
            Step::Delete { matchers: chosen, start_ms, end_ms } => {
                let all = matchers();
                self.delete(chosen.into_iter().map(|at| all[at].clone()).collect(), range(start_ms, end_ms));
            }
            Step::Pin { start_ms, end_ms } => {
                let range = range(start_ms, end_ms);
                let seen = self.samples.iter().filter(|it| range.contains(it.0.1));
                let seen = seen.map(|((series, t_ms), it)| (*series, *t_ms, it.1)).collect();
                self.pins.push((self.head.pin(&[], range), seen));
            }
            Step::Unpin(at) => {
                let Some(at) = pick(at, self.pins.len()) else { return };
                let pinned = self.pins.remove(at);
                self.check_pin(&pinned);
            }
            Step::Select { matchers: chosen, start_ms, end_ms } => {
                let all = matchers();
                let chosen: Vec<Matcher> = chosen.into_iter().map(|at| all[at].clone()).collect();
                self.select(&chosen, range(start_ms, end_ms));
            }
        }
    }
}

proptest! {
    #[test]
    fn the_head_is_a_map(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
            world.check_ranges();
        }
        world.select(&[], TimeRange::ALL);
        world.pins.iter().for_each(|it| world.check_pin(it));
    }

    #[test]
    fn label_order_is_that_of_labels(
        rounds in proptest::collection::vec(
            proptest::collection::vec(proptest::collection::btree_map("[ab]{1,3}", "[xyz]{1,4}", 0..5), 1..150),
            1..4,
        ),
    ) {
        let head = small_head();
        let mut expected = std::collections::BTreeSet::new();
        for round in rounds {
            for labels in round {
                let pairs: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                head.apply(&get_or_create(&head, &pairs), sample(1, 1.0), 1, &());
                expected.insert(Labels::from_sorted(pairs));
            }
            prop_assert_eq!(head.series_labels(&[], TimeRange::ALL), expected.iter().cloned().collect::<Vec<_>>());
        }
    }
}

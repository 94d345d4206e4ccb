//! A query that nobody wants any more stops: however it is stopped, and wherever it is.

use crate::data::{NOW_MS, SOURCE, engine};
use crate::queries;
use async_trait::async_trait;
use futures::channel::oneshot;
use futures::executor::block_on;
use futures::future::{Either, select};
use longhaul_chunk::{Chunk, SeriesChunks, XorAppender};
use longhaul_model::{Clock, Labels, ManualClock};
use longhaul_promql::memory::MemorySource;
use longhaul_promql::source::{SelectRequest, SeriesSet, SeriesSource, SourceError};
use longhaul_promql::{Budget, BudgetLimits, CancelFlag, QueryError, QueryRequest};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// A clock that counts how often it is looked at, and stops the query at one of the looks.
#[derive(Debug)]
struct Looks {
    count: AtomicU64,
    stop_at: u64,
    cancel: CancelFlag,
}

impl Clock for Looks {
    fn now_ms(&self) -> i64 {
        0
    }

    fn monotonic_ns(&self) -> u64 {
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 == self.stop_at {
            self.cancel.cancel();
        }
        0
    }
}

/// Runs a query that is stopped at look `stop_at`; how often was looked, and what came of it.
fn stopped_at(query: &str, stop_at: u64) -> (u64, Result<(), QueryError>) {
    let cancel = CancelFlag::default();
    let clock = Arc::new(Looks { count: AtomicU64::new(0), stop_at, cancel: cancel.clone() });
    let limits = BudgetLimits { time_max_ms: u64::MAX, ..BudgetLimits::default() };
    let budget = Budget::new(limits, clock.clone(), cancel);
    let request = QueryRequest::range(query, NOW_MS, 2 * NOW_MS, 60_000);
    let result = block_on(engine(1).run(SOURCE.clone(), &request, &budget));
    (clock.count.load(Ordering::SeqCst), result.map(|_| ()))
}

#[test]
fn a_query_stops_at_the_look_after_it_was_told_to() {
    for query in queries() {
        let (looks, result) = stopped_at(query, u64::MAX);
        if result.is_err() {
            continue;
        }
        // The flag is looked at before the clock; some looks at the clock are to take times.
        let mut stop_at = 4;
        while stop_at + 3 < looks {
            let (looked, result) = stopped_at(query, stop_at);
            assert_eq!(result, Err(QueryError::Canceled), "{query} at {stop_at} of {looks}");
            assert!(looked <= stop_at + 3, "{query}: {looked} looks, stopped at {stop_at}");
            stop_at += 1 + looks / 20;
        }
    }
}

/// A hundred thousand series with the same samples, made as they are asked for.
#[derive(Clone)]
struct Many {
    series: usize,
    chunk: Chunk,
}

const SERIES: usize = 100_000;
const SAMPLES: usize = 120;

fn many() -> Arc<Many> {
    let mut chunk = XorAppender::new();
    (0..SAMPLES as i64).for_each(|n| chunk.append(n * 15_000, n as f64 * 1.5));
    Arc::new(Many { series: SERIES, chunk: chunk.seal() })
}

#[async_trait]
impl SeriesSource for Many {
    async fn select(&self, _: &SelectRequest) -> Result<Box<dyn SeriesSet>, SourceError> {
        Ok(Box::new(Rest { next: 0, end: self.series, chunk: self.chunk.clone() }))
    }
}

struct Rest {
    next: usize,
    end: usize,
    chunk: Chunk,
}

#[async_trait]
impl SeriesSet for Rest {
    async fn next_batch(&mut self) -> Result<Option<Vec<SeriesChunks>>, SourceError> {
        let from = self.next;
        self.next = self.end.min(from + 256);
        let series = |number: usize| {
            let number = format!("{number:06}");
            let labels = Labels::from_pairs([("__name__", "x_total"), ("i", number.as_str())]);
            SeriesChunks { labels, chunks: vec![self.chunk.clone()] }
        };
        Ok((from < self.next).then(|| (from..self.next).map(series).collect()))
    }
}

/// A clock that counts how often it is looked at once all samples have been counted, and stops the query at the first of
/// these looks.
#[derive(Debug)]
struct LooksAtTheEnd {
    samples: u64,
    budget: OnceLock<Budget>,
    count: AtomicU64,
    cancel: CancelFlag,
}

impl Clock for LooksAtTheEnd {
    fn now_ms(&self) -> i64 {
        0
    }

    fn monotonic_ns(&self) -> u64 {
        if self.budget.get().is_some_and(|budget| budget.stats().samples >= self.samples) {
            self.count.fetch_add(1, Ordering::SeqCst);
            self.cancel.cancel();
        }
        0
    }
}

#[test]
fn operators_that_need_everything_stop_too() {
    let source = Arc::new(Many { series: 5_000, ..Many::clone(&many()) });
    for query in [
        "x_total / x_total",
        "x_total and x_total",
        "x_total unless on (none) x_total",
        "label_replace(x_total, \"i\", \"$3$2$1\", \"i\", \"(..)(..)(..)\")",
        "-{__name__=~\"x.*\"}",
        "topk(10000, x_total)",
        "quantile(0.5, x_total)",
        "count_values by (i) (\"v\", x_total)",
        "max by (i) (x_total)",
        "histogram_quantile(0.5, label_join(x_total, \"le\", \"\", \"i\"))",
        "sum_over_time(sum by (i) (x_total)[10m:1m])",
        "x_total @ 1000",
        "x_total",
    ] {
        let cancel = CancelFlag::default();
        let request = QueryRequest::range(query, 600_000, 1_800_000, 60_000);
        let samples = block_on(engine(1).run(source.clone(), &request, &Budget::unlimited()));
        let samples = samples.unwrap_or_else(|error| panic!("{query}: {error}")).stats.samples;
        let clock =
            LooksAtTheEnd { samples, budget: OnceLock::new(), count: AtomicU64::new(0), cancel: cancel.clone() };
        let clock = Arc::new(clock);
        let budget = Budget::new(BudgetLimits::default(), clock.clone(), cancel);
        clock.budget.set(budget.clone()).unwrap();
        let result = block_on(engine(1).run(source.clone(), &request, &budget));
        assert_eq!(result.map(|_| ()), Err(QueryError::Canceled), "{query}");
        let looks = clock.count.load(Ordering::SeqCst);
        assert!(looks <= 4, "{query}: looked {looks} times after it was told to stop");
    }
}

#[test]
fn a_long_series_stops_within_its_windows() {
    let mut chunks = Vec::new();
    for from in (0..100_000).step_by(1000) {
        let mut chunk = XorAppender::new();
        (from..from + 1000).for_each(|n: i64| chunk.append(n * 1000, n as f64));
        chunks.push(chunk.seal());
    }
    let labels = Labels::from_pairs([("__name__", "x")]);
    let source = Arc::new(MemorySource::new(vec![SeriesChunks { labels, chunks }]));
    // A hundred windows of ten thousand samples: a million values to look at, in one series.
    let request = QueryRequest::range("sum_over_time(x[10000s])", 20_000_000, 99_000_000, 790_000);
    let looks = |stop_at| {
        let cancel = CancelFlag::default();
        let clock = Arc::new(Looks { count: AtomicU64::new(0), stop_at, cancel: cancel.clone() });
        let budget = Budget::new(BudgetLimits::default(), clock.clone(), cancel);
        let result = block_on(engine(1).run(source.clone(), &request, &budget));
        (clock.count.load(Ordering::SeqCst), result.map(|_| ()))
    };
    let (all, result) = looks(u64::MAX);
    assert_eq!(result, Ok(()));
    let stopped = (4..all - 4).filter(|stop_at| looks(*stop_at).1 == Err(QueryError::Canceled)).count() as u64;
    assert_eq!(stopped, all - 8);
    let (few, _) = {
        let request = QueryRequest::range("sum_over_time(x[1s])", 20_000_000, 99_000_000, 790_000);
        let clock = Arc::new(Looks { count: AtomicU64::new(0), stop_at: u64::MAX, cancel: CancelFlag::default() });
        let budget = Budget::new(BudgetLimits::default(), clock.clone(), CancelFlag::default());
        let result = block_on(engine(1).run(source.clone(), &request, &budget));
        (clock.count.load(Ordering::SeqCst), result.map(|_| ()))
    };
    assert!(all >= few + 3, "{all} looks for a million values, {few} for a hundred");
}

fn budget(cancel: &CancelFlag) -> Budget {
    Budget::new(BudgetLimits::default(), Arc::new(ManualClock::at(0)), cancel.clone())
}

/// Waits until a query has begun to decode.
fn begun(budget: &Budget) {
    while budget.stats().samples == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_flag_stops_a_hundred_thousand_series_within_one_of_them() {
    let cancel = CancelFlag::default();
    let budget = budget(&cancel);
    let request = QueryRequest::range("sum(rate(x_total[5m]))", 0, 1_800_000, 60_000);
    let (result, at_once) = std::thread::scope(|scope| {
        let running = scope.spawn(|| block_on(engine(1).run(many(), &request, &budget)));
        begun(&budget);
        cancel.cancel();
        let at_once = budget.stats().samples;
        (running.join().unwrap(), at_once)
    });
    assert_eq!(result.map(|_| ()), Err(QueryError::Canceled));
    let after = budget.stats().samples - at_once;
    assert!(after <= SAMPLES as u64, "{after} samples were decoded afterwards");
}

#[test]
fn a_dropped_query_stops_a_hundred_thousand_series_within_one_of_them() {
    let budget = budget(&CancelFlag::default());
    let engine = engine(1);
    let request = QueryRequest::range("sum(rate(x_total[5m]))", 0, 1_800_000, 60_000);
    let (go_away, gone) = oneshot::channel::<()>();
    let at_once = std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            let query = Box::pin(engine.run(many(), &request, &budget));
            let Either::Right((_, query)) = block_on(select(query, gone)) else { panic!("it should not have ended") };
            drop(query);
            budget.stats().samples
        });
        begun(&budget);
        go_away.send(()).unwrap();
        running.join().unwrap()
    });
    // The engine's one thread comes to this when it has come to the end of everything else.
    let next = QueryRequest::instant("sum(vector(1))", 0);
    block_on(engine.run(many(), &next, &Budget::unlimited())).unwrap();
    let after = budget.stats().samples - at_once;
    assert!(after <= SAMPLES as u64, "{after} samples were decoded afterwards");
    assert!(budget.stats().samples < (SERIES * SAMPLES / 2) as u64);
}

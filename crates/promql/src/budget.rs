//! What a query may use, what it has used, and when it must stop.
//!
//! One [`Budget`] goes with a query through every operator. Counting is atomic: the jobs of a query run side by side.
//! Long loops look at it every so much work ([`Pace`]).
//! Invariants: what is held is given back when the thing that holds it is dropped ([`Held`]), and is never more than the
//! limit; when a run of the engine is dropped, everything that still works for it is told to stop.

use crate::engine::QueryError;
use crate::value::QueryStats;
use longhaul_model::Clock;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The limits of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BudgetLimits {
    /// Samples decoded, over the whole query.
    pub samples_max: u64,
    /// Series fetched, over the whole query.
    pub series_max: u64,
    /// Bytes held at one time: chunks, columns, results.
    pub bytes_max: u64,
    /// Wall time from the budget's making, ms.
    pub time_max_ms: u64,
}

impl Default for BudgetLimits {
    /// Prometheus' 50 million samples and two minutes; series and bytes such that a query on a small machine is bounded.
    fn default() -> Self {
        Self { samples_max: 50_000_000, series_max: 5_000_000, bytes_max: 1 << 30, time_max_ms: 120_000 }
    }
}

/// A flag that stops a query from outside; clones share it.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Stops the query at its next check.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the query is to stop.
    pub fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Work between two looks at the clock and the flags: some tenths of a millisecond.
const WORK_PER_LOOK: usize = 256 * 1024;

/// The account of one query; clones share it.
#[derive(Clone, Debug)]
pub struct Budget {
    account: Arc<Account>,
    /// Ends the run of the engine that this is for.
    run: CancelFlag,
}

#[derive(Debug)]
struct Account {
    limits: BudgetLimits,
    clock: Arc<dyn Clock>,
    deadline_ns: u64,
    cancel: CancelFlag,
    samples: AtomicU64,
    series: AtomicU64,
    bytes: AtomicU64,
    bytes_peak: AtomicU64,
}

impl Budget {
    /// An account with nothing used; its time runs from now.
    pub fn new(limits: BudgetLimits, clock: Arc<dyn Clock>, cancel: CancelFlag) -> Self {
        let deadline_ns = clock.monotonic_ns().saturating_add(limits.time_max_ms.saturating_mul(1_000_000));
        let account = Account {
            limits,
            clock,
            deadline_ns,
            cancel,
            samples: AtomicU64::new(0),
            series: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bytes_peak: AtomicU64::new(0),
        };
        Self { account: Arc::new(account), run: CancelFlag::default() }
    }

    /// The same account for one run of the engine, which ends when the guard is dropped.
    pub(crate) fn for_run(&self) -> (Self, StopOnDrop) {
        let run = CancelFlag::default();
        (Self { account: Arc::clone(&self.account), run: run.clone() }, StopOnDrop(run))
    }

    /// An account that nothing exceeds and no clock ends: for tests and tools.
    pub fn unlimited() -> Self {
        let limits =
            BudgetLimits { samples_max: u64::MAX, series_max: u64::MAX, bytes_max: u64::MAX, time_max_ms: u64::MAX };
        Self::new(limits, Arc::new(longhaul_model::ManualClock::at(0)), CancelFlag::default())
    }

    /// Whether the query may go on: Err when it was canceled or its time is up.
    pub fn check(&self) -> Result<(), QueryError> {
        if self.account.cancel.is_canceled() || self.run.is_canceled() {
            Err(QueryError::Canceled)
        } else if self.account.clock.monotonic_ns() >= self.account.deadline_ns {
            Err(QueryError::Timeout)
        } else {
            Ok(())
        }
    }

    /// A pace at which to look at this budget during long work.
    pub fn pace(&self) -> Pace {
        Pace { budget: self.clone(), done: 0 }
    }

    /// Counts decoded samples.
    pub fn count_samples(&self, samples: u64) -> Result<(), QueryError> {
        let asked = self.account.samples.fetch_add(samples, Ordering::Relaxed) + samples;
        within(Limit::Samples, asked, self.account.limits.samples_max)
    }

    /// Counts fetched series.
    pub fn count_series(&self, series: u64) -> Result<(), QueryError> {
        let asked = self.account.series.fetch_add(series, Ordering::Relaxed) + series;
        within(Limit::Series, asked, self.account.limits.series_max)
    }

    /// Accounts for memory until the returned guard is dropped.
    pub fn hold(&self, bytes: usize) -> Result<Held, QueryError> {
        let mut held = self.nothing_held();
        held.grow(bytes)?;
        Ok(held)
    }

    /// For what will grow.
    pub fn nothing_held(&self) -> Held {
        Held { budget: self.clone(), bytes: 0 }
    }

    /// What has been used so far.
    pub fn stats(&self) -> QueryStats {
        QueryStats {
            series: self.account.series.load(Ordering::Relaxed),
            samples: self.account.samples.load(Ordering::Relaxed),
            bytes_peak: self.account.bytes_peak.load(Ordering::Relaxed),
            ..QueryStats::default()
        }
    }

    /// The time of its clock, ns.
    pub(crate) fn now_ns(&self) -> u64 {
        self.account.clock.monotonic_ns()
    }
}

/// Ends a run of the engine when it is dropped.
#[derive(Debug)]
pub(crate) struct StopOnDrop(CancelFlag);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Looks at a budget every so much work: a long loop stops soon, and a short one pays an addition.
#[derive(Debug)]
pub struct Pace {
    budget: Budget,
    done: usize,
}

impl Pace {
    /// Before work of so many values or so. Err if the query must stop.
    #[inline]
    pub fn go_on(&mut self, work: usize) -> Result<(), QueryError> {
        self.done = self.done.saturating_add(work);
        if self.done < WORK_PER_LOOK {
            return Ok(());
        }
        self.done = 0;
        self.budget.check()
    }
}

/// Bytes that something holds; dropping it gives them back.
#[derive(Debug)]
pub struct Held {
    budget: Budget,
    bytes: u64,
}

impl Held {
    /// Whose it is.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Holds more.
    pub fn grow(&mut self, bytes: usize) -> Result<(), QueryError> {
        let account = &self.budget.account;
        let bytes = bytes as u64;
        let asked = account.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if let Err(error) = within(Limit::Bytes, asked, account.limits.bytes_max) {
            account.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(error);
        }
        self.bytes += bytes;
        account.bytes_peak.fetch_max(asked, Ordering::Relaxed);
        Ok(())
    }

    /// Gives some of it back.
    pub fn shrink(&mut self, bytes: usize) {
        let bytes = self.bytes.min(bytes as u64);
        self.bytes -= bytes;
        self.budget.account.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.account.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The limits that a query can meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`BudgetLimits::samples_max`]
    Samples,
    /// [`BudgetLimits::series_max`]
    Series,
    /// [`BudgetLimits::bytes_max`]
    Bytes,
    /// [`EngineSettings::steps_max`](crate::engine::EngineSettings)
    Steps,
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Samples => "query processing would load too many samples into memory in query execution: samples_max",
            Self::Series => "the query selects too many series: series_max",
            Self::Bytes => "the query would hold too much memory: bytes_max",
            Self::Steps => "exceeded maximum resolution: steps_max",
        })
    }
}

fn within(limit: Limit, asked: u64, allowed: u64) -> Result<(), QueryError> {
    if asked > allowed { Err(QueryError::Limit { limit, asked, allowed }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longhaul_model::ManualClock;

    fn budget(limits: BudgetLimits) -> (Budget, Arc<ManualClock>, CancelFlag) {
        let (clock, cancel) = (Arc::new(ManualClock::at(0)), CancelFlag::default());
        (Budget::new(limits, clock.clone(), cancel.clone()), clock, cancel)
    }

    #[test]
    fn what_is_held_is_given_back() {
        let (budget, ..) = budget(BudgetLimits { bytes_max: 100, ..BudgetLimits::default() });
        let held = budget.hold(60).unwrap();
        let error = budget.hold(41).unwrap_err();
        assert_eq!(error, QueryError::Limit { limit: Limit::Bytes, asked: 101, allowed: 100 });
        assert_eq!(error.to_string(), "the query would hold too much memory: bytes_max is 100, asked for 101");
        drop(held);
        let _held = budget.hold(100).unwrap();
        assert_eq!(budget.stats().bytes_peak, 100, "what was refused was never held");
    }

    #[test]
    fn time_and_flag_stop_a_query() {
        let (budget, clock, cancel) = budget(BudgetLimits { time_max_ms: 1000, ..BudgetLimits::default() });
        clock.advance(999);
        assert_eq!(budget.check(), Ok(()));
        clock.advance(1);
        assert_eq!(budget.check(), Err(QueryError::Timeout));
        cancel.cancel();
        assert_eq!(budget.check(), Err(QueryError::Canceled));
    }

    #[test]
    fn a_dropped_run_stops_what_works_for_it_and_nothing_else() {
        let (budget, _, cancel) = budget(BudgetLimits::default());
        let (run, guard) = budget.for_run();
        let mut pace = run.pace();
        drop(guard);
        assert_eq!(run.clone().check(), Err(QueryError::Canceled));
        assert_eq!(pace.go_on(WORK_PER_LOOK - 1), Ok(()), "not looked yet");
        assert_eq!(pace.go_on(1), Err(QueryError::Canceled));
        assert_eq!(budget.check(), Ok(()));
        assert!(!cancel.is_canceled());
    }

    #[test]
    fn counters_name_their_limit() {
        let (budget, ..) = budget(BudgetLimits { samples_max: 10, series_max: 1, ..BudgetLimits::default() });
        budget.count_samples(10).unwrap();
        let error = budget.count_samples(1).unwrap_err().to_string();
        assert!(error.starts_with("query processing would load too many samples into memory in query execution"));
        budget.count_series(1).unwrap();
        assert!(budget.count_series(1).unwrap_err().to_string().contains("series_max is 1"));
    }
}

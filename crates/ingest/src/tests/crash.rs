//! Crashes at every point of append, roll, cut, merge, log-again, ship, release and delete, with everything that a disk may
//! hold then: acknowledged ⊆ readable ⊆ sent, to the bit, refusals stand, and what is deleted stays so.

use super::history_store::{Act, HistoryStore, Rebuilt};
use super::ledger::{Answer, Ledger, Sent};
use super::site::*;
use crate::{IngestError, Ingester, housekeeper};
use longhaul_model::{Clock, Sample, TimeRange};
use longhaul_testkit::sim_fs::{EIO, ENOSPC, FaultPoint, Operation, SimFs};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use tokio::task::JoinHandle;

const TENANTS: usize = 3;
const SERIES: usize = 4;
/// Recoveries of one run, unless `LONGHAUL_CRASH_RECOVERIES` says otherwise.
const RECOVERIES: usize = 4000;
/// Recoveries of one workload: enough to meet every kind of step, few enough to see many workloads.
const RECOVERIES_OF_WORKLOAD: usize = 400;
/// How much a workload does.
const STEPS: usize = 110;
/// One of so many recovered sites is lived in for a while.
const SECOND_LIVES: usize = 24;

struct Workload {
    site: Site,
    faults: bool,
    random: StdRng,
    ledgers: Vec<Ledger>,
    /// What runs beside the writes.
    beside: Option<JoinHandle<()>>,
    did: Did,
}

/// What happened in the workloads: a run in which something never did would prove nothing about it.
#[derive(Clone, Copy, Debug, Default)]
struct Did {
    parts: u64,
    blocks: u64,
    heads_logged_again: u64,
    segments: u64,
    segments_released: u64,
    parts_removed: u64,
    refused: u64,
    unclear: u64,
    deleted: u64,
}

impl Did {
    fn add(&mut self, other: &Self) {
        self.parts += other.parts;
        self.blocks += other.blocks;
        self.heads_logged_again += other.heads_logged_again;
        self.segments += other.segments;
        self.segments_released += other.segments_released;
        self.parts_removed += other.parts_removed;
        self.refused += other.refused;
        self.unclear += other.unclear;
        self.deleted += other.deleted;
    }
}

impl Workload {
    fn new(seed: u64, faults: bool) -> Self {
        let mut site = Site::new(seed);
        site.settings.replay_bytes_max = 6 << 10;
        site.settings.tiny_head_bytes = 1500;
        site.settings.parts_per_range_max = 2;
        site.settings.ship_small_bytes = 12 << 10;
        site.settings.ship_max_age_ms = 3 * HOUR_MS;
        site.settings.chunk_budget_bytes = 40 << 10;
        if faults {
            let mut random = StdRng::seed_from_u64(seed ^ 0xfa17);
            site.bucket.set_rule(move |_| match random.random_range(0..40) {
                0 => Act::FailBefore,
                1 => Act::FailAfter,
                _ => Act::Honestly,
            });
        }
        let ledgers = (0..TENANTS).map(|_| Ledger::default()).collect();
        Self { site, faults, random: StdRng::seed_from_u64(seed), ledgers, beside: None, did: Did::default() }
    }

    async fn run(&mut self) {
        let mut ingester = self.site.open().await;
        for _ in 0..STEPS {
            let pause_ms = if self.random.random_bool(0.06) { 2 * HOUR_MS } else { 20 * SECOND_MS };
            self.site.clock.advance(pause_ms);
            if self.faults && self.random.random_bool(0.15) {
                self.fault();
            }
            match self.random.random_range(0..100) {
                0..70 => self.write(&ingester).await,
                70..74 => self.delete(&ingester).await,
                74..99 => self.maintain(&ingester).await,
                _ => ingester = self.restart(ingester).await,
            }
        }
        self.settle().await;
        ingester.close().await;
        self.count(&ingester);
    }

    /// Counts what an ingester did before it ended.
    fn count(&mut self, ingester: &Ingester) {
        let metrics = ingester.metrics();
        self.did.parts += metrics.parts_written.load(Relaxed);
        self.did.blocks += metrics.blocks_shipped.load(Relaxed);
        self.did.heads_logged_again += metrics.heads_logged_again.load(Relaxed);
    }

    /// Counts what stands in the trace.
    fn count_trace(&mut self, trace: &[Operation]) {
        for operation in trace {
            match operation {
                Operation::Create(path) if path.extension().is_some_and(|it| it == "log") => self.did.segments += 1,
                Operation::RemoveFile(path) if path.extension().is_some_and(|it| it == "log") => {
                    self.did.segments_released += 1;
                }
                Operation::Rename(_, to) if to.extension().is_some_and(|it| it == "tmp") => self.did.parts_removed += 1,
                Operation::Mark(label) if label == "Refused" => self.did.refused += 1,
                Operation::Mark(label) if label == "Deleted" => self.did.deleted += 1,
                Operation::Mark(label) if label == "Unclear" => self.did.unclear += 1,
                _ => {}
            }
        }
    }

    fn fault(&mut self) {
        use FaultPoint::*;
        let points = [Append, SyncData, Create, SyncDir, Rename, RemoveFile, Read];
        let errno = if self.random.random() { EIO } else { ENOSPC };
        self.site.fs.fail(*points.choose(&mut self.random).unwrap(), self.random.random_range(0..12), errno);
    }

    async fn settle(&mut self) {
        if let Some(task) = self.beside.take() {
            task.await.unwrap();
        }
    }

    /// Ends the process in good order and starts it again.
    async fn restart(&mut self, ingester: Ingester) -> Ingester {
        self.settle().await;
        while self.has_unsynced_end() {
            self.write(&ingester).await;
        }
        // Nor may a sync fail from here on, while it closes or opens.
        self.site.fs.let_succeed(FaultPoint::SyncData);
        ingester.close().await;
        self.count(&ingester);
        drop(ingester);
        loop {
            match Ingester::open(self.site.parts()).await {
                Ok(ingester) => return ingester,
                // What still runs lets go of the directory soon; a fault strikes once.
                Err(IngestError::InUse(_)) => tokio::time::sleep(std::time::Duration::from_millis(1)).await,
                Err(error) => assert!(self.faults, "{error}"),
            }
        }
    }

    /// Whether the log ends in what a failed sync has left: a start would read it, and a crash of the machine after that would
    /// take it, which counts as damage (docs/NOT_COVERED.md). Once a new segment has begun it is known to count for nothing.
    fn has_unsynced_end(&self) -> bool {
        let trace = self.site.fs.trace();
        let last = |is_meant: fn(&Operation) -> bool| trace.iter().rposition(is_meant);
        let failed = last(|operation| matches!(operation, Operation::SyncFailed { .. }));
        let begun = last(
            |operation| matches!(operation, Operation::Create(path) if path.extension().is_some_and(|it| it == "log")),
        );
        failed > begun
    }

    /// Begins something that goes on while writes go on.
    async fn maintain(&mut self, ingester: &Ingester) {
        self.settle().await;
        let (ingester, id) = (ingester.clone(), tenant(self.random.random_range(0..TENANTS)));
        let choice = self.random.random_range(0..11);
        if ingester.inner().tenants.get(&id).is_none() {
            return;
        }
        self.beside = Some(tokio::spawn(async move {
            // Faults make each of them fail now and then: what counts is what is readable then.
            match choice {
                0..3 => drop(ingester.cut_all(&id).await),
                3 => drop(ingester.merge_parts(&id).await),
                4 => ingester.log_again(&id).await,
                5 => drop(ingester.ship(&id, true).await),
                6 => drop(ingester.ship(&id, false).await),
                7 => drop(housekeeper::ship_round(ingester.inner(), &mut 0).await),
                8 => drop(ingester.flush(Some(&id)).await),
                _ => drop(housekeeper::tick(ingester.inner()).await),
            }
        }));
    }

    async fn write(&mut self, ingester: &Ingester) {
        let number = self.random.random_range(0..TENANTS);
        let now_ms = self.site.clock.now_ms();
        let ages_ms = match self.random.random_range(0..10) {
            0..5 => 0..MINUTE_MS,
            5 => 0..3 * HOUR_MS,
            6 => DAY_MS..3 * DAY_MS,
            _ => return self.write_again(ingester, number).await,
        };
        let mut series: Vec<(String, Vec<Sample>)> = Vec::new();
        for n in 0..self.random.random_range(1..=SERIES) {
            let name = format!("metric_{n}");
            let mut samples: Vec<Sample> = Vec::new();
            for _ in 0..self.random.random_range(1..16) {
                let t_ms = now_ms - self.random.random_range(ages_ms.clone());
                let is_fresh = !self.ledgers[number].knows(&name, t_ms) && samples.iter().all(|it| it.t_ms != t_ms);
                if is_fresh {
                    samples.push(sample(t_ms, f64::from_bits(self.random.random())));
                }
            }
            samples.sort_by_key(|it| it.t_ms);
            series.push((name, samples));
        }
        self.send(ingester, number, &series).await;
    }

    /// Writes a sample at a time that had one before: the same, or another value.
    async fn write_again(&mut self, ingester: &Ingester, number: usize) {
        let Some(Sent { series, t_ms, bits, .. }) = self.ledgers[number].all().choose(&mut self.random).cloned() else {
            return;
        };
        let bits = if self.random.random() { bits } else { self.random.random() };
        self.send(ingester, number, &[(series, vec![sample(t_ms, f64::from_bits(bits))])]).await;
    }

    /// Deletes what a series has in a range around a sample that was sent, or all of it.
    async fn delete(&mut self, ingester: &Ingester) {
        let number = self.random.random_range(0..TENANTS);
        let Some(Sent { series, t_ms, .. }) = self.ledgers[number].all().choose(&mut self.random).cloned() else {
            return;
        };
        let range = match self.random.random_range(0..3) {
            0 => TimeRange::ALL,
            1 => TimeRange::inclusive(t_ms, t_ms),
            _ => {
                TimeRange::new(t_ms - self.random.random_range(0..HOUR_MS), t_ms + self.random.random_range(1..HOUR_MS))
            }
        };
        let (fs, ledger) = (&self.site.fs, &mut self.ledgers[number]);
        ledger.delete(fs.trace_len(), &series, range);
        match delete(ingester, &tenant(number), &series, range).await {
            Ok(()) => {
                fs.mark("Deleted".to_owned());
                ledger.deleted(fs.trace_len());
            }
            Err(error) => assert!(self.faults, "{error}"),
        }
    }

    async fn send(&mut self, ingester: &Ingester, number: usize, series: &[(String, Vec<Sample>)]) {
        let (fs, ledger) = (&self.site.fs, &mut self.ledgers[number]);
        let now = fs.trace_len();
        let samples = series.iter().flat_map(|(name, samples)| samples.iter().map(move |sample| (name, *sample)));
        let numbers: Vec<usize> = samples.map(|(name, sample)| ledger.send(now, name, sample)).collect();
        let answer = match write(ingester, &tenant(number), series).await {
            Ok(report) if report.stored == numbers.len() as u64 => Answer::Accepted,
            Ok(report) => {
                assert_eq!((report.stored, report.refusals.count()), (0, 1), "only single samples are in conflict");
                Answer::Refused
            }
            Err(error) => {
                assert!(self.faults, "{error}");
                Answer::Unclear
            }
        };
        fs.mark(format!("{answer:?}"));
        numbers.into_iter().for_each(|number| ledger.answer(fs.trace_len(), number, answer));
    }

    /// Points of the trace at which something has just changed for good, and as many others as there is time for.
    fn crash_points(&mut self, trace: &[Operation], count: usize) -> Vec<usize> {
        let decides = |operation: &Operation| match operation {
            Operation::Rename(..) | Operation::RemoveFile(_) | Operation::RemoveDirAll(_) | Operation::Mark(_) => 3,
            Operation::SyncDir(_) | Operation::SyncData { .. } | Operation::Create(_) => 2,
            _ => 1,
        };
        let weighted = (1..=trace.len()).flat_map(|at| std::iter::repeat_n(at, decides(&trace[at - 1])));
        let weighted: Vec<usize> = weighted.collect();
        let mut points: Vec<usize> = weighted.sample(&mut self.random, count).copied().collect();
        points.push(trace.len());
        points.sort_unstable();
        points.dedup();
        points
    }

    /// Recovers from every state that a disk may be in at some points; returns how often.
    async fn crash(&mut self) -> usize {
        let (trace, changes) = (self.site.fs.trace(), self.site.bucket.changes());
        self.count_trace(&trace);
        let mut rebuilt = Rebuilt::new(&changes);
        let mut recoveries = 0;
        for prefix in self.crash_points(&trace, RECOVERIES_OF_WORKLOAD / 6) {
            for (state, disk) in self.site.fs.crash_states(prefix, self.random.random()).into_iter().enumerate() {
                let bucket = rebuilt.after(&trace[..prefix], disk.clone());
                self.recover(disk, bucket, prefix, &format!("crash after {prefix} of {}, state {state}", trace.len()))
                    .await;
                recoveries += 1;
            }
        }
        recoveries
    }

    async fn recover(&mut self, disk: SimFs, bucket: Arc<HistoryStore>, prefix: usize, at: &str) {
        let mut site = self.site.restarted_on(disk, bucket);
        let ingester = site.open().await;
        assert_eq!(ingester.metrics().log_damage.load(Relaxed), 0, "{at}: no damage");
        for (number, ledger) in self.ledgers.iter().enumerate() {
            assert_eq!(ingester.pin(&tenant(number)).await.unwrap().damaged.len(), 0, "{at}: no part is damaged");
            let read = read(&ingester, &tenant(number)).await;
            ledger.check(prefix, &read).unwrap_or_else(|error| panic!("{at}, tenant {number}: {error}"));
        }
        if self.random.random_range(0..SECOND_LIVES) == 0 {
            self.live_on(&mut site, ingester, at).await;
        } else {
            ingester.close().await;
        }
    }

    /// What a recovered site answers and holds stays so: conflicts are refused, cuts and ships change nothing, and
    /// another crash neither.
    async fn live_on(&mut self, site: &mut Site, ingester: Ingester, at: &str) {
        let mut expected = Vec::new();
        for number in 0..TENANTS {
            let id = tenant(number);
            let before = read(&ingester, &id).await;
            let local = before.in_head.iter().chain(&before.in_parts);
            let local = local.flat_map(|(series, samples)| samples.keys().map(move |t_ms| (series, *t_ms)));
            let local: Vec<_> = local.collect();
            for (series, t_ms) in local.sample(&mut self.random, 5) {
                let value = before.value(series, *t_ms).unwrap();
                let other = f64::from_bits(value.to_bits() ^ 1);
                assert!(!put(&ingester, &id, series, *t_ms, other).await, "{at}: {series} at {t_ms} is taken");
                assert!(put(&ingester, &id, series, *t_ms, value).await, "{at}: {series} at {t_ms} is the same");
            }
            expected.push(before.all);
        }
        let killed = site.killed();
        ingester.flush(None).await.unwrap();
        for (site, ingester) in [(&*site, ingester), (&killed, killed.open().await)] {
            for (number, expected) in expected.iter().enumerate() {
                let found = read(&ingester, &tenant(number)).await.all;
                assert!(found == *expected, "{at}, tenant {number}: changed after the recovery");
            }
            housekeeper::tick(ingester.inner()).await;
            let again = site.killed();
            ingester.close().await;
            let ingester = again.open().await;
            for (number, expected) in expected.iter().enumerate() {
                let found = read(&ingester, &tenant(number)).await.all;
                assert!(found == *expected, "{at}, tenant {number}: changed by a second crash");
            }
            ingester.close().await;
        }
    }
}

/// I-ACK-1, I-CUT-1, I-COVER-1, I-COVER-2, I-VERDICT-1, I-SHIP-3, I-DELETE-1, I-DELETE-2
#[test]
fn nothing_acknowledged_is_lost_and_nothing_refused_comes_back() {
    let wanted = std::env::var("LONGHAUL_CRASH_RECOVERIES").map_or(RECOVERIES, |text| text.parse().unwrap());
    let first = std::env::var("LONGHAUL_CRASH_SEED").map_or(1, |text| text.parse().unwrap());
    let workers = 2;
    let done: Vec<(usize, u64, Did)> = std::thread::scope(|scope| {
        let work = |worker: u64| {
            move || {
                let runtime =
                    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
                let (mut recoveries, mut workloads, mut did) = (0, 0, Did::default());
                while recoveries < wanted / workers {
                    let seed = first + worker + workloads * workers as u64;
                    println!("workload of seed {seed}, after {recoveries} recoveries");
                    let mut workload = Workload::new(seed, seed.is_multiple_of(2));
                    recoveries += runtime.block_on(async {
                        workload.run().await;
                        workload.crash().await
                    });
                    workloads += 1;
                    did.add(&workload.did);
                }
                (recoveries, workloads, did)
            }
        };
        let threads: Vec<_> = (0..workers as u64).map(|worker| scope.spawn(work(worker))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (recoveries, workloads) = done.iter().fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
    let mut did = Did::default();
    done.iter().for_each(|it| did.add(&it.2));
    println!("{recoveries} recoveries of {workloads} workloads, which did: {did:?}");
    let Did { parts, blocks, heads_logged_again, segments, segments_released, parts_removed, refused, deleted, .. } =
        did;
    let counts = [parts, blocks, heads_logged_again, segments, segments_released, parts_removed, refused, deleted];
    assert!(counts.iter().all(|count| *count > workloads / 3), "each happens about twice a workload: {did:?}");
}

//! Crashes at every point of a workload, and everything that a disk may hold then:
//! acknowledged ⊆ recovered ⊆ sent, in order, and no offset stands for two things.

use super::support::*;
use crate::*;
use longhaul_model::{Exemplar, Labels};
use longhaul_testkit::measurements::{KINDS, measurement};
use longhaul_testkit::sim_fs::{EIO, ENOSPC, FaultPoint, Operation, SimFs};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

/// What the workload did, with the length of the trace when it had done it.
#[derive(Debug, Default)]
struct Ledger {
    /// All that was ever handed to the log. Every batch is unlike every other.
    sent: Vec<(usize, Plain)>,
    acknowledged: Vec<(usize, Offset, Plain)>,
    released: Vec<(usize, Offset)>,
}

struct Workload {
    fs: SimFs,
    world: Arc<World>,
    settings: LogSettings,
    random: StdRng,
    ledger: Ledger,
    sent: i64,
    /// Where the last crash, start or release left the log.
    released: Offset,
}

impl Workload {
    fn new(seed: u64) -> Self {
        Self {
            fs: new_disk(),
            world: World::new(&[5, 5]),
            settings: LogSettings { group_size_bytes: 700, ..small_segments(2500) },
            random: StdRng::seed_from_u64(seed),
            ledger: Ledger::default(),
            sent: 0,
            released: 0,
        }
    }

    fn append(&mut self) -> Append<TestBatch, u32> {
        self.sent += 1;
        if self.random.random_bool(0.15) {
            let tenant = TenantId::parse("tenant-0").unwrap();
            let (batch, samples) = (self.released + 1, vec![(self.sent as u32, 0)]);
            let plain = plain_refusals(batch, &samples);
            self.ledger.sent.push((self.fs.trace_len(), (tenant.to_string(), plain)));
            return Append::Refusals(Refusals { tenant, batch, samples }, 0);
        }
        if self.random.random_bool(0.05) {
            let deletion = deletion(self.sent);
            self.ledger.sent.push((self.fs.trace_len(), (deletion.tenant.to_string(), plain_deletion(&deletion))));
            return Append::Deletion(deletion, 0);
        }
        let (tenant, length) = (self.random.random_range(0..2), self.random.random_range(1..=5));
        let entries = (0..length).map(|i| (2 * i + tenant, vec![Sample::new(self.sent, self.random.random())]));
        let others = match self.sent % 3 {
            0 => vec![vec![measurement(self.sent, (self.sent / 3 % i64::from(KINDS)) as u8, 1)]],
            _ => vec![],
        };
        let exemplars = match self.sent % 4 {
            1 => {
                let labels = Labels::from_pairs([("trace_id", self.sent.to_string().as_str())]);
                vec![vec![Exemplar { t_ms: self.sent, value: 0.5, labels }]]
            }
            _ => vec![],
        };
        let batch = self.world.mixed(entries.collect(), others).with_exemplars(exemplars);
        self.ledger.sent.push((self.fs.trace_len(), plain(&batch)));
        Append::Batch(batch)
    }

    fn commit(&mut self, writer: &mut Writer<TestBatch, u32>) {
        let mut appends: Vec<_> = (0..self.random.random_range(1..5)).map(|_| self.append()).collect();
        if self.random.random_bool(0.2) {
            appends.push(Append::Marker(0));
        }
        for delivery in commit(writer, appends) {
            let (offset, plain) = match delivery {
                Delivery::Batch { offset, batch } => (offset, plain(&batch)),
                Delivery::Refusals { offset, refusals, .. } => {
                    (offset, (refusals.tenant.to_string(), plain_refusals(refusals.batch, &refusals.samples)))
                }
                Delivery::Deletion { offset, deletion, .. } => {
                    (offset, (deletion.tenant.to_string(), plain_deletion(&deletion)))
                }
                Delivery::Marker { .. } | Delivery::Failed { .. } => continue,
            };
            assert!(self.ledger.acknowledged.last().is_none_or(|last| last.1 < offset), "offsets rise");
            self.ledger.acknowledged.push((self.fs.trace_len(), offset, plain));
        }
    }

    fn fault(&mut self) {
        let points = [FaultPoint::Append, FaultPoint::SyncData, FaultPoint::Create, FaultPoint::SyncDir];
        let point = points[self.random.random_range(0..points.len())];
        let errno = if self.random.random() { EIO } else { ENOSPC };
        self.fs.fail(point, self.random.random_range(0..3), errno);
    }

    fn run(&mut self, steps: usize, faults: bool) {
        let mut writer = open_writer(&self.fs, self.settings.clone());
        for _ in 0..steps {
            match self.random.random_range(0..20) {
                0 => {
                    self.fs.mark("close");
                    writer.close();
                }
                1 => {
                    self.fs.mark("killed");
                    drop(writer);
                    writer = loop {
                        // A fault that is left over may strike here.
                        if let Ok(opened) = try_open(&self.fs, self.settings.clone()) {
                            break opened.into_writer();
                        }
                    };
                }
                2 => {
                    self.released = self.random.random_range(self.released..=writer.end());
                    self.ledger.released.push((self.fs.trace_len(), self.released));
                    let _ = writer.release(self.released); // strikes may hit it; then less is gone
                }
                3..6 if faults => self.fault(),
                _ => self.commit(&mut writer),
            }
        }
    }

    /// Recovers from what `disk` holds after a crash at `prefix`.
    fn check(&self, disk: &SimFs, prefix: usize) -> BTreeMap<Offset, Plain> {
        let opened = open_log(disk, self.settings.clone());
        assert_eq!(opened.damage(), [], "a crash is no damage; crash at {prefix}");
        let recovered = replayed(&opened);
        let released = self.ledger.released.iter().filter(|(at, _)| *at < prefix).map(|(_, offset)| *offset).max();
        let before = |at: &usize| *at <= prefix;
        for (_, offset, plain) in self.ledger.acknowledged.iter().filter(|(at, ..)| before(at)) {
            match recovered.get(offset) {
                Some(found) => assert!(found == plain, "offset {offset} stands for something else; crash at {prefix}"),
                None => assert!(released.is_some_and(|end| *offset < end), "offset {offset} lost; crash at {prefix}"),
            }
        }
        let sent: Vec<&Plain> = self.ledger.sent.iter().filter(|(at, _)| before(at)).map(|(_, plain)| plain).collect();
        assert!(recovered.values().all(|plain| sent.contains(&plain)), "more than was sent; crash at {prefix}");
        let last = self.ledger.acknowledged.iter().filter(|(at, ..)| before(at)).map(|(_, offset, _)| *offset).max();
        assert!(opened.end() >= last.unwrap_or(0), "offsets never come twice; crash at {prefix}");
        recovered
    }
}

/// Crashes at every point, recovers from every state; returns how many recoveries that were.
fn crash_everywhere(workload: &Workload, seed: u64) -> usize {
    let mut recoveries = 0;
    let trace = workload.fs.trace();
    for prefix in 0..=trace.len() {
        if prefix < trace.len() && matches!(trace[prefix], Operation::Mark(_)) {
            continue; // nothing happens there
        }
        for (i, disk) in workload.fs.crash_states(prefix, seed).into_iter().enumerate() {
            let recovered = workload.check(&disk, prefix);
            recoveries += 1;
            if (prefix + i) % 9 == 0 {
                recoveries += crash_again(workload, &disk, prefix, &recovered);
            }
        }
    }
    recoveries
}

/// Goes on after a recovery and crashes once more, also within that recovery.
fn crash_again(workload: &Workload, disk: &SimFs, prefix: usize, recovered: &BTreeMap<Offset, Plain>) -> usize {
    let mut writer = open_writer(disk, workload.settings.clone());
    let mut expected = recovered.clone();
    for t in 0..2 {
        let batch = workload.world.scrape(0..1, 1_000_000 + t);
        let offset = commit_batch(&mut writer, batch.clone()).unwrap();
        let last = workload.ledger.acknowledged.iter().rev().find(|(at, ..)| *at <= prefix);
        assert!(last.is_none_or(|(_, last, _)| offset > *last), "offset {offset} comes twice; crash at {prefix}");
        assert_eq!(expected.insert(offset, plain(&batch)), None);
    }
    let end = disk.trace_len();
    for (at, again) in [(end / 3, false), (end, true)] {
        for state in disk.crash_states(at, prefix as u64) {
            let opened = open_log(&state, workload.settings.clone());
            assert_eq!(opened.damage(), []);
            let found = replayed(&opened);
            assert!(
                recovered.iter().all(|(offset, plain)| found.get(offset) == Some(plain)),
                "crash at {prefix}, {at}"
            );
            assert!(!again || found == expected, "crash at {prefix}, {at}");
        }
    }
    2 * disk.crash_states(0, 0).len()
}

/// I-ACK-1, I-LOG-1
#[test]
fn a_crash_at_any_point_loses_nothing_acknowledged() {
    let mut recoveries = 0;
    for seed in 0..4 {
        let mut workload = Workload::new(seed);
        workload.run(40, false);
        assert!(workload.ledger.acknowledged.len() > 40);
        recoveries += crash_everywhere(&workload, seed);
    }
    println!("{recoveries} recoveries from crashes");
}

#[test]
fn nor_do_faults_before_the_crash() {
    let mut recoveries = 0;
    let mut failed = 0;
    for seed in 100..104 {
        let mut workload = Workload::new(seed);
        workload.run(40, true);
        assert!(workload.ledger.acknowledged.len() > 20);
        failed += workload.ledger.sent.len() - workload.ledger.acknowledged.len();
        recoveries += crash_everywhere(&workload, seed);
    }
    assert!(failed > 20, "{failed}");
    println!("{recoveries} recoveries from crashes after faults; {failed} appends failed");
}

#[test]
fn with_an_interval_a_crash_loses_at_most_what_was_not_synced() {
    let mut workload = Workload::new(7);
    workload.settings.sync = SyncMode::Interval(1000);
    let mut writer = open_writer(&workload.fs, workload.settings.clone());
    let mut synced = 0;
    for step in 0..30 {
        workload.commit(&mut writer);
        if step % 7 == 6 {
            writer.sync();
            synced = workload.ledger.acknowledged.len();
        }
    }
    workload.ledger.acknowledged.truncate(synced);
    let mut recoveries = 0;
    for seed in 0..50 {
        for disk in workload.fs.crash_states(workload.fs.trace_len(), seed) {
            workload.check(&disk, workload.fs.trace_len());
            recoveries += 1;
        }
    }
    println!("{recoveries} recoveries with syncs by the clock");
}

#[test]
fn what_a_recovery_found_is_durable_from_then_on() {
    // A process is killed before it could sync: its frames are readable, and would not survive the machine.
    let fs = new_disk();
    let world = World::new(&[5]);
    let mut writer = open_writer(&fs, LogSettings { sync: SyncMode::Interval(1000), ..settings() });
    commit_batch(&mut writer, world.scrape(0..5, 1)).unwrap();
    drop(writer);
    let opened = open_log(&fs, settings());
    assert_eq!(replayed(&opened).len(), 1);
    let recovered = fs.trace_len();
    let mut writer = opened.into_writer();
    commit_batch(&mut writer, world.scrape(0..5, 2)).unwrap();
    for prefix in recovered..=fs.trace_len() {
        for disk in (0..20).flat_map(|seed| fs.crash_states(prefix, seed)) {
            let opened = open_log(&disk, settings());
            assert_eq!(opened.damage(), []);
            assert!(replayed(&opened).contains_key(&1));
        }
    }
}

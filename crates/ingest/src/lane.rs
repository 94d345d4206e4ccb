//! A lane: the one thread that applies batches to the heads that belong to it, in the order of the log.
//!
//! 1. The log delivers a durable batch: each sample is applied and gets its verdict.
//! 2. Without a conflict the request is answered at once; with one, the refusals become durable first (**I-VERDICT-1**:
//!    a 400 for a conflict is sent only after its refusal frame is on disk, so that a replay refuses the same). The same
//!    goes for a duplicate of what is leaving the head, and for whatever comes while such a frame is owed (`owed`).
//! 3. A deletion takes what it is about out of the head, before anything that comes after it is applied.
//! 4. A marker takes a cut exactly between two batches (**I-CUT-1**: the view holds every sample of its range with an
//!    offset up to the marker's, and none above).
//!
//! Knows nothing of requests' contents or of what becomes of a cut.

use crate::accepted::{Accepted, Applied, Entry, LoggedAgain, Purpose};
use crate::delete::from_log;
use crate::metrics::IngestMetrics;
use crate::parts::AskedParts;
use crate::tenant::Tenant;
use longhaul_head::{CutView, Verdict};
use longhaul_log::{Append, Delivery, LocalLog, Offset, Refusals};
use longhaul_model::{LogId, TimeRange, Value};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock, Weak, mpsc};
use tokio::sync::oneshot;

/// What travels through the log beside batches and comes back in order.
pub(crate) enum Marker {
    /// Take a cut of a head here.
    Cut { tenant: Arc<Tenant>, range: TimeRange, reply: oneshot::Sender<Option<CutView>> },
    /// Append the samples of a tiny head to the log once more.
    LogAgain { tenant: Arc<Tenant>, done: oneshot::Sender<()> },
    /// The verdict that waits for refusals to become durable: its own, or earlier ones.
    Verdict { tenant: Arc<Tenant>, reply: oneshot::Sender<Applied>, applied: Applied },
    /// Refusals that are appended again; nobody waits.
    Owed { tenant: Arc<Tenant> },
    /// A deletion that is to be applied where it stands.
    Delete { tenant: Arc<Tenant>, log_id: LogId, reply: oneshot::Sender<Result<(), String>> },
    /// Answers with the offset up to which everything has been handed to the lanes.
    Settle(oneshot::Sender<Offset>),
}

/// What a lane is told.
pub(crate) enum Command {
    /// From the log.
    Delivery(Delivery<Accepted, Marker>),
    /// A cut's part can be read: the head may forget the view. Answers when it has.
    Release { tenant: Arc<Tenant>, view: Arc<CutView>, reply: oneshot::Sender<()> },
    /// A cut's part could not be written: its samples count as uncut again.
    Abandon { tenant: Arc<Tenant>, view: Arc<CutView> },
    /// Answers once everything sent before has been done.
    Ping(oneshot::Sender<()>),
}

pub(crate) type Log = LocalLog<Accepted, Marker>;

/// The senders to all lanes.
#[derive(Clone)]
pub(crate) struct Lanes {
    senders: Arc<[mpsc::Sender<Command>]>,
}

/// What a lane needs to append to the log; the log is started after the lanes.
#[derive(Clone, Default)]
pub(crate) struct LogHandle(Arc<OnceLock<Weak<Log>>>);

impl LogHandle {
    pub(crate) fn set(&self, log: &Arc<Log>) {
        assert!(self.0.set(Arc::downgrade(log)).is_ok(), "the log is started once");
    }

    fn append(&self, append: Append<Accepted, Marker>) -> Result<(), Append<Accepted, Marker>> {
        match self.0.get().and_then(Weak::upgrade) {
            Some(log) => log.append(append).map_err(|rejected| rejected.append),
            None => Err(append),
        }
    }
}

impl Lanes {
    /// Starts `count` lanes. They end when all senders are gone.
    pub(crate) fn start(count: usize, log: &LogHandle, metrics: &Arc<IngestMetrics>) -> std::io::Result<Self> {
        let mut senders = Vec::with_capacity(count);
        for number in 0..count.max(1) {
            let (sender, receiver) = mpsc::channel();
            let lane = Lane { log: log.clone(), metrics: metrics.clone() };
            std::thread::Builder::new().name(format!("lane-{number}")).spawn(move || lane.run(receiver))?;
            senders.push(sender);
        }
        Ok(Self { senders: senders.into() })
    }

    pub(crate) fn send(&self, tenant: &Tenant, command: Command) {
        let lane = tenant.number as usize % self.senders.len();
        // A lane that is gone has panicked: its tenants' writes fail because their replies are dropped.
        let _ = self.senders[lane].send(command);
    }

    /// Resolves once every lane has done what it was told so far.
    pub(crate) async fn drained(&self) {
        let pings = self.senders.iter().filter_map(|sender| {
            let (reply, answer) = oneshot::channel();
            sender.send(Command::Ping(reply)).ok().map(|()| answer)
        });
        for answer in pings.collect::<Vec<_>>() {
            let _ = answer.await;
        }
    }

    /// Hands a delivery of the log to the lane of its tenant.
    pub(crate) fn deliver(&self, delivery: Delivery<Accepted, Marker>) {
        let marker = match &delivery {
            Delivery::Batch { batch, .. } | Delivery::Failed { what: Append::Batch(batch), .. } => {
                let tenant = batch.tenant.clone();
                return self.send(&tenant, Command::Delivery(delivery));
            }
            Delivery::Marker { marker, .. }
            | Delivery::Refusals { token: marker, .. }
            | Delivery::Deletion { token: marker, .. }
            | Delivery::Failed {
                what: Append::Marker(marker) | Append::Refusals(_, marker) | Append::Deletion(_, marker),
                ..
            } => marker,
        };
        let tenant = match marker {
            Marker::Cut { tenant, .. }
            | Marker::LogAgain { tenant, .. }
            | Marker::Verdict { tenant, .. }
            | Marker::Delete { tenant, .. }
            | Marker::Owed { tenant } => tenant.clone(),
            Marker::Settle(_) => {
                if let Delivery::Marker { end, marker: Marker::Settle(reply) } = delivery {
                    let _ = reply.send(end);
                }
                return;
            }
        };
        self.send(&tenant, Command::Delivery(delivery));
    }
}

struct Lane {
    log: LogHandle,
    metrics: Arc<IngestMetrics>,
}

impl Lane {
    fn run(self, commands: mpsc::Receiver<Command>) {
        for command in commands {
            match command {
                Command::Delivery(delivery) => self.delivered(delivery),
                Command::Release { tenant, view, reply } => {
                    tenant.head.release(&view);
                    let _ = reply.send(());
                }
                Command::Abandon { tenant, view } => tenant.head.abandon(&view),
                Command::Ping(reply) => drop(reply.send(())),
            }
        }
    }

    fn delivered(&self, delivery: Delivery<Accepted, Marker>) {
        match delivery {
            Delivery::Batch { offset, batch } => self.apply(offset, batch),
            Delivery::Refusals { token: Marker::Verdict { tenant, reply, applied }, .. } => {
                tenant.owed.done();
                answer(&tenant, reply, applied);
            }
            Delivery::Refusals { token: Marker::Owed { tenant }, .. } => tenant.owed.done(),
            Delivery::Deletion { offset, deletion, token: Marker::Delete { tenant, log_id, reply } } => {
                tenant.apply_deletion(from_log(deletion, log_id, offset));
                let _ = reply.send(Ok(()));
            }
            Delivery::Marker { marker: Marker::Verdict { tenant, reply, applied }, .. } => {
                answer(&tenant, reply, applied);
            }
            Delivery::Marker { end, marker: Marker::Cut { tenant, range, reply } } => {
                if let Err(Some(unwanted)) = reply.send(tenant.head.cut(range, end)) {
                    tenant.head.abandon(&unwanted);
                }
            }
            Delivery::Marker { end, marker: Marker::LogAgain { tenant, done } } => {
                self.log_again(&tenant, end, done);
            }
            Delivery::Failed { what, error } => fail(what, &error.to_string()),
            Delivery::Refusals { .. } | Delivery::Deletion { .. } | Delivery::Marker { .. } => {
                unreachable!("no such marker is appended")
            }
        }
    }

    fn apply(&self, offset: Offset, batch: Accepted) {
        let Accepted { tenant, entries, samples, others, exemplars, purpose, inflight: _inflight } = batch;
        let reply = match purpose {
            Purpose::Write(reply) => reply,
            Purpose::LogAgain(again) => {
                again.views.iter().for_each(|view| tenant.head.logged_again(view, offset));
                let _ = again.done.send(());
                return;
            }
        };
        let (mut stored, mut duplicates, mut histograms, mut conflicts, mut first_conflict) = (0, 0, 0, 0, None);
        let (mut left_out, mut unjudged, mut exemplars_new, mut zeros_new) = (Vec::new(), false, 0, 0);
        let older = AskedParts::new(&tenant);
        let may_be_deleted =
            |entry: &Entry, t_ms: i64| tenant.deletions.may_be_about(|| entry.series.labels(&tenant.head), t_ms);
        for (number, entry) in entries.iter().enumerate() {
            let samples = &samples[entry.samples.start as usize..entry.samples.end as usize];
            let others = &others[entry.others.start as usize..entry.others.end as usize];
            let [float_zeros, other_zeros] = entry.zeros.map(|count| count as usize);
            let mut judged = |index: usize, t_ms: i64, is_histogram: bool, is_zero: bool, verdict: Verdict| {
                if older.take_failed() {
                    unjudged = true;
                    left_out.push((number as u32, index as u32));
                    return;
                }
                if is_zero {
                    // Its sender knows nothing of it: it is no business of its where something else is there already.
                    zeros_new += u64::from(verdict == Verdict::Stored);
                    if matches!(verdict, Verdict::Conflict | Verdict::DuplicateOfOlder) {
                        left_out.push((number as u32, index as u32));
                    }
                    return;
                }
                histograms += u64::from(is_histogram && verdict != Verdict::Conflict);
                match verdict {
                    Verdict::Stored => stored += 1,
                    Verdict::Duplicate => duplicates += 1,
                    // Should a replay find that what it equals is deleted, it would be missing: so it is not taken.
                    Verdict::DuplicateOfOlder if !may_be_deleted(entry, t_ms) => {
                        duplicates += 1;
                        left_out.push((number as u32, index as u32));
                    }
                    Verdict::Conflict | Verdict::DuplicateOfOlder => {
                        conflicts += 1;
                        left_out.push((number as u32, index as u32));
                        first_conflict
                            .get_or_insert_with(|| format!("{} at {t_ms} ms", entry.series.labels(&tenant.head)));
                    }
                }
            };
            for (index, sample) in samples.iter().enumerate() {
                let verdict = tenant.head.apply(&entry.series, *sample, offset, &older);
                judged(index, sample.t_ms, false, index < float_zeros, verdict);
            }
            for (index, sample) in others.iter().enumerate() {
                let verdict = tenant.head.apply_any(&entry.series, sample.clone(), offset, &older);
                let is_histogram = !matches!(sample.value, Value::Float(_));
                judged(samples.len() + index, sample.t_ms, is_histogram, index < other_zeros, verdict);
            }
            for exemplar in &exemplars[entry.exemplars.start as usize..entry.exemplars.end as usize] {
                let verdict = tenant.head.apply_exemplar(&entry.series, exemplar.clone(), offset);
                exemplars_new += u64::from(verdict == Verdict::Stored);
            }
        }
        self.metrics.exemplars_stored.fetch_add(exemplars_new, Relaxed);
        self.metrics.zeros_stored.fetch_add(zeros_new, Relaxed);
        self.metrics.samples_stored.fetch_add(stored, Relaxed);
        self.metrics.samples_duplicate.fetch_add(duplicates, Relaxed);
        let applied = match unjudged {
            false => {
                let exemplars = exemplars.len() as u64;
                Applied::Done { stored, duplicates, histograms, exemplars, conflicts, first_conflict }
            }
            true => Applied::Failed("a local part that a late sample was compared with cannot be read".to_owned()),
        };
        if left_out.is_empty() && !tenant.owed.any() {
            let _ = reply.send(applied);
            return;
        }
        let verdict = Marker::Verdict { tenant: tenant.clone(), reply, applied };
        let append = if left_out.is_empty() {
            Append::Marker(verdict) // comes back behind the refusals that are owed
        } else {
            tenant.owed.begin();
            Append::Refusals(Refusals { tenant: tenant.id.clone(), batch: offset, samples: left_out }, verdict)
        };
        if let Err(what) = self.log.append(append) {
            fail(what, "the log is closed");
        }
    }

    /// Takes what a tiny head holds and appends it as one batch. Until that is durable the old offsets stay pinned.
    fn log_again(&self, tenant: &Arc<Tenant>, end: Offset, done: oneshot::Sender<()>) {
        let ranges = tenant.head.ranges();
        let views = ranges.iter().filter_map(|state| tenant.head.cut(state.range, end)).collect();
        match Accepted::again(tenant, LoggedAgain { views, done }) {
            Ok(batch) => {
                if let Err(what) = self.log.append(Append::Batch(batch)) {
                    fail(what, "the log is closed");
                }
            }
            Err(again) => again.views.iter().for_each(|view| tenant.head.abandon(view)),
        }
    }
}

/// Gives a verdict, unless it builds on a refusal that could not be made durable.
fn answer(tenant: &Tenant, reply: oneshot::Sender<Applied>, applied: Applied) {
    let failed = || Applied::Failed("an earlier refusal is not on disk yet".to_owned());
    let _ = reply.send(if tenant.owed.any_failed() { failed() } else { applied });
}

fn fail(what: Append<Accepted, Marker>, why: &str) {
    match what {
        Append::Batch(Accepted { purpose: Purpose::Write(reply), .. })
        | Append::Marker(Marker::Verdict { reply, .. }) => drop(reply.send(Applied::Failed(why.to_owned()))),
        Append::Refusals(refusals, Marker::Verdict { tenant, reply, .. }) => {
            tenant.owed.failed(refusals);
            let _ = reply.send(Applied::Failed(why.to_owned()));
        }
        Append::Refusals(refusals, Marker::Owed { tenant }) => tenant.owed.failed(refusals),
        Append::Batch(Accepted { tenant, purpose: Purpose::LogAgain(again), .. }) => {
            again.views.iter().for_each(|view| tenant.head.abandon(view));
        }
        Append::Deletion(deletion, Marker::Delete { tenant, reply, .. }) => {
            tenant.deletions.add_unclear(deletion.tombstone);
            let _ = reply.send(Err(why.to_owned()));
        }
        // The reply's sender is dropped with it: whoever waits learns that there is no cut.
        Append::Refusals(..) | Append::Deletion(..) | Append::Marker(_) => {}
    }
}

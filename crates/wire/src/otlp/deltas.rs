//! Running totals of deltas: senders that say what was added since they spoke last are stored as those that say how much
//! there is, with the totals kept here between their requests.
//!
//! A total begins with the first delta that is heard, and counts since when that does. One that nothing was added to for an
//! hour is forgotten, and so are all when the process ends: what comes next begins at zero, which queries take for the
//! restart of a counter.
//!
//! Invariant: a delta counts once. It comes behind the one before it or is refused; sent again it yields the same total. What a
//! request adds counts once the whole request is decoded.

use super::accumulate::Delta;
use crate::proto::opentelemetry::{ExponentialHistogramDataPoint, HistogramDataPoint, NumberDataPoint};
use std::collections::HashMap;
use std::hash::Hasher;

/// Totals that nothing was added to for this long are forgotten, ms: as long as a head keeps idle series.
const IDLE_MS: i64 = 3_600_000;
/// How often those are looked for, ms.
const SWEEP_INTERVAL_MS: i64 = 60_000;
/// About what an entry of the table takes beside what it points to, bytes.
const ENTRY_BYTES: usize = size_of::<(Box<[u8]>, Stream)>() * 3 / 2;

/// The totals of one tenant.
#[derive(Debug)]
pub struct RunningTotals {
    /// By the label section of the metric with its attributes.
    streams: HashMap<Box<[u8]>, Stream>,
    size_bytes: usize,
    size_bytes_max: usize,
    swept_ms: i64,
}

/// What all deltas of a series come to.
#[derive(Debug)]
struct Stream {
    total: Total,
    /// A hash of the last delta.
    last: u64,
    /// When that came, ms.
    heard_ms: i64,
}

/// A total, as the data point that a cumulative sender would send.
#[derive(Debug)]
pub(super) enum Total {
    Number(NumberDataPoint),
    Histogram(HistogramDataPoint),
    Exponential(ExponentialHistogramDataPoint),
}

/// Why a delta does not count.
#[derive(Debug, PartialEq)]
pub(super) enum NotAdded {
    /// It cannot be added to what there is: why.
    Point(String),
    /// There is no room for another total.
    NoRoom,
}

/// What one request adds.
#[derive(Debug)]
pub(super) struct Additions<'a> {
    totals: &'a mut RunningTotals,
    now_ms: i64,
    /// None: the stream has ended.
    new: HashMap<Box<[u8]>, Option<Stream>>,
    /// What `totals` will take, bytes.
    size_bytes: usize,
}

impl RunningTotals {
    /// No totals yet, and never more than `size_bytes_max` of them.
    pub fn new(size_bytes_max: usize) -> Self {
        Self { streams: HashMap::new(), size_bytes: 0, size_bytes_max, swept_ms: i64::MIN }
    }

    /// How many totals there are.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// About what they take in memory, bytes.
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    pub(super) fn additions(&mut self, now_ms: i64) -> Additions<'_> {
        if now_ms.saturating_sub(self.swept_ms) >= SWEEP_INTERVAL_MS {
            self.swept_ms = now_ms;
            let size_bytes = &mut self.size_bytes;
            self.streams.retain(|key, stream| {
                let is_idle = now_ms.saturating_sub(stream.heard_ms) >= IDLE_MS;
                *size_bytes -= if is_idle { stream.size_bytes(key) } else { 0 };
                !is_idle
            });
        }
        let size_bytes = self.size_bytes;
        Additions { totals: self, now_ms, new: HashMap::new(), size_bytes }
    }
}

impl Additions<'_> {
    /// Adds a delta to the total of its series, which is the answer. A point that says that nothing was measured ends it.
    pub fn add<P: Delta>(&mut self, series: &[u8], point: &P) -> Result<P, NotAdded> {
        let before = self.new.get(series).map_or_else(|| self.totals.streams.get(series), Option::as_ref);
        let size_before = before.map_or(0, |stream| stream.size_bytes(series));
        let known = before.and_then(|stream| Some((stream, P::of(&stream.total)?)));
        let (start, time) = point.times();
        let last = hash(point);
        if let Some((stream, total)) = known {
            let total_times = total.times();
            if time < total_times.1 {
                return Err(NotAdded::Point("it is older than the one that was added last".to_owned()));
            }
            if time == total_times.1 {
                let is_same = last == stream.last;
                let twice = || NotAdded::Point("another one of the same time was added before".to_owned());
                return is_same.then(|| total.with_exemplars_of(point)).ok_or_else(twice);
            }
            if start != 0 && start < total_times.0 {
                return Err(NotAdded::Point("it counts since before its total does".to_owned()));
            }
        }
        if point.is_stale() {
            self.size_bytes -= size_before;
            self.new.insert(series.into(), None);
            return Ok(point.clone());
        }
        point.check().map_err(NotAdded::Point)?;
        let mut total = known.map_or_else(|| point.zero(), |(_, total)| total.clone());
        point.add_to(&mut total).map_err(NotAdded::Point)?;
        total.set_time(time);
        let told = total.with_exemplars_of(point);
        let stream = Stream { total: total.into_total(), last, heard_ms: self.now_ms };
        let size_bytes = self.size_bytes - size_before + stream.size_bytes(series);
        if size_bytes > self.totals.size_bytes_max && size_bytes > self.size_bytes {
            return Err(NotAdded::NoRoom);
        }
        self.size_bytes = size_bytes;
        self.new.insert(series.into(), Some(stream));
        Ok(told)
    }

    /// Has it all count.
    pub fn commit(self) {
        for (series, stream) in self.new {
            match stream {
                Some(stream) => drop(self.totals.streams.insert(series, stream)),
                None => drop(self.totals.streams.remove(&series)),
            }
        }
        self.totals.size_bytes = self.size_bytes;
    }
}

impl Stream {
    fn size_bytes(&self, series: &[u8]) -> usize {
        ENTRY_BYTES + series.len() + self.total.heap_bytes()
    }
}

/// Tells deltas apart that come at the same time: they are compared within one series of one sender, who would only deceive
/// itself.
fn hash(point: &impl prost::Message) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(&point.encode_to_vec());
    hasher.finish()
}

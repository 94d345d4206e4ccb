//! What a series got out of order: sealed chunks, and runs of samples that are not in a chunk yet.
//!
//! Invariants: the runs are in order of time, and no time is there twice. Chunks that no cut has taken are disjoint
//! among themselves.

use crate::HeadSettings;
use crate::cut::CutNumber;
use crate::ranges::{Change, Removed, aligned};
use crate::sealed::Sealed;
use longhaul_chunk::{Chunk, XorAppender, encode, merge_chunks};
use longhaul_model::{Measurement, Sample, TimeRange, Value};

#[derive(Debug, Default)]
pub(crate) struct Late {
    pub(crate) sealed: Vec<Sealed>,
    /// Plain floats of which no start is known.
    floats: Vec<Sample>,
    /// Everything else.
    others: Vec<Measurement>,
}

/// Late samples of all ranges together that are kept outside of chunks: beyond, inserting into a run gets slow.
const RUN_SAMPLES_MAX: usize = 4096;

/// Late samples a chunk that is made for one reader.
const RUN_CHUNK_SAMPLES: u16 = 120;

impl Late {
    /// Whether there is nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.sealed.is_empty() && self.floats.is_empty() && self.others.is_empty()
    }

    /// Adds a sample at a time that the series does not have; `range` is the aligned range that holds it.
    pub(crate) fn insert(&mut self, sample: Measurement, range: TimeRange, settings: &HeadSettings) -> Change {
        let mut change = Change { opened: true, ..Change::default() };
        match sample.value {
            Value::Float(value) if sample.start_ms == 0 => {
                let at = self.floats.partition_point(|other| other.t_ms < sample.t_ms);
                self.floats.insert(at, Sample::new(sample.t_ms, value));
                change.bytes += size_of::<Sample>() as isize;
            }
            _ => {
                let at = self.others.partition_point(|other| other.t_ms < sample.t_ms);
                change.bytes += size_of_other(&sample) as isize;
                self.others.insert(at, sample);
            }
        }
        let in_range = run_in(&self.floats, range).len() + run_in(&self.others, range).len();
        if in_range >= usize::from(settings.chunk_samples_max) {
            change.bytes += self.seal(range, settings);
        } else if self.floats.len() + self.others.len() >= RUN_SAMPLES_MAX {
            while let Some(t_ms) = self.first_in_run(TimeRange::ALL) {
                let bytes = self.seal(aligned(t_ms, settings.block_range_ms), settings);
                change.elsewhere.push((t_ms, bytes));
            }
        }
        change
    }

    /// The value at `t_ms` that is in no chunk yet.
    pub(crate) fn value_in_run(&self, t_ms: i64) -> Option<Value> {
        let float = || self.floats.binary_search_by_key(&t_ms, |sample| sample.t_ms).ok();
        let other = || self.others.binary_search_by_key(&t_ms, |sample| sample.t_ms).ok();
        float()
            .map(|at| Value::Float(self.floats[at].value))
            .or_else(|| other().map(|at| self.others[at].value.clone()))
    }

    /// The earliest time in `range` of a sample that is in no chunk yet.
    pub(crate) fn first_in_run(&self, range: TimeRange) -> Option<i64> {
        let float = run_in(&self.floats, range).first().map(|sample| sample.t_ms);
        let other = run_in(&self.others, range).first().map(|sample| sample.t_ms);
        float.into_iter().chain(other).min()
    }

    /// Appends chunks, made for the caller, of what is in none yet and lies in `range`.
    pub(crate) fn read_run(&self, range: TimeRange, out: &mut Vec<Chunk>) {
        self.encode_run(range, RUN_CHUNK_SAMPLES, out);
    }

    /// Drops what is in no chunk yet and lies in `range`.
    pub(crate) fn delete_from_runs(&mut self, range: TimeRange, settings: &HeadSettings, removed: &mut Vec<Removed>) {
        while let Some(t_ms) = self.first_in_run(range) {
            let aligned = aligned(t_ms, settings.block_range_ms).intersection(&range);
            let before = self.floats.len() + self.others.len();
            let bytes = self.drain_runs(aligned);
            let samples = (before - self.floats.len() - self.others.len()) as u64;
            removed.push(Removed { t_ms, cut: CutNumber::NONE, samples, bytes: bytes as isize });
        }
    }

    /// Makes late chunks of everything in `range` that is in none.
    pub(crate) fn seal_runs(&mut self, range: TimeRange, settings: &HeadSettings) {
        while let Some(t_ms) = self.first_in_run(range) {
            self.seal(aligned(t_ms, settings.block_range_ms), settings);
        }
    }

    /// Adds late chunks of one range or several, merged with those that they overlap; returns by how many bytes the
    /// late chunks grew.
    pub(crate) fn add(&mut self, mut chunks: Vec<Chunk>, settings: &HeadSettings) -> isize {
        let bounds = chunks.iter().map(|it| TimeRange::inclusive(it.min_ms, it.max_ms));
        let bounds = bounds.fold(TimeRange::new(0, 0), |all, it| all.hull(&it));
        let overlapping = self.sealed.extract_if(.., |it| it.cut.is_none() && it.overlaps(bounds));
        let mut before = 0;
        chunks.extend(overlapping.inspect(|it| before += it.heap_bytes()).map(Chunk::from));
        let merged = merge_chunks(chunks, settings.chunk_samples_max).expect("the head's own chunks can be read");
        let mut after = 0;
        self.sealed.extend(merged.into_iter().map(Sealed::from).inspect(|it| after += it.heap_bytes()));
        after as isize - before as isize
    }

    /// Makes late chunks of the part of the runs that lies in one aligned range; returns by how many bytes the series
    /// grew.
    fn seal(&mut self, range: TimeRange, settings: &HeadSettings) -> isize {
        let mut chunks = Vec::new();
        self.encode_run(range, settings.chunk_samples_max, &mut chunks);
        let run_bytes = self.drain_runs(range);
        self.add(chunks, settings) - run_bytes as isize
    }

    /// Takes the part of the runs away that lies in `range`; returns how many bytes it took.
    fn drain_runs(&mut self, range: TimeRange) -> usize {
        let floats = drain(&mut self.floats, range).count() * size_of::<Sample>();
        let others: usize = drain(&mut self.others, range).map(|sample| size_of_other(&sample)).sum();
        if self.floats.is_empty() {
            self.floats = Vec::new();
        }
        if self.others.is_empty() {
            self.others = Vec::new();
        }
        floats + others
    }

    fn encode_run(&self, range: TimeRange, samples_per_chunk_max: u16, out: &mut Vec<Chunk>) {
        let (floats, others) = (run_in(&self.floats, range), run_in(&self.others, range));
        if others.is_empty() {
            return out.extend(floats.chunks(usize::from(samples_per_chunk_max)).map(encode_floats));
        }
        let mut all: Vec<Measurement> = floats.iter().map(|sample| Measurement::from(*sample)).collect();
        all.extend_from_slice(others);
        all.sort_by_key(|sample| sample.t_ms);
        encode(all, samples_per_chunk_max, out);
    }
}

/// What the runs are kept in order by.
trait Timed {
    fn t_ms(&self) -> i64;
}

impl Timed for Sample {
    fn t_ms(&self) -> i64 {
        self.t_ms
    }
}

impl Timed for Measurement {
    fn t_ms(&self) -> i64 {
        self.t_ms
    }
}

fn bounds<T: Timed>(run: &[T], range: TimeRange) -> (usize, usize) {
    let below = |t_ms: i64| run.partition_point(|sample| sample.t_ms() < t_ms);
    let (start, end) = (below(range.start_ms), below(range.end_ms));
    (start.min(end), end)
}

fn run_in<T: Timed>(run: &[T], range: TimeRange) -> &[T] {
    let (start, end) = bounds(run, range);
    &run[start..end]
}

fn drain<T: Timed>(run: &mut Vec<T>, range: TimeRange) -> impl Iterator<Item = T> {
    let (start, end) = bounds(run, range);
    run.drain(start..end)
}

fn encode_floats(samples: &[Sample]) -> Chunk {
    let mut chunk = XorAppender::new();
    samples.iter().for_each(|sample| chunk.append(sample.t_ms, sample.value));
    chunk.seal()
}

/// What a sample takes in the run of others.
fn size_of_other(sample: &Measurement) -> usize {
    size_of::<Measurement>() + sample.value.heap_bytes()
}

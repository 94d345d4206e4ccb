//! The samples of one series: an open chunk, sealed chunks, and a side run for what comes late.
//!
//! Invariants: no time is there twice (data of released cuts that a reader still holds does not count). No chunk
//! crosses an aligned range. Chunks that were appended in order are disjoint and stand in order of time. Late chunks
//! that no cut has taken are disjoint among themselves.

use crate::HeadSettings;
use crate::ranges::{Change, aligned};
use bytes::Bytes;
use longhaul_chunk::{Chunk, Encoding, XorAppender, XorIterator, merge_chunks};
use longhaul_model::{Sample, TimeRange};

#[derive(Debug)]
pub(crate) struct Samples {
    open: Option<XorAppender>,
    /// What a series has only once it is older, in one place: most of a million series do without for long.
    rest: Option<Box<Rest>>,
    /// Newer than this is new for certain: the series has never had a sample there, neither in this head nor in
    /// anything older. `i64::MIN` before the first sample.
    pub(crate) newest_ms: i64,
}

#[derive(Debug, Default)]
struct Rest {
    in_order: Vec<Sealed>,
    late: Vec<Sealed>,
    /// Late samples that are not in a chunk yet, in order of time.
    run: Vec<Sample>,
}

/// A sealed chunk in 32 bytes beside its data.
#[derive(Debug)]
struct Sealed {
    data: Box<[u8]>,
    min_ms: i64,
    /// A chunk does not cross a range, and a range is shorter than 2^32 ms.
    span_ms: u32,
    /// The cut that has taken it; 0 for none.
    cut: u32,
}

/// The cuts whose data a reader must not see: released before it began.
pub(crate) type Hidden = smallvec::SmallVec<[u32; 4]>;

/// Late samples of all ranges together that are kept outside of chunks: beyond, inserting into the run gets slow.
const RUN_SAMPLES_MAX: usize = 4096;

impl Samples {
    pub(crate) fn new() -> Self {
        Self { open: None, rest: None, newest_ms: i64::MIN }
    }

    /// Whether there is no sample at all, hidden ones counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_none() && self.rest.is_none()
    }

    /// Whether a sample at `t_ms` can be appended without looking for another one at the same time.
    pub(crate) fn is_new(&self, t_ms: i64) -> bool {
        self.newest_ms < t_ms && self.newest_ms != i64::MIN
    }

    /// Stores a sample at a time that the series does not have; `range` is the aligned range that holds it.
    #[inline]
    pub(crate) fn store(&mut self, sample: Sample, range: TimeRange, settings: &HeadSettings) -> Change {
        self.newest_ms = self.newest_ms.max(sample.t_ms);
        if let Some(open) = &mut self.open
            && open.max_ms() < sample.t_ms
            && range.start_ms <= open.max_ms()
            && open.samples() < settings.chunk_samples_max
            && open.size_bytes() < settings.chunk_bytes_max
        {
            let before = open.heap_bytes();
            open.append(sample.t_ms, sample.value);
            return Change { bytes: (open.heap_bytes() - before) as isize, ..Change::default() };
        }
        if self.in_order_max_ms().is_none_or(|max_ms| max_ms < sample.t_ms) {
            self.store_in_fresh(sample)
        } else {
            self.store_late(sample, range, settings)
        }
    }

    /// The value at `t_ms`, if the series has one in memory, and whether a cut has taken it.
    pub(crate) fn value_at(&self, t_ms: i64, hidden: &Hidden) -> Option<(f64, bool)> {
        if let Some(open) = &self.open {
            if open.max_ms() == t_ms {
                return Some((open.last_value(), false));
            }
            if open.min_ms() <= t_ms
                && t_ms < open.max_ms()
                && let Some(value) = find(open.bytes(), t_ms)
            {
                return Some((value, false));
            }
        }
        let rest = self.rest.as_ref()?;
        if let Ok(at) = rest.run.binary_search_by_key(&t_ms, |sample| sample.t_ms) {
            return Some((rest.run[at].value, false));
        }
        let visible = rest.in_order.iter().chain(&rest.late).filter(|it| !hidden.contains(&it.cut));
        let mut around = visible.filter(|it| it.min_ms <= t_ms && t_ms <= it.max_ms());
        around.find_map(|it| find(&it.data, t_ms).map(|value| (value, it.cut != 0)))
    }

    /// Whether some sample in `range` can be seen. A chunk that overlaps it counts.
    pub(crate) fn overlap(&self, range: TimeRange, hidden: &Hidden) -> bool {
        self.open.as_ref().is_some_and(|open| range.overlaps(&TimeRange::inclusive(open.min_ms(), open.max_ms())))
            || self.rest.as_ref().is_some_and(|rest| {
                let mut sealed = rest.in_order.iter().chain(&rest.late).filter(|it| !hidden.contains(&it.cut));
                sealed.any(|it| it.overlaps(range)) || !run_in(&rest.run, range).is_empty()
            })
    }

    /// The newest sample in `range` as a chunk, if that is the last one that was appended in order: what came late is
    /// older.
    pub(crate) fn newest_in(&self, range: TimeRange) -> Option<Chunk> {
        let open = self.open.as_ref().filter(|open| range.contains(open.max_ms()))?;
        Some(encode(&[Sample::new(open.max_ms(), open.last_value())]).seal())
    }

    /// Appends copies of the chunks that overlap `range`, in one allocation.
    pub(crate) fn read(&self, range: TimeRange, hidden: &Hidden, out: &mut Vec<Chunk>) {
        let rest = self.rest.as_deref();
        let sealed = rest.iter().flat_map(|rest| rest.in_order.iter().chain(&rest.late));
        let sealed = sealed.filter(|it| it.overlaps(range) && !hidden.contains(&it.cut));
        let sealed = sealed.map(|it| (it.min_ms, it.max_ms(), &*it.data));
        let open = self.open.iter().map(|open| (open.min_ms(), open.max_ms(), open.bytes()));
        let open = open.filter(|it| range.overlaps(&TimeRange::inclusive(it.0, it.1)));
        copy(sealed.chain(open), out);
        if let Some(rest) = rest {
            out.extend(run_in(&rest.run, range).chunks(RUN_CHUNK_SAMPLES).map(|part| encode(part).seal()));
        }
    }

    /// Appends copies of the chunks that the cut has taken, in one allocation.
    pub(crate) fn read_cut(&self, cut: u32, out: &mut Vec<Chunk>) {
        let sealed = self.rest.iter().flat_map(|rest| rest.in_order.iter().chain(&rest.late));
        copy(sealed.filter(|it| it.cut == cut).map(|it| (it.min_ms, it.max_ms(), &*it.data)), out);
    }

    /// Gives everything in `range` that no cut has taken to the cut `cut`, sealing what is open. Reports each chunk
    /// that was taken: a time in it, and its bytes.
    pub(crate) fn take(&mut self, range: TimeRange, cut: u32, settings: &HeadSettings, taken: &mut Vec<(i64, usize)>) {
        if self.open.as_ref().is_some_and(|open| range.contains(open.max_ms())) {
            self.seal_open();
        }
        let Some(rest) = &mut self.rest else { return };
        while let Some(first) = run_in(&rest.run, range).first() {
            rest.seal_run(aligned(first.t_ms, settings.block_range_ms), settings);
        }
        for it in rest.in_order.iter_mut().chain(&mut rest.late) {
            if it.cut == 0 && range.contains(it.min_ms) {
                it.cut = cut;
                taken.push((it.min_ms, it.heap_bytes()));
            }
        }
    }

    /// Counts what the cut took as uncut again.
    pub(crate) fn restore(&mut self, cut: u32, settings: &HeadSettings) {
        let Some(rest) = &mut self.rest else { return };
        rest.in_order.iter_mut().filter(|it| it.cut == cut).for_each(|it| it.cut = 0);
        // Late chunks that came since may overlap those that come back.
        let back: Vec<Sealed> = rest.late.extract_if(.., |it| it.cut == cut).collect();
        rest.add_late(back.into_iter().map(Sealed::into_chunk).collect(), settings);
    }

    /// Drops what the cut took.
    pub(crate) fn free(&mut self, cut: u32) {
        let Some(rest) = &mut self.rest else { return };
        for list in [&mut rest.in_order, &mut rest.late] {
            list.retain(|it| it.cut != cut);
            list.shrink_to_fit();
        }
        if rest.in_order.is_empty() && rest.late.is_empty() && rest.run.is_empty() {
            self.rest = None;
        }
    }

    /// The newest time that was appended in order and is in memory.
    fn in_order_max_ms(&self) -> Option<i64> {
        let sealed = || Some(self.rest.as_ref()?.in_order.last()?.max_ms());
        self.open.as_ref().map(XorAppender::max_ms).or_else(sealed)
    }

    /// Begins a chunk with a sample that is newer than all before it.
    #[cold]
    fn store_in_fresh(&mut self, sample: Sample) -> Change {
        let mut change = Change { opened: true, ..Change::default() };
        if let Some(open) = &self.open {
            let (t_ms, before) = (open.max_ms(), open.heap_bytes());
            change.elsewhere.push((t_ms, self.seal_open() as isize - before as isize));
        }
        let mut open = XorAppender::new();
        open.append(sample.t_ms, sample.value);
        change.bytes = open.heap_bytes() as isize;
        self.open = Some(open);
        change
    }

    #[cold]
    fn store_late(&mut self, sample: Sample, range: TimeRange, settings: &HeadSettings) -> Change {
        let rest = self.rest.get_or_insert_default();
        let at = rest.run.partition_point(|other| other.t_ms < sample.t_ms);
        rest.run.insert(at, sample);
        let mut change = Change { bytes: size_of::<Sample>() as isize, opened: true, ..Change::default() };
        if run_in(&rest.run, range).len() >= usize::from(settings.chunk_samples_max) {
            change.bytes += rest.seal_run(range, settings);
        } else if rest.run.len() >= RUN_SAMPLES_MAX {
            while let Some(first) = rest.run.first() {
                let t_ms = first.t_ms;
                let bytes = rest.seal_run(aligned(t_ms, settings.block_range_ms), settings);
                change.elsewhere.push((t_ms, bytes));
            }
        }
        change
    }

    /// Seals the open chunk; returns what it takes now.
    fn seal_open(&mut self) -> usize {
        let Some(open) = self.open.take() else { return 0 };
        let sealed = Sealed::new(open.bytes().into(), open.min_ms(), open.max_ms());
        let bytes = sealed.heap_bytes();
        let in_order = &mut self.rest.get_or_insert_default().in_order;
        if in_order.len() == in_order.capacity() {
            in_order.reserve_exact(1 + in_order.len() / 4); // not the four that a vector begins with: often it is one
        }
        in_order.push(sealed);
        bytes
    }
}

/// Late samples a chunk that is made for one reader.
const RUN_CHUNK_SAMPLES: usize = 120;

impl Rest {
    /// Makes late chunks of the part of the run that lies in `range`; returns by how many bytes it grew.
    fn seal_run(&mut self, range: TimeRange, settings: &HeadSettings) -> isize {
        let (start, end) = run_bounds(&self.run, range);
        let parts = self.run[start..end].chunks(usize::from(settings.chunk_samples_max));
        let chunks = parts.map(|part| encode(part).seal()).collect();
        self.run.drain(start..end);
        if self.run.is_empty() {
            self.run = Vec::new();
        }
        self.add_late(chunks, settings) - ((end - start) * size_of::<Sample>()) as isize
    }

    /// Adds late chunks of one range or several, merged with those that they overlap; returns by how many bytes the
    /// late chunks grew.
    fn add_late(&mut self, mut chunks: Vec<Chunk>, settings: &HeadSettings) -> isize {
        let bounds = chunks.iter().map(|it| TimeRange::inclusive(it.min_ms, it.max_ms));
        let bounds = bounds.fold(TimeRange::new(0, 0), |all, it| all.hull(&it));
        let overlapping = self.late.extract_if(.., |it| it.cut == 0 && it.overlaps(bounds));
        let mut before = 0;
        chunks.extend(overlapping.inspect(|it| before += it.heap_bytes()).map(Sealed::into_chunk));
        let merged = merge_chunks(chunks, settings.chunk_samples_max).expect("the head's own chunks can be read");
        let sealed = merged.into_iter().map(|it| Sealed::new(Vec::from(it.data).into(), it.min_ms, it.max_ms));
        let mut after = 0;
        self.late.extend(sealed.inspect(|it| after += it.heap_bytes()));
        after as isize - before as isize
    }
}

impl Sealed {
    fn new(data: Box<[u8]>, min_ms: i64, max_ms: i64) -> Self {
        Self { data, min_ms, span_ms: max_ms.abs_diff(min_ms) as u32, cut: 0 }
    }

    fn max_ms(&self) -> i64 {
        self.min_ms + i64::from(self.span_ms)
    }

    fn overlaps(&self, range: TimeRange) -> bool {
        range.overlaps(&TimeRange::inclusive(self.min_ms, self.max_ms()))
    }

    fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.data.len()
    }

    fn into_chunk(self) -> Chunk {
        let (min_ms, max_ms) = (self.min_ms, self.max_ms());
        Chunk { encoding: Encoding::Xor, min_ms, max_ms, data: Bytes::from(self.data) }
    }
}

/// Copies chunks of (min_ms, max_ms, data) behind one another, so that one allocation holds them all.
fn copy<'a>(chunks: impl Iterator<Item = (i64, i64, &'a [u8])> + Clone, out: &mut Vec<Chunk>) {
    let (count, bytes) = chunks.clone().fold((0, 0), |(count, bytes), it| (count + 1, bytes + it.2.len()));
    if count == 0 {
        return;
    }
    let mut buffer = Vec::with_capacity(bytes);
    chunks.clone().for_each(|it| buffer.extend_from_slice(it.2));
    let mut buffer = Bytes::from(buffer);
    out.reserve(count);
    out.extend(chunks.map(|(min_ms, max_ms, data)| Chunk {
        encoding: Encoding::Xor,
        min_ms,
        max_ms,
        data: if data.len() == buffer.len() { std::mem::take(&mut buffer) } else { buffer.split_to(data.len()) },
    }));
}

fn encode(samples: &[Sample]) -> XorAppender {
    let mut chunk = XorAppender::new();
    samples.iter().for_each(|sample| chunk.append(sample.t_ms, sample.value));
    chunk
}

fn find(chunk: &[u8], t_ms: i64) -> Option<f64> {
    let samples = XorIterator::new(chunk).expect("the head's own chunks can be read");
    let samples = samples.map(|sample| sample.expect("the head's own chunks can be read"));
    samples.take_while(|sample| sample.t_ms <= t_ms).find(|sample| sample.t_ms == t_ms).map(|sample| sample.value)
}

fn run_bounds(run: &[Sample], range: TimeRange) -> (usize, usize) {
    let below = |t_ms: i64| run.partition_point(|sample| sample.t_ms < t_ms);
    (below(range.start_ms), below(range.end_ms))
}

fn run_in(run: &[Sample], range: TimeRange) -> &[Sample] {
    let (start, end) = run_bounds(run, range);
    &run[start.min(end)..end]
}

//! The samples of one series: an open chunk, sealed chunks, and what comes late.
//!
//! Invariants: no time is there twice (data of released cuts that a reader still holds does not count). No chunk
//! crosses an aligned range. Chunks that were appended in order are disjoint and stand in order of time.

use crate::HeadSettings;
use crate::cut::CutNumber;
use crate::late::Late;
use crate::open::Open;
use crate::ranges::{Change, Removed};
use crate::sealed::{Hidden, Sealed, copy};
use longhaul_chunk::{Chunk, XorAppender, decode_any, encode};
use longhaul_model::{Measurement, Sample, TimeRange, Value};

#[derive(Debug)]
pub(crate) struct Samples {
    open: Option<Open>,
    /// What a series has only once it is older, in one place: most of a million series do without for long.
    rest: Option<Box<Rest>>,
    /// Newer than this is new for certain: the series has never had a sample there, neither in this head nor in
    /// anything older. `i64::MIN` before the first sample.
    pub(crate) newest_ms: i64,
}

#[derive(Debug, Default)]
struct Rest {
    in_order: Vec<Sealed>,
    /// Few series ever get anything late.
    late: Option<Box<Late>>,
}

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

    /// Stores a float at a time that the series does not have; `range` is the aligned range that holds it.
    #[inline]
    pub(crate) fn store(&mut self, sample: Sample, range: TimeRange, settings: &HeadSettings) -> Change {
        if let Some(Open::Floats(open)) = &mut self.open
            && open.max_ms() < sample.t_ms
            && range.start_ms <= open.max_ms()
            && open.samples() < settings.chunk_samples_max
            && open.size_bytes() < settings.chunk_bytes_max
        {
            self.newest_ms = self.newest_ms.max(sample.t_ms);
            let before = open.heap_bytes();
            open.append(sample.t_ms, sample.value);
            return Change { bytes: (open.heap_bytes() - before) as isize, ..Change::default() };
        }
        self.store_any(sample.into(), range, settings)
    }

    /// [`Self::store`] for a sample of any kind.
    pub(crate) fn store_any(&mut self, sample: Measurement, range: TimeRange, settings: &HeadSettings) -> Change {
        self.newest_ms = self.newest_ms.max(sample.t_ms);
        if let Some(open) = &mut self.open
            && open.max_ms() < sample.t_ms
            && range.start_ms <= open.max_ms()
            && open.has_room(settings)
        {
            let before = open.heap_bytes();
            if open.append(&sample) {
                return Change { bytes: open.heap_bytes() as isize - before as isize, ..Change::default() };
            }
        }
        if self.in_order_max_ms().is_none_or(|max_ms| max_ms < sample.t_ms) {
            self.store_in_fresh(&sample)
        } else {
            self.rest.get_or_insert_default().late.get_or_insert_default().insert(sample, range, settings)
        }
    }

    /// The value at `t_ms`, if the series has one in memory, and whether a cut has taken it.
    pub(crate) fn value_at(&self, t_ms: i64, hidden: &Hidden) -> Option<(Value, bool)> {
        let open = self.open.as_ref().and_then(|open| open.value_at(t_ms));
        let outside_of_cuts = open.or_else(|| self.late()?.value_in_run(t_ms));
        let sealed = || {
            let mut visible = self.sealed().filter(|it| !hidden.contains(&it.cut));
            visible.find_map(|it| Some((it.value_at(t_ms)?, !it.cut.is_none())))
        };
        outside_of_cuts.map(|value| (value, false)).or_else(sealed)
    }

    /// Whether some sample in `range` can be seen. A chunk that overlaps it counts.
    pub(crate) fn overlap(&self, range: TimeRange, hidden: &Hidden) -> bool {
        self.open.as_ref().is_some_and(|open| range.overlaps(&TimeRange::inclusive(open.min_ms(), open.max_ms())))
            || self.sealed().any(|it| it.overlaps(range) && !hidden.contains(&it.cut))
            || self.late().is_some_and(|late| late.first_in_run(range).is_some())
    }

    /// The newest sample in `range` as a chunk, if that is the last one that was appended in order (what came late is
    /// older) and a plain float: a histogram alone would not say that counting went on.
    pub(crate) fn newest_in(&self, range: TimeRange) -> Option<Chunk> {
        let Some(Open::Floats(open)) = &self.open else { return None };
        range.contains(open.max_ms()).then(|| {
            let mut newest = XorAppender::new();
            newest.append(open.max_ms(), open.last_value());
            newest.seal()
        })
    }

    /// Appends copies of the chunks that overlap `range`, in one allocation.
    pub(crate) fn read(&self, range: TimeRange, hidden: &Hidden, out: &mut Vec<Chunk>) {
        let sealed = self.sealed().filter(|it| it.overlaps(range) && !hidden.contains(&it.cut)).map(Sealed::view);
        let open = self.open.iter().map(Open::view);
        let open = open.filter(|it| range.overlaps(&TimeRange::inclusive(it.1, it.2)));
        copy(sealed.chain(open), out);
        if let Some(late) = self.late() {
            late.read_run(range, out);
        }
    }

    /// Appends copies of the chunks that the cut has taken, in one allocation.
    pub(crate) fn read_cut(&self, cut: CutNumber, out: &mut Vec<Chunk>) {
        copy(self.sealed().filter(|it| it.cut == cut).map(Sealed::view), out);
    }

    /// Gives everything in `range` that no cut has taken to the cut `cut`, sealing what is open. Reports each chunk
    /// that was taken: a time in it, and its bytes.
    pub(crate) fn take(
        &mut self,
        range: TimeRange,
        cut: CutNumber,
        settings: &HeadSettings,
        taken: &mut Vec<(i64, usize)>,
    ) {
        if self.open.as_ref().is_some_and(|open| range.contains(open.max_ms())) {
            self.seal_open();
        }
        let Some(rest) = &mut self.rest else { return };
        if let Some(late) = &mut rest.late {
            late.seal_runs(range, settings);
        }
        for it in rest.sealed_mut().filter(|it| it.cut.is_none() && range.contains(it.min_ms)) {
            it.cut = cut;
            taken.push((it.min_ms, it.heap_bytes()));
        }
    }

    /// Counts what the cut took as uncut again.
    pub(crate) fn restore(&mut self, cut: CutNumber, settings: &HeadSettings) {
        let Some(rest) = &mut self.rest else { return };
        rest.in_order.iter_mut().filter(|it| it.cut == cut).for_each(|it| it.cut = CutNumber::NONE);
        if let Some(late) = &mut rest.late {
            // Late chunks that came since may overlap those that come back.
            let back: Vec<Sealed> = late.sealed.extract_if(.., |it| it.cut == cut).collect();
            late.add(back.into_iter().map(Chunk::from).collect(), settings);
        }
    }

    /// Drops what the cut took.
    pub(crate) fn free(&mut self, cut: CutNumber) {
        let Some(rest) = &mut self.rest else { return };
        let late = rest.late.as_mut().map(|late| &mut late.sealed);
        for list in [&mut rest.in_order].into_iter().chain(late) {
            list.retain(|it| it.cut != cut);
            list.shrink_to_fit();
        }
        self.drop_empty_rest();
    }

    /// Drops the samples in `range` that can be seen, those that a cut has taken as well.
    pub(crate) fn delete(&mut self, range: TimeRange, hidden: &Hidden, settings: &HeadSettings) -> Vec<Removed> {
        let mut removed = Vec::new();
        if let Some(open) = self.open.take_if(|open| range.covers(&TimeRange::inclusive(open.min_ms(), open.max_ms())))
        {
            let (t_ms, samples, bytes) = (open.min_ms(), open.samples().into(), open.heap_bytes() as isize);
            removed.push(Removed { t_ms, cut: CutNumber::NONE, samples, bytes });
        } else if let Some(open) = &self.open
            && range.overlaps(&TimeRange::inclusive(open.min_ms(), open.max_ms()))
        {
            let (t_ms, bytes) = (open.min_ms(), open.heap_bytes() as isize);
            let bytes = bytes - self.seal_open() as isize;
            removed.push(Removed { t_ms, cut: CutNumber::NONE, samples: 0, bytes });
        }
        let Some(rest) = &mut self.rest else { return removed };
        delete_from(&mut rest.in_order, range, hidden, settings, &mut removed);
        if let Some(late) = &mut rest.late {
            delete_from(&mut late.sealed, range, hidden, settings, &mut removed);
            late.delete_from_runs(range, settings, &mut removed);
        }
        self.drop_empty_rest();
        removed
    }

    fn drop_empty_rest(&mut self) {
        let Some(rest) = &mut self.rest else { return };
        rest.late.take_if(|late| late.is_empty());
        if rest.in_order.is_empty() && rest.late.is_none() {
            self.rest = None;
        }
    }

    fn late(&self) -> Option<&Late> {
        self.rest.as_ref()?.late.as_deref()
    }

    fn sealed(&self) -> impl Iterator<Item = &Sealed> + Clone {
        let in_order = self.rest.iter().flat_map(|rest| &rest.in_order);
        in_order.chain(self.late().into_iter().flat_map(|late| &late.sealed))
    }

    /// The newest time that was appended in order and is in memory.
    fn in_order_max_ms(&self) -> Option<i64> {
        let sealed = || Some(self.rest.as_ref()?.in_order.last()?.max_ms());
        self.open.as_ref().map(Open::max_ms).or_else(sealed)
    }

    /// Begins a chunk with a sample that is newer than all before it.
    #[cold]
    fn store_in_fresh(&mut self, sample: &Measurement) -> Change {
        let mut change = Change { opened: true, ..Change::default() };
        let open = Open::begin(sample, self.open.as_ref());
        change.bytes = open.heap_bytes() as isize;
        if let Some(before) = &self.open {
            let (t_ms, bytes) = (before.max_ms(), before.heap_bytes());
            change.elsewhere.push((t_ms, self.seal_open() as isize - bytes as isize));
        }
        self.open = Some(open);
        change
    }

    /// Seals the open chunk; returns what it takes now.
    fn seal_open(&mut self) -> usize {
        let Some(open) = self.open.take() else { return 0 };
        let sealed = Sealed::new(open.encoding(), open.bytes().into(), open.min_ms(), open.max_ms());
        let bytes = sealed.heap_bytes();
        let in_order = &mut self.rest.get_or_insert_default().in_order;
        if in_order.len() == in_order.capacity() {
            in_order.reserve_exact(1 + in_order.len() / 4); // not the four that a vector begins with: often it is one
        }
        in_order.push(sealed);
        bytes
    }
}

/// Drops samples from a list of chunks; of a chunk that is not wholly in `range` the rest takes its place.
fn delete_from(
    list: &mut Vec<Sealed>,
    range: TimeRange,
    hidden: &Hidden,
    settings: &HeadSettings,
    all: &mut Vec<Removed>,
) {
    let is_meant = |it: &Sealed| it.overlaps(range) && !hidden.contains(&it.cut);
    if !list.iter().any(is_meant) {
        return;
    }
    let mut left = Vec::with_capacity(list.len());
    for sealed in std::mem::take(list) {
        if !is_meant(&sealed) {
            left.push(sealed);
            continue;
        }
        let (cut, t_ms, bytes) = (sealed.cut, sealed.min_ms, sealed.heap_bytes() as isize);
        let mut samples = Vec::new();
        decode_any(&sealed.into(), &mut samples).expect("the head's own chunks can be read");
        let before = samples.len();
        samples.retain(|sample| !range.contains(sample.t_ms));
        let mut removed = Removed { t_ms, cut, samples: (before - samples.len()) as u64, bytes };
        let mut chunks = Vec::new();
        encode(samples, settings.chunk_samples_max, &mut chunks);
        for chunk in chunks {
            let mut rest = Sealed::from(chunk);
            rest.cut = cut;
            removed.bytes -= rest.heap_bytes() as isize;
            left.push(rest);
        }
        all.push(removed);
    }
    left.shrink_to_fit();
    *list = left;
}

impl Rest {
    fn sealed_mut(&mut self) -> impl Iterator<Item = &mut Sealed> {
        self.in_order.iter_mut().chain(self.late.iter_mut().flat_map(|late| &mut late.sealed))
    }
}

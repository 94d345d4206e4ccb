//! What the head holds of each aligned range: how much, from which offset on, and in which series.
//!
//! Only the lane changes it; the lock is for those who ask.

use crate::RangeState;
use crate::cut::CutNumber;
use longhaul_model::TimeRange;

#[derive(Debug)]
pub(crate) struct Ranges {
    length_ms: i64,
    /// In order of time.
    ranges: Vec<Range>,
    /// Where the last sample went: the next one goes there too, nearly always.
    last: usize,
    last_cut: CutNumber,
}

#[derive(Debug)]
struct Range {
    range: TimeRange,
    uncut: Tally,
    touched: Touched,
    cuts: Vec<Cutting>,
}

#[derive(Debug)]
struct Cutting {
    cut: CutNumber,
    tally: Tally,
    touched: Touched,
}

#[derive(Clone, Copy, Debug)]
struct Tally {
    samples: u64,
    exemplars: u64,
    first_offset: u64,
    min_ms: i64,
    max_ms: i64,
    chunk_bytes: usize,
    exemplar_bytes: usize,
}

/// In which series a cut has to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Touched {
    /// Ids, in any order, some perhaps more than once.
    Some(Vec<u32>),
    /// Too many to list: in all of them.
    All,
}

/// A cut that has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Names the cut on the chunks that it takes.
    pub(crate) cut: CutNumber,
    pub(crate) samples: u64,
    pub(crate) first_offset: u64,
    pub(crate) touched: Touched,
}

/// What applying a sample changed.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// Bytes that came (or went) in the sample's own range.
    pub(crate) bytes: isize,
    /// The same in other ranges, each given by a time in it.
    pub(crate) elsewhere: Vec<(i64, isize)>,
    /// Whether the series may have had nothing in the range before.
    pub(crate) opened: bool,
}

/// What a deletion took out of a chunk, or of what is in none yet.
#[derive(Debug)]
pub(crate) struct Removed {
    /// A time in the range that it lay in.
    pub(crate) t_ms: i64,
    /// The cut that had taken it.
    pub(crate) cut: CutNumber,
    pub(crate) samples: u64,
    /// Bytes that went; what is left may be encoded larger.
    pub(crate) bytes: isize,
}

/// Below that many a list is kept however few series there are.
const TOUCHED_MIN: usize = 64;

impl Tally {
    const NONE: Self = Self {
        samples: 0,
        exemplars: 0,
        first_offset: u64::MAX,
        min_ms: i64::MAX,
        max_ms: i64::MIN,
        chunk_bytes: 0,
        exemplar_bytes: 0,
    };

    fn is_empty(&self) -> bool {
        self.samples == 0 && self.exemplars == 0
    }

    fn add(&mut self, other: &Self) {
        self.samples += other.samples;
        self.exemplars += other.exemplars;
        self.first_offset = self.first_offset.min(other.first_offset);
        self.min_ms = self.min_ms.min(other.min_ms);
        self.max_ms = self.max_ms.max(other.max_ms);
        self.chunk_bytes += other.chunk_bytes;
        self.exemplar_bytes += other.exemplar_bytes;
    }
}

impl Touched {
    const NONE: Self = Self::Some(Vec::new());

    fn add(&mut self, id: u32, series: usize) {
        match self {
            Self::Some(ids) if ids.last() == Some(&id) => {}
            Self::Some(ids) if ids.len() < (series / 8).max(TOUCHED_MIN) => ids.push(id),
            _ => *self = Self::All,
        }
    }

    fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Some(ids), Self::Some(more)) => ids.extend(more),
            _ => *self = Self::All,
        }
    }
}

impl Ranges {
    pub(crate) fn new(length_ms: i64) -> Self {
        Self { length_ms, ranges: Vec::new(), last: 0, last_cut: CutNumber::NONE }
    }

    /// The aligned range that holds `t_ms`.
    pub(crate) fn range_of(&self, t_ms: i64) -> TimeRange {
        match self.ranges.get(self.last) {
            Some(last) if last.range.contains(t_ms) => last.range,
            _ => aligned(t_ms, self.length_ms),
        }
    }

    /// Counts a sample that has been stored, and what that changed; `series` is how many there are in all.
    pub(crate) fn stored(&mut self, t_ms: i64, offset: u64, id: u32, change: Change, series: usize) {
        self.last = self.place(t_ms);
        let range = &mut self.ranges[self.last];
        let uncut = &mut range.uncut;
        uncut.samples += 1;
        uncut.first_offset = uncut.first_offset.min(offset);
        uncut.min_ms = uncut.min_ms.min(t_ms);
        uncut.max_ms = uncut.max_ms.max(t_ms);
        uncut.chunk_bytes = uncut.chunk_bytes.saturating_add_signed(change.bytes);
        if change.opened {
            range.touched.add(id, series);
        }
        for (t_ms, bytes) in change.elsewhere {
            let place = self.place(t_ms);
            let uncut = &mut self.ranges[place].uncut;
            uncut.chunk_bytes = uncut.chunk_bytes.saturating_add_signed(bytes);
        }
        self.last = self.place(t_ms);
    }

    /// Counts an exemplar that has been stored.
    pub(crate) fn stored_exemplar(&mut self, t_ms: i64, offset: u64, size_bytes: usize) {
        let place = self.place(t_ms);
        let uncut = &mut self.ranges[place].uncut;
        uncut.exemplars += 1;
        uncut.first_offset = uncut.first_offset.min(offset);
        uncut.exemplar_bytes += size_bytes;
        // A range may have come in before that of the last sample.
        self.last = place;
    }

    /// Takes what is uncut in `range` for a new cut; None if there is nothing.
    pub(crate) fn begin(&mut self, range: TimeRange) -> Option<Begun> {
        let inside = |it: &&mut Range| range.covers(&it.range) && !it.uncut.is_empty();
        let mut begun = Begun { cut: self.last_cut.next(), samples: 0, first_offset: u64::MAX, touched: Touched::NONE };
        for it in self.ranges.iter_mut().filter(inside) {
            let tally = std::mem::replace(&mut it.uncut, Tally::NONE);
            let touched = std::mem::replace(&mut it.touched, Touched::NONE);
            begun.samples += tally.samples;
            begun.first_offset = begun.first_offset.min(tally.first_offset);
            begun.touched.merge(touched.clone());
            it.cuts.push(Cutting { cut: begun.cut, tally, touched });
        }
        if begun.first_offset == u64::MAX {
            return None;
        }
        self.last_cut = begun.cut;
        Some(begun)
    }

    /// Corrects what the chunks of a cut take, each given by a time in its range, now that they are sealed.
    pub(crate) fn sealed(&mut self, cut: CutNumber, chunks: impl IntoIterator<Item = (i64, usize)>) {
        for it in self.cuts_mut(cut) {
            it.1.tally.chunk_bytes = 0;
        }
        for (t_ms, bytes) in chunks {
            for (range, cutting) in self.cuts_mut(cut) {
                if range.contains(t_ms) {
                    cutting.tally.chunk_bytes += bytes;
                }
            }
        }
    }

    /// Forgets a cut: its part answers now. Returns what its chunks take.
    pub(crate) fn finish(&mut self, cut: CutNumber) -> usize {
        let bytes = self.cuts_mut(cut).map(|(_, cutting)| cutting.tally.chunk_bytes).sum();
        for it in &mut self.ranges {
            it.cuts.retain(|cutting| cutting.cut != cut);
        }
        self.ranges.retain(|it| !it.uncut.is_empty() || !it.cuts.is_empty());
        self.last = 0;
        bytes
    }

    /// Counts what a cut took as uncut again.
    pub(crate) fn abandon(&mut self, cut: CutNumber) {
        for it in &mut self.ranges {
            for cutting in it.cuts.extract_if(.., |cutting| cutting.cut == cut) {
                it.uncut.add(&cutting.tally);
                it.touched.merge(cutting.touched);
            }
        }
        self.forget_empty(); // a deletion may have left nothing
    }

    /// Counts samples off that have been deleted. A range without any is forgotten, unless a cut has taken of it.
    pub(crate) fn removed(&mut self, removed: &[Removed]) {
        for it in removed {
            if let Some(tally) = self.tally_mut(it.t_ms, it.cut) {
                tally.samples -= it.samples;
                tally.chunk_bytes = tally.chunk_bytes.saturating_add_signed(-it.bytes);
            }
        }
        self.forget_empty();
    }

    /// Counts an exemplar off that has been deleted.
    pub(crate) fn removed_exemplar(&mut self, t_ms: i64, cut: CutNumber, size_bytes: usize) {
        if let Some(tally) = self.tally_mut(t_ms, cut) {
            tally.exemplars -= 1;
            tally.exemplar_bytes -= size_bytes;
        }
        self.forget_empty();
    }

    fn tally_mut(&mut self, t_ms: i64, cut: CutNumber) -> Option<&mut Tally> {
        let range = self.ranges.iter_mut().find(|range| range.range.contains(t_ms))?;
        if cut.is_none() {
            return Some(&mut range.uncut);
        }
        range.cuts.iter_mut().find(|cutting| cutting.cut == cut).map(|cutting| &mut cutting.tally)
    }

    fn forget_empty(&mut self) {
        self.ranges.retain(|it| !it.uncut.is_empty() || !it.cuts.is_empty());
        self.last = 0;
    }

    /// What a cut took lies in the log at `offset` now, and nowhere below it is it needed.
    pub(crate) fn logged_again(&mut self, cut: CutNumber, offset: u64) {
        for cutting in self.ranges.iter_mut().flat_map(|it| &mut it.cuts).filter(|cutting| cutting.cut == cut) {
            cutting.tally.first_offset = offset;
        }
    }

    pub(crate) fn states(&self) -> Vec<RangeState> {
        let state = |it: &Range| {
            let mut whole = it.uncut;
            it.cuts.iter().for_each(|cutting| whole.add(&cutting.tally));
            RangeState {
                range: it.range,
                samples: it.uncut.samples,
                exemplars: it.uncut.exemplars,
                cutting_samples: whole.samples - it.uncut.samples,
                first_offset: whole.first_offset,
                chunk_bytes: whole.chunk_bytes + whole.exemplar_bytes,
            }
        };
        self.ranges.iter().map(state).collect()
    }

    /// Samples, bytes of their chunks and of exemplars, oldest and newest time, of all ranges together.
    pub(crate) fn totals(&self) -> (u64, usize, i64, i64) {
        let mut whole = Tally::NONE;
        for it in &self.ranges {
            whole.add(&it.uncut);
            it.cuts.iter().for_each(|cutting| whole.add(&cutting.tally));
        }
        (whole.samples, whole.chunk_bytes + whole.exemplar_bytes, whole.min_ms, whole.max_ms)
    }

    /// Where the range of `t_ms` stands; made if it is not there.
    fn place(&mut self, t_ms: i64) -> usize {
        if self.ranges.get(self.last).is_some_and(|last| last.range.contains(t_ms)) {
            return self.last;
        }
        let range = aligned(t_ms, self.length_ms);
        let place = self.ranges.partition_point(|it| it.range.start_ms < range.start_ms);
        if self.ranges.get(place).is_none_or(|it| it.range != range) {
            let fresh = Range { range, uncut: Tally::NONE, touched: Touched::NONE, cuts: Vec::new() };
            self.ranges.insert(place, fresh);
        }
        place
    }

    fn cuts_mut(&mut self, cut: CutNumber) -> impl Iterator<Item = (TimeRange, &mut Cutting)> {
        self.ranges.iter_mut().flat_map(move |it| {
            it.cuts.iter_mut().filter(move |cutting| cutting.cut == cut).map(|cutting| (it.range, cutting))
        })
    }
}

/// Like [`TimeRange::aligned`], but with an exact end beside the beginning of time, where the start saturates.
pub(crate) fn aligned(t_ms: i64, length_ms: i64) -> TimeRange {
    let number = t_ms.div_euclid(length_ms);
    TimeRange::new(number.saturating_mul(length_ms), (number + 1).saturating_mul(length_ms))
}

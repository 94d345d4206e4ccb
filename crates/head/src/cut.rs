//! Cuts: the older part of a head as an immutable view, while it becomes a part.
//!
//! A cut marks chunks with its number and leaves them where they are, so that readers go on finding them. Released, it
//! is hidden from whoever begins to read; its chunks go when the last reader from before has gone. Abandoned, the marks
//! are taken off again.

use crate::pins::{Remains, Taken};
use crate::ranges::{Begun, Touched};
use crate::{Head, Series, index};
use longhaul_chunk::{Chunk, SeriesChunks, merge_chunks};
use longhaul_model::TimeRange;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

/// The number of a cut on the chunks that it takes, in three bytes: a chunk has no room for more. They come round after
/// 16 million cuts of a head, long after the first has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CutNumber([u8; 3]);

impl CutNumber {
    /// No cut.
    pub(crate) const NONE: Self = Self([0; 3]);

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }

    /// The number of the cut after this one; never [`Self::NONE`].
    pub(crate) fn next(self) -> Self {
        let [high, middle, low] = self.0;
        match (u32::from_be_bytes([0, high, middle, low]) + 1).to_be_bytes() {
            [0, high, middle, low] => Self([high, middle, low]),
            _ => Self([0, 0, 1]),
        }
    }
}

/// What a cut took: see [`Head::cut`]. A view that is dropped without release or abandon is abandoned by the next cut.
#[derive(Debug)]
pub struct CutView {
    pub(crate) head: Arc<Head>,
    pub(crate) cut: CutNumber,
    range: TimeRange,
    from: u64,
    through: u64,
    samples: u64,
    taken: Taken,
    ordered: OnceLock<Vec<Arc<Series>>>,
    state: AtomicU8,
}

/// States of a view.
const TAKEN: u8 = 0;
const RELEASED: u8 = 1;
const ABANDONED: u8 = 2;

/// Series that are read at once for the writer of the part.
const BATCH: usize = 256;

impl CutView {
    /// The range that was asked for.
    pub fn range(&self) -> TimeRange {
        self.range
    }

    /// The view holds every sample and exemplar of its range with an offset above `from` and up to [`CutView::through`], apart from
    /// those that an earlier cut holds.
    pub fn from(&self) -> u64 {
        self.from
    }

    /// See [`CutView::from`].
    pub fn through(&self) -> u64 {
        self.through
    }

    /// How many samples it held when it was taken.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// How many series it held samples of when it was taken.
    pub fn series_count(&self) -> usize {
        self.taken.len()
    }

    /// The series in label order, each with its chunks in order of time, disjoint, without what has been deleted since it
    /// was taken. The first call sorts them, in the caller's thread. After an abandon there may be anything.
    pub fn series(&self) -> impl Iterator<Item = SeriesChunks> + '_ {
        let ordered = self.ordered.get_or_init(|| {
            let mut series = self.taken.to_vec();
            self.head.order.sort(&self.head.index, &mut series);
            series
        });
        let read = |series: &Series, chunks: &mut Vec<Chunk>| {
            series.samples.lock().read_cut(self.cut, chunks);
            let all = std::mem::take(chunks);
            *chunks =
                merge_chunks(all, self.head.settings().chunk_samples_max).expect("the head's own chunks can be read");
        };
        let all = ordered.chunks(BATCH).flat_map(move |batch| self.head.with_labels(batch, read));
        all.filter(|series| !series.chunks.is_empty()) // a deletion may have come since
    }

    fn decide(&self, state: u8) {
        let before = self.state.swap(state, Ordering::AcqRel);
        assert_eq!(before, TAKEN, "a cut is released or abandoned once");
    }
}

impl Drop for CutView {
    fn drop(&mut self) {
        match self.state.load(Ordering::Acquire) {
            TAKEN => self.head.pins.dropped(self.cut, self.taken.clone()),
            RELEASED => self.head.free(self.head.pins.let_go(self.cut)),
            _ => {}
        }
        self.taken = Arc::default(); // the series are held no longer, so that those may go that a deletion has emptied
        self.ordered.take();
        self.head.evict_emptied();
    }
}

impl Head {
    /// Takes all samples and exemplars of `range` that are in memory and in no other cut; None if there are none. Lane only, after
    /// everything up to the offset `through` has been applied. `range` is one or several aligned ranges. The samples
    /// stay readable in the head until the cut is released.
    pub fn cut(self: &Arc<Self>, range: TimeRange, through: u64) -> Option<CutView> {
        for (cut, taken) in self.pins.take_dropped() {
            self.restore(cut, &taken);
        }
        let Begun { cut, samples, first_offset, touched } = self.ranges.lock().begin(range)?;
        assert!(first_offset <= through, "a cut is asked for what has been applied");
        let (mut taken, mut chunks) = (Vec::new(), Vec::new());
        let mut take = |series: Arc<Series>| {
            let before = chunks.len();
            series.samples.lock().take(range, cut, &self.settings, &mut chunks);
            if before < chunks.len() {
                taken.push(series);
            }
        };
        match touched {
            Touched::All => index::pages(&self.index).flatten().for_each(&mut take),
            Touched::Some(mut ids) => {
                ids.sort_unstable();
                ids.dedup();
                for step in ids.chunks(index::STEP) {
                    let found: Vec<_> = {
                        let index = self.index.read();
                        step.iter().filter_map(|id| index.series.get(*id)).cloned().collect()
                    };
                    found.into_iter().for_each(&mut take);
                }
            }
        }
        self.ranges.lock().sealed(cut, chunks);
        self.take_exemplars(range, cut);
        Some(CutView {
            head: self.clone(),
            cut,
            range,
            from: first_offset - 1,
            through,
            samples,
            taken: taken.into(),
            ordered: OnceLock::new(),
            state: AtomicU8::new(TAKEN),
        })
    }

    /// Hands over to the cut's part, which must be visible by now: who begins to read from here on does not find the
    /// cut's samples in the head any more. Lane only. Takes no longer for a large cut: its memory is freed when the
    /// last reader that began before has ended and `view` is dropped, by the thread that does so last; so the view is
    /// best dropped elsewhere than in the lane.
    ///
    /// # Panics
    /// If the view has been released or abandoned before.
    pub fn release(&self, view: &CutView) {
        view.decide(RELEASED);
        let bytes = self.ranges.lock().finish(view.cut);
        self.free_exemplars(view.cut); // who reads them copies them at once
        self.pins.release(view.cut, bytes, view.taken.clone());
    }

    /// Takes a cut back: its part could not be written, its samples count as never cut. Lane only.
    ///
    /// # Panics
    /// If the view has been released or abandoned before.
    pub fn abandon(&self, view: &CutView) {
        view.decide(ABANDONED);
        self.restore(view.cut, &view.taken);
    }

    /// Takes a cut back after the log has taken its samples once more, as the batch at `offset`: they count as never
    /// cut, and as accepted there. Lane only.
    ///
    /// # Panics
    /// If the view has been released or abandoned before.
    pub fn logged_again(&self, view: &CutView, offset: u64) {
        view.decide(ABANDONED);
        self.ranges.lock().logged_again(view.cut, offset);
        self.restore(view.cut, &view.taken);
    }

    fn restore(&self, cut: CutNumber, taken: &Taken) {
        for series in taken.iter() {
            series.samples.lock().restore(cut, &self.settings);
        }
        self.restore_exemplars(cut);
        self.ranges.lock().abandon(cut);
    }

    /// Frees what nobody reads any more.
    pub(crate) fn free(&self, remains: Vec<Remains>) {
        for Remains { cut, taken } in remains {
            for series in taken.iter() {
                series.samples.lock().free(cut);
            }
            self.pins.forget(cut);
        }
    }
}

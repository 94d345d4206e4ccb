//! Which windows the changes of a chunk are written under, so that they take the fewest bits.
//!
//! A window holds for as many changes as its writer likes. Prometheus keeps one until a change does not fit, so that a wide
//! change makes all narrow ones behind it wide; its readers take whatever comes. Where all values are known beforehand, the
//! changes can be parted into runs that share a window such that no other parting is shorter.

use crate::varbit::{WindowUse, WriteWindow};

/// What a new window costs beyond the bits that it shows, as [`WriteWindow::write`] describes it.
const NEW_WINDOW_BITS: u32 = 11;

/// The windows of one chunk, to be taken change by change. Reused from chunk to chunk.
#[derive(Debug, Default)]
pub(crate) struct WindowPlan {
    /// How many changes each window serves, the last one first.
    runs: Vec<(u32, WriteWindow)>,
    /// Changes that the current window still serves.
    left: u32,
    /// The window that each change needs by itself.
    changes: Vec<WriteWindow>,
    /// For each change, where the last run begins in the shortest parting that ends with it.
    begins: Vec<u32>,
    /// Runs that may still be part of the shortest parting.
    open: Vec<OpenRun>,
}

/// A run of changes that may go on.
#[derive(Clone, Copy, Debug)]
struct OpenRun {
    /// Its first change.
    begin: u32,
    /// What shows all its changes.
    window: WriteWindow,
    /// Bits of the shortest parting of the changes before it, and of its window's description.
    bits_before: u32,
    /// The same with the run's own.
    bits: u32,
}

impl WindowPlan {
    /// Plans the windows for a chunk whose values differ from the ones before by `changes`; zeros do not count.
    pub(crate) fn plan(&mut self, changes: impl Iterator<Item = u64>) {
        self.runs.clear();
        self.changes.clear();
        self.begins.clear();
        self.open.clear();
        self.left = 0;
        let mut bits = 0;
        for change in changes.filter(|change| *change != 0) {
            bits = self.add(WriteWindow::of(change), bits);
        }
        let mut end = self.changes.len();
        while end > 0 {
            let begin = self.begins[end - 1] as usize;
            let run = &self.changes[begin..end];
            self.runs.push((run.len() as u32, run.iter().fold(WriteWindow::NOTHING, |all, it| all.hull(*it))));
            end = begin;
        }
    }

    /// Adds a change behind a parting of `bits` bits; returns what the shortest one takes that ends with it.
    fn add(&mut self, change: WriteWindow, bits: u32) -> u32 {
        let begin = self.changes.len() as u32;
        self.changes.push(change);
        if let [only] = self.open[..]
            && only.window == change
        {
            // A new window would show no less, and cost more.
            self.begins.push(only.begin);
            return bits + change.significant();
        }
        let bits_before = bits + NEW_WINDOW_BITS;
        self.open.push(OpenRun { begin, window: WriteWindow::NOTHING, bits_before, bits: bits_before });
        let (mut shortest, mut shortest_begin) = (u32::MAX, begin);
        for run in &mut self.open {
            run.window = run.window.hull(change);
            run.bits = run.bits_before + (begin + 1 - run.begin) * run.window.significant();
            if run.bits < shortest {
                (shortest, shortest_begin) = (run.bits, run.begin);
            }
        }
        self.begins.push(shortest_begin);
        // Whatever follows, a run will not be part of the shortest parting any more if one that begins with the next change
        // is no longer, or if one with the same window that began later is no longer: should it widen, fewer changes do.
        let mut kept = 0;
        for at in 0..self.open.len() {
            let run = self.open[at];
            if run.bits >= shortest + NEW_WINDOW_BITS {
                continue;
            }
            while kept > 0 && self.open[kept - 1].window == run.window && self.open[kept - 1].bits >= run.bits {
                kept -= 1;
            }
            self.open[kept] = run;
            kept += 1;
        }
        self.open.truncate(kept);
        shortest
    }

    /// Makes `window` the one for the next change.
    #[inline(always)]
    pub(crate) fn next(&mut self, window: &mut WriteWindow) -> WindowUse {
        if self.left > 0 {
            self.left -= 1;
            return WindowUse::Reused;
        }
        let (changes, next) = self.runs.pop().expect("a plan has a window for every change");
        self.left = changes - 1;
        *window = next;
        WindowUse::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xor::tests::value;
    use proptest::prelude::*;

    /// Bits of the shortest parting, by trying all of them.
    fn shortest(changes: &[WriteWindow]) -> u32 {
        let mut best = vec![0; changes.len() + 1];
        for end in 1..=changes.len() {
            let mut window = WriteWindow::NOTHING;
            let runs = (0..end).rev().map(|begin| {
                window = window.hull(changes[begin]);
                best[begin] + NEW_WINDOW_BITS + (end - begin) as u32 * window.significant()
            });
            best[end] = runs.min().unwrap();
        }
        best[changes.len()]
    }

    fn changes(values: &[f64]) -> impl Iterator<Item = u64> {
        values.windows(2).map(|pair| pair[0].to_bits() ^ pair[1].to_bits())
    }

    /// Values whose changes are of all widths, mostly of a few.
    fn values() -> impl Strategy<Value = Vec<f64>> {
        let counter = prop::collection::vec((0_u32..40, 0_u32..4), 0..200).prop_map(|steps| {
            let mut value = 0.0;
            let step = |(shift, rarely): (u32, u32)| {
                value += f64::from(1_u32 << (if rarely == 0 { shift % 31 } else { shift % 4 }));
                value
            };
            steps.into_iter().map(step).collect()
        });
        prop_oneof![prop::collection::vec(value(), 0..60), counter]
    }

    proptest! {
        #[test]
        fn no_parting_is_shorter(values in values()) {
            let mut plan = WindowPlan::default();
            plan.plan([1, 1 << 60, 1].into_iter()); // what was planned before does not matter
            plan.plan(changes(&values));
            let changes: Vec<WriteWindow> =
                changes(&values).filter(|change| *change != 0).map(WriteWindow::of).collect();
            let (mut window, mut bits) = (WriteWindow::NONE, 0);
            for change in &changes {
                if let WindowUse::New = plan.next(&mut window) {
                    bits += NEW_WINDOW_BITS;
                }
                prop_assert_eq!(window.hull(*change), window, "the change fits");
                bits += window.significant();
            }
            prop_assert!(plan.runs.is_empty() && plan.left == 0);
            prop_assert_eq!(bits, shortest(&changes));
        }
    }
}

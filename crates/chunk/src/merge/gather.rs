//! Samples of chunks that overlap, sorted: of equal times the one that was gathered last stays.

use crate::Columns;
use longhaul_model::{Measurement, Value};

/// Samples as they come out of one chunk after the other.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    samples: Vec<GatheredSample>,
    position: usize,
}

/// One of them.
#[derive(Debug)]
pub(super) struct GatheredSample {
    pub(super) sample: Measurement,
    /// Rises by one from sample to sample of a chunk, and by two from chunk to chunk.
    position: usize,
    /// Whether no sample stands between it and the one before it in its chunk, and that one stands there if any does. Only
    /// then does it still hold what the chunk knew of a counter reset between the two.
    pub(super) follows: bool,
}

impl Gathered {
    /// Adds the next sample of the chunk.
    pub(super) fn push(&mut self, sample: Measurement) {
        self.samples.push(GatheredSample { sample, position: self.position, follows: false });
        self.position += 1;
    }

    /// Adds the samples of a chunk of floats, and ends the chunk.
    pub(super) fn push_floats(&mut self, columns: &Columns) {
        for (at, (t_ms, value)) in columns.t_ms.iter().zip(&columns.values).enumerate() {
            let start_ms = columns.start_ms.get(at).copied().unwrap_or(0);
            self.push(Measurement { t_ms: *t_ms, start_ms, value: Value::Float(*value) });
        }
        self.end_chunk();
    }

    pub(super) fn end_chunk(&mut self) {
        self.position += 1;
    }

    /// The samples by rising time, one a time.
    pub(super) fn merged(self) -> impl Iterator<Item = GatheredSample> {
        let mut samples = self.samples;
        samples.sort_by_key(|it| it.sample.t_ms); // stable: of equal times the last is the one that wins
        let mut samples = samples.into_iter().peekable();
        let mut next_position = None;
        std::iter::from_fn(move || {
            let mut winner = samples.next()?;
            while let Some(later) = samples.next_if(|it| it.sample.t_ms == winner.sample.t_ms) {
                winner = later;
            }
            winner.follows = next_position.replace(winner.position + 1).is_none_or(|next| next == winner.position);
            Some(winner)
        })
    }
}

//! What was appended, read back in order.

use crate::{LogError, Offset};
use longhaul_model::{Labels, Sample, TenantId};

/// One frame of the log.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its offset; rising from record to record.
    pub offset: Offset,
    /// Whose it is.
    pub tenant: TenantId,
    /// What it holds.
    pub kind: RecordKind,
}

/// What a record holds.
#[derive(Clone, Debug)]
pub enum RecordKind {
    /// A batch's series with their samples, refused ones included (see [`Refused`]). Entries whose definition is lost
    /// are left out.
    Samples(Vec<ReplaySeries>),
    /// Refused samples of an earlier batch; already in [`Refused`].
    Refusals {
        /// The offset of that batch.
        batch: Offset,
        /// (entry, sample within the entry).
        samples: Vec<(u32, u32)>,
    },
}

/// One entry of a batch.
#[derive(Clone, Debug)]
pub struct ReplaySeries {
    /// Which entry of the batch it was: what refusals refer to.
    pub entry: u32,
    /// The series' labels; entries of one series in a segment share one allocation.
    pub labels: Labels,
    /// The series' number in its segment: a cache key as long as `segment` is the same.
    pub series_number: u32,
    /// The segment the record lies in.
    pub segment: u64,
    /// Its samples, in the order of the batch.
    pub samples: Vec<Sample>,
}

/// The refused samples of all batches in the log.
#[derive(Clone, Debug, Default)]
pub struct Refused {}

impl Refused {
    /// The refused samples of the batch at `batch`: (entry, sample within the entry), sorted; mostly none.
    pub fn of(&self, batch: Offset) -> Vec<(u32, u32)> {
        let _ = batch;
        Vec::new()
    }

    /// How many batches have refused samples.
    pub fn batches(&self) -> usize {
        0
    }
}

/// Iterates over the records of a log.
#[derive(Debug)]
pub struct Replay {}

impl Replay {
    pub(crate) fn new() -> Self {
        Self {}
    }

    /// Samples met so far whose series definition is lost in both its places.
    pub fn samples_without_series(&self) -> u64 {
        0
    }
}

impl Iterator for Replay {
    type Item = Result<Record, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        None
    }
}

//! A chunk that grows no more, as a series keeps it.

use crate::cut::CutNumber;
use bytes::Bytes;
use longhaul_chunk::{Chunk, Encoding, measurement_in};
use longhaul_model::{TimeRange, Value};

/// A sealed chunk in 32 bytes beside its data.
#[derive(Debug)]
pub(crate) struct Sealed {
    data: Box<[u8]>,
    pub(crate) min_ms: i64,
    /// A chunk does not cross a range, and a range is shorter than 2^32 ms.
    span_ms: u32,
    /// The cut that has taken it.
    pub(crate) cut: CutNumber,
    encoding: Encoding,
}

const _: () = assert!(size_of::<Sealed>() == 32, "there are millions of them");

/// The cuts whose data a reader must not see: released before it began.
pub(crate) type Hidden = smallvec::SmallVec<[CutNumber; 4]>;

/// What a reader gets of a chunk: (encoding, min_ms, max_ms, data).
pub(crate) type View<'a> = (Encoding, i64, i64, &'a [u8]);

impl Sealed {
    pub(crate) fn new(encoding: Encoding, data: Box<[u8]>, min_ms: i64, max_ms: i64) -> Self {
        Self { data, min_ms, span_ms: max_ms.abs_diff(min_ms) as u32, cut: CutNumber::NONE, encoding }
    }

    pub(crate) fn max_ms(&self) -> i64 {
        self.min_ms + i64::from(self.span_ms)
    }

    pub(crate) fn overlaps(&self, range: TimeRange) -> bool {
        range.overlaps(&TimeRange::inclusive(self.min_ms, self.max_ms()))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.data.len()
    }

    pub(crate) fn view(&self) -> View<'_> {
        (self.encoding, self.min_ms, self.max_ms(), &self.data)
    }

    /// The value at `t_ms`, if it has one.
    pub(crate) fn value_at(&self, t_ms: i64) -> Option<Value> {
        let inside = self.min_ms <= t_ms && t_ms <= self.max_ms();
        if inside { find(self.encoding, &self.data, t_ms) } else { None }
    }
}

impl From<Chunk> for Sealed {
    fn from(chunk: Chunk) -> Self {
        Self::new(chunk.encoding, Vec::from(chunk.data).into(), chunk.min_ms, chunk.max_ms)
    }
}

impl From<Sealed> for Chunk {
    fn from(sealed: Sealed) -> Self {
        let (min_ms, max_ms) = (sealed.min_ms, sealed.max_ms());
        Self { encoding: sealed.encoding, min_ms, max_ms, data: Bytes::from(sealed.data) }
    }
}

/// Copies chunks behind one another, so that one allocation holds them all.
pub(crate) fn copy<'a>(chunks: impl Iterator<Item = View<'a>> + Clone, out: &mut Vec<Chunk>) {
    let (count, bytes) = chunks.clone().fold((0, 0), |(count, bytes), it| (count + 1, bytes + it.3.len()));
    if count == 0 {
        return;
    }
    let mut buffer = Vec::with_capacity(bytes);
    chunks.clone().for_each(|it| buffer.extend_from_slice(it.3));
    let mut buffer = Bytes::from(buffer);
    out.reserve(count);
    out.extend(chunks.map(|(encoding, min_ms, max_ms, data)| Chunk {
        encoding,
        min_ms,
        max_ms,
        data: if data.len() == buffer.len() { std::mem::take(&mut buffer) } else { buffer.split_to(data.len()) },
    }));
}

/// The value that a chunk of the head's own has at `t_ms`.
pub(crate) fn find(encoding: Encoding, data: &[u8], t_ms: i64) -> Option<Value> {
    measurement_in(encoding, data, t_ms).expect("the head's own chunks can be read").map(|it| it.value)
}

//! All series of an index in label order, with the lengths of their chunks, which the index itself does not know.

use super::reader::{IndexReader, SeriesEntry};
use crate::error::{BlockError, ReadError, Result};
use crate::files::{BlockFile, BlockFiles};
use crate::lookup::ChunkPlace;
use std::collections::{BTreeMap, VecDeque};
use std::ops::ControlFlow;

/// Series that are read at a time.
const BATCH_SERIES: usize = 1024;

/// Iterates over the series of an index.
pub(crate) struct IndexWalk<'a> {
    index: IndexReader<'a>,
    references: Vec<u32>,
    at: usize,
    lengths: Lengths<'a>,
    /// Series whose chunks have their lengths.
    queue: VecDeque<SeriesEntry>,
}

impl<'a> IndexWalk<'a> {
    /// Begins at the first series. Reads all series once to see whether chunks lie in their order.
    pub fn new(files: &'a dyn BlockFiles, index: IndexReader<'a>) -> Result<Self> {
        let references = index.all_series()?;
        let lengths = Lengths::survey(files, &index, &references)?;
        Ok(Self { index, references, at: 0, lengths, queue: VecDeque::new() })
    }

    /// The index.
    pub fn index(&self) -> &IndexReader<'a> {
        &self.index
    }

    /// The references of all series, in their order.
    pub fn references(&self) -> &[u32] {
        &self.references
    }

    fn fill(&mut self) -> Result<()> {
        let end = (self.at + BATCH_SERIES).min(self.references.len());
        let ahead = (end + 1).min(self.references.len());
        let batch = self.index.series(self.references[self.at..ahead].iter().copied());
        let mut batch = batch.collect::<Result<Vec<_>>>()?;
        let mut after = None;
        if ahead > end {
            after = batch.pop().and_then(|entry| entry.chunks.first().map(ChunkPlace::reference));
        }
        for entry in batch.iter_mut().rev() {
            self.lengths.fill(&mut entry.chunks, after)?;
            after = entry.chunks.first().map(ChunkPlace::reference);
        }
        self.at = end;
        self.queue.extend(batch);
        Ok(())
    }
}

impl Iterator for IndexWalk<'_> {
    type Item = Result<SeriesEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.queue.is_empty()
            && self.at < self.references.len()
            && let Err(error) = self.fill()
        {
            self.at = self.references.len();
            return Some(Err(error));
        }
        self.queue.pop_front().map(Ok)
    }
}

/// How long chunks are: a chunk ends at the latest where the next one begins, or with its segment.
struct Lengths<'a> {
    files: &'a dyn BlockFiles,
    segments: BTreeMap<u32, u64>,
    /// Every reference, sorted, if the index does not have them in rising order (foreign blocks may not).
    sorted: Option<Vec<u64>>,
}

impl<'a> Lengths<'a> {
    fn survey(files: &'a dyn BlockFiles, index: &IndexReader<'_>, references: &[u32]) -> Result<Self> {
        let every = || index.series(references.iter().copied());
        let mut last = None;
        let rising = every().try_fold((), |(), entry| match entry {
            Err(error) => ControlFlow::Break(Err(error)),
            Ok(entry) => {
                let rising = entry.chunks.iter().all(|chunk| last.replace(chunk.reference()) < Some(chunk.reference()));
                // Looking ahead by one series must be enough.
                if rising && !entry.chunks.is_empty() { ControlFlow::Continue(()) } else { ControlFlow::Break(Ok(())) }
            }
        });
        let sorted = match rising {
            ControlFlow::Continue(()) => None,
            ControlFlow::Break(error) => {
                error?;
                let mut all = Vec::new();
                for entry in every() {
                    all.extend(entry?.chunks.iter().map(ChunkPlace::reference));
                }
                all.sort_unstable();
                all.dedup();
                Some(all)
            }
        };
        Ok(Self { files, segments: BTreeMap::new(), sorted })
    }

    /// Sets the lengths of a series' chunks; `after` is the first chunk of the series that follows in the index.
    fn fill(&mut self, chunks: &mut [ChunkPlace], after: Option<u64>) -> Result<()> {
        for i in 0..chunks.len() {
            let reference = chunks[i].reference();
            let following = match &self.sorted {
                None => chunks.get(i + 1).map(ChunkPlace::reference).or(after),
                Some(all) => all.get(all.partition_point(|other| *other <= reference)).copied(),
            };
            let end = match following {
                Some(following) if (following >> 32) as u32 == chunks[i].segment => u64::from(following as u32),
                _ => self.segment_bytes(chunks[i].segment)?,
            };
            let length = end.checked_sub(chunks[i].start.into());
            let length = length.ok_or_else(|| {
                BlockError::corrupt(BlockFile::Index, 0, format!("chunk {reference:#x} begins beyond its segment"))
            })?;
            chunks[i].length = u32::try_from(length).unwrap_or(u32::MAX);
        }
        Ok(())
    }

    fn segment_bytes(&mut self, segment: u32) -> Result<u64> {
        if let Some(size_bytes) = self.segments.get(&segment) {
            return Ok(*size_bytes);
        }
        let size_bytes = match self.files.size(BlockFile::Chunks(segment)) {
            Err(ReadError::Missing(file)) => {
                return Err(BlockError::corrupt(BlockFile::Index, 0, format!("{file} is referred to and missing")));
            }
            size_bytes => size_bytes?,
        };
        self.segments.insert(segment, size_bytes);
        Ok(size_bytes)
    }
}

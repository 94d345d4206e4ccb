//! A block's content as it stands, for `longhaul block dump` and golden tests: deleted samples included, external
//! labels left out, read from the TSDB index and not from the lookup.

use crate::error::{BlockError, Result};
use crate::files::{BlockFile, BlockFiles};
use crate::index::{IndexReader, IndexWalk, SeriesEntry};
use crate::segments::read_chunks;
use longhaul_chunk::aggregate::{self, Aggregate};
use longhaul_chunk::{Chunk, ChunkError, Encoding, decode_any, reset_hint, sample_count};
use longhaul_model::{CounterResetHint, Labels, Measurement, Sample};

/// One series.
#[derive(Clone, Debug)]
pub struct DumpSeries {
    /// Its reference in the index, as tombstones give it.
    pub reference: u32,
    /// Its labels.
    pub labels: Labels,
    /// Its chunks in the order of the index.
    pub chunks: Vec<DumpChunk>,
}

/// One chunk.
#[derive(Clone, Debug)]
pub struct DumpChunk {
    /// Its reference: segment << 32 | offset.
    pub reference: u64,
    /// Samples, as its header counts them; aggregates have no count.
    pub samples: Option<u16>,
    /// What a histogram chunk says of a counter reset before it.
    pub reset_hint: Option<CounterResetHint>,
    /// The chunk, with the bounds that the index gives.
    pub chunk: Chunk,
}

impl DumpChunk {
    /// The aggregates that the chunk has, if it is one of aggregates; each with its chunk and, if it is one of floats, with its
    /// samples as Thanos reads them.
    pub fn aggregates(&self) -> Result<Vec<(Aggregate, Chunk, Vec<Sample>)>> {
        let mut found = Vec::new();
        if self.chunk.encoding != Encoding::ThanosAggregate {
            return Ok(found);
        }
        let parts = aggregate::unpack(&self.chunk).map_err(|error| self.corrupt(&error))?;
        for (aggregate, part) in Aggregate::ALL.into_iter().zip(parts) {
            let Some(part) = part else { continue };
            let mut samples = Vec::new();
            if part.encoding.is_float() {
                aggregate::expand(&part, &mut samples).map_err(|error| self.corrupt(&error))?;
            }
            found.push((aggregate, part, samples));
        }
        Ok(found)
    }

    /// The samples of the chunk; those of aggregates are asked for by [`Self::aggregates`].
    pub fn decode(&self) -> Result<Vec<Measurement>> {
        let mut samples = Vec::new();
        let decoded = decode_any(&self.chunk, &mut samples);
        decoded.map_err(|error| self.corrupt(&error))?;
        Ok(samples)
    }

    fn corrupt(&self, error: &ChunkError) -> BlockError {
        let (segment, offset) = ((self.reference >> 32) as u32, self.reference & u64::from(u32::MAX));
        BlockError::chunk(BlockFile::Chunks(segment), offset, error)
    }
}

/// Iterates over the series of a block.
pub struct Dump<'a> {
    files: &'a dyn BlockFiles,
    series: IndexWalk<'a>,
}

impl<'a> Dump<'a> {
    /// Begins at the first series.
    pub fn new(files: &'a dyn BlockFiles) -> Result<Self> {
        Ok(Self { files, series: IndexWalk::new(files, IndexReader::open(files)?)? })
    }

    fn read(&self, entry: SeriesEntry) -> Result<DumpSeries> {
        let chunks = read_chunks(self.files, &entry.chunks)?;
        let chunks = chunks.into_iter().zip(&entry.chunks).map(|(chunk, place)| {
            let samples = match sample_count(&chunk) {
                Ok(samples) => Some(samples),
                Err(ChunkError::Unsupported(_)) => None,
                Err(error) => {
                    return Err(BlockError::chunk(BlockFile::Chunks(place.segment), place.start.into(), &error));
                }
            };
            Ok(DumpChunk { reference: place.reference(), samples, reset_hint: reset_hint(&chunk), chunk })
        });
        Ok(DumpSeries { reference: entry.reference, labels: entry.labels, chunks: chunks.collect::<Result<_>>()? })
    }
}

impl Iterator for Dump<'_> {
    type Item = Result<DumpSeries>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.series.next()?.and_then(|entry| self.read(entry)))
    }
}

#[cfg(test)]
mod tests;

//! Builds a lookup from a TSDB index: for blocks that came without one, and to check ours against the index.

use super::ChunkPlace;
use super::writer::{FinishedLookup, LookupWriter};
use crate::error::{BlockError, Result};
use crate::files::{BlockFile, BlockFiles};
use crate::index::{IndexReader, IndexWalk};
use crate::meta::BlockMeta;
use crate::sink::Sink;
use longhaul_model::Labels;
use std::collections::BTreeMap;

/// Builds the bytes of a block's `lookup` from its `index` (and the sizes of its segments). The external labels of a
/// foreign block become labels of its series here, so that a query need not know about them.
pub fn build_lookup(files: &dyn BlockFiles, meta: &BlockMeta) -> Result<Vec<u8>> {
    Ok(write_lookup(files, meta, Vec::new())?.sink)
}

/// [`build_lookup`] into a sink.
pub(crate) fn write_lookup<S: Sink>(files: &dyn BlockFiles, meta: &BlockMeta, sink: S) -> Result<FinishedLookup<S>> {
    let series = IndexWalk::new(files, IndexReader::open(files)?)?;
    let external = meta.external_labels();
    let mut writer = LookupWriter::begin(sink)?;
    if external.is_empty() {
        let mut previous: Option<Labels> = None;
        for entry in series {
            let entry = entry?;
            if previous.is_some_and(|previous| previous >= entry.labels) {
                return Err(BlockError::corrupt(BlockFile::Index, entry.offset, "series are out of order"));
            }
            writer.push(&entry.labels, &entry.chunks)?;
            previous = Some(entry.labels);
        }
    } else {
        // An added label may change the order, and one that replaces another may make two series one.
        let mut all: BTreeMap<Labels, Vec<ChunkPlace>> = BTreeMap::new();
        for entry in series {
            let mut entry = entry?;
            all.entry(with_external(entry.labels, &external)).or_default().append(&mut entry.chunks);
        }
        for (labels, chunks) in &all {
            writer.push(labels, chunks)?;
        }
    }
    writer.finish()
}

/// The labels as a query sees them.
pub(crate) fn with_external(labels: Labels, external: &[(&str, &str)]) -> Labels {
    if external.is_empty() {
        return labels;
    }
    let mut builder = labels.to_builder();
    for (name, value) in external {
        builder.set(name, value);
    }
    builder.build()
}
